"""The items of hostile JSON arrays, one by one, without reading an array as a whole.

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
MAX_MEMBER_BYTES: Final = 1 << 10
"""Of an object's member: its name, and blanks.  Real ones have 30."""
MAX_SEARCH_TOKENS: Final = 1_000_000
"""Brackets and strings looked at, over a whole report, to find the ends of items that are too large or too
deep: 0.3 s.  Behind that many such items the rest is not read."""

_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_BLANK: Final = re.compile(rb"[ \t\r\n]*+")
_COMMA: Final = re.compile(rb"[ \t\r\n]*+,[ \t\r\n]*+")
_SCALAR: Final = re.compile(rb"(?:" + _STRING + rb'|[^\[\]{}", \t\r\n]++)', re.DOTALL)
_MEMBER: Final = re.compile(rb'"([^"\\]*+)"[ \t\r\n]*+:[ \t\r\n]*+')
"""A name that is escaped is none that anybody looks for."""
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
    NO_OBJECT = "The report is no JSON object."
    TRUNCATED = "The report is cut off."
    TRAILING = "Something follows the report's array."
    FOLLOWED = "Something follows the report's object."
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


class Cursor:
    """A place in a hostile document, and the ways on from there: over a value, into an array, into an object.

    How the document ended is `end`: nothing is given behind a place where it is no JSON.  What a value's
    body holds is not judged: it may be no JSON at all.
    """

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self._data = data
        self._tokens = MAX_SEARCH_TOKENS
        self._forgotten = 0
        self.end = End.WHOLE
        self.at = self._blank(0)

    def opens(self, bracket: bytes) -> bool:
        """Whether an array or object begins here."""
        return self._data[self.at : self.at + 1] == bracket

    def items(self) -> Iterator[Item]:
        """Each item of the array that begins here."""
        for number in self.elements():
            item = self.value(number)
            if item is None:
                return
            yield item

    def elements(self) -> Iterator[int]:
        """The number of each item of the array that begins here; whoever draws takes the item himself."""
        return self._parts(b"]")

    def members(self) -> Iterator[bytes]:
        """The name of each member of the object that begins here, as it is written, for the caller to take
        its value; one that he does not take is passed over."""
        for _ in self._parts(b"}"):
            name = _MEMBER.match(self._data, self.at, self.at + MAX_MEMBER_BYTES)
            if name is None:
                short = len(self._data) - self.at < MAX_MEMBER_BYTES
                self.end = End.TRUNCATED if short else End.GARBLED
                return
            here = self.at = name.end()
            yield name[1]
            if self.end is not End.WHOLE or (self.at == here and self.value() is None):
                return

    def value(self, number: int = 0) -> Item | None:
        """The value here; `None` where it does not end, and `end` says why."""
        start, opens = self.at, self._opens(self.at)
        match = (_VALUE if opens else _SCALAR).match(
            self._data, start, min(start + MAX_ITEM_BYTES, len(self._data))
        )
        # A number at the very limit may go on behind it.
        if match is not None and (opens or match.end() < start + MAX_ITEM_BYTES):
            self.at = match.end()
            return Item(number, self._data[start : self.at])
        end = self._search_end(start)
        if end is None:
            return None
        self.at = end
        return Item(number, b"", Broken.OVERSIZE if end - start > MAX_ITEM_BYTES else Broken.DEEP)

    def _parts(self, close: bytes) -> Iterator[int]:
        self.at = self._blank(self.at + 1)
        if self._closed(close):
            return
        number = 0
        while True:
            number += 1
            yield number
            if self.end is not End.WHOLE:
                return
            if self.at - self._forgotten > _FORGET:
                self._forgotten = _forget(self._data, self._forgotten, self.at)
            comma = _COMMA.match(self._data, self.at)
            if comma is None:
                self.at = self._blank(self.at)
                if not self._closed(close):
                    self.end = End.TRUNCATED if self.at == len(self._data) else End.GARBLED
                return
            self.at = comma.end()

    def _closed(self, close: bytes) -> bool:
        closed = self.opens(close)
        self.at += closed
        return closed

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

    def _opens(self, position: int) -> bool:
        return self._data[position : position + 1] in (b"[", b"{")

    def _blank(self, position: int) -> int:
        match = _BLANK.match(self._data, position)
        assert match is not None  # noqa: S101 - the expression matches nothing as well
        return match.end()

    def at_the_end(self) -> bool:
        """Whether nothing but blanks follows, which are passed over."""
        self.at = self._blank(self.at)
        return self.at == len(self._data)


class ArrayReader(Cursor):
    """Gives each item of the array that `data` is; how it ended is `end`, once all are drawn."""

    def items(self) -> Iterator[Item]:
        if not self.opens(b"["):
            self.end = End.EMPTY if self.at_the_end() else End.NO_ARRAY
            return
        yield from super().items()
        if self.end is End.WHOLE and not self.at_the_end():
            self.end = End.TRAILING


def _forget(data: bytes | mmap.mmap, start: int, end: int) -> int:
    """Give back the memory of pages that were read; where nothing can be, a file costs its size."""
    if isinstance(data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        end -= end % mmap.PAGESIZE
        data.madvise(mmap.MADV_DONTNEED, start, end - start)
    return end
