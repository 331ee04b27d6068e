"""Starting one attempt of a scan: claim it, write its hand-off, run the task, note what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, Protocol

from glovebox import log
from glovebox.errors import ConflictError, RefusedError, UpstreamError
from glovebox.scans.changing import Transition, change
from glovebox.scans.model import RunKind
from glovebox.scans.ports import Clock, HandOff, ScanStore, TaskOrder, Tasks, Uploads
from glovebox.scans.repositories import Snapshot
from glovebox.scans.state import (
    Run,
    Scan,
    ScanFailure,
    failed,
    launched,
    launching,
    released,
    snapshotted,
    unready,
)
from glovebox.services.handoff import handed_off

START_SECONDS: Final = 600
"""A task waits for its address, pulls three images and starts: minutes when the region is busy."""
MAX_ATTEMPT_SECONDS: Final = 3_600
"""Then the task is stopped, and the forms die a little later.  The credentials that signed them do not live
much longer, and those of an account's scan no longer: what takes longer wants smaller shards."""
FORM_MARGIN_SECONDS: Final = 600
"""The outlet may upload for this long after the deadline of the audit."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What the hand-off of an attempt holds beside its forms."""

    request: bytes
    inlet: str = ""
    """Further lines of the inlet's environment."""
    snapshot: Snapshot | None = None
    """Goes on record before the task starts."""
    fingerprint_key: str = ""
    """For the outlet of a repository's scan."""


class NoContentsError(UpstreamError):
    """There is nothing to hand to a task, and it is known what kind of failure that is."""

    def __init__(self, reason: str, failure: ScanFailure, *, again: bool) -> None:
        """`again`: whether a later try may do."""
        super().__init__(reason, fix=failure.fix)
        self.failure = failure
        self.again = again


class Kind(Protocol):
    """What is different about the attempts of one kind of scans."""

    def seconds(self, scan: Scan) -> int:
        """How long the attempt may take, start and upload included."""
        ...

    def contents(self, scan: Scan, run: Run) -> Contents:
        """Raises UpstreamError where a later try may do, RefusedError where none will, NoContentsError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    store: ScanStore
    hand_off: HandOff
    uploads: Uploads
    tasks: Tasks
    kinds: Mapping[RunKind, Kind]
    clock: Clock

    def start(self, scan: Scan, run: Run) -> None:
        """Start one attempt.  What fails for now goes back to `requested`, and watch asks again."""
        now = self.clock()
        seconds = self.kinds[scan.kind].seconds(scan)
        deadline = now + timedelta(seconds=seconds)
        claimed = launching(scan, now=now, deadline=int(deadline.timestamp()))
        try:
            self.store.replace(scan, claimed)
        except ConflictError:
            log.info("somebody else launches this scan", scanId=scan.scan_id, attempt=scan.attempt)
            return
        transition = self._attempted(claimed, run, seconds + FORM_MARGIN_SECONDS)
        if transition is not None:
            self._settle(scan.scan_id, transition)

    def _attempted(self, scan: Scan, run: Run, seconds: int) -> Transition | None:
        """Start the task; what that means for the scan, or nothing where it is not ours any more."""
        try:
            task_arn = self.tasks.start(self._order(scan, run, seconds))
        except ConflictError as error:
            log.warning("the scan went on before its task", scanId=scan.scan_id, reason=error.reason)
            return None
        except NoContentsError as error:
            log.warning("nothing to scan", scanId=scan.scan_id, reason=error.reason, again=error.again)
            return partial(
                unready, now=self.clock(), reason=error.reason, failure=error.failure, again=error.again
            )
        except UpstreamError as error:
            log.warning("task not started, waits", scanId=scan.scan_id, reason=error.reason)
            return partial(released, now=self.clock(), reason=error.reason)
        except RefusedError as error:
            log.error("task cannot be started", scanId=scan.scan_id, reason=error.reason)
            return partial(failed, now=self.clock(), reason=error.reason)
        log.info("task started", scanId=scan.scan_id, attempt=scan.attempt, taskArn=task_arn)
        return partial(launched, attempt=scan.attempt, task_arn=task_arn)

    def _order(self, scan: Scan, run: Run, seconds: int) -> TaskOrder:
        contents = self.kinds[scan.kind].contents(scan, run)
        if contents.snapshot is not None:
            noted = partial(
                snapshotted, attempt=scan.attempt, launches=scan.launches, snapshot=contents.snapshot
            )
            change(self.store, scan.scan_id, noted)
        return handed_off(
            self.hand_off,
            self.uploads,
            scan_id=scan.scan_id,
            attempt=scan.attempt,
            request=contents.request,
            seconds=seconds,
            token=f"{scan.scan_id}-{scan.attempt}-{scan.launches}",
            kind=scan.report_kind,
            inlet=contents.inlet,
            fingerprint_key=contents.fingerprint_key,
        )

    def _settle(self, scan_id: str, transition: Transition) -> None:
        try:
            change(self.store, scan_id, transition)
        except ConflictError as error:
            # The task's own events were faster than we: a short scan may even have ended.
            log.info("the scan went on meanwhile", scanId=scan_id, reason=error.reason)
