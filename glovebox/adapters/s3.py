"""S3: lists, hand-off, the right to upload, results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from glovebox.adapters.aws import calling, error_code
from glovebox.errors import NotFoundError
from glovebox.scans.model import UploadForm
from glovebox.scans.ports import StoredVersion

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK = 1 << 20
_MISSING = {"NoSuchKey", "NoSuchVersion", "404"}


class S3Lists:
    """`glovebox.scans.ports.Lists` on one bucket."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def read(self, key: str, limit: int) -> bytes:
        with calling("Reading the host list"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if error_code(error) in _MISSING:
                    raise NotFoundError(
                        f"There is no host list {key[:200]!r}.", fix="Upload it to the bucket of the lists."
                    ) from error
                raise
            with closing(answer["Body"]) as body:
                return body.read(limit + 1)


class S3HandOff:
    """`glovebox.scans.ports.HandOff` on one bucket."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, body: bytes, content_type: str) -> None:
        with calling("Writing the hand-off"):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type)

    def readable_url(self, key: str, seconds: int) -> str:
        with calling("Signing the hand-off"):
            return self._client.generate_presigned_url(
                "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=seconds
            )

    def arn(self, key: str) -> str:
        return f"arn:{self._client.meta.partition}:s3:::{self._bucket}/{key}"

    def delete(self, keys: Iterable[str]) -> None:
        # One call a key: DeleteObjects would need a permission on the bucket itself.
        with calling("Deleting the hand-off"):
            for key in keys:
                self._client.delete_object(Bucket=self._bucket, Key=key)


class S3Uploads:
    """`glovebox.scans.ports.Uploads`: presigned POST forms under the bucket's own key."""

    def __init__(self, client: S3Client, bucket: str, key_arn: str) -> None:
        self._client = client
        self._bucket = bucket
        self._encryption = {
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": key_arn,
        }

    def form(self, key: str, *, content_type: str, max_bytes: int, seconds: int) -> UploadForm:
        fields = {"Content-Type": content_type, **self._encryption}
        with calling("Signing an upload"):
            post = self._client.generate_presigned_post(
                self._bucket,
                key,
                Fields=dict(fields),
                Conditions=[
                    *({name: value} for name, value in fields.items()),
                    ["content-length-range", 1, max_bytes],
                ],
                ExpiresIn=seconds,
            )
        return UploadForm(url=post["url"], fields=post["fields"])


class S3Results:
    """`glovebox.scans.ports.Results` on one versioned bucket."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def versions(self, key: str) -> Sequence[StoredVersion]:
        found: list[StoredVersion] = []
        with calling("Listing versions"):
            pages = self._client.get_paginator("list_object_versions").paginate(
                Bucket=self._bucket, Prefix=key
            )
            for page in pages:
                found.extend(
                    StoredVersion(version.get("VersionId", ""), version.get("Size", 0))
                    for version in page.get("Versions", [])
                    if version.get("Key") == key
                )
        # S3 lists a key's versions from the newest to the oldest.
        return found[::-1]

    @contextmanager
    def read(self, key: str, version: StoredVersion) -> Iterator[Iterator[bytes]]:
        with calling("Reading a result"):
            answer = self._client.get_object(Bucket=self._bucket, Key=key, VersionId=version.version_id)
            with closing(answer["Body"]) as body:
                yield body.iter_chunks(_CHUNK)
