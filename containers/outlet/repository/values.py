"""The secrets that a report tells of, kept in memory to be taken out wherever else they stand."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

from glovebox.scans.redaction import WITHHELD
from glovebox.text import plain

MIN_VALUE: Final = 6
"""Characters; what is shorter is guessed sooner than found, and stands by chance in every text."""
MAX_KEPT: Final = 32
"""Characters of a piece that are kept: where they stand, the rest of the line goes as well."""
MIN_PART: Final = 16
"""Of what a value with blanks falls into, such as a private key's lines: shorter parts are words."""
MAX_PIECES: Final = 250_000
"""Pieces that are kept: 40 MB.  A real report has a handful of secrets a line, and few lines."""
_KEY: Final = re.compile(r"[0-9a-f]{64}")
_PASSWORD: Final = re.compile(r"://[^/@\s]*?:([^/\s]+)@")


class Fingerprints:
    """HMAC-SHA-256 under a repository's key; without a proper key there are none."""

    def __init__(self, key: str) -> None:
        self._key = bytes.fromhex(key) if _KEY.fullmatch(key) else b""

    def of(self, value: str) -> str | None:
        if not self._key:
            return None
        return hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()


class Values:
    """Remembers values and takes them out of texts; both take time by length alone."""

    def __init__(self) -> None:
        self._pieces: set[str] = set()
        self._lengths: dict[str, tuple[int, ...]] = {}
        """By the first characters of pieces, how long such pieces are, the longest first."""

    def __bool__(self) -> bool:
        return bool(self._pieces)

    @property
    def full(self) -> bool:
        return len(self._pieces) >= MAX_PIECES

    def add(self, value: str) -> None:
        """Remember a value, its parts where it has blanks, and the password of an address."""
        for piece in _pieces(value):
            if self.full:
                return
            kept = piece[:MAX_KEPT]
            if len(kept) >= MIN_VALUE and kept not in self._pieces:
                self._pieces.add(kept)
                lengths = self._lengths.get(kept[:MIN_VALUE], ())
                if len(kept) not in lengths:
                    self._lengths[kept[:MIN_VALUE]] = tuple(sorted((*lengths, len(kept)), reverse=True))

    def forget(self, text: str) -> str:
        """`text` with `WITHHELD` in the place of every value."""
        if not self._pieces:
            return text
        kept, done, place = [], 0, 0
        while place <= len(text) - MIN_VALUE:
            length = self._length_at(text, place)
            if not length:
                place += 1
                continue
            kept += [text[done:place], WITHHELD]
            place += length
            if length == MAX_KEPT:
                end = text.find("\n", place)
                place = len(text) if end < 0 else end
            done = place
        return "".join((*kept, text[done:])) if kept else text

    def _length_at(self, text: str, place: int) -> int:
        for length in self._lengths.get(text[place : place + MIN_VALUE], ()):
            if text[place : place + length] in self._pieces:
                return length
        return 0


def _pieces(value: str) -> list[str]:
    parts = value.split()
    return [
        plain(value).strip(),
        *([part for part in parts if len(part) >= MIN_PART] if len(parts) > 1 else []),
        *_PASSWORD.findall(value),
    ]
