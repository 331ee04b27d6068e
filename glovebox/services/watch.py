"""Seeing to it that every scan ends: task events as they come, and a tick every minute for what never came.

Events repeat, overtake each other and get lost.  So an event only ever makes a scan's item
say more, and the tick decides by the item alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from glovebox import log
from glovebox.dates import iso
from glovebox.errors import ConflictError, InputError, NotFoundError, UpstreamError
from glovebox.scans.accounts import ENVELOPE_FILE
from glovebox.scans.changing import Transition, change
from glovebox.scans.model import MAX_ATTEMPTS, SCAN_ID, ScanState, handoff_key
from glovebox.scans.ports import Clock, HandOff, Launcher, ScanStore, Stopper
from glovebox.scans.state import (
    Run,
    Scan,
    abandoned,
    enriched,
    given_up,
    released,
    running,
    seconds_since,
    stopped,
)
from glovebox.text import plain

WAITING_SECONDS = 60
"""A scan that `launch` has not come to yet is left to it for so long."""
CAPACITY_SECONDS = 2 * 3_600
"""A region in which no task of ours could start for so long will not have room before people look.  Where
others do start, a scan stands in a queue: a thousand accounts at once wait for hours, and get their turn."""
QUEUE_SECONDS = 24 * 3_600
"""By then a daily schedule has asked for it anew."""
LAUNCHING_SECONDS = 600
"""`launch` was cut off between its claim and the task, which are half a minute apart for names that never
answer, and eight for a snapshot of five minutes and an ECS that asks for patience."""
INGEST_SECONDS = 15 * 60
"""From a task's good end to the end of its scan; ingest is tried three times within it."""
ENRICH_SECONDS = 3_600
"""A shard's addresses at one look-up a second, tried three times."""
PUBLISH_SECONDS = 20 * 60
"""The longest that a publication may take, and a little."""
MAX_LAUNCHES_PER_TICK = 50
"""What `launch` starts within a minute; the rest waits for the next one."""
MAX_SNAPSHOTS_PER_TICK = 25
"""Of them, those that wait for a snapshot: at ten seconds each they take all places of `launch`
(`LAUNCHES_AT_ONCE`) for two thirds of the minute.  More would stand before other launches, and be asked for
again."""

STARTED_BY = re.compile(rf"(?P<scan>{SCAN_ID.pattern})-(?P<attempt>[1-{MAX_ATTEMPTS}])")
"""`startedBy` of our tasks: how an event names its scan and attempt."""
ENVIRONMENT_FILES = ("inlet.env", "outlet.env")
HAND_OFF_FILES = (*ENVIRONMENT_FILES, "request.json", ENVELOPE_FILE)

ShortText = Annotated[str, Meta(max_length=4_096)]


class _Container(Struct, frozen=True, rename="camel"):
    name: ShortText
    exit_code: int | None = None
    reason: ShortText = ""


class TaskDetail(Struct, frozen=True, rename="camel"):
    """What an ECS "Task State Change" says, as far as we read it."""

    last_status: ShortText
    task_arn: ShortText
    started_by: ShortText = ""
    stopped_reason: ShortText = ""
    containers: list[_Container] = []


class WatchEvent(Struct, frozen=True):
    """A task's event, or the scheduled tick: `{"tick": true}`."""

    detail: TaskDetail | None = None
    tick: bool = False


class Step(Enum):
    """What a tick does about a scan."""

    LEAVE = auto()
    LAUNCH = auto()
    """Ask `launch` to start the attempt."""
    RELEASE = auto()
    """Whoever was launching it is gone."""
    EXPIRE = auto()
    """Stop the task: it had its time."""
    LOSE = auto()
    """The task is gone and its report never came."""
    ABANDON = auto()
    """Nobody could start it for too long, however often it was tried."""
    SKIP_ENRICHMENT = auto()


