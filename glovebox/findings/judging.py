"""How far a report can be believed, and what is left of it to compare with last time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from glovebox.findings.life import Coverage, Quality, Seen
from glovebox.findings.model import Status
from glovebox.findings.report import Report

MAX_REASONS: Final = 20


class Canary(Protocol):
    """Something known-bad that we planted, and that a report must name where its scan looks there."""

    @property
    def id(self) -> bytes:
        """Of what a report says about it."""
        ...

    @property
    def missed(self) -> str:
        """What to say of a report that does not name it, as a sentence."""
        ...

    def expected(self, coverage: Coverage) -> bool:
        """Whether a scan that covers this much must have seen it."""
        ...


@dataclass(frozen=True, slots=True)
class Judgement:
    quality: Quality
    reasons: tuple[str, ...]
    seen: Seen
    notes: tuple[str, ...] = ()
    """What takes nothing from the report, and people should know."""


def judge(
    report: Report,
    *,
    coverage: Coverage,
    canaries: Iterable[Canary] = (),
    troubles: Iterable[str] = (),
    notes: Iterable[str] = (),
) -> Judgement:
    """`troubles`: what the task told, such as errors in the scanner's log or a killed scanner.

    A canary that is expected and that the report does not name makes it untrusted, and so does one word about
    what its scan was not to look at.  Canaries are no findings: none is in what was seen.
    """
    planted = list(canaries)
    own = {canary.id for canary in planted}
    missed = [each for each in planted if each.expected(coverage) and not _fails(report, each.id)]
    distrust = [each.missed for each in missed]
    distrust += [
        f"The report speaks of {what}, {count:,} times."
        for what, count in sorted(report.refusals.foreign.items())
    ]
    partial = [*report.troubles, *troubles]
    quality = Quality.UNTRUSTED if distrust else Quality.PARTIAL if partial else Quality.COMPLETE
    seen = Seen(
        observations={key: each for key, each in report.observations.items() if key not in own},
        passed=frozenset(report.passed) - own,
        services=report.services,
    )
    return Judgement(quality, tuple((distrust + partial)[:MAX_REASONS]), seen, tuple(notes))


def _fails(report: Report, key: bytes) -> bool:
    seen = report.observations.get(key)
    return seen is not None and seen.status is Status.FAIL
