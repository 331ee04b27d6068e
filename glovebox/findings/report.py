"""What every report comes to, whichever scanner wrote it and whatever it is about."""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import IO, Final, Protocol

from glovebox.findings.binding import Foreign
from glovebox.findings.model import CheckText, Observation, Status
from glovebox.findings.packages import Component
from glovebox.text import visible

LISTED_EXAMPLES: Final = 20
"""Refused items that are named; all are counted."""
MAX_EXAMPLE: Final = 160


class Refusal(StrEnum):
    """Why an item is not believed."""

    OVERSIZE = "oversize"
    DEEP = "nested too deeply"
    NO_JSON = "no JSON"
    NO_FINDING = "no detection finding"
    NO_LINE = "nothing that scanners of repositories find"
    OTHER_SCHEMA = "another version of the schema"
    BAD_NAME = "a check, region or resource that cannot be one"
    TOO_MANY_CHECKS = "more checks than Prowler has"
    FOREIGN = "about something else than its scan"


class RefusedItemError(Exception):
    def __init__(self, refusal: Refusal, detail: str = "") -> None:
        super().__init__(detail)
        self.refusal = refusal
        self.detail = detail


class Refusals:
    """Items that were refused: all are counted, some are shown."""

    def __init__(self) -> None:
        self.counts: Counter[Refusal] = Counter()
        self.foreign: Counter[Foreign] = Counter()
        self.examples: list[str] = []

    def take(self, number: int, error: RefusedItemError) -> None:
        """`number`: of the item, counted from 1."""
        self.counts[error.refusal] += 1
        if len(self.examples) < LISTED_EXAMPLES:
            said = f"item {number}: {error.refusal}" + (f" ({error.detail})" if error.detail else "")
            self.examples.append(visible(said, MAX_EXAMPLE))

    def sentences(self) -> Iterator[str]:
        """One for each class; what is foreign is told of elsewhere."""
        for refusal, count in sorted(self.counts.items()):
            if refusal is not Refusal.FOREIGN:
                yield f"Refused items: {count:,} ({refusal})."


class Report(Protocol):
    """A report that was read: cleaned, bounded, and bound to what its scan was asked for."""

    @property
    def observations(self) -> Mapping[bytes, Observation]:
        """What failed, or only a person can judge; planted resources too."""
        ...

    @property
    def passed(self) -> Collection[bytes]: ...

    @property
    def services(self) -> Collection[str]:
        """Those that the report says anything about."""
        ...

    @property
    def checks(self) -> Mapping[str, CheckText]: ...

    @property
    def max_checks(self) -> int:
        """Texts that are kept a target."""
        ...

    @property
    def components(self) -> Sequence[Component] | None:
        """Packages that the target uses; `None` of a scanner that lists none."""
        ...

    @property
    def refusals(self) -> Refusals: ...

    @property
    def statuses(self) -> Mapping[Status, int]: ...

    @property
    def items(self) -> int:
        """Without planted ones, where those can be told by where they are."""
        ...

    @property
    def duplicates(self) -> int: ...

    @property
    def muted(self) -> int: ...

    @property
    def counted(self) -> int | None:
        """How many items there are, where that is known, for the manifest to agree with."""
        ...

    @property
    def troubles(self) -> tuple[str, ...]:
        """Why the report is not whole, one sentence each; none where it is."""
        ...


@contextmanager
def mapped(file: IO[bytes]) -> Iterator[bytes | mmap.mmap]:
    """A report's file as `read` takes it: mapped, so that it costs the pages in use."""
    if not file.seek(0, 2):
        yield b""
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data
