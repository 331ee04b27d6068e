"""How far a report can be believed, and what is left of it to compare with last time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from glovebox.findings.life import Coverage, Quality, Seen
from glovebox.findings.model import (
    GLOBAL,
    GLOBAL_SERVICES,
    Status,
    prowler_identity,
    service_of,
)
from glovebox.findings.prowler import ProwlerReport

MAX_REASONS: Final = 20


class Canary(Struct, frozen=True, kw_only=True):
    """A known-bad resource that we planted: this check must fail on it."""

    check: str
    region: str
    resource: str

    def id(self, account: str) -> bytes:
        return prowler_identity(self.check, account, self.region, self.resource)

    def covered(self, coverage: Coverage) -> bool:
        service = service_of(self.check)
        return coverage.covers(service, GLOBAL if service in GLOBAL_SERVICES else self.region)


@dataclass(frozen=True, slots=True)
class Judgement:
    quality: Quality
    reasons: tuple[str, ...]
    seen: Seen


def judge(
    report: ProwlerReport,
    *,
    account: str,
    coverage: Coverage,
    canaries: Iterable[Canary] = (),
    troubles: Iterable[str] = (),
) -> Judgement:
    """`troubles`: what the task told, such as errors in the scanner's log or a killed scanner.

    A canary that the scan covers and the report does not name makes it untrusted, and so does one word about
    somebody else's account, region or resource.  Canaries are no findings: none is in what was seen.
    """
    planted = list(canaries)
    own = {canary.id(account) for canary in planted}
    missed = [
        canary for canary in planted if canary.covered(coverage) and not _fails(report, canary.id(account))
    ]
    distrust = [f"The planted resource {each.resource} was not reported by {each.check}." for each in missed]
    distrust += [
        f"The report speaks of {what}, {count:,} times." for what, count in sorted(report.foreign.items())
    ]
    partial = [*report.troubles, *troubles]
    quality = Quality.UNTRUSTED if distrust else Quality.PARTIAL if partial else Quality.COMPLETE
    seen = Seen(
        observations={key: each for key, each in report.observations.items() if key not in own},
        passed=report.passed - own,
        services=report.services,
    )
    return Judgement(quality, tuple((distrust + partial)[:MAX_REASONS]), seen)


def _fails(report: ProwlerReport, key: bytes) -> bool:
    seen = report.observations.get(key)
    return seen is not None and seen.status is Status.FAIL
