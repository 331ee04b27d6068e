"""Taking snapshots: the archive of one commit, from its host into the bucket, read once on its way.

Whatever is wrong with it, nothing of it stays in the bucket, and why is the answer.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct

from glovebox import log
from glovebox.errors import ConfigurationError, InputError, NotFoundError, UpstreamError
from glovebox.registry.model import Repository
from glovebox.registry.store import RegistryStore
from glovebox.scans.repositories import Snapshot, SnapshotAnswer, SnapshotFailure, SnapshotOrder
from glovebox.services.repository_sync import RepositorySync, Synced
from glovebox.snapshots.archive import Archive, Member
from glovebox.snapshots.errors import SnapshotError
from glovebox.snapshots.gaps import Comparison
from glovebox.snapshots.ignores import Ignores
from glovebox.snapshots.ports import RECORD, SnapshotStore, Source, SourceHost, Tree, Upload

READABLE_SECONDS: Final = 900
"""As the bucket's policy has it: a task starts within minutes."""
LIFE: Final = timedelta(hours=6)
"""From its record on.  A scan that waits longer for its turn has a new one taken, which may be of a later
commit; which one it was stands with the scan."""
_FINGERPRINT: Final = "glovebox/fingerprint/1\0"


class _Event(Struct, forbid_unknown_fields=True):
    """Exactly one of the three."""

    snapshot: SnapshotOrder | None = None
    sync: bool = False
    force: bool = False
    """Of `sync`: however many repositories it would disable."""
    sweep: bool = False


class Swept(Struct, frozen=True):
    deleted: int


@dataclass(frozen=True, slots=True)
class SnapshotService:
    host: SourceHost
    store: SnapshotStore
    registry: RegistryStore
    fingerprint_key: Callable[[], str]
    clock: Callable[[], datetime]

    def handle(self, event: object) -> SnapshotAnswer | Synced | Swept:
        """Raises InputError for an event that is none, UpstreamError where AWS fails."""
        try:
            order = msgspec.convert(event, _Event)
        except msgspec.ValidationError as error:
            raise InputError(f"This is no order for snapshot: {error}.") from error
        if (order.snapshot is not None) + order.sync + order.sweep != 1:
            raise InputError("An order for snapshot is one of snapshot, sync and sweep.")
        if order.snapshot is not None:
            return self.take(order.snapshot)
        if order.sync:
            return RepositorySync(self.host, self.registry).run(force=order.force)
        return Swept(self.store.sweep(self.clock() - LIFE))

    def take(self, order: SnapshotOrder) -> SnapshotAnswer:
        """The snapshot that the run has of this repository and ref, or has now."""
        record = _folder(order) + RECORD
        try:
            # First: without it nothing that is taken is of use.
            key = fingerprint_key(self.fingerprint_key(), order.repository)
            taken = self.store.recorded(record) or self._take(order, record)
        except SnapshotError as error:
            failed = error.failure_class
            log.warning("snapshot failed", repository=order.repository, failureClass=failed, run=order.run_id)
            return SnapshotAnswer(failure=error.failure)
        except ConfigurationError as error:
            # No App, or half of one, or no key of fingerprints: a later try finds it so, too.
            failure = SnapshotFailure(
                failure_class="access_denied", reason=error.reason, fix=error.fix, again=False
            )
            return SnapshotAnswer(failure=failure)
        return SnapshotAnswer(
            snapshot=taken,
            url=self.store.readable_url(taken.key, READABLE_SECONDS),
            fingerprint_key=key,
        )

    def _take(self, order: SnapshotOrder, record: str) -> Snapshot:
        known = self._known(order.repository)
        with self.host.open(order.repository, number=known.number, installation=known.installation) as source:
            snapshot = self._stream(order, source)
        # Where this raises the record may be there all the same, so its archive stays for the sweep.
        first = snapshot if self.store.record(record, snapshot) else self.store.recorded(record)
        if first is None:
            raise UpstreamError("Another snapshot was recorded, and is gone.", fix="Try again.")
        # Equal also where the answer to our own writing was lost, and the second try found it written.
        if first == snapshot:
            log.info("snapshot taken", repository=order.repository, bytes=snapshot.size, run=order.run_id)
            return snapshot
        # Two of one run at once: the first one stands.
        self.store.remove(snapshot.key)
        return first

    def _stream(self, order: SnapshotOrder, source: Source) -> Snapshot:
        commit = source.commit(order.ref)
        # Of its own for each taking: who comes second must not write over what others read already.
        key = f"{_folder(order)}/{commit}.{secrets.token_hex(4)}.tar.gz"
        reading = _Reading(source.tree(commit))
        with self.store.upload(key) as upload, source.archive(commit) as pieces:
            digest, size = reading.through(pieces, upload)
            if reading.archive_commit != commit:
                raise SnapshotError("snapshot_damaged", "The archive is of another commit.")
        gaps, counts = reading.comparison.finish()
        return Snapshot(
            repository=order.repository,
            ref=order.ref,
            commit=commit,
            key=key,
            size=size,
            sha256=digest,
            files=reading.files,
            unpacked=reading.unpacked,
            gaps=gaps,
            gap_counts=counts,
            ignores=reading.ignores.counts,
            taken_at=self.clock().strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    def _known(self, repository: str) -> Repository:
        try:
            return self.registry.get(Repository, repository).entry
        except NotFoundError:
            return Repository(id=repository)


class _Reading:
    """An archive on its way: its digest, what it holds, what it lacks."""

    def __init__(self, tree: Tree) -> None:
        self.comparison = Comparison(tree)
        self.ignores = Ignores()
        self.archive_commit = ""
        self.files = 0
        self.unpacked = 0
        self._digest = hashlib.sha256()
        self._size = 0

    def through(self, pieces: Iterator[bytes], upload: Upload) -> tuple[str, int]:
        """Digest and size, once all of it has been read and written.  Raises SnapshotError."""
        archive = Archive(self._passing(pieces, upload))
        for member in archive:
            if member.kind != "folder":
                self._see(member, archive.contents())
        self.archive_commit, self.files, self.unpacked = archive.commit, archive.files, archive.unpacked
        return self._digest.hexdigest(), self._size

    def _passing(self, pieces: Iterator[bytes], upload: Upload) -> Iterator[bytes]:
        for piece in pieces:
            self._digest.update(piece)
            self._size += len(piece)
            upload.write(piece)
            yield piece

    def _see(self, member: Member, contents: Iterator[bytes]) -> None:
        self.ignores.begin(member.path)
        self.comparison.see(member, self._counting(contents))

    def _counting(self, contents: Iterator[bytes]) -> Iterator[bytes]:
        for piece in contents:
            self.ignores.feed(piece)
            yield piece


def fingerprint_key(key: str, repository: str) -> str:
    """64 hexadecimal digits: of this repository, and of no use for another one's fingerprints."""
    return hmac.new(key.encode(), (_FINGERPRINT + repository).encode(), hashlib.sha256).hexdigest()


def _folder(order: SnapshotOrder) -> str:
    """The place of this run's snapshot of one repository and ref."""
    name = hashlib.sha256(f"{order.repository}\0{order.ref}".encode()).hexdigest()[:16]
    return f"snapshots/{order.run_id}/{name}"
