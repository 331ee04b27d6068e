"""Runs over repositories: which of them may be scanned, by which scanners, what a scan's task is told.

Nothing here reaches a repository: `snapshot` does, and answers with an address that a task may read from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from glovebox.errors import RefusedError, UpstreamError
from glovebox.registry.model import Repository
from glovebox.registry.order import Repositories
from glovebox.registry.scannable import sort_out_repositories
from glovebox.registry.store import RegistryStore
from glovebox.scans.ports import Snapshots
from glovebox.scans.repositories import (
    SNAPSHOT_VARIABLE,
    RepositoryScanner,
    RepositoryScanRequest,
    RepositoryTarget,
    Snapshot,
    SnapshotAnswer,
    SnapshotOrder,
)
from glovebox.scans.state import Run, Scan, ScanFailure
from glovebox.services.attempts import START_SECONDS, Contents, NoContentsError
from glovebox.services.planning import Plan, Shard, noted, within_a_run

SNAPSHOT_SECONDS: Final = 300
"""The function's own time; it passes before the task is asked for."""
SCAN_SECONDS: Final = 1_800
"""Nobody waits for a network: the slowest secret scanner reads the largest tree that is unpacked, 6 GiB, at
5 MB/s on its one processor in 20 minutes, after a minute or two in which it is unpacked."""
ATTEMPT_SECONDS: Final = SNAPSHOT_SECONDS + START_SECONDS + SCAN_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryRuns:
    """`glovebox.services.attempts.Kind` for repositories, and their plans."""

    registry: RegistryStore
    scanners: Sequence[RepositoryScanner]
    """Of repositories that name none."""
    snapshots: Snapshots

    def plan(self, wanted: Repositories, ref: str = "") -> Plan:
        """One scan a repository and scanner.  Raises InputError for more than a run holds.

        The default branch is asked for as such where it is named, or its findings would be kept twice.
        """
        on_record = (each.entry for each in self.registry.all(Repository))
        repositories, refused = sort_out_repositories(wanted, on_record)
        shards = [
            Shard(
                repository=RepositoryTarget(
                    repository=each.id, scanner=scanner, ref="" if ref == each.default_branch else ref
                )
            )
            for each in repositories
            for scanner in sorted(set(each.scanners or self.scanners))
        ]
        return Plan(
            kind="repository",
            source=("repositories", shards),
            shards=within_a_run(shards, what="repositories", setting="glovebox:repositoryScanners"),
            rejected=noted(refused),
            repositories=len(repositories),
        )

    def seconds(self, scan: Scan) -> int:
        return ATTEMPT_SECONDS

    def contents(self, scan: Scan, run: Run) -> Contents:
        """Raises NoContentsError for what `snapshot` says, UpstreamError for what it does not say."""
        target = scan.repository
        if target is None:
            raise RefusedError(f"Scan {scan.scan_id} is about no repository.")
        answer = self.snapshots.take(
            SnapshotOrder(run_id=run.run_id, repository=target.repository, ref=target.ref)
        )
        snapshot = _taken(answer, target)
        request = RepositoryScanRequest(
            scan_id=scan.scan_id,
            attempt=scan.attempt,
            target=target,
            commit=snapshot.commit,
            size=snapshot.size,
            sha256=snapshot.sha256,
            files=snapshot.files,
        )
        return Contents(
            msgspec.json.encode(request),
            inlet=f"{SNAPSHOT_VARIABLE}={answer.url}\n",
            snapshot=snapshot,
            fingerprint_key=answer.fingerprint_key,
        )


def _taken(answer: SnapshotAnswer, target: RepositoryTarget) -> Snapshot:
    """The snapshot, of what was asked for and with all that its task needs."""
    if answer.failure is not None:
        failure = ScanFailure(failure_class=answer.failure.failure_class, fix=answer.failure.fix)
        raise NoContentsError(answer.failure.reason, failure, again=answer.failure.again)
    snapshot = answer.snapshot
    # The address becomes a line of a file that says one variable a line.
    whole = bool(answer.fingerprint_key and answer.url and answer.url.isprintable())
    if snapshot is None or not whole:
        raise UpstreamError("snapshot gave half an answer.", fix="See its log group.")
    if (snapshot.repository, snapshot.ref) != (target.repository, target.ref):
        raise UpstreamError("snapshot answered for another repository.", fix="See its log group.")
    return snapshot
