"""Writes databases of bbolt (github.com/etcd-io/bbolt), as much of them as a small one needs.

A file is pages: two `meta` pages, a list of free pages, and the buckets, each a sorted leaf.  A leaf that
is longer than a page takes the next ones too ("overflow"), so no bucket needs branches, and none is inline.
All numbers are little-endian; page 0 and page 1 hold the same but their id and transaction.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

PAGE = 4_096
MAGIC, VERSION = 0xED0CDAED, 2
_LEAF, _META, _FREELIST = 0x02, 0x04, 0x10
_IS_BUCKET = 0x01
_HEADER = struct.Struct("<QHHI")
"""id, flags, count, overflow"""
_ELEMENT = struct.Struct("<IIII")
"""flags, where its key begins (from the element itself), lengths of key and value"""
_BUCKET = struct.Struct("<QQ")
"""root page, sequence"""
_META_BODY = struct.Struct("<IIII16sQQQ")
"""magic, version, page size, flags, root bucket, free list, pages in all, transaction"""

Bucket: TypeAlias = "Mapping[str, bytes | Bucket]"


def write(path: Path, root: Bucket) -> None:
    """Write a database with these buckets at `path`; whatever was there is gone."""
    pages = _Pages()
    top = pages.bucket(root)
    free = pages.add(_FREELIST, 0, b"")
    metas = [pages.meta(number, top, free) for number in (0, 1)]
    path.write_bytes(b"".join([*metas, *pages.written]))


class _Pages:
    """Those behind the two metas, in order."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    @property
    def next_id(self) -> int:
        return 2 + sum(map(len, self.written)) // PAGE

    def add(self, flags: int, count: int, body: bytes) -> int:
        """The id of a new page with this behind its header."""
        size = -(-(_HEADER.size + len(body)) // PAGE)
        number = self.next_id
        header = _HEADER.pack(number, flags, count, size - 1)
        self.written.append((header + body).ljust(size * PAGE, b"\0"))
        return number

    def bucket(self, entries: Bucket) -> bytes:
        """Write the page of a bucket, and those of the buckets in it; its value in the bucket above."""
        values = {
            key.encode(): (0, value) if isinstance(value, bytes) else (_IS_BUCKET, self.bucket(value))
            for key, value in entries.items()
        }
        elements, data = b"", b""
        for key, (flags, value) in sorted(values.items()):
            begin = _ELEMENT.size * len(values) - len(elements) + len(data)
            elements += _ELEMENT.pack(flags, begin, len(key), len(value))
            data += key + value
        return _BUCKET.pack(self.add(_LEAF, len(values), elements + data), 0)

    def meta(self, number: int, root: bytes, free: int) -> bytes:
        body = _META_BODY.pack(MAGIC, VERSION, PAGE, 0, root, free, self.next_id, number)
        page = _HEADER.pack(number, _META, 0, 0) + body + struct.pack("<Q", _fnv1a(body))
        return page.ljust(PAGE, b"\0")


def _fnv1a(data: bytes) -> int:
    """FNV-1a of 64 bits (draft-eastlake-fnv)."""
    digest = 0xCBF29CE484222325
    for byte in data:
        digest = (digest ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return digest
