"""What is different since last time, site by site: what people want to be told, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from glovebox.sites.item import SiteSummary

EXPIRY_DAYS = 14
"""Automated renewal happens 30 days before the end; with 14 left it has failed."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing about one site: `what` went from `before` to `now`."""

    fqdn: str
    what: str
    before: str
    now: str


@dataclass(frozen=True, slots=True)
class Changes:
    new_failures: tuple[SiteSummary, ...]
    """Sites with a failure that they did not have last time, or that are new and have one."""
    fixed: tuple[Difference, ...]
    differences: tuple[Difference, ...]
    first_seen: int
    """Sites that were never audited before."""


def compare(now: Iterable[SiteSummary], before: Mapping[str, SiteSummary]) -> Changes:
    """Compare a run's sites with their last summaries before it."""
    failures: list[SiteSummary] = []
    fixed: list[Difference] = []
    differences: list[Difference] = []
    first_seen = 0
    for site in now:
        last = before.get(site.fqdn)
        first_seen += last is None
        if site.failure_class and (last is None or last.failure_class != site.failure_class):
            failures.append(site)
        if last is None:
            continue
        if last.failure_class and not site.failure_class:
            fixed.append(Difference(site.fqdn, "failure", last.failure_class, "ok"))
        differences.extend(_differences(last, site))
    return Changes(tuple(failures), tuple(fixed), tuple(differences), first_seen)


def _differences(last: SiteSummary, site: SiteSummary) -> list[Difference]:
    pairs = (
        ("header grade", last.grade, site.grade),
        ("TLS profile", last.profile, site.profile),
        ("certificate status", last.cert_status_code, site.cert_status_code),
        ("https", _answers(last.tls_site_exist), _answers(site.tls_site_exist)),
    )
    found = [
        # What could not be seen is no change: the failure says that already.
        Difference(site.fqdn, what, str(old), str(new))
        for what, old, new in pairs
        if old is not None and new is not None and old != new
    ]
    if _ends_soon(site) and not _ends_soon(last):
        days = site.days_left
        found.append(Difference(site.fqdn, "certificate's days left", str(last.days_left), str(days)))
    return found


def _answers(exists: bool) -> str:
    return "answers" if exists else "does not answer"


def _ends_soon(site: SiteSummary) -> bool:
    return site.days_left is not None and site.days_left < EXPIRY_DAYS
