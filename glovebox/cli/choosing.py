"""Which findings are meant: by target, filter or id."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from glovebox.cli.targets import owned
from glovebox.errors import InputError, NotFoundError
from glovebox.findings.model import ID_BYTES, Severity, State, service_of
from glovebox.findings.store import FindingStore, chosen
from glovebox.registry.model import require_account_id
from glovebox.text import visible

if TYPE_CHECKING:
    from glovebox.cli.remote import Remote
    from glovebox.findings.model import Finding

BATCH: Final = 1_000
"""Findings in memory at once; each is a kilobyte or two with its texts."""
SHORTEST_ID: Final = 8
_ID: Final = re.compile(rf"[0-9a-f]{{{SHORTEST_ID},{2 * ID_BYTES}}}")
STALE_DAYS: Final = 2
_NAMED: Final = 3


class Choice(Struct, frozen=True, kw_only=True):
    """What of a target's findings is wanted."""

    states: tuple[State, ...]
    severity: Severity = Severity.INFORMATIONAL
    services: frozenset[str] | None = None
    checks: frozenset[str] | None = None
    held: bool | None = None


def chosen_targets(there: Remote, accounts: Sequence[str] | None, team: str | None) -> list[str]:
    """Targets by account and team; without either all that have findings.

    Raises InputError for what is no account id, NotFoundError for a team that is not on record.
    """
    named = None if not accounts else {f"aws:{require_account_id(each)}" for each in accounts}
    if team is not None:
        there.registry.team(team)
        of_team = {each.target for each, owner in owned(there.registry) if owner.team == team}
        named = of_team if named is None else named & of_team
    if named is not None:
        return sorted(named)
    return sorted(each.target for each in there.findings.targets())


def read(store: FindingStore, targets: Sequence[str], choice: Choice) -> Iterator[Finding]:
    """Target by target, in each the gravest and then the latest first."""
    services = choice.services
    if choice.checks is not None:
        # The ledger knows services, not checks; so fewer findings are read.
        of_checks = frozenset(map(service_of, choice.checks))
        services = of_checks if services is None else services & of_checks
    for target in targets:
        ids = chosen(
            store.ledger(target),
            states=choice.states,
            severity=choice.severity,
            services=services,
            held=choice.held,
        )
        for start in range(0, len(ids), BATCH):
            for finding in store.findings(target, ids[start : start + BATCH]):
                if choice.checks is None or finding.check in choice.checks:
                    yield finding


def find(store: FindingStore, text: str, target: str | None) -> tuple[str, bytes]:
    """The target and the id of the one finding whose id begins so.

    Raises InputError for what is no id or begins several, and NotFoundError.
    """
    if _ID.fullmatch(text) is None:
        raise InputError(
            f"{visible(text, 60)!r} is no finding's id.",
            fix=f"Give it from its begin on, {SHORTEST_ID} to {2 * ID_BYTES} digits of 0-9 and a-f.",
        )
    targets = [target] if target else [each.target for each in store.targets()]
    found = [
        (each, key) for each in targets for key in store.ledger(each).entries if key.hex().startswith(text)
    ]
    if not found:
        raise NotFoundError(f"There is no finding {text}.", fix="See glovebox findings --state all.")
    if len(found) > 1:
        raise InputError(f"{len(found)} findings begin with {text}.", fix="Give more digits of the id.")
    return found[0]


def freshness(there: Remote, targets: Sequence[str], *, now: int) -> str:
    """How old what is shown is, and what it says nothing of: no findings may also be no scan."""
    scanned = {each.target: each for each in there.findings.targets()}
    never = [each for each in targets if each not in scanned]
    latest = sorted(scanned[each].as_of for each in targets if each in scanned)
    said = []
    if latest:
        said.append(f"The oldest scan of {len(latest):,} targets is of {_day(latest[0])}.")
        if now - latest[0] > STALE_DAYS * 86_400:
            late = sum(now - each > STALE_DAYS * 86_400 for each in latest)
            said.append(f"{late:,} of them are older than {STALE_DAYS} days.")
    if never:
        more = f" and {len(never) - _NAMED:,} more" if len(never) > _NAMED else ""
        said.append(f"Never scanned: {', '.join(never[:_NAMED])}{more}.")
    held = [each for each in targets if each in scanned and scanned[each].hold is not None]
    if held:
        account = held[0].removeprefix("aws:")
        said.append(
            f"{len(held):,} targets wait for a person: glovebox findings --held --account {account}, "
            f"then glovebox findings release {account} or dismiss."
        )
    return " ".join(said) or "No target was ever scanned: glovebox scan account ID"


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
