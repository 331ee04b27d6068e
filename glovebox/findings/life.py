"""What becomes of a target's findings: pure functions from a ledger and what was seen to what changes.

    (absent) ──FAIL──► new ──next scan──► open ──gone──► resolved ──FAIL──► reopened ──gone──► resolved
                        └──────── a person ───────► accepted ──its day──► open

Bad news is taken from any report, good news only from a whole one that can be believed: because of a partial
or untrusted scan nothing resolves, and no severity falls.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from glovebox.errors import ConflictError, InputError, NotFoundError
from glovebox.findings.ledger import Entries, Entry, Hold, Ledger
from glovebox.findings.model import (
    GLOBAL,
    Acceptance,
    Observation,
    State,
    Status,
    asked,
)

MASS_LEAST: Final = 20
"""Fewer findings than this may all be resolved at once: a person can look at them one by one."""
MASS_SHARE: Final = 0.5
MAX_TRACKED: Final = 100_000
"""Findings of one target that are followed, so that made-up ones cannot fill the table."""
MAX_ACCEPTANCE_DAYS: Final = 366
MAX_REASON: Final = 1_000
MAX_OWNER: Final = 200
MAX_NAMED: Final = 10
"""Services in one sentence."""
RESOLVED_LIFE: Final = 400 * 86_400
"""Seconds after which a resolved finding is forgotten: a year of trends, and a month to look at it."""


class Quality(StrEnum):
    """How far a scan's report can be believed.  A scan without one is not taken in at all."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    """Some of it is missing, or was refused."""
    UNTRUSTED = "untrusted"
    """It spoke of others' things, or did not see what we had planted."""


class Coverage(Struct, frozen=True, kw_only=True):
    """What a scan was asked to look at; `services` of `None` are all but those in `without`."""

    regions: frozenset[str]
    services: frozenset[str] | None = None
    without: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()
    """Regions that other scans of the target look at: of those it brings bad news only."""

    def covers(self, service: str, region: str) -> bool:
        there = region == GLOBAL or region in self.regions
        return there and asked(service, self.services, self.without)


class ScanFacts(Struct, frozen=True, kw_only=True):
    """What is known of a scan when its report was read."""

    scan_id: str
    at: int
    """When its run was asked for, epoch seconds; the shards of one run share it."""
    coverage: Coverage
    quality: Quality
    reasons: tuple[str, ...] = ()


class Seen(Struct, frozen=True, kw_only=True):
    """What a report says, canaries taken out."""

    observations: Mapping[bytes, Observation]
    """FAIL and MANUAL."""
    passed: Collection[bytes] = frozenset()
    services: Collection[str] = frozenset()
    """Those that the report says anything about."""


class Step(StrEnum):
    """What happened to a finding."""

    NEW = "new"
    REOPENED = "reopened"
    RESOLVED = "resolved"
    ACCEPTED = "accepted"
    WITHDRAWN = "withdrawn"
    """A person takes an acceptance back."""
    ENDED = "ended"
    """An acceptance's day has come."""
    CHANGED = "changed"
    """It says something else, or is more or less severe."""
    HELD = "held"
    SEEN_AGAIN = "seen again"
    """It was held, and is there after all."""
    FORGOTTEN = "forgotten"


class Change(Struct, frozen=True, kw_only=True):
    """One finding's next entry; `None` where it is forgotten."""

    step: Step
    entry: Entry | None
    observation: Observation | None = None
    """What to keep of it, where that is new."""
    acceptance: Acceptance | None = None


Changes = dict[bytes, Change]


class Outcome(Struct, frozen=True, kw_only=True):
    """What a scan came to."""

    changes: Changes
    quality: Quality
    reasons: tuple[str, ...]
    hold: Hold | None
    as_of: int
    stale: bool = False
    """A later scan of the target was ingested before: this one changes nothing."""
    over_limit: int = 0
    """New findings beyond `MAX_TRACKED`, which are only counted."""


