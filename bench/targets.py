"""What the figures are held to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec
from rich.table import Table

SUITES, AUDIT = "glovebox, suites", "glovebox, whole audit"
SSLYZE_SUITES, SSLYZE_STANDARD, NMAP = "sslyze, suites", "sslyze, standard", "nmap ssl-enum-ciphers"

Verdict = Literal["PASS", "FAIL", "not measured"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One scanner's figures."""

    name: str
    hosts: int = 0
    hosts_per_second: float | None = None
    cpu_ms: float | None = None
    """Processor time a host, without what the program takes to start."""
    start_cpu_ms: float | None = None
    """Processor time of a run without hosts."""
    connections: float | None = None
    """A host, counted by the server."""
    peak_mb: float | None = None
    wall: float | None = None
    """Seconds."""
    right: int | None = None
    """Sites with exactly the right suites; the peers' answers are not read."""
    note: str = ""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One promise, and whether this run keeps it."""

    promise: str
    measured: str
    verdict: Verdict


def target_table(targets: Iterable[Target]) -> Table:
    """The promises as a table for people."""
    table = Table("target", "measured", "verdict")
    for target in targets:
        table.add_row(target.promise, target.measured, target.verdict)
    return table


def judge(rows: Mapping[str, Row], *, sites: int) -> Iterator[Target]:
    """Each target of the project against `rows`, by name."""
    yield _ratio(rows, SUITES, SSLYZE_SUITES, 100)
    yield _ratio(rows, SUITES, NMAP, 10)
    yield _ratio(rows, AUDIT, SSLYZE_STANDARD, 50)
    audit = rows[AUDIT]
    yield at_most("whole audit: at most 20 connections a host", audit.connections, 20)
    yield at_most("whole audit: at most 10 ms of processor time a host", audit.cpu_ms, 10)
    long = None if audit.wall is None else audit.wall / max(audit.hosts, 1) * 1_000
    yield at_most(f"whole audit: 1,000 hosts in at most 60 s ({sites} measured)", long, 60)
    yield at_most("whole audit: at most 200 MB", audit.peak_mb, 200)
    for row in (rows[SUITES], audit):
        wrong = None if row.right is None else row.hosts - row.right
        yield at_most(f"{row.name}: no wrong answer", wrong, 0)


def _ratio(rows: Mapping[str, Row], ours: str, theirs: str, factor: int) -> Target:
    promise = f"{ours}: at least {factor}× less processor time a host than {theirs}"
    mine, other = rows[ours].cpu_ms, rows[theirs].cpu_ms
    if mine is None or other is None:
        return Target(promise=promise, measured="–", verdict="not measured")
    ratio = other / mine
    return Target(promise=promise, measured=f"{ratio:.0f}×", verdict="PASS" if ratio >= factor else "FAIL")


def at_most(promise: str, value: float | None, limit: float, *, digits: int = 1) -> Target:
    """A promise that holds up to `limit`; `None` is a value that this run does not have."""
    return _compared(promise, value, digits, kept=value is not None and value <= limit)


def at_least(promise: str, value: float | None, limit: float, *, digits: int = 0) -> Target:
    """A promise that holds from `limit` on."""
    return _compared(promise, value, digits, kept=value is not None and value >= limit)


def _compared(promise: str, value: float | None, digits: int, *, kept: bool) -> Target:
    if value is None:
        return Target(promise=promise, measured="–", verdict="not measured")
    return Target(promise=promise, measured=f"{value:,.{digits}f}", verdict="PASS" if kept else "FAIL")
