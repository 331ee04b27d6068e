"""Taking a scan into its target's findings, and people's decisions about them.

Each is: read the ledger, ask the life cycle, commit on the revision that was read, else again.  Whoever dies
on the way leaves either nothing or a commit that the next one to come settles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from glovebox.errors import ConflictError
from glovebox.findings import life
from glovebox.findings.judging import Judgement
from glovebox.findings.ledger import Ledger
from glovebox.findings.life import Changes, Coverage, Outcome, Quality, ScanFacts
from glovebox.findings.model import Acceptance, CheckText
from glovebox.findings.packages import Component
from glovebox.findings.report import Report
from glovebox.findings.store import Commit, FindingStore, ScanRecord, tally

MAX_TRIES: Final = 8
"""The shards of one account end within the same minute; each collision is over when the other has settled."""


class Source(Struct, frozen=True, kw_only=True):
    """Of a repository: which scanner looked, and at which commit."""

    scanner: str = ""
    commit: str = ""


NO_SOURCE: Final = Source()


def record(
    store: FindingStore,
    target: str,
    judgement: Judgement,
    *,
    scan_id: str,
    at: int,
    coverage: Coverage,
    now: int,
    report: Report | None = None,
    source: Source = NO_SOURCE,
) -> ScanRecord:
    """Compare a scan with what there was, and keep what changed.

    A scan that has a record already changes nothing, and gets that record.  Raises ConflictError where others
    commit faster, time and again, and UpstreamError; both may be tried again.
    """
    facts = ScanFacts(
        scan_id=scan_id, at=at, coverage=coverage, quality=judgement.quality, reasons=judgement.reasons
    )
    for last in (*[False] * (MAX_TRIES - 1), True):
        known = recorded(store, target, scan_id)
        if known is not None:
            return known
        before = store.ledger(target)
        outcome = life.compare(before, judgement.seen, facts, now)
        commit = _commit(before, outcome, facts, judgement, report, source)
        if _committed(store, target, before, commit, last=last):
            assert commit.scan is not None  # noqa: S101 - made just above
            return commit.scan
    raise AssertionError("unreachable: the last try returns or raises")


def recorded(store: FindingStore, target: str, scan_id: str) -> ScanRecord | None:
    """A scan's record, and all that was to be written for it; `None` where it was not taken in yet."""
    store.settle(target)
    return store.scan(target, scan_id)


def accept(
    store: FindingStore, target: str, key: bytes, acceptance: Acceptance, *, by: str, now: int
) -> None:
    """Raises as `life.accept` does."""
    _decide(store, target, lambda ledger: life.accept(ledger, key, acceptance, now), by=by, now=now)


def withdraw(store: FindingStore, target: str, key: bytes, *, by: str, now: int) -> None:
    """Raises as `life.withdraw` does."""
    _decide(store, target, lambda ledger: life.withdraw(ledger, key, now), by=by, now=now)


def release(store: FindingStore, target: str, *, by: str, now: int) -> None:
    """What is held is resolved.  Raises as `life.release` does."""
    _decide(store, target, lambda ledger: life.release(ledger, now), by=by, now=now)


def dismiss(store: FindingStore, target: str, *, by: str, now: int) -> None:
    """What is held stays open.  Raises as `life.dismiss` does."""
    _decide(store, target, life.dismiss, by=by, now=now)


def end_acceptances(store: FindingStore, target: str, *, now: int) -> None:
    """Open again what was accepted until today; for a daily tick, as scans do it by themselves."""
    _decide(store, target, lambda ledger: life.ending(ledger.entries, now), by="the calendar", now=now)


def _decide(
    store: FindingStore, target: str, decision: Callable[[Ledger], Changes], *, by: str, now: int
) -> None:
    for last in (*[False] * (MAX_TRIES - 1), True):
        store.settle(target)
        before = store.ledger(target)
        changes = decision(before)
        if not changes:
            return
        held = any(entry.held for entry in life.after(before.entries, changes).values())
        hold = before.hold if held else None
        made = Ledger(as_of=before.as_of, entries=life.after(before.entries, changes))
        commit = Commit(changes=changes, as_of=before.as_of, hold=hold, at=now, by=by, tally=tally(made))
        if _committed(store, target, before, commit, last=last):
            return


def _committed(store: FindingStore, target: str, before: Ledger, commit: Commit, *, last: bool) -> bool:
    """Whether nobody was faster; on the `last` try that raises ConflictError instead."""
    try:
        store.commit(target, before, commit)
    except ConflictError:
        if last:
            raise
        return False
    store.settle(target)
    return True


def _commit(
    before: Ledger,
    outcome: Outcome,
    facts: ScanFacts,
    judgement: Judgement,
    report: Report | None,
    source: Source,
) -> Commit:
    components = None if report is None else _components(outcome, report)
    counted = tally(Ledger(as_of=outcome.as_of, entries=life.after(before.entries, outcome.changes)))
    steps = Counter(change.step.value for change in outcome.changes.values())
    told = ScanRecord(
        scan_id=facts.scan_id,
        at=facts.at,
        quality=outcome.quality,
        reasons=outcome.reasons,
        revision=before.revision + 1,
        tally=counted,
        steps=dict(sorted(steps.items())),
        over_limit=outcome.over_limit,
        stale=outcome.stale,
        scanner=source.scanner,
        commit=source.commit,
        packages=None if components is None else len(components),
        notes=judgement.notes,
    )
    return Commit(
        changes=outcome.changes,
        as_of=outcome.as_of,
        hold=outcome.hold,
        at=facts.at,
        by=facts.scan_id,
        texts=_new_texts(before, outcome, report),
        scan=told if report is None else _with_counts(told, report),
        tally=counted,
        components=components,
    )


def _components(outcome: Outcome, report: Report) -> Sequence[Component] | None:
    """The packages to keep from now on; `None` where those on record stay.

    A report that is not whole may lack them all, and then says nothing.
    """
    if outcome.stale or outcome.quality is Quality.UNTRUSTED:
        return None
    listed = report.components
    return listed if listed or outcome.quality is Quality.COMPLETE else None


def _new_texts(before: Ledger, outcome: Outcome, report: Report | None) -> dict[str, CheckText]:
    """Texts of checks with findings: where there is none, or another one and the report is believed."""
    if report is None or outcome.stale:
        return {}
    found = {each.check for each in report.observations.values()}
    room = report.max_checks - len(before.checks)
    wanted = {*sorted(found - before.checks.keys())[:room]} if room > 0 else set[str]()
    if outcome.quality is Quality.COMPLETE:
        wanted |= found & before.checks.keys()
    return {
        check: text
        for check, text in report.checks.items()
        if check in wanted and before.checks.get(check) != text.digest
    }


def _with_counts(told: ScanRecord, report: Report) -> ScanRecord:
    return replace(
        told,
        statuses={status.value: count for status, count in sorted(report.statuses.items())},
        refused={refusal.value: count for refusal, count in sorted(report.refusals.counts.items())},
        foreign={foreign.value: count for foreign, count in sorted(report.refusals.foreign.items())},
        examples=tuple(report.refusals.examples),
        items=report.items,
        duplicates=report.duplicates,
        muted=report.muted,
    )
