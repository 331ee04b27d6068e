"""The items of a hostile JSON array, one by one, without reading the array as a whole.

One item that is broken must not cost the others, and a parser of the whole array gives all or nothing.  So
the borders between items are found first, by brackets and quotes alone, and each item is parsed by itself.
The expression behind it uses possessive repeats and no recursion: it looks at no byte of an item twice.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_ITEM_BYTES: Final = 256 << 10
"""Real findings have 1 to 20 KB; the largest are IAM policies."""
MAX_DEPTH: Final = 64
"""Real findings are 9 deep."""
MAX_SEARCH_TOKENS: Final = 1_000_000
"""Brackets and strings looked at, over a whole report, to find the ends of items that are too large or too
deep: 0.3 s.  Behind that many such items the rest is not read."""

_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_BLANK: Final = re.compile(rb"[ \t\r\n]*+")
_COMMA: Final = re.compile(rb"[ \t\r\n]*+,[ \t\r\n]*+")
_SCALAR: Final = re.compile(rb"(?:" + _STRING + rb'|[^\[\]{}", \t\r\n]++)', re.DOTALL)
_TOKEN: Final = re.compile(rb'[^"\[\]{}]*+(' + _STRING + rb'|["\[\]{}])', re.DOTALL)


def _nested(depth: int) -> re.Pattern[bytes]:
    """An object or array of at most `depth` levels, brackets of either kind taken as equal."""
    value = rb'[\[{](?:[^\[\]{}"]++|' + _STRING + rb")*+[\]}]"
    for _ in range(depth - 1):
        value = rb'[\[{](?:[^\[\]{}"]++|' + _STRING + rb"|" + value + rb")*+[\]}]"
    return re.compile(value, re.DOTALL)


_VALUE: Final = _nested(MAX_DEPTH)
_FORGET: Final = 8 << 20
"""Bytes after which a mapped file's pages are given back."""


class End(StrEnum):
    """How an array ended, in words for people."""

    WHOLE = "whole"
    EMPTY = "The report is empty."
    NO_ARRAY = "The report is no JSON array."
    TRUNCATED = "The report is cut off."
    TRAILING = "Something follows the report's array."
    GARBLED = "The report's items are not separated by commas."
    EXHAUSTED = "Too many items are too large or too deep; the rest was not read."


class Broken(StrEnum):
    """Why an item has no body."""

    OVERSIZE = "oversize"
    DEEP = "nested too deeply"


@dataclass(frozen=True, slots=True)
class Item:
    number: int
    """Counted from 1."""
    body: bytes
    broken: Broken | None = None


class ArrayReader:
    """Gives each item of the array in `data`; how it ended is `end`, once all are drawn.

    What an item's body holds is not judged: it may be no JSON at all.
    """

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self._data = data
        self._tokens = MAX_SEARCH_TOKENS
        self.end = End.WHOLE

    def items(self) -> Iterator[Item]:
        data, size = self._data, len(self._data)
        position = self._blank(0)
        if position == size or data[position : position + 1] != b"[":
            self.end = End.EMPTY if position == size else End.NO_ARRAY
            return
        position = self._blank(position + 1)
        number, forgotten = 0, 0
        if data[position : position + 1] == b"]":
            self._close(position)
            return
        while True:
            number += 1
            item, position = self._item(number, position)
            if item is None:
                return
            yield item
            if position - forgotten > _FORGET:
                forgotten = _forget(data, forgotten, position)
            comma = _COMMA.match(data, position)
            if comma is None:
                self._close(self._blank(position))
                return
            position = comma.end()

    def _item(self, number: int, start: int) -> tuple[Item | None, int]:
        match = (_VALUE if self._opens(start) else _SCALAR).match(
            self._data, start, min(start + MAX_ITEM_BYTES, len(self._data))
        )
        # A number at the very limit may go on behind it.
        if match is not None and (self._opens(start) or match.end() < start + MAX_ITEM_BYTES):
            return Item(number, self._data[start : match.end()]), match.end()
        end = self._search_end(start)
        if end is None:
            return None, start
        broken = Broken.OVERSIZE if end - start > MAX_ITEM_BYTES else Broken.DEEP
        return Item(number, b"", broken), end

    def _search_end(self, start: int) -> int | None:
        """Where an item ends that the expression gave up on; `None` where it does not, and `end` says why."""
        if not self._opens(start):
            self.end = End.TRUNCATED if start >= len(self._data) else End.GARBLED
            return None
        depth = 0
        for token in _TOKEN.finditer(self._data, start):
            self._tokens -= 1
            if not self._tokens:
                self.end = End.EXHAUSTED
                return None
            found = token[1]
            first = found[:1]
            if first in b"[{":
                depth += 1
            elif first in b"]}":
                depth -= 1
                if not depth:
                    return token.end()
            elif len(found) == 1:
                break  # A string that never ends.
        self.end = End.TRUNCATED
        return None

    def _close(self, position: int) -> None:
        if position == len(self._data):
            self.end = End.TRUNCATED
        elif self._data[position : position + 1] != b"]":
            self.end = End.GARBLED
        elif self._blank(position + 1) != len(self._data):
            self.end = End.TRAILING

    def _opens(self, position: int) -> bool:
        return self._data[position : position + 1] in (b"[", b"{")

    def _blank(self, position: int) -> int:
        match = _BLANK.match(self._data, position)
        assert match is not None  # noqa: S101 - the expression matches nothing as well
        return match.end()


def _forget(data: bytes | mmap.mmap, start: int, end: int) -> int:
    """Give back the memory of pages that were read; where nothing can be, a file costs its size."""
    if isinstance(data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        end -= end % mmap.PAGESIZE
        data.madvise(mmap.MADV_DONTNEED, start, end - start)
    return end
