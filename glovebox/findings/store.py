"""What the life cycle needs of a table, and what it writes there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from glovebox.findings.ledger import Hold, Ledger
from glovebox.findings.life import Changes, Quality, after
from glovebox.findings.model import CheckText, Finding, Severity, State
from glovebox.findings.packages import Component

MAX_SERVICES: Final = 200
"""Counted by name; Prowler knows 91 for AWS."""
OTHERS: Final = "others"


class Tally(Struct, frozen=True, kw_only=True, rename="camel"):
    """A target's findings, counted after a scan: what graphs are drawn from."""

    states: dict[str, dict[str, int]]
    """By state and then severity, in words."""
    services: dict[str, dict[str, int]]
    """By service and then severity: what is new, open or reopened."""
    held: int = 0


class ScanRecord(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a scan came to; written once, in the very write that makes its changes stand."""

    scan_id: str
    at: int
    quality: Quality
    reasons: tuple[str, ...] = ()
    revision: int = 0
    """The ledger's, after it."""
    tally: Tally
    steps: dict[str, int] = {}
    """Changes by `Step`."""
    statuses: dict[str, int] = {}
    refused: dict[str, int] = {}
    foreign: dict[str, int] = {}
    examples: tuple[str, ...] = ()
    items: int = 0
    duplicates: int = 0
    muted: int = 0
    scanner: str = ""
    """Of a repository's scan, as is all that follows."""
    commit: str = ""
    """What was looked at."""
    packages: int | None = None
    """Kept for the bill of materials; `None` where the scan says nothing of them."""
    notes: tuple[str, ...] = ()
    """What people should know, and what takes nothing from the scan."""
    over_limit: int = 0
    stale: bool = False


class Commit(Struct, frozen=True, kw_only=True):
    """The next revision of a target's ledger."""

    changes: Changes
    as_of: int
    hold: Hold | None
    at: int
    """When the change was asked for; epoch seconds."""
    by: str
    """The scan, or the person, that changes."""
    texts: Mapping[str, CheckText] = {}
    """Checks whose text is not the one on record."""
    scan: ScanRecord | None = None
    tally: Tally
    components: Sequence[Component] | None = None
    """All packages that the target uses; `None`: as on record."""

    def made(self, before: Ledger) -> Ledger:
        """The ledger that `before` becomes."""
        return Ledger(
            revision=before.revision + 1,
            as_of=self.as_of,
            entries=after(before.entries, self.changes),
            checks={**before.checks, **{check: text.digest for check, text in self.texts.items()}},
            hold=self.hold,
        )


class TargetSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """A target in one line."""

    target: str
    as_of: int
    tally: Tally
    hold: Hold | None = None


class FindingStore(Protocol):
    """Findings by target.  A target's name is ours, such as `aws:123456789012`, never a report's."""

    def ledger(self, target: str) -> Ledger:
        """The ledger as it stands; an empty one for a target that was never scanned."""
        ...

    def scan(self, target: str, scan_id: str) -> ScanRecord | None: ...

    def commit(self, target: str, before: Ledger, commit: Commit) -> None:
        """Make the changes stand, all of them and the scan's record, or none.

        Raises ConflictError where the ledger is no longer `before`, where its last changes are not settled
        yet, or where the scan has a record already.
        """
        ...

    def settle(self, target: str) -> None:
        """Bring the findings up to the ledger.  May be cut off, repeated, and run twice at once."""
        ...

    def scans(self, target: str, *, limit: int) -> Sequence[ScanRecord]:
        """The latest first."""
        ...

    def findings(self, target: str, ids: Iterable[bytes]) -> Sequence[Finding]:
        """In the order of `ids`, with their checks' texts; without those that do not exist."""
        ...

    def components(self, target: str) -> Sequence[Component]:
        """The packages that the target uses, as of the last scan that said so."""
        ...

    def targets(self) -> Sequence[TargetSummary]: ...


def tally(ledger: Ledger) -> Tally:
    """Count a ledger's findings as people see them."""
    states: dict[State, Counter[Severity]] = {}
    services: dict[str, Counter[Severity]] = {}
    held = 0
    for entry in ledger.entries.values():
        state = ledger.shown(entry)
        states.setdefault(state, Counter())[entry.severity] += 1
        held += entry.held
        if state.live:
            services.setdefault(entry.service, Counter())[entry.severity] += 1
    return Tally(
        states={state.value: _in_words(states[state]) for state in State if state in states},
        services={service: _in_words(counts) for service, counts in _largest(services)},
        held=held,
    )


def chosen(
    ledger: Ledger,
    *,
    states: Iterable[State] = (State.NEW, State.OPEN, State.REOPENED),
    severity: Severity = Severity.INFORMATIONAL,
    services: Iterable[str] | None = None,
    held: bool | None = None,
) -> list[bytes]:
    """The ids of findings in `states` of at least this severity, the gravest and then the latest first."""
    wanted = frozenset(states)
    among = None if services is None else frozenset(services)
    found = [
        (-entry.severity, -entry.since, key)
        for key, entry in ledger.entries.items()
        if ledger.shown(entry) in wanted
        and entry.severity >= severity
        and (among is None or entry.service in among)
        and (held is None or entry.held is held)
    ]
    return [key for _, _, key in sorted(found)]


def _largest(services: dict[str, Counter[Severity]]) -> list[tuple[str, Counter[Severity]]]:
    """By name; beyond `MAX_SERVICES` the smallest together, as made-up names must not fill the item."""
    by_size = sorted(services, key=lambda service: (-services[service].total(), service))
    named, rest = sorted(by_size[:MAX_SERVICES]), by_size[MAX_SERVICES:]
    found = [(service, services[service]) for service in named]
    return [*found, (OTHERS, sum((services[each] for each in rest), Counter()))] if rest else found


def _in_words(counts: Counter[Severity]) -> dict[str, int]:
    return {severity.name.lower(): counts[severity] for severity in sorted(counts, reverse=True)}
