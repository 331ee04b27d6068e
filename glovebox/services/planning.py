"""What an order comes to before anything is written: the scans of a run that has no id yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Struct

from glovebox import log
from glovebox.errors import InputError
from glovebox.registry.order import Refused
from glovebox.scans.accounts import AccountTarget
from glovebox.scans.model import MAX_RUN_SCANS, RunKind
from glovebox.scans.repositories import RepositoryTarget
from glovebox.siteaudit.notes import LineNote


class Shard(Struct, frozen=True, kw_only=True):
    """What one scan is about: hosts, an account or a repository."""

    hosts: tuple[str, ...] = ()
    account: AccountTarget | None = None
    external_id: str = ""
    repository: RepositoryTarget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    kind: RunKind
    source: Sequence[object]
    """What tells this run from others of its scheduled time; msgspec must know how to write it."""
    shards: Sequence[Shard]
    rejected: Sequence[LineNote]
    """What was asked for and is not scanned."""
    hosts: int = 0
    accounts: int = 0
    repositories: int = 0
    enrichment: bool = False


def within_a_run(shards: Sequence[Shard], *, what: str, setting: str) -> Sequence[Shard]:
    """The shards of an order.  Raises InputError for more than a run holds: `setting` makes fewer."""
    if len(shards) > MAX_RUN_SCANS:
        raise InputError(
            f"These {what} are {len(shards):,} scans; a run has {MAX_RUN_SCANS:,} at most.",
            fix=f"Order fewer {what} at once, or let each be fewer scans ({setting}).",
        )
    return shards


def noted(refused: Sequence[Refused]) -> list[LineNote]:
    """What is not scanned, as the run keeps it; said in the log as well."""
    for each in refused:
        log.warning("target refused", target=each.name, reason=each.reason)
    return [
        LineNote(line=number, text=each.name, reason=each.reason)
        for number, each in enumerate(refused, start=1)
    ]
