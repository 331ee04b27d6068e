"""Bringing accounts in from AWS Organizations or a file: first what would change, then the change.

What people said of an account (team, regions, external id, disabled by hand) stays; what the source says
(name, unit, tags) follows it.  What an organization does not name any more is disabled and kept: its findings
and its owner are still asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import asdict, replace

from glovebox.errors import InputError, RefusedError
from glovebox.registry.model import Account, Disabled, Source
from glovebox.registry.store import Stored

ACTIVE: Final = "ACTIVE"
MASS_LEAST: Final = 20
MASS_SHARE: Final = 0.5
"""As for findings: as much at once is rather a wrong organization, or half an answer, than the truth."""


class Member(Struct, frozen=True, kw_only=True):
    """An account as its organization has it."""

    id: str
    name: str
    state: str
    """`ACTIVE`, `SUSPENDED`, `PENDING_CLOSURE` and others."""
    ou: tuple[str, ...]
    tags: Mapping[str, str] = {}


class Organization(Protocol):
    def members(self) -> Iterator[Member]:
        """All accounts, in whatever order.  Raises UpstreamError, never half an answer."""
        ...


class Changed(Struct, frozen=True, kw_only=True, rename="camel"):
    """An account before and after."""

    before: Account
    after: Account

    @property
    def fields(self) -> list[str]:
        """The names of what differs."""
        former = asdict(self.before)
        return [name for name, value in asdict(self.after).items() if former[name] != value]


class LeftOut(Struct, frozen=True, kw_only=True, rename="camel"):
    """A member that is no target, and why."""

    id: str
    name: str
    reason: str


class ImportPlan(Struct, frozen=True, kw_only=True, rename="camel"):
    """What an import would do."""

    added: tuple[Account, ...] = ()
    changed: tuple[Changed, ...] = ()
    vanished: tuple[Changed, ...] = ()
    """On record through an organization, and not named by it any more: disabled."""
    left_out: tuple[LeftOut, ...] = ()
    unchanged: int = 0

    @property
    def writes(self) -> Iterator[Account]:
        """The accounts as they shall be."""
        yield from self.added
        yield from (each.after for each in (*self.changed, *self.vanished))

    @property
    def disabling(self) -> int:
        return sum(each.before.enabled and not each.after.enabled for each in (*self.changed, *self.vanished))


def from_organization(
    members: Iterable[Member], known: Sequence[Stored[Account]], *, scanning_account: str
) -> ImportPlan:
    """Compare an organization with what is on record.

    Raises InputError for an organization without accounts, or a member that cannot be an account.
    """
    by_id = {each.id: each for each in members}
    if not by_id:
        raise InputError(
            "The organization names no account.", fix="Use credentials of its management account."
        )
    on_record = {each.entry.id: each.entry for each in known}
    left_out = []
    pairs: list[tuple[Account | None, Account]] = []
    for member in sorted(by_id.values(), key=lambda each: each.id):
        before = on_record.get(member.id)
        if member.id == scanning_account:
            left_out.append(_left_out(member, "it is the account that scans"))
        elif member.state != ACTIVE:
            left_out.append(_left_out(member, f"the organization says {member.state}"))
            if before is not None:
                pairs.append((before, _disabled(_merged(before, member), Disabled.INACTIVE)))
        else:
            pairs.append((before, _enabled(_merged(before, member))))
    gone = [
        each for each in on_record.values() if each.source is Source.ORGANIZATION and each.id not in by_id
    ]
    vanished = ((each, _disabled(each, Disabled.VANISHED)) for each in gone)
    return _plan(pairs, vanished, left_out)


def from_file(
    accounts: Iterable[tuple[Account, frozenset[str]]], known: Sequence[Stored[Account]]
) -> ImportPlan:
    """Compare a file's accounts with what is on record; each with the fields that the file speaks of."""
    on_record = {each.entry.id: each.entry for each in known}
    pairs = []
    for account, fields in accounts:
        before = on_record.get(account.id)
        after = account
        if before is not None:
            said = {name: value for name, value in asdict(account).items() if name in fields}
            after = replace(before, **said)
        pairs.append((before, after))
    return _plan(pairs, (), ())


def require_plausible(plan: ImportPlan, known: Sequence[Stored[Account]]) -> None:
    """Raises RefusedError where more than half of what is enabled, and at least 20, would be disabled."""
    require_few_disabled(
        plan.disabling,
        sum(each.entry.enabled for each in known),
        what="accounts",
        fix="Look with --dry-run whether this is the right organization; then say --force.",
    )


def require_few_disabled(disabling: int, enabled: int, *, what: str, fix: str) -> None:
    """Raises RefusedError where more than half of what is enabled, and at least 20, would be disabled."""
    if disabling >= MASS_LEAST and disabling > MASS_SHARE * enabled:
        raise RefusedError(f"The import would disable {disabling:,} of {enabled:,} {what}.", fix=fix)


def _plan(
    pairs: Iterable[tuple[Account | None, Account]],
    gone: Iterable[tuple[Account, Account]],
    left_out: Sequence[LeftOut],
) -> ImportPlan:
    added, changed, unchanged = [], [], 0
    for before, after in pairs:
        if before is None:
            added.append(after)
        elif before != after:
            changed.append(Changed(before=before, after=after))
        else:
            unchanged += 1
    vanished = tuple(Changed(before=before, after=after) for before, after in gone if before != after)
    return ImportPlan(
        added=tuple(added),
        changed=tuple(changed),
        vanished=vanished,
        left_out=tuple(left_out),
        unchanged=unchanged,
    )


def _merged(before: Account | None, member: Member) -> Account:
    base = before or Account(id=member.id)
    return replace(base, name=member.name, ou=member.ou, tags=dict(member.tags), source=Source.ORGANIZATION)


def _disabled(account: Account, why: Disabled) -> Account:
    """What a person disabled stays disabled by hand."""
    return account if account.disabled is Disabled.BY_HAND else replace(account, disabled=why)


def _enabled(account: Account) -> Account:
    """An account that is back is scanned again, unless a person disabled it."""
    return account if account.disabled is Disabled.BY_HAND else replace(account, disabled=None)


def _left_out(member: Member, reason: str) -> LeftOut:
    return LeftOut(id=member.id, name=member.name, reason=reason)
