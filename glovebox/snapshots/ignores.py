"""What hides sources from a scanner, and no switch of it changes: counted.

Lines by which somebody hides what follows from Trivy or TruffleHog, and files that Kingfisher leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from glovebox.scans.repositories import RepositoryScanner

WORDS: Final[Mapping[RepositoryScanner, Sequence[bytes]]] = {
    "trivy": (b"trivy:ignore", b"tfsec:ignore"),
    "trufflehog": (b"trufflehog:ignore",),
}
UNSEARCHED: Final = b"/node_modules/"
"""Kingfisher's rules have an exception for it each; it obeys no line, as we run it."""


class Ignores:
    """Counts over all files of a snapshot, wherever pieces begin and end."""

    def __init__(self) -> None:
        self._words: list[tuple[RepositoryScanner, _Word]] = [
            (scanner, _Word(word)) for scanner, words in WORDS.items() for word in words
        ]
        self._unsearched = 0

    def begin(self, path: bytes) -> None:
        """The next piece is the first of another file, of this path in the repository."""
        self._unsearched += UNSEARCHED in b"/" + path
        for _, word in self._words:
            word.begin()

    def feed(self, piece: bytes) -> None:
        for _, word in self._words:
            word.feed(piece)

    @property
    def counts(self) -> dict[RepositoryScanner, int]:
        """Lines, or Kingfisher's files, by scanner; none where there are none."""
        counts: dict[RepositoryScanner, int] = {"kingfisher": self._unsearched} if self._unsearched else {}
        for scanner, word in self._words:
            if word.lines:
                counts[scanner] = counts.get(scanner, 0) + word.lines
        return counts


class _Word:
    def __init__(self, word: bytes) -> None:
        self.lines = 0
        self._word = word
        self._carried = b""
        self._counted = False
        """The line that the last piece ended in."""

    def begin(self) -> None:
        self._carried, self._counted = b"", False

    def feed(self, piece: bytes) -> None:
        # Too short to hold the word: what is found is found once.
        data = self._carried + piece
        self._carried = data[-(len(self._word) - 1) :]
        at = 0
        while True:
            if self._counted:
                at = data.find(b"\n", at)
                if at < 0:
                    return
                self._counted = False
            at = data.find(self._word, at)
            if at < 0:
                return
            self.lines += 1
            self._counted = True
