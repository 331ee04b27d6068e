"""Starting runs: list → run and scans → names and tickets → hand-off → one task a scan.

Everything a task gets is a capability for that attempt alone: a URL that reads one object,
two forms that write one object each, for as long as the attempt may take.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from glovebox import log
from glovebox.dates import iso
from glovebox.errors import ConflictError, InputError, RefusedError, UpstreamError
from glovebox.scans.changing import Transition, change
from glovebox.scans.model import (
    MAX_ATTEMPTS,
    MAX_RUN_HOSTS,
    RunState,
    ScanState,
    SiteScanRequest,
    run_id_of,
    scan_id_of,
)
from glovebox.scans.ports import Clock, HandOff, Lists, ScanStore, TaskOrder, Tasks, Uploads
from glovebox.scans.state import Run, Scan, bounded_lines, failed, launched, launching, released
from glovebox.services.handoff import handed_off
from glovebox.services.site_targets import SiteTargets
from glovebox.siteaudit.hosts import MAX_LIST_BYTES, HostList, parse_host_list, parse_hosts
from glovebox.siteaudit.settings import AuditSettings

START_SECONDS = 600
"""A task waits for its address, pulls three images and starts: minutes when the region is busy."""
SLOWNESS = 2.0
"""A quarter of a processor in a task is slower than the site time-outs assume."""
MAX_ATTEMPT_SECONDS = 3_600
"""Then the task is stopped, and the forms die a little later.  The credentials that signed them do not live
much longer, so a longer audit wants smaller shards."""
FORM_MARGIN_SECONDS = 600
"""The outlet may upload for this long after the deadline of the audit."""

MAX_SCHEDULE_AGE = timedelta(days=30)
"""An order may wait two weeks in a failure queue; files would carry the date of any other year."""


class ListPlace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key: Annotated[str, Meta(min_length=1, max_length=1_024)]
    bucket: str | None = None
    """Only to say the obvious: no other bucket than that of the lists is read."""


class RetryOrder(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    scan_id: Annotated[str, Meta(max_length=64)]
    attempt: Annotated[int, Meta(ge=1, le=MAX_ATTEMPTS)]


class LaunchEvent(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One of `list`, `hosts` and `retry`."""

    list: ListPlace | None = None
    hosts: Annotated[Sequence[str], Meta(min_length=1, max_length=MAX_RUN_HOSTS)] | None = None
    retry: RetryOrder | None = None
    requested_by: Annotated[str, Meta(max_length=128)] = "invocation"
    scheduled_time: Annotated[str, Meta(max_length=32)] | None = None
    """Given by a schedule, which may fire twice: one run a scheduled time and list."""

    def __post_init__(self) -> None:
        if sum(part is not None for part in (self.list, self.hosts, self.retry)) != 1:
            raise ValueError("give exactly one of list, hosts and retry")


class LaunchAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    run_id: str
    scans: int
    hosts: int
    rejected: int
    """Lines of the list that gave no host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSettings:
    audit: AuditSettings
    lists_bucket: str
    shard_hosts: int
    enrichment: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    store: ScanStore
    hand_off: HandOff
    uploads: Uploads
    tasks: Tasks
    lists: Lists
    targets: SiteTargets
    settings: LaunchSettings
    clock: Clock
    token: Callable[[], str] = lambda: secrets.token_hex(4)

    def handle(self, event: object) -> LaunchAnswer:
        """Start what the event asks for.

        Raises InputError for an event or a list that cannot be used, RefusedError for a foreign bucket.
        """
        try:
            order = msgspec.convert(event, LaunchEvent)
        except msgspec.ValidationError as error:
            raise InputError(
                f"The event cannot be used: {error}.", fix='Send {"list": {"key": …}} or {"hosts": […]}.'
            ) from error
        if order.retry is not None:
            return self._retry(order.retry)
        return self._start(order)

    def _start(self, order: LaunchEvent) -> LaunchAnswer:
        names = self._hosts(order)
        run = self._run(order, names)
        try:
            self.store.create(run, list(self._scans(run, names)))
            log.info("run created", runId=run.run_id, hosts=run.hosts, scans=run.shards)
        except ConflictError:
            # The schedule fired twice, or an invocation is repeated after a crash: go on with what is there.
            log.info("run exists already", runId=run.run_id)
            run = self.store.run(run.run_id)
        for scan in self.store.scans(run.run_id):
            if scan.state is ScanState.REQUESTED:
                self._launch(scan, run.scan_date)
        return _answer(run)

    def _retry(self, order: RetryOrder) -> LaunchAnswer:
        try:
            run = self.store.run(run_id_of(order.scan_id))
        except ValueError as error:
            raise InputError("The event names no scan.", fix="Retries come from watch.") from error
        scan = self.store.scan(order.scan_id)
        if scan.state is ScanState.REQUESTED and scan.attempt == order.attempt:
            self._launch(scan, run.scan_date)
        else:
            log.info("nothing to retry", scanId=scan.scan_id, state=scan.state.value, attempt=scan.attempt)
        return _answer(run)

    def _hosts(self, order: LaunchEvent) -> HostList:
        # Names under .test exist on networks of one's own only, and those have to be allowed by the settings.
        test_names = bool(self.settings.audit.allowed_networks)
        if order.list is None:
            return parse_hosts(order.hosts or (), max_hosts=MAX_RUN_HOSTS, test_names=test_names)
        if order.list.bucket not in (None, self.settings.lists_bucket):
            raise RefusedError(
                "Host lists are read from the bucket of the lists only.", fix="Upload the list there."
            )
        data = self.lists.read(order.list.key, MAX_LIST_BYTES)
        return parse_host_list(data, max_hosts=MAX_RUN_HOSTS, test_names=test_names)

    def _run(self, order: LaunchEvent, names: HostList) -> Run:
        now, run_id = self._identity(order, names)
        shards = math.ceil(len(names.hosts) / self.settings.shard_hosts)
        return Run(
            run_id=run_id,
            state=RunState.RUNNING,
            requested_at=iso(now),
            requested_by=order.requested_by,
            scan_date=iso(now),
            hosts=len(names.hosts),
            shards=shards,
            pending=shards * (2 if self.settings.enrichment else 1),
            rejected_lines=bounded_lines(names.rejected),
            rejected_count=len(names.rejected),
        )

    def _identity(self, order: LaunchEvent, names: HostList) -> tuple[datetime, str]:
        """When the run began, and its id: the same for the same scheduled time and the same names.

        The names count, because a list that changed between two tries must not be mixed with what the
        first one wrote.
        """
        if order.scheduled_time is None:
            now, tail = self.clock(), self.token()
        else:
            now = self._scheduled(order.scheduled_time)
            source = msgspec.json.encode([order.scheduled_time, order.list, names.hosts])
            tail = hashlib.sha256(source).hexdigest()[:8]
        return now, f"{now:%Y%m%dT%H%M%SZ}-{tail}"

    def _scheduled(self, text: str) -> datetime:
        try:
            moment = datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise InputError("scheduledTime is no time.", fix="Use ISO 8601 with a Z.") from error
        if abs(moment - self.clock()) > MAX_SCHEDULE_AGE:
            raise InputError(
                f"scheduledTime is more than {MAX_SCHEDULE_AGE.days} days away.",
                fix="Leave it out: only a schedule gives it.",
            )
        return moment

    def _scans(self, run: Run, names: HostList) -> Iterator[Scan]:
        size, now = self.settings.shard_hosts, iso(self.clock())
        for shard in range(run.shards):
            yield Scan(
                scan_id=scan_id_of(run.run_id, shard),
                state=ScanState.REQUESTED,
                attempt=1,
                hosts=names.hosts[shard * size : (shard + 1) * size],
                requested_at=run.requested_at,
                changed_at=now,
                attempt_since=now,
                enrichment=self.settings.enrichment,
            )

    def _launch(self, scan: Scan, scan_date: str) -> None:
        """Start one attempt.  What fails for now goes back to `requested`, and watch asks again."""
        now = self.clock()
        seconds = attempt_seconds(len(scan.open_hosts), self.settings.audit)
        deadline = now + timedelta(seconds=seconds)
        claimed = launching(scan, now=now, deadline=int(deadline.timestamp()))
        try:
            self.store.replace(scan, claimed)
        except ConflictError:
            log.info("somebody else launches this scan", scanId=scan.scan_id, attempt=scan.attempt)
            return
        self._settle(scan.scan_id, self._attempted(claimed, scan_date, seconds + FORM_MARGIN_SECONDS))

    def _attempted(self, scan: Scan, scan_date: str, seconds: int) -> Transition:
        """Start the task; what that means for the scan."""
        try:
            task_arn = self.tasks.start(self._order(scan, scan_date, seconds))
        except UpstreamError as error:
            log.warning("task not started, waits", scanId=scan.scan_id, reason=error.reason)
            return partial(released, now=self.clock(), reason=error.reason)
        except RefusedError as error:
            log.error("task cannot be started", scanId=scan.scan_id, reason=error.reason)
            return partial(failed, now=self.clock(), reason=error.reason)
        log.info("task started", scanId=scan.scan_id, attempt=scan.attempt, taskArn=task_arn)
        return partial(launched, attempt=scan.attempt, task_arn=task_arn)

    def _settle(self, scan_id: str, transition: Transition) -> None:
        try:
            change(self.store, scan_id, transition)
        except ConflictError as error:
            # The task's own events were faster than we: a short scan may even have ended.
            log.info("the scan went on meanwhile", scanId=scan_id, reason=error.reason)

    def _order(self, scan: Scan, scan_date: str, seconds: int) -> TaskOrder:
        reach = self.targets.of(scan, self.clock())
        request = SiteScanRequest(
            scan_id=scan.scan_id,
            attempt=scan.attempt,
            scan_date=scan_date,
            targets=reach.targets,
            issuers=reach.issuers,
            gateway=reach.gateway,
            settings=self.settings.audit,
        )
        return handed_off(
            self.hand_off,
            self.uploads,
            scan_id=scan.scan_id,
            attempt=scan.attempt,
            request=msgspec.json.encode(request),
            seconds=seconds,
            token=f"{scan.scan_id}-{scan.attempt}-{scan.launches}",
        )


def attempt_seconds(hosts: int, settings: AuditSettings) -> int:
    """How long an attempt over so many hosts may take, start and upload included."""
    rounds = math.ceil(hosts / settings.concurrency)
    return min(MAX_ATTEMPT_SECONDS, START_SECONDS + math.ceil(rounds * settings.site_timeout * SLOWNESS))


def _answer(run: Run) -> LaunchAnswer:
    return LaunchAnswer(run_id=run.run_id, scans=run.shards, hosts=run.hosts, rejected=run.rejected_count)
