"""Keeping the registry's repositories as their host has them."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from glovebox import log
from glovebox.errors import ConflictError, UpstreamError
from glovebox.registry.hosted import FORCE, Unusable, differing, from_host
from glovebox.registry.importing import require_few_disabled
from glovebox.registry.model import Repository
from glovebox.registry.store import RegistryStore
from glovebox.snapshots.errors import SnapshotError
from glovebox.snapshots.ports import SourceHost


class ChangedRepository(Struct, frozen=True):
    id: str
    fields: list[str]


class Synced(Struct, frozen=True, rename="camel"):
    """What a sync has changed."""

    added: list[str]
    changed: list[ChangedRepository]
    vanished: list[str]
    left_out: list[Unusable]
    """The host's that cannot be on record; and those that somebody else changed in that moment."""
    unchanged: int


@dataclass(frozen=True, slots=True)
class RepositorySync:
    host: SourceHost
    registry: RegistryStore

    def run(self, *, force: bool = False) -> Synced:
        """Each entry is written by itself, so a sync that is cut off can simply be made again.

        Raises UpstreamError where the host does not tell all of them, and RefusedError where more than half
        of the repositories, and at least 20, would be disabled.
        """
        try:
            hosted = list(self.host.repositories())
        except SnapshotError as error:
            raise UpstreamError(error.reason, fix=error.fix) from error
        known = self.registry.all(Repository)
        plan = from_host(hosted, known)
        if not force:
            enabled = sum(each.entry.enabled for each in known)
            require_few_disabled(plan.disabling, enabled, what="repositories", fix=FORCE)
        revisions = {each.entry.id: each.revision for each in known}
        late = []
        for after in (*plan.added, *(after for _, after in (*plan.changed, *plan.vanished))):
            try:
                self.registry.put(after, revision=revisions.get(after.id, 0))
            except ConflictError as error:
                late.append(Unusable(id=after.id, reason=error.reason))
        missed = {each.id for each in late}
        done = Synced(
            added=[each.id for each in plan.added if each.id not in missed],
            changed=[
                ChangedRepository(before.id, differing(before, after))
                for before, after in plan.changed
                if before.id not in missed
            ],
            vanished=[before.id for before, _ in plan.vanished if before.id not in missed],
            left_out=[*plan.left_out, *late],
            unchanged=plan.unchanged,
        )
        log.info(
            "repositories synced",
            added=len(done.added),
            changed=len(done.changed),
            vanished=len(done.vanished),
            leftOut=len(done.left_out),
            unchanged=done.unchanged,
        )
        return done
