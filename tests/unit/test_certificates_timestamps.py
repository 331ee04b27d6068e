"""The list of timestamps is read strictly: RFC 6962 3.3 and nothing beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glovebox.siteaudit.certificates.timestamps import (
    MAX_TIMESTAMPS,
    MalformedTimestampsError,
    read_timestamps,
)


def vector(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def sct(log: bytes = b"L" * 32, signature: bytes = b"sig", *, version: int = 0, extra: bytes = b"") -> bytes:
    return bytes([version]) + log + bytes(8) + vector(b"") + b"\x04\x03" + vector(signature) + extra


def sct_list(*entries: bytes) -> bytes:
    return vector(b"".join(vector(entry) for entry in entries))


def test_each_timestamp_is_known_by_log_and_signature() -> None:
    data = sct_list(sct(), sct(b"M" * 32), sct())
    assert read_timestamps(data) == {b"L" * 32 + b"sig", b"M" * 32 + b"sig"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "cut short"),
        (b"\0", "cut short"),
        (b"\0\0", "empty"),
        (b"\0\5abc", "past the end"),
        (sct_list(sct()) + b"x", "follow the list"),
        (sct_list(b""), "cut short"),
        (sct_list(sct()[:-1]), "past the end"),
        (sct_list(sct(version=1)), "unknown version 1"),
        (sct_list(sct(extra=b"x")), "follow a timestamp"),
        (sct_list(*[sct()] * (MAX_TIMESTAMPS + 1)), "65 timestamps"),
        (vector(b"\xff"), "cut short"),
    ],
)
def test_anything_else_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedTimestampsError, match=reason):
        read_timestamps(data)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        found = read_timestamps(data)
    except MalformedTimestampsError:
        return
    assert found
