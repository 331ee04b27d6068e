"""Counts over the records of a run, kept while they pass by."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from heapq import heappush, heappushpop

from glovebox.siteaudit.failures import Fault
from glovebox.siteaudit.record import SiteRecord
from glovebox.sites.summary import outcome_of

EXPIRES_SOON_DAYS = 30
"""Authorities that automate renew at 30 days of 90: fewer left means that something is late."""
LISTED_CERTIFICATES = 10
"""The most urgent ones; the files hold them all."""


@dataclass(slots=True)
class Tally:
    """What the progress line and the summary say."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """Records by failure class, `ok` for none."""
    profiles: Counter[str] = field(default_factory=Counter)
    """Sites with TLS by Mozilla profile."""
    grades: Counter[str] = field(default_factory=Counter)
    """Sites with a page by header grade."""
    expiring: int = 0
    """Valid certificates with `EXPIRES_SOON_DAYS` or fewer days left."""
    our_fault: list[str] = field(default_factory=list)
    """Hosts of which something of ours failed."""
    _soonest: list[tuple[int, str]] = field(default_factory=list)

    @property
    def done(self) -> int:
        return self.outcomes.total()

    @property
    def soonest(self) -> list[tuple[int, str]]:
        """`(days left, host)` of the certificates that expire first."""
        return sorted((-negative, host) for negative, host in self._soonest)

    def add(self, record: SiteRecord) -> None:
        self.outcomes[outcome_of(record)] += 1
        if any(failure.fault == Fault.OURS for failure in record.failures):
            self.our_fault.append(record.fqdn)
        if record.tls is not None:
            self.profiles[record.tls.profile] += 1
        if record.headers is not None and record.headers.grade is not None:
            self.grades[record.headers.grade] += 1
        certificate = record.certificate
        if certificate and certificate.valid and certificate.days_left is not None:
            self._add_days(certificate.days_left, record.fqdn)

    def _add_days(self, days_left: int, host: str) -> None:
        if days_left > EXPIRES_SOON_DAYS:
            return
        self.expiring += 1
        push = heappush if len(self._soonest) < LISTED_CERTIFICATES else heappushpop
        push(self._soonest, (-days_left, host))
