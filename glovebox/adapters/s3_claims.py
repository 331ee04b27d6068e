"""S3 as tasks and `redeem` meet in it: claims come in once, envelopes go out once."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from glovebox.adapters.aws import calling, error_code
from glovebox.envelopes.names import CLAIM_BYTES
from glovebox.errors import ConflictError, NotFoundError
from glovebox.scans.accounts import CLAIM_TYPE

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TAKEN = {"PreconditionFailed", "412"}
_MISSING = {"NoSuchKey", "404"}


class S3Claims:
    """`glovebox.scans.brokering.Claims` on one bucket."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def read(self, key: str, limit: int) -> bytes:
        with calling("Reading a claim"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if error_code(error) in _MISSING:
                    raise NotFoundError("The announced claim is not there.") from error
                raise
            with closing(answer["Body"]) as body:
                return body.read(limit + 1)

    def writable_url(self, key: str, seconds: int) -> str:
        """Length, type and condition are signed: without any of them the address admits nothing."""
        with calling("Signing a claim"):
            return self._client.generate_presigned_url(
                "put_object",
                Params={
                    "Bucket": self._bucket,
                    "Key": key,
                    "ContentLength": CLAIM_BYTES,
                    "ContentType": CLAIM_TYPE,
                    "IfNoneMatch": "*",
                },
                ExpiresIn=seconds,
            )


class S3Envelopes:
    """`glovebox.scans.brokering.Envelopes` on the hand-off's bucket."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put_once(self, key: str, body: bytes) -> None:
        with calling("Writing an envelope"):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=body,
                    ContentType="application/json",
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if error_code(error) in _TAKEN:
                    raise ConflictError("There is an envelope already.", fix="See who wrote it.") from error
                raise
