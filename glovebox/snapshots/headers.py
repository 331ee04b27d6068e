"""Headers of tar archives as `git archive` writes them: ustar and pax (IEEE 1003.1-2017, pax)."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as with_fields
from typing import Final

from glovebox.snapshots.errors import SnapshotError

BLOCK: Final = 512
MAX_PAX: Final = 64 << 10
"""Bytes of an extended header: two names of 4,096 bytes and some numbers."""
_MAGIC: Final = b"ustar\x0000"
_CHECKSUM: Final = slice(148, 156)
_EMPTY: Final = bytes(BLOCK)
_CHARSETS: Final = frozenset({b"BINARY", b"ISO-IR 10646 2000 UTF-8"})
"""Names are bytes here, whatever is said of them."""


@dataclass(frozen=True, slots=True)
class Header:
    """One entry as its header has it; nothing of it is checked but that it can be read."""

    name: bytes
    kind: bytes
    """One byte: `0` a file, `5` a folder, `2` a symbolic link, `x` and `g` pax headers, …"""
    size: int
    mode: int
    target: bytes

    def extended(self, records: dict[bytes, bytes]) -> Header:
        """With what an extended header says in its place.  Raises SnapshotError."""
        if not records:
            return self
        if b"\0" in records.get(b"path", b"") or b"\0" in records.get(b"linkpath", b""):
            raise SnapshotError("snapshot_refused", "A name in the archive holds a NUL.")
        size = records.get(b"size")
        return with_fields(
            self,
            name=records.get(b"path", self.name),
            target=records.get(b"linkpath", self.target),
            size=self.size if size is None else _decimal(size),
        )


def read_header(block: bytes) -> Header | None:
    """The header in a block of 512 bytes; none in one of zeros.  Raises SnapshotError."""
    if block == _EMPTY:
        return None
    # Unsigned, with its own field as blanks.
    total = sum(block) - sum(block[_CHECKSUM]) + 8 * 0x20
    if block[257:265] != _MAGIC or _octal(block[_CHECKSUM]) != total:
        raise SnapshotError("snapshot_damaged", "A header of the archive is none of a POSIX tar.")
    name, prefix = _text(block[:100]), _text(block[345:500])
    return Header(
        name=prefix + b"/" + name if prefix else name,
        kind=block[156:157],
        size=_octal(block[124:136]),
        mode=_octal(block[100:108]),
        target=_text(block[157:257]),
    )


def read_pax(data: bytes) -> dict[bytes, bytes]:
    """The records of a pax header, `length key=value\\n` each.

    Raises SnapshotError for what cannot be read, for a key that comes twice, and for those that make another
    kind of file of the next one.
    """
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        digits, blank, _ = data[at : at + 8].partition(b" ")
        length = _decimal(digits) if blank else 0
        record = data[at : at + length]
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if len(record) != length or not record.endswith(b"\n") or not equals or not key or key in records:
            raise SnapshotError("snapshot_damaged", "A pax header of the archive cannot be read.")
        if key.startswith(b"GNU.") or (key == b"hdrcharset" and value not in _CHARSETS):
            raise SnapshotError("snapshot_refused", "A pax header of the archive asks for what git has not.")
        records[key] = value
        at += length
    return records


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _octal(field: bytes) -> int:
    """Raises SnapshotError for anything else, numbers in base 256 among it."""
    digits = field.strip(b" \0")
    if not digits or digits.strip(b"01234567"):
        raise SnapshotError("snapshot_damaged", "A number in a header of the archive cannot be read.")
    return int(digits, 8)


def _decimal(digits: bytes) -> int:
    # Nineteen digits are more than any size, and few enough for `int`.
    if not digits.isdigit() or len(digits) > 19:
        raise SnapshotError("snapshot_damaged", "A number in a header of the archive cannot be read.")
    return int(digits)
