"""S3: what is kept of each drill."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from glovebox.adapters.aws import calling, error_code
from glovebox.errors import NotFoundError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "drills/"
_MISSING = {"NoSuchKey", "404"}


class S3Drills:
    """`glovebox.drill.ports.Drills` on one bucket."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, drill_id: str, name: str, body: bytes) -> None:
        key = f"{PREFIX}{drill_id}/{name}"
        with calling("Writing of a drill"):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/json")

    def read(self, drill_id: str, name: str) -> bytes:
        key = f"{PREFIX}{drill_id}/{name}"
        with calling("Reading of a drill"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if error_code(error) in _MISSING:
                    raise NotFoundError(f"There is no {key}.", fix="Start a drill.") from error
                raise
            with closing(answer["Body"]) as body:
                return body.read()

    def latest(self, name: str) -> datetime | None:
        with calling("Listing drills"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=PREFIX)
            written = [
                found["LastModified"]
                for page in pages
                for found in page.get("Contents", [])
                if found.get("Key", "").endswith(f"/{name}") and "LastModified" in found
            ]
        return max(written, default=None)
