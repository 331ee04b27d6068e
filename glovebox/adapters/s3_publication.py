"""S3: what the public may load.  Apart from the other buckets, so that the box's units do not ship it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from s3transfer.manager import TransferManager

from glovebox.adapters.aws import calling
from glovebox.sites.ports import PublishedFile
from glovebox.sites.publication import PUBLISHED_PREFIX

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3Publication:
    """`glovebox.sites.ports.Publication` on one bucket."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, body: IO[bytes], content_type: str) -> None:
        with calling("Writing a publication"):
            told = {"ContentType": content_type, "CacheControl": "public, max-age=86400"}
            with TransferManager(self._client) as transfers:
                transfers.upload(body, self._bucket, key, extra_args=told).result()

    def zips(self) -> Sequence[PublishedFile]:
        found: list[PublishedFile] = []
        with calling("Listing publications"):
            # The delimiter leaves out the folders of plain files beside the zips.
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=PUBLISHED_PREFIX, Delimiter="/"
            )
            for page in pages:
                found.extend(
                    PublishedFile(entry.get("Key", ""), entry.get("Size", 0))
                    for entry in page.get("Contents", [])
                    if entry.get("Key", "").endswith(".zip")
                )
        return found
