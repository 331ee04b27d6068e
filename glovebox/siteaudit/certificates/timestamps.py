"""Signed certificate timestamps (Certificate Transparency, RFC 6962) in the TLS extension.

Those in the certificate are read with its other extensions.  Nothing here verifies their
signatures: that needs the list of logs, which changes by the week.
"""

from __future__ import annotations

LOG_ID = 32
TIMESTAMP = 8
SHORTEST = 1 + LOG_ID + TIMESTAMP + 2 + 2 + 2
"""Version, log id, time, no extensions, algorithm, and an empty signature."""
MAX_TIMESTAMPS = 64
"""A chain needs two or three."""


class MalformedTimestampsError(ValueError):
    """The list is not what RFC 6962 3.3 describes."""


def read_timestamps(data: bytes) -> frozenset[bytes]:
    """Log id and signature of each timestamp of a `SignedCertificateTimestampList` (RFC 6962 3.3).

    Raises MalformedTimestampsError for anything else, extra bytes included.
    """
    entries = _split(data)
    if not entries:
        raise MalformedTimestampsError("the list is empty")
    if len(entries) > MAX_TIMESTAMPS:
        raise MalformedTimestampsError(f"the list holds {len(entries)} timestamps")
    return frozenset(_identity(entry) for entry in entries)


def _split(data: bytes) -> list[bytes]:
    whole, rest = _vector(data)
    if rest:
        raise MalformedTimestampsError("bytes follow the list")
    entries = []
    while whole:
        entry, whole = _vector(whole)
        entries.append(entry)
    return entries


def _vector(data: bytes) -> tuple[bytes, bytes]:
    """A vector with a length of two bytes, and what follows it."""
    if len(data) < 2:
        raise MalformedTimestampsError("a length is cut short")
    end = 2 + int.from_bytes(data[:2], "big")
    if end > len(data):
        raise MalformedTimestampsError("a length reaches past the end")
    return data[2:end], data[end:]


def _identity(entry: bytes) -> bytes:
    if len(entry) < SHORTEST:
        raise MalformedTimestampsError("a timestamp is cut short")
    if entry[0] != 0:
        raise MalformedTimestampsError(f"a timestamp has the unknown version {entry[0]}")
    _, rest = _vector(entry[1 + LOG_ID + TIMESTAMP :])
    if len(rest) < 2:
        raise MalformedTimestampsError("a timestamp has no signature")
    signature, rest = _vector(rest[2:])
    if rest:
        raise MalformedTimestampsError("bytes follow a timestamp's signature")
    return entry[1 : 1 + LOG_ID] + signature
