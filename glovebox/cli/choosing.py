"""Which findings are meant: by target, filter or id."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from glovebox.cli.targets import owned
from glovebox.errors import InputError, NotFoundError
from glovebox.findings.model import (
    ID_BYTES,
    Severity,
    State,
    account_of,
    arguments_of,
    ref_of,
    repository_of,
    service_of,
)
from glovebox.findings.store import FindingStore, chosen
from glovebox.registry.model import require_account_id, require_repository_id
from glovebox.scans.repositories import Ref, target_of
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


def chosen_targets(
    there: Remote,
    accounts: Sequence[str] | None = None,
    repositories: Sequence[str] | None = None,
    ref: str = "",
    team: str | None = None,
) -> list[str]:
    """Targets by account, repository (and its ref) and team; without any all that have findings.

    Raises InputError for what is no id and for a ref of nothing, NotFoundError for a team that is not on
    record.
    """
    if ref and not repositories:
        raise _of_nothing(ref)
    named = {f"aws:{require_account_id(each)}" for each in accounts or ()}
    named |= {_repository(each, ref) for each in repositories or ()}
    if accounts or repositories:
        return _owned_by(there, team, named)
    if team is not None:
        return _owned_by(there, team, None)
    return sorted(each.target for each in there.findings.targets())


def target_named(text: str, ref: str = "") -> str:
    """The target of an account's or a repository's id.  Raises InputError for what is neither."""
    if "/" in text:
        return _repository(text, ref)
    if ref:
        raise _of_nothing(ref)
    return f"aws:{require_account_id(text)}"


def kind_and_id(target: str) -> str:
    """As commands take it: `account 123456789012`, `repository github.com/acme/shop --ref v1.2`."""
    return f"{'account' if account_of(target) else 'repository'} {arguments_of(target)}"


def _repository(text: str, ref: str) -> str:
    return target_of(require_repository_id(text), require_ref(ref))


def require_ref(text: str) -> str:
    """Raises InputError for what git takes for no name of a commit."""
    try:
        return msgspec.convert(text, Ref)
    except msgspec.ValidationError as error:
        raise InputError(
            f"{visible(text, 80)!r} is no ref.", fix="Give a branch, a tag or a commit."
        ) from error


def _of_nothing(ref: str) -> InputError:
    return InputError(
        f"--ref {visible(ref, 80)} is of no repository.", fix="Name one: --repository github.com/acme/shop."
    )


def _owned_by(there: Remote, team: str | None, named: set[str] | None) -> list[str]:
    """Those of `named` (`None`: of all targets on record) that the team owns; all where no team is named."""
    if team is None:
        return sorted(named or ())
    there.registry.team(team)
    of_team = {each.target for each, owner in owned(there.registry) if owner.team == team}
    return sorted(of_team if named is None else {each for each in named if _on_record(each) in of_team})


def _on_record(target: str) -> str:
    """Who owns a repository owns each of its refs."""
    repository = repository_of(target)
    return target_of(repository) if repository else target


def read(store: FindingStore, targets: Sequence[str], choice: Choice) -> Iterator[Finding]:
    """Target by target, in each the gravest and then the latest first."""
    services = of_accounts = choice.services
    if choice.checks is not None:
        # The ledger knows services, not checks, and the checks of accounts are named for theirs.
        of_checks = frozenset(map(service_of, choice.checks))
        of_accounts = of_checks if services is None else services & of_checks
    for target in targets:
        ids = chosen(
            store.ledger(target),
            states=choice.states,
            severity=choice.severity,
            services=of_accounts if account_of(target) else services,
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
    # Nobody scans another ref every night, so it is no news that its scan is old.
    nightly = [each for each in targets if not ref_of(each)] or targets
    latest = sorted(scanned[each].as_of for each in nightly if each in scanned)
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
        kind, _, name = kind_and_id(held[0]).partition(" ")
        said.append(
            f"{len(held):,} targets wait for a person: glovebox findings --held --{kind} {name}, "
            f"then glovebox findings release {name} or dismiss."
        )
    never_any = "No target was ever scanned: glovebox scan account ID, or glovebox scan repository ID"
    return " ".join(said) or never_any


def _day(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
