"""What there is to say about a whole run: how many hosts, what became of them, what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from glovebox.siteaudit.notes import LineNote
from glovebox.siteaudit.record import SiteRecord

OK = "ok"
"""What a record without a failure counts as."""
MAX_REJECTED_LINES = 1_000
"""Rejected lines that are kept with a run; the rest are counted."""


class RunSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """A run as its files, its mail and its page tell it."""

    run_id: str
    scan_date: str
    """UTC with a Z; all records of the run carry it."""
    hosts: int
    """Names on the list."""
    records: int
    """Names that have a record."""
    counts: dict[str, int]
    """Records by failure class, `ok` for none."""
    missing: list[str] = []
    """Names on the list without a record."""
    rejected_lines: list[LineNote] = []
    """Lines of the list that gave no host: the first `MAX_REJECTED_LINES`."""
    rejected_count: int = 0
    partial: bool = False
    """Whether names are missing because the run was cut short or a shard was lost."""


def outcome_of(record: SiteRecord) -> str:
    """The record's failure class, or `ok`."""
    return record.failure_class or OK


def summarise(
    run_id: str,
    scan_date: str,
    hosts: Iterable[str],
    outcomes: dict[str, str],
    rejected: Iterable[LineNote] = (),
) -> RunSummary:
    """The summary of a run over `hosts`, where `outcomes` gives each host that has a record its outcome."""
    names = list(hosts)
    missing = [name for name in names if name not in outcomes]
    lines = list(rejected)
    return RunSummary(
        run_id=run_id,
        scan_date=scan_date,
        hosts=len(names),
        records=len(names) - len(missing),
        counts=dict(Counter(outcomes[name] for name in names if name in outcomes).most_common()),
        missing=missing,
        rejected_lines=lines[:MAX_REJECTED_LINES],
        rejected_count=len(lines),
        partial=bool(missing),
    )