def compare(ledger: Ledger, seen: Seen, scan: ScanFacts, now: int) -> Outcome:
    """What `scan` changes in `ledger`.  `now` is epoch seconds; only acceptances end by it."""
    ended = ending(ledger.entries, now)
    if scan.at < ledger.as_of:
        return Outcome(
            changes=ended,
            quality=scan.quality,
            reasons=(*scan.reasons, "A later scan was ingested before."),
            hold=ledger.hold,
            as_of=ledger.as_of,
            stale=True,
        )
    entries = {**ledger.entries, **{key: change.entry for key, change in ended.items() if change.entry}}
    room = MAX_TRACKED - len(entries)
    failing = {key: each for key, each in seen.observations.items() if each.status is Status.FAIL}
    arrivals = [key for key in failing if key not in entries]
    changes = {**ended, **_worse(entries, failing, scan, skipped=frozenset(arrivals[max(room, 0) :]))}
    gone = _gone(entries, seen, scan.coverage) if scan.quality is Quality.COMPLETE else {}
    silent = sorted({entry.service for key, entry in gone.items() if _silent(key, entry, seen)})
    quality, reasons, hold = scan.quality, scan.reasons, ledger.hold
    trouble: str | None
    if silent:
        reasons = (*reasons, f"The report says nothing about: {_some(silent)}.")
        quality, trouble = Quality.PARTIAL, reasons[-1]
        waiting = {key: entry for key, entry in gone.items() if entry.service in silent}
    else:
        trouble, waiting = _mass(entries, gone, scan.coverage), gone
    if trouble:
        changes |= _held(waiting)
        hold = hold or Hold(scan_id=scan.scan_id, since=scan.at, reason=trouble)
    else:
        changes |= _resolved({key: entry for key, entry in gone.items() if not entry.held}, scan.at)
    changes |= _forgotten(entries, changes, now)
    if hold is not None and not any(entry.held for entry in after(ledger.entries, changes).values()):
        hold = None
    over_limit = max(len(arrivals) - max(room, 0), 0)
    if over_limit:
        reasons = (*reasons, f"More than {MAX_TRACKED:,} findings: {over_limit:,} new ones are not followed.")
    return Outcome(
        changes=changes,
        quality=quality,
        reasons=reasons,
        hold=hold,
        as_of=scan.at,
        over_limit=over_limit,
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


def after(entries: Entries, changes: Mapping[bytes, Change]) -> dict[bytes, Entry]:
    """The entries with the changes made."""
    made = dict(entries)
    for key, change in changes.items():
        if change.entry is None:
            made.pop(key, None)
        else:
            made[key] = change.entry
    return made


def ending(entries: Entries, now: int) -> Changes:
    """Acceptances whose day has come: the findings are open again."""
    return {
        key: Change(step=Step.ENDED, entry=replace(entry, state=State.OPEN, since=entry.until, until=0))
        for key, entry in entries.items()
        if entry.state is State.ACCEPTED and entry.until <= now
    }


def accept(ledger: Ledger, key: bytes, acceptance: Acceptance, now: int) -> Changes:
    """A person lives with a finding until a day.

    Raises NotFoundError, ConflictError for one that is resolved, and InputError for an acceptance without a
    reason or an owner, of the past, or for longer than a year.
    """
    entry = _entry(ledger, key)
    if entry.state is State.RESOLVED:
        raise ConflictError("The finding is resolved; there is nothing to accept.")
    if not acceptance.reason.strip() or len(acceptance.reason) > MAX_REASON:
        raise InputError(f"An acceptance needs a reason of at most {MAX_REASON:,} characters.")
    if not acceptance.owner.strip() or len(acceptance.owner) > MAX_OWNER:
        raise InputError(f"An acceptance needs an owner of at most {MAX_OWNER} characters.")
    if not now < acceptance.until <= now + MAX_ACCEPTANCE_DAYS * 86_400:
        raise InputError(
            f"An acceptance ends within {MAX_ACCEPTANCE_DAYS} days from now.", fix="Name an earlier day."
        )
    taken = replace(entry, state=State.ACCEPTED, since=now, until=acceptance.until)
    return {key: Change(step=Step.ACCEPTED, entry=taken, acceptance=acceptance)}


def withdraw(ledger: Ledger, key: bytes, now: int) -> Changes:
    """An acceptance is taken back.  Raises NotFoundError, and ConflictError where there is none."""
    entry = _entry(ledger, key)
    if entry.state is not State.ACCEPTED:
        raise ConflictError("The finding is not accepted.")
    return {key: Change(step=Step.WITHDRAWN, entry=replace(entry, state=State.OPEN, since=now, until=0))}


def release(ledger: Ledger, now: int) -> Changes:
    """A person believes that what is held is resolved.  Raises ConflictError where nothing is held."""
    return _resolved(_waiting(ledger), now)


def dismiss(ledger: Ledger) -> Changes:
    """A person does not believe it: what was held stays as it was, until a scan says so again."""
    return {
        key: Change(step=Step.SEEN_AGAIN, entry=replace(entry, held=False))
        for key, entry in _waiting(ledger).items()
    }


def _worse(
    entries: Entries, failing: Mapping[bytes, Observation], scan: ScanFacts, *, skipped: Collection[bytes]
) -> Changes:
    """What is there that was not, or is worse than it was."""
    changes: Changes = {}
    for key, seen in failing.items():
        known = entries.get(key)
        believed = scan.quality is Quality.COMPLETE and seen.region not in scan.coverage.elsewhere
        if known is None:
            if key not in skipped:
                changes[key] = _began(Step.NEW, State.NEW, seen, scan.at)
        elif known.state is State.RESOLVED:
            changes[key] = _began(Step.REOPENED, State.REOPENED, seen, scan.at)
        elif known.digest != seen.digest and (believed or seen.severity > known.severity):
            entry = replace(known, severity=seen.severity, digest=seen.digest, held=False)
            changes[key] = Change(step=Step.CHANGED, entry=entry, observation=seen)
        elif known.held:
            changes[key] = Change(step=Step.SEEN_AGAIN, entry=replace(known, held=False))
    return changes


def _began(step: Step, state: State, seen: Observation, at: int) -> Change:
    entry = Entry(state, seen.severity, seen.service, seen.region, seen.digest, at)
    return Change(step=step, entry=entry, observation=seen)


def _gone(entries: Entries, seen: Seen, coverage: Coverage) -> dict[bytes, Entry]:
    """Unresolved findings that passed, or are not there any more where the scan looked."""
    return {
        key: entry
        for key, entry in entries.items()
        if entry.state is not State.RESOLVED
        and key not in seen.observations
        and entry.region not in coverage.elsewhere
        and (key in seen.passed or coverage.covers(entry.service, entry.region))
    }


def _silent(key: bytes, entry: Entry, seen: Seen) -> bool:
    """Gone with every other word about its service, which is what a denied permission looks like."""
    return key not in seen.passed and entry.service not in seen.services


def _mass(entries: Entries, gone: Entries, coverage: Coverage) -> str | None:
    """Why a person has to look at what is gone; `None` where nobody has to.

    It is a share of what the scan covers, so that a shard cannot empty its region.  Counted twice, with and
    without the accepted ones, which else would hide a mass, or be one.
    """
    there = [
        entry
        for key, entry in entries.items()
        if entry.state is not State.RESOLVED and (key in gone or coverage.covers(entry.service, entry.region))
    ]
    open_there, open_gone = sum(each.state.live for each in there), sum(e.state.live for e in gone.values())
    for name, before, lost in (("open", open_there, open_gone), ("unresolved", len(there), len(gone))):
        if lost >= MASS_LEAST and lost > MASS_SHARE * before:
            return f"{lost:,} of {before:,} {name} findings would be resolved at once."
    return None


def _held(gone: Entries) -> Changes:
    return {
        key: Change(step=Step.HELD, entry=replace(entry, held=True))
        for key, entry in gone.items()
        if not entry.held
    }


def _resolved(gone: Entries, at: int) -> Changes:
    return {
        key: Change(
            step=Step.RESOLVED, entry=replace(entry, state=State.RESOLVED, since=at, until=0, held=False)
        )
        for key, entry in gone.items()
    }


def _forgotten(entries: Entries, changes: Changes, now: int) -> Changes:
    return {
        key: Change(step=Step.FORGOTTEN, entry=None)
        for key, entry in entries.items()
        if entry.state is State.RESOLVED and entry.since + RESOLVED_LIFE <= now and key not in changes
    }


def _waiting(ledger: Ledger) -> dict[bytes, Entry]:
    held = {key: entry for key, entry in ledger.entries.items() if entry.held}
    if not held:
        raise ConflictError("Nothing of this target waits for a person.")
    return held


def _entry(ledger: Ledger, key: bytes) -> Entry:
    try:
        return ledger.entries[key]
    except KeyError as error:
        raise NotFoundError(f"There is no finding {key.hex()} in this target.") from error