@dataclass(slots=True)
class _Allowance:
    """How many launches one tick may still ask for."""

    launches: int = MAX_LAUNCHES_PER_TICK
    snapshots: int = MAX_SNAPSHOTS_PER_TICK

    def take(self, scan: Scan) -> bool:
        """Whether there is one left for this scan, which is one less then."""
        snapshots = 1 if scan.kind == "repository" else 0
        if self.launches < 1 or self.snapshots < snapshots:
            return False
        self.launches, self.snapshots = self.launches - 1, self.snapshots - snapshots
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    store: ScanStore
    hand_off: HandOff
    tasks: Stopper
    launcher: Launcher
    clock: Clock

    def handle(self, event: object) -> None:
        """Raises InputError for what is neither a task's event nor a tick."""
        try:
            found = msgspec.convert(event, WatchEvent)
        except msgspec.ValidationError as error:
            raise InputError(f"The event is no task state change: {error}.") from error
        if found.detail is not None:
            self._task_changed(found.detail)
        elif found.tick:
            self._tick()
        else:
            raise InputError("The event is neither a task state change nor a tick.")

    # ------------------------------------------------------------ events

    def _task_changed(self, task: TaskDetail) -> None:
        match = STARTED_BY.fullmatch(task.started_by)
        if match is None:
            log.info("task of somebody else", taskArn=task.task_arn)
            return
        scan_id, attempt = match["scan"], int(match["attempt"])
        if task.last_status == "RUNNING":
            # The request stays until the end: a task may be reported before its first container has read it.
            self._forget(scan_id, attempt, ENVIRONMENT_FILES)
            transition: Transition = partial(
                running, attempt=attempt, task_arn=task.task_arn, now=self.clock()
            )
        elif task.last_status == "STOPPED":
            self._forget(scan_id, attempt, HAND_OFF_FILES)
            transition = partial(_task_stopped, attempt=attempt, task=task, clock=self.clock)
        else:
            return
        try:
            after = change(self.store, scan_id, transition)
        except (ConflictError, NotFoundError) as error:
            log.info("task event is about the past", scanId=scan_id, attempt=attempt, reason=error.reason)
            if isinstance(error, ConflictError) and task.last_status == "RUNNING":
                # Its attempt is over, or another task's: nobody would ever stop it, were it to hang.
                self.tasks.stop(task.task_arn, "Nobody waits for this task any more.")
            return
        log.info(
            "task event", scanId=scan_id, attempt=attempt, status=task.last_status, state=after.state.value
        )
        if after.state is ScanState.REQUESTED and task.last_status == "STOPPED":
            self._launch(after)

    def _forget(self, scan_id: str, attempt: int, names: tuple[str, ...]) -> None:
        """Delete hand-off objects; where that fails the bucket's lifecycle does it within hours."""
        try:
            self.hand_off.delete(handoff_key(scan_id, attempt, name) for name in names)
        except UpstreamError as error:
            log.warning("hand-off not deleted", scanId=scan_id, attempt=attempt, reason=error.reason)

    # ------------------------------------------------------------ tick

    def _tick(self) -> None:
        left = _Allowance()
        runs = [self.store.run(run_id) for run_id in self.store.open_runs()]
        scans = {run.run_id: self.store.scans(run.run_id) for run in runs if run.pending > 0}
        started = max((scan.started_at or "" for each in scans.values() for scan in each), default="")
        for run in runs:
            for scan, step in self._steps(scans.get(run.run_id, ()), started):
                if step is Step.LAUNCH and not left.take(scan):
                    continue
                try:
                    self._take(scan, step)
                except UpstreamError as error:
                    log.error("tick failed for a scan", scanId=scan.scan_id, reason=error.reason)
            if run.pending == 0:
                self._nudge(run, self.store.scans(run.run_id))

    def _steps(self, scans: Sequence[Scan], started: str) -> Iterator[tuple[Scan, Step]]:
        """`started`: when the last task of any open run was seen to start; empty for never."""
        now = self.clock()
        for scan in scans:
            step = next_step(
                scan,
                age=seconds_since(scan.changed_at, now),
                waited=seconds_since(scan.attempt_since, now),
                stuck=seconds_since(max(scan.attempt_since, started), now),
                stopped_for=seconds_since(scan.stopped_at, now) if scan.stopped_at else None,
                overdue=scan.deadline is not None and now.timestamp() > scan.deadline,
            )
            if step is not Step.LEAVE:
                yield scan, step

    def _take(self, scan: Scan, step: Step) -> None:
        log.info("tick", scanId=scan.scan_id, attempt=scan.attempt, state=scan.state.value, step=step.name)
        if step is Step.LAUNCH:
            self._launch(scan)
            return
        if step is Step.EXPIRE and scan.task_arn:
            self.tasks.stop(scan.task_arn, "The scan is past its deadline.")
        try:
            # The item as the tick saw it: whoever changed it meanwhile knows more.
            after = _AFTER[step](scan, self.clock)
            self.store.replace(scan, after)
        except ConflictError as error:
            log.info("the scan went on meanwhile", scanId=scan.scan_id, reason=error.reason)
            return
        if after.state is ScanState.REQUESTED:
            self._launch(after)

    def _launch(self, scan: Scan) -> None:
        self.launcher.retry(scan.scan_id, scan.attempt)

    def _nudge(self, run: Run, scans: Sequence[Scan]) -> None:
        """All steps are done and nobody published: touch the item, so that the stream says so again.

        A publication that is under way loses its last write to the touch, so it is left its whole time.
        """
        now = self.clock()
        steps_done = max((scan.enriched_at or scan.ended_at or "" for scan in scans), default="")
        since = run.nudged_at or steps_done or run.requested_at
        if seconds_since(since, now) < PUBLISH_SECONDS:
            return
        log.warning("publication is late", runId=run.run_id)
        try:
            self.store.replace_run(run, msgspec.structs.replace(run, nudged_at=iso(now)))
        except ConflictError:
            log.info("the run went on meanwhile", runId=run.run_id)


