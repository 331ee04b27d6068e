"""The lines that go out, as they grow: findings first, packages behind them, all within the caps."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import msgspec

from containers.outlet.inspection import Report
from containers.outlet.repository.texts import NotToldError
from containers.outlet.repository.values import Fingerprints, Values
from glovebox.scans.model import MAX_FOUND_LINES
from glovebox.scans.redaction import WITHHELD
from glovebox.scans.repositories import CANARY
from glovebox.scans.repository_lines import MAX_LINE, MAX_NAME, MAX_PLACE, MAX_TEXT, Line, Package, Secret

MAX_PARTS: Final = 500_000
"""Values of a native report that are looked at one by one, a second's work; a report could be fifty million
commas."""
SEAL: Final = 16
"""Hexadecimal digits: resources of one name are few."""
_LINE: Final = msgspec.json.Decoder(Line)
_ENCODER: Final = msgspec.json.Encoder()
_WORDS: Final = re.compile(r"[A-Za-z]+[0-9]{0,2}(?:[._ -][A-Za-z]+[0-9]{0,2})*")
_NOTHING: Final = b"\n"
"""S3 takes no empty file by a form, and what tells of nothing at all, not even of what was planted, must come
to be judged.  It counts as a line."""


class CutError(Exception):
    """Why the rest of a report is left."""


class Found:
    """What the scanners' readers put their lines into."""

    def __init__(self, fingerprints: Fingerprints, most: int) -> None:
        self.values = Values()
        self._fingerprints = fingerprints
        self._findings, self._packages = _Lines(most), _Lines(most // 2)
        self._most = most
        self._parts = 0
        self._withheld = 0
        self._keyless = 0

    def part(self) -> None:
        """Count a value that is looked at.  Raises CutError for one too many."""
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise CutError(f"the report has more than {MAX_PARTS:,} parts; the rest was left")

    def withhold(self) -> None:
        self._withheld += 1

    def fingerprint(self, value: str, *others: str) -> str:
        """Of a secret, which is remembered with `others` that belong to it, to be found in no line.

        Raises NotToldError where there can be none, CutError where there are more than can be remembered.
        """
        for each in (value, *others):
            self.values.add(each)
        if self.values.full:
            raise CutError("there are too many secrets to remember; the rest was left")
        return self.fingerprint_of_mask(value)

    def fingerprint_of_mask(self, told: str) -> str:
        """Of what a scanner tells in a value's place.  Raises NotToldError."""
        if not told:
            raise NotToldError
        made = self._fingerprints.of(told)
        if made is None:
            self._keyless += 1
            raise NotToldError
        return made

    def sealed(self, told: str) -> str:
        """What stands for a text of the repository's: the same for the same text, and nothing of it."""
        made = self._fingerprints.of(f"name\0{told}")
        return made[:SEAL] if made else WITHHELD

    def add(self, line: Line) -> None:
        """Raises CutError where there is no room for a finding."""
        body = _ENCODER.encode(line)
        if len(body) >= MAX_LINE:
            self._withheld += 1
        elif isinstance(line, Package):
            # Findings matter more: that there was no room for packages is said at the end.
            self._packages.add(body, body)
        elif not self._findings.add(body, _identity(line, body)):
            raise CutError("there is no room for all that was found; the rest was left")

    def report(self, notes: list[str]) -> Report:
        """What goes out, without the values that were told; `notes` say what is odd."""
        if self._keyless:
            notes.append(
                f"the fingerprint key is missing or malformed, so {self._keyless:,} secrets were withheld"
            )
        lines = self._findings if not self.values else self._without_values()
        if not lines.join(self._packages):
            notes.append("there is no room for all packages")
        file = lines.file
        count = lines.count or file.write(_NOTHING)
        with file.getbuffer() as body:
            size, digest = len(body), hashlib.sha256(body).hexdigest()
        file.seek(0)
        note = "; ".join(filter(None, notes))
        return Report(file, size, digest, count, note, self._withheld, self.values.forget)

    def _without_values(self) -> _Lines:
        forget = lru_cache(4_096)(self.values.forget)
        kept = _Lines(self._most)
        self._findings.file.seek(0)
        for number, body in enumerate(self._findings.file):
            line = _LINE.decode(body)
            told = _forgotten(line, forget) if isinstance(line, Secret) else line
            written = _ENCODER.encode(told)
            if not kept.add(written, b"%d" % number):
                self._withheld += 1
        self._findings.file.close()
        return kept


class _Lines:
    """Lines of at most so many bytes, each once."""

    def __init__(self, most: int) -> None:
        self.file = io.BytesIO()
        self.count = 0
        self.missed = False
        self._most = most
        self._known: set[bytes] = set()

    def add(self, body: bytes, identity: bytes) -> bool:
        """Whether it is there now."""
        known = hashlib.blake2b(identity, digest_size=16).digest()
        if known in self._known:
            return True
        if self.count >= MAX_FOUND_LINES or self.file.tell() + len(body) + 1 > self._most:
            self.missed = True
            return False
        self._known.add(known)
        self.file.write(body)
        self.file.write(b"\n")
        self.count += 1
        return True

    def join(self, others: _Lines) -> bool:
        """Put `others` behind, as far as there is room; whether that was all."""
        others.file.seek(0)
        for body in others.file:
            if self.count >= MAX_FOUND_LINES or self.file.tell() + len(body) > self._most:
                return False
            self.file.write(body)
            self.count += 1
        others.file.close()
        return not others.missed


def strings(told: dict[str, object] | None) -> list[str]:
    """The values of an object that are text."""
    return [each for each in (told or {}).values() if isinstance(each, str)]


def _identity(line: Line, body: bytes) -> bytes:
    if isinstance(line, Secret):
        return f"{line.rule}\0{line.fingerprint}\0{line.path}".encode()
    return body


def _forgotten(line: Secret, forget: Callable[[str], str]) -> Secret:
    folder, _, rest = line.path.partition("/")
    # What we planted has names of ours, and rules that are words are the scanner's own: a password that is
    # one of those words would else make a scan unreadable.
    path = line.path if folder == CANARY else f"{folder}/{forget(rest)}"[:MAX_PLACE]
    rule = line.rule if _WORDS.fullmatch(line.rule) else forget(line.rule)[:MAX_NAME]
    return msgspec.structs.replace(line, path=path, rule=rule, title=forget(line.title)[:MAX_TEXT])
