"""The search for planted secrets finds them however they are hidden; else its silence would prove nothing."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import pytest

from tests.e2e.leaks import Needles

SECRET = "tJ8/kq+Zr0" + 'x"Vn2\\m5' + "bQ7c"


def _zipped(data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.txt", data)
    return packed.getvalue()


def _tarred(data: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("inside.txt")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


HIDDEN: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda data: data,
    "in JSON": lambda data: json.dumps(data.decode()).encode(),
    "backwards": lambda data: data[::-1],
    "in digits": lambda data: data.hex().encode(),
    "in base64": base64.b64encode,
    "in base64, later by one": lambda data: base64.b64encode(b"a" + data + b"z"),
    "in base64, later by two": lambda data: base64.b64encode(b"ab" + data + b"yz"),
    "in base64 for addresses": lambda data: base64.urlsafe_b64encode(b"?>" + data),
    "in base64 twice": lambda data: base64.b64encode(base64.b64encode(b"id=" + data + b" and more of it")),
    "gzipped": gzip.compress,
    "deflated": zlib.compress,
    "zipped": _zipped,
    "in an archive": _tarred,
    "deflated, in base64": lambda data: base64.b64encode(zlib.compress(data + b" and more of it")),
}


@pytest.mark.parametrize("how", HIDDEN)
def test_a_secret_is_found(how: str) -> None:
    needles = Needles.of(["another one altogether", SECRET])
    assert {what.split()[1] for what in needles.within(HIDDEN[how](SECRET.encode()))} == {"1"}


def test_what_is_not_there_is_not_found() -> None:
    assert not Needles.of([SECRET]).within(
        _tarred(base64.b64encode(b"something else, and long enough for it"))
    )