def next_step(
    scan: Scan, *, age: float, waited: float, stuck: float, stopped_for: float | None, overdue: bool
) -> Step:
    """What a scan needs.

    `age`: seconds since its state changed; `waited`: since its attempt was first asked for; `stuck`: since
    then, or since any task was seen to start; `stopped_for`: since its task ended well; `overdue`: whether
    the attempt's time is over.
    """
    if scan.state.ended:
        waits = scan.enrichment and scan.enriched_at is None
        return Step.SKIP_ENRICHMENT if waits and age > ENRICH_SECONDS else Step.LEAVE
    if scan.state is ScanState.REQUESTED:
        if stuck > CAPACITY_SECONDS or waited > QUEUE_SECONDS:
            return Step.ABANDON
        return Step.LAUNCH if age > WAITING_SECONDS else Step.LEAVE
    if stopped_for is not None:
        return Step.LOSE if stopped_for > INGEST_SECONDS else Step.LEAVE
    if scan.state is ScanState.INGESTING:
        return Step.LOSE if age > INGEST_SECONDS else Step.LEAVE
    if scan.state is ScanState.LAUNCHING and scan.task_arn is None and age > LAUNCHING_SECONDS:
        return Step.RELEASE
    return Step.EXPIRE if overdue else Step.LEAVE


def _task_stopped(scan: Scan, *, attempt: int, task: TaskDetail, clock: Clock) -> Scan:
    """A task whose outlet ended well has a manifest on the way; any other is lost."""
    after = stopped(scan, attempt=attempt, task_arn=task.task_arn, now=clock())
    uploaded = any(container.name == "outlet" and container.exit_code == 0 for container in task.containers)
    if uploaded or scan.state is ScanState.INGESTING:
        return after
    return given_up(scan, now=clock(), reason=f"The task ended without a report: {_why(task)}.")


def _why(task: TaskDetail) -> str:
    parts = [task.stopped_reason or "no reason given"]
    for container in task.containers:
        code = container.exit_code
        ended = "did not run" if code is None else f"ended with {code}"
        parts.append(f"{container.name} {ended}" + (f" ({container.reason})" if container.reason else ""))
    return plain("; ".join(parts))[:400]


_AFTER = {
    Step.RELEASE: lambda scan, clock: released(scan, now=clock(), reason="The launch was cut off."),
    Step.EXPIRE: lambda scan, clock: given_up(
        scan, now=clock(), reason="The task was past its deadline.", end=ScanState.EXPIRED
    ),
    Step.LOSE: lambda scan, clock: given_up(
        scan, now=clock(), reason="The task ended and its report was never ingested."
    ),
    Step.ABANDON: lambda scan, clock: abandoned(scan, now=clock()),
    Step.SKIP_ENRICHMENT: lambda scan, clock: enriched(
        scan, now=clock(), note="The look-ups were never finished."
    ),
}
