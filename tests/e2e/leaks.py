"""Looking for planted secrets in all that a local cloud holds: objects, items, logs, messages and files.

A secret is looked for as text, as hexadecimal digits, in base64 at each alignment, escaped as in JSON, and
backwards; and within whatever is packed (gzip, zlib, zip, tar) or written in base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glovebox.local.aws import LocalAws

MAX_DEPTH = 4
"""Packages in packages."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{40,}={0,2}")
_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]")


@dataclass(frozen=True)
class Needles:
    """Each secret in each of its spellings."""

    spellings: Mapping[bytes, str]
    """Spelling → what it is."""

    @classmethod
    def of(cls, secrets: Iterable[str]) -> Needles:
        spellings: dict[bytes, str] = {}
        for number, secret in enumerate(secrets):
            for how, spelling in _spelled(secret):
                spellings.setdefault(spelling, f"secret {number} {how}")
        return cls(spellings)

    def within(self, data: bytes) -> set[str]:
        """What is found in `data` and in all that is packed in it."""
        return {
            what for layer in layers(data) for spelling, what in self.spellings.items() if spelling in layer
        }


def _spelled(secret: str) -> Iterator[tuple[str, bytes]]:
    raw = secret.encode()
    yield "as text", raw
    yield "escaped", json.dumps(secret)[1:-1].encode()
    yield "escaped", json.dumps(secret)[1:-1].replace("/", "\\/").encode()
    yield "backwards", raw[::-1]
    yield "backwards", json.dumps(secret)[1:-1].encode()[::-1]
    yield "in digits", raw.hex().encode()
    yield "in digits", raw.hex().upper().encode()
    for before in range(3):
        # What depends on the neighbours goes: the first and the last characters.
        encoded = base64.b64encode(b"\0" * before + raw)
        whole = encoded[-(-before * 8 // 6) : len(encoded) - (4 if encoded.endswith(b"=") else 0)]
        yield "in base64", whole
        yield "in base64", whole.replace(b"+", b"-").replace(b"/", b"_")


def layers(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """`data`, and what is packed in it."""
    yield data
    if depth == MAX_DEPTH:
        return
    for inner in _unpacked(data):
        yield from layers(inner, depth + 1)


def _unpacked(data: bytes) -> Iterator[bytes]:
    if data[:2] == b"\x1f\x8b":
        yield zlib.decompressobj(47).decompress(data)
    elif _ZLIB.match(data):
        with suppress(zlib.error):
            yield zlib.decompressobj().decompress(data)
    elif zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from map(archive.read, archive.namelist())
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as members:
            for member in members:
                if (file := members.extractfile(member)) is not None:
                    yield file.read()
    else:
        for match in _BASE64.finditer(data):
            word = match[0].translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
            try:
                yield base64.b64decode(word + b"=" * (-len(word) % 4), validate=True)
            except binascii.Error:
                continue


# ---------------------------------------------------------------- where it is looked for

Held = Iterator[tuple[str, bytes]]
"""Place, and what is there."""


def objects(aws: LocalAws) -> Held:
    """Every version of every object of every bucket."""
    storage = aws.client("s3")
    for bucket in storage.list_buckets()["Buckets"]:
        name = bucket.get("Name", "")
        for page in storage.get_paginator("list_objects_v2").paginate(Bucket=name):
            for each in page.get("Contents", []):
                key = each.get("Key", "")
                yield f"s3://{name}/{key}", storage.get_object(Bucket=name, Key=key)["Body"].read()
        for pages in storage.get_paginator("list_object_versions").paginate(Bucket=name):
            for version in pages.get("Versions", []):
                key, identity = version.get("Key", ""), version.get("VersionId", "null")
                if identity != "null":
                    body = storage.get_object(Bucket=name, Key=key, VersionId=identity)["Body"]
                    yield f"s3://{name}/{key}?{identity}", body.read()


def items(aws: LocalAws) -> Held:
    """Every item of every table, its attributes one by one."""
    tables = aws.client("dynamodb")
    for page in tables.get_paginator("list_tables").paginate():
        for table in page["TableNames"]:
            for found in tables.get_paginator("scan").paginate(TableName=table):
                for item in found["Items"]:
                    yield from _attributes(f"dynamodb://{table}", item)


def _attributes(place: str, value: Any) -> Held:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _attributes(f"{place}/{name}", each)
    elif isinstance(value, bytes):
        yield place, value
    elif isinstance(value, str):
        yield place, value.encode()
    elif isinstance(value, Sequence | set | frozenset):
        for each in value:
            yield from _attributes(place, each)


def logs(aws: LocalAws) -> Held:
    """Every line of every log group."""
    watch = aws.client("logs")
    for page in watch.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group.get("logGroupName", "")
            for events in watch.get_paginator("filter_log_events").paginate(logGroupName=name):
                for event in events["events"]:
                    yield f"log {name}", event.get("message", "").encode()


def messages(aws: LocalAws) -> Held:
    """What waits in any queue; it stays there."""
    queues = aws.client("sqs")
    for url in queues.list_queues().get("QueueUrls", []):
        while received := queues.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=5
        ).get("Messages"):
            for message in received:
                yield f"sqs {url}", json.dumps(message, default=str).encode()


def files(folder: Path) -> Held:
    """Every file below `folder`."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield str(path), path.read_bytes()


def found_in(aws: LocalAws, folder: Path, secrets: Iterable[str], *more: Held) -> dict[str, set[str]]:
    """Where in the cloud, in the folder of its run and in `more` a secret is, and how it is spelled there.

    Raises AssertionError where one of the places has nothing at all to look at: silence would prove nothing.
    """
    needles = Needles.of(secrets)
    where: dict[str, set[str]] = {}
    known: dict[bytes, set[str]] = {}
    everything = {
        "objects": objects(aws),
        "items": items(aws),
        "logs": logs(aws),
        "messages": messages(aws),
        "files": files(folder),
        **{f"more, {number}": each for number, each in enumerate(more)},
    }
    for kind, held in everything.items():
        looked_at = 0
        for place, data in held:
            looked_at += 1
            # Each function has a copy of the same libraries.
            digest = hashlib.sha256(data).digest()
            if digest not in known:
                known[digest] = needles.within(data)
            if hits := known[digest]:
                where.setdefault(place.partition("?")[0], set()).update(hits)
        assert looked_at, kind
    return where
