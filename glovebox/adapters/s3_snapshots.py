"""S3: archives of commits in parts as they come, their records, and addresses that read them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Final

import msgspec
from botocore.exceptions import ClientError

from glovebox import log
from glovebox.adapters.aws import calling, error_code
from glovebox.errors import UpstreamError
from glovebox.scans.repositories import Snapshot
from glovebox.snapshots.ports import RECORD

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART: Final = 8 << 20
"""Bytes: S3 wants 5 MB at least and 10,000 parts at most, which are 80 GB."""
PARTS_AT_ONCE: Final = 3
"""Parts on their way while the next one fills: 32 MB in all."""
ALL: Final = "snapshots/"
_TAKEN: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_MISSING: Final = frozenset({"NoSuchKey", "404"})
_GZIP: Final = "application/gzip"


class S3Snapshots:
    """`glovebox.snapshots.ports.SnapshotStore` on one bucket."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def recorded(self, key: str) -> Snapshot | None:
        with calling("Reading a snapshot's record"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if error_code(error) in _MISSING:
                    return None
                raise
            with closing(answer["Body"]) as body:
                data = body.read()
        try:
            return msgspec.json.decode(data, type=Snapshot)
        except msgspec.DecodeError as error:
            raise UpstreamError(
                f"A snapshot's record cannot be read: {error}.", fix="Start another run."
            ) from error

    def record(self, key: str, snapshot: Snapshot) -> bool:
        with calling("Writing a snapshot's record"):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=msgspec.json.encode(snapshot),
                    ContentType="application/json",
                    IfNoneMatch="*",
                )
            except ClientError as error:
                # A conflict is a race with another write, which is to be read then.
                if error_code(error) in _TAKEN:
                    return False
                raise
        return True

    @contextmanager
    def upload(self, key: str) -> Iterator[_Upload]:
        with calling("Uploading a snapshot"):
            begun = self._client.create_multipart_upload(Bucket=self._bucket, Key=key, ContentType=_GZIP)
        upload = _Upload(self._client, self._bucket, key, begun["UploadId"])
        try:
            yield upload
            upload.complete()
        except BaseException:
            upload.abort()
            raise

    def remove(self, key: str) -> None:
        with calling("Deleting a snapshot"):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def readable_url(self, key: str, seconds: int) -> str:
        with calling("Signing a snapshot"):
            return self._client.generate_presigned_url(
                "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=seconds
            )

    def sweep(self, before: datetime) -> int:
        deleted = 0
        with calling("Sweeping snapshots"):
            # S3 lists by name, so that what is of one folder comes together.
            for _, folder in groupby(self._written(), key=lambda each: each[0].rpartition("/")[0]):
                written = dict(folder)
                record = next((key for key in written if key.endswith(RECORD)), "")
                since = {key: written.get(record, at) for key, at in written.items()}
                # The record first: nobody shall be told of an archive that is gone.
                for key in sorted(written, key=lambda key: key != record):
                    if since[key] < before:
                        # One call a key: DeleteObjects would need a permission on the bucket itself.
                        self._client.delete_object(Bucket=self._bucket, Key=key)
                        deleted += 1
        return deleted

    def _written(self) -> Iterator[tuple[str, datetime]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=ALL)
        for page in pages:
            for each in page.get("Contents", []):
                key, written = each.get("Key"), each.get("LastModified")
                if key and written:
                    yield key, written


class _Upload:
    """Parts of one object, some on their way at a time; whoever writes faster than S3 takes waits."""

    def __init__(self, client: S3Client, bucket: str, key: str, upload: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._upload = upload
        self._filling = bytearray()
        self._parts: list[Future[CompletedPartTypeDef]] = []
        self._room = threading.Semaphore(PARTS_AT_ONCE)
        self._pool = ThreadPoolExecutor(PARTS_AT_ONCE)

    def write(self, data: bytes) -> None:
        self._filling += data
        while len(self._filling) >= PART:
            self._send(bytes(self._filling[:PART]))
            del self._filling[:PART]

    def complete(self) -> None:
        if self._filling or not self._parts:
            self._send(bytes(self._filling))
            self._filling = bytearray()
        parts = [each.result() for each in self._parts]
        self._pool.shutdown()
        with calling("Uploading a snapshot"):
            self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=self._key,
                UploadId=self._upload,
                MultipartUpload={"Parts": parts},
            )

    def abort(self) -> None:
        """Nothing is left of it; what cannot be told to S3 the bucket's lifecycle ends."""
        # A part that arrives after the end would stay, and be paid for.
        self._pool.shutdown(cancel_futures=True)
        with suppress(UpstreamError), calling("Ending an upload"):
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._upload)
            return
        log.warning("upload left open")

    def _send(self, body: bytes) -> None:
        failed = next((each for each in self._parts if each.done() and each.exception()), None)
        if failed is not None:
            failed.result()
        self._room.acquire()
        number = len(self._parts) + 1
        self._parts.append(self._pool.submit(self._put, number, body))

    def _put(self, number: int, body: bytes) -> CompletedPartTypeDef:
        try:
            with calling("Uploading a part of a snapshot"):
                answer = self._client.upload_part(
                    Bucket=self._bucket,
                    Key=self._key,
                    UploadId=self._upload,
                    PartNumber=number,
                    Body=body,
                )
            return {"ETag": answer["ETag"], "PartNumber": number}
        finally:
            self._room.release()
