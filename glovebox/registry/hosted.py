"""Bringing repositories in from their host: what it says of each against what is on record.

What people said of one (team, scanners, disabled by hand) stays, also where it has a new name; what the host
says follows it.  What the host does not name any more is disabled and kept, as accounts are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import asdict, replace

from glovebox.errors import InputError
from glovebox.registry.model import MAX_LABELS, Disabled, Repository, Source
from glovebox.registry.store import Stored

FORCE: Final = (
    "Look whether the GitHub App is still installed where it was; then say glovebox targets sync --force."
)
"""What a sync that was refused asks for."""

_ANOTHER: Final = (
    "The host has another repository under this name than the one on record. If that is meant:"
    " glovebox targets remove {id}, and sync again."
)
"""What people said of the former one is not the new one's; nor are its findings, which a scan would close."""


class Hosted(Protocol):
    """A repository as its host has it (`glovebox.snapshots.ports.HostRepository`)."""

    @property
    def id(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def installation(self) -> int: ...
    @property
    def default_branch(self) -> str: ...
    @property
    def private(self) -> bool: ...
    @property
    def archived(self) -> bool: ...
    @property
    def topics(self) -> tuple[str, ...]: ...
    @property
    def codeowners(self) -> tuple[str, ...]: ...


class Unusable(Struct, frozen=True, kw_only=True):
    """A repository of the host's that cannot be on record, and why."""

    id: str
    reason: str


class SyncPlan(Struct, frozen=True, kw_only=True):
    """What a sync would do: entries before (none for new ones) and after."""

    added: tuple[Repository, ...] = ()
    changed: tuple[tuple[Repository, Repository], ...] = ()
    vanished: tuple[tuple[Repository, Repository], ...] = ()
    left_out: tuple[Unusable, ...] = ()
    unchanged: int = 0

    @property
    def disabling(self) -> int:
        return sum(before.enabled and not after.enabled for before, after in (*self.changed, *self.vanished))


def from_host(hosted: Iterable[Hosted], known: Sequence[Stored[Repository]]) -> SyncPlan:
    """Compare all that a host names with what is on record."""
    on_record = {each.entry.id: each.entry for each in known}
    by_number = {(_host(each.id), each.number): each for each in on_record.values() if each.number}
    added, changed, left_out, unchanged = [], [], [], 0
    named: set[str] = set()
    for each in sorted(hosted, key=lambda found: found.id):
        named.add(each.id)
        before = on_record.get(each.id)
        if before is not None and before.number and before.number != each.number:
            left_out.append(Unusable(id=each.id, reason=_ANOTHER.format(id=each.id)))
            continue
        try:
            after = _merged(before or by_number.get((_host(each.id), each.number)), each)
        except InputError as error:
            left_out.append(Unusable(id=each.id[:200], reason=error.reason))
            continue
        if before is None:
            added.append(after)
        elif before != after:
            changed.append((before, after))
        else:
            unchanged += 1
    vanished = [
        (each, replace(each, disabled=Disabled.VANISHED))
        for each in on_record.values()
        if each.source is Source.HOST and each.id not in named and each.enabled
    ]
    return SyncPlan(
        added=tuple(added),
        changed=tuple(changed),
        vanished=tuple(vanished),
        left_out=tuple(left_out),
        unchanged=unchanged,
    )


def differing(before: Repository, after: Repository) -> list[str]:
    """The names of the fields that differ."""
    former = asdict(before)
    return [name for name, value in asdict(after).items() if former[name] != value]


def _host(id: str) -> str:  # noqa: A002 (what a repository calls it)
    return id.partition("/")[0]


def _merged(before: Repository | None, hosted: Hosted) -> Repository:
    """Raises InputError for what cannot be a repository.  One that is back is scanned again."""
    said = {
        "id": hosted.id,
        "number": hosted.number,
        "installation": hosted.installation,
        "default_branch": hosted.default_branch,
        "private": hosted.private,
        "archived": hosted.archived,
        "topics": hosted.topics[:MAX_LABELS],
        "codeowners": hosted.codeowners[:MAX_LABELS],
        "source": Source.HOST,
    }
    by_hand = before is not None and before.disabled is Disabled.BY_HAND
    base = asdict(before) if before is not None else {}
    return Repository(**{**base, **said, "disabled": Disabled.BY_HAND if by_hand else None})
