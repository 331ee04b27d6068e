"""Starting runs: an order → a run and its scans → hand-off → one task a scan.

Everything a task gets is a capability for that attempt alone: a URL that reads one object, two forms that
write one object each, and for an account a URL that claims once, for as long as the attempt may take.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from glovebox import log
from glovebox.dates import iso
from glovebox.errors import ConflictError, InputError
from glovebox.registry.order import (
    Accounts,
    OrderAnswer,
    Refused,
    Repositories,
    RepositoriesAnswer,
    RequestedBy,
)
from glovebox.scans.model import (
    MAX_ATTEMPTS,
    MAX_RUN_HOSTS,
    RunState,
    ScanState,
    run_id_of,
    scan_id_of,
)
from glovebox.scans.ports import Clock, ScanStore
from glovebox.scans.repositories import Ref
from glovebox.scans.state import Run, Scan, bounded_lines
from glovebox.services.account_runs import AccountRuns
from glovebox.services.attempts import Attempts
from glovebox.services.planning import Plan
from glovebox.services.repository_runs import RepositoryRuns
from glovebox.services.site_runs import ListPlace, SiteRuns

STARTING_SECONDS: Final = 240
"""Who orders waits five and a half minutes for the answer; what is not begun by then is left to `watch`."""
STARTING_REPOSITORIES_SECONDS: Final = 20
"""So much less because the last scan that is begun may wait five minutes for its snapshot."""
MAX_SCHEDULE_AGE: Final = timedelta(days=30)
"""An order may wait two weeks in a failure queue; files would carry the date of any other year."""
MAX_SCHEDULE_LEAD: Final = timedelta(minutes=5)
"""Clocks differ.  A run of next week would be the latest until then, and scans before it change nothing."""


class RetryOrder(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    scan_id: Annotated[str, Meta(max_length=64)]
    attempt: Annotated[int, Meta(ge=1, le=MAX_ATTEMPTS)]


class LaunchEvent(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One of `list`, `hosts`, `accounts`, `repositories` and `retry`."""

    list: ListPlace | None = None
    hosts: Annotated[Sequence[str], Meta(min_length=1, max_length=MAX_RUN_HOSTS)] | None = None
    accounts: Accounts | None = None
    repositories: Repositories | None = None
    ref: Ref = ""
    """Of the repositories."""
    retry: RetryOrder | None = None
    requested_by: RequestedBy = "invocation"
    scheduled_time: Annotated[str, Meta(max_length=32)] | None = None
    """Given by a schedule, which may fire twice: one run a scheduled time and what it is about."""

    def __post_init__(self) -> None:
        parts = (self.list, self.hosts, self.accounts, self.repositories, self.retry)
        if sum(part is not None for part in parts) != 1:
            raise ValueError("give exactly one of list, hosts, accounts, repositories and retry")
        if self.ref and self.repositories is None:
            raise ValueError("ref is of repositories alone")


class LaunchAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """What an order of sites came to."""

    run_id: str
    scans: int
    hosts: int
    rejected: int
    """Lines of the list that gave no host."""


Answer = LaunchAnswer | OrderAnswer | RepositoriesAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    store: ScanStore
    sites: SiteRuns
    accounts: AccountRuns
    repositories: RepositoryRuns
    attempts: Attempts
    clock: Clock
    token: Callable[[], str] = lambda: secrets.token_hex(4)

    def handle(self, event: object) -> Answer:
        """Start what the event asks for.

        Raises InputError for an event or a list that cannot be used, RefusedError for a foreign bucket.
        """
        try:
            order = msgspec.convert(event, LaunchEvent)
        except msgspec.ValidationError as error:
            raise InputError(
                f"The event cannot be used: {error}.",
                fix='Send {"list": {"key": …}}, {"hosts": […]}, {"accounts": […]} or {"repositories": […]}.',
            ) from error
        if order.retry is not None:
            return self._retry(order.retry)
        return self._start(order)

    def _start(self, order: LaunchEvent) -> Answer:
        began, once = self.clock(), self._once(order)
        run, plan = self._standing(once), None
        if run is None:
            plan = self._plan(order)
            run = self._created(self._run(order, plan), plan, once)
        seconds = STARTING_REPOSITORIES_SECONDS if run.kind == "repository" else STARTING_SECONDS
        self._start_scans(run, began + timedelta(seconds=seconds))
        return _answer(run, plan)

    def _created(self, run: Run, plan: Plan, once: str) -> Run:
        try:
            self.store.create(run, list(self._scans(run, plan)), once=once)
        except ConflictError:
            # Two at once, of which the other was faster.
            return self._standing(once) or self.store.run(run.run_id)
        log.info("run created", runId=run.run_id, kind=run.kind, hosts=run.hosts, scans=run.shards)
        return run

    def _once(self, order: LaunchEvent) -> str:
        """The same for the same order of the same scheduled time, whatever the registry says by now."""
        if order.scheduled_time is None:
            return ""
        wanted = (order.list, order.hosts, order.accounts, order.repositories, order.ref)
        said = msgspec.json.encode([iso(self._scheduled(order.scheduled_time)), *wanted])
        return hashlib.sha256(said).hexdigest()

    def _standing(self, once: str) -> Run | None:
        """The run that the schedule has made already: it fired twice, or went on after a crash."""
        run_id = self.store.created_once(once) if once else None
        if run_id is None:
            return None
        log.info("run exists already", runId=run_id)
        return self.store.run(run_id)

    def _start_scans(self, run: Run, end: datetime) -> None:
        waiting = [scan for scan in self.store.scans(run.run_id) if scan.state is ScanState.REQUESTED]
        for begun, scan in enumerate(waiting):
            if self.clock() >= end:
                log.info("the rest is left to watch", runId=run.run_id, scans=len(waiting) - begun)
                return
            self.attempts.start(scan, run)

    def _retry(self, order: RetryOrder) -> Answer:
        try:
            run = self.store.run(run_id_of(order.scan_id))
        except ValueError as error:
            raise InputError("The event names no scan.", fix="Retries come from watch.") from error
        scan = self.store.scan(order.scan_id)
        if scan.state is ScanState.REQUESTED and scan.attempt == order.attempt:
            self.attempts.start(scan, run)
        else:
            log.info("nothing to retry", scanId=scan.scan_id, state=scan.state.value, attempt=scan.attempt)
        return _answer(run)

    def _plan(self, order: LaunchEvent) -> Plan:
        if order.accounts is not None:
            return self.accounts.plan(order.accounts)
        if order.repositories is not None:
            return self.repositories.plan(order.repositories, order.ref)
        return self.sites.plan(order.list, order.hosts or ())

    def _run(self, order: LaunchEvent, plan: Plan) -> Run:
        now, run_id = self._identity(order, plan)
        return Run(
            run_id=run_id,
            state=RunState.RUNNING,
            requested_at=iso(now),
            requested_by=order.requested_by,
            scan_date=iso(now),
            hosts=plan.hosts,
            accounts=plan.accounts,
            repositories=plan.repositories,
            shards=len(plan.shards),
            pending=len(plan.shards) * (2 if plan.enrichment else 1),
            kind=plan.kind,
            rejected_lines=bounded_lines(plan.rejected),
            rejected_count=len(plan.rejected),
        )

    def _identity(self, order: LaunchEvent, plan: Plan) -> tuple[datetime, str]:
        """When the run began, and its id: the same for the same scheduled time and the same source."""
        if order.scheduled_time is None:
            now, tail = self.clock(), self.token()
        else:
            now = self._scheduled(order.scheduled_time)
            source = msgspec.json.encode([order.scheduled_time, *plan.source])
            tail = hashlib.sha256(source).hexdigest()[:8]
        return now, f"{now:%Y%m%dT%H%M%SZ}-{tail}"

    def _scheduled(self, text: str) -> datetime:
        try:
            moment = datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise InputError("scheduledTime is no time.", fix="Use ISO 8601 with a Z.") from error
        now = self.clock()
        if not now - MAX_SCHEDULE_AGE <= moment <= now + MAX_SCHEDULE_LEAD:
            raise InputError(
                f"scheduledTime is to come, or more than {MAX_SCHEDULE_AGE.days} days ago.",
                fix="Leave it out: only a schedule gives it.",
            )
        return moment

    def _scans(self, run: Run, plan: Plan) -> Iterator[Scan]:
        now = iso(self.clock())
        for number, shard in enumerate(plan.shards):
            yield Scan(
                scan_id=scan_id_of(run.run_id, number),
                state=ScanState.REQUESTED,
                attempt=1,
                hosts=shard.hosts,
                account=shard.account,
                external_id=shard.external_id,
                repository=shard.repository,
                requested_at=run.requested_at,
                changed_at=now,
                attempt_since=now,
                enrichment=plan.enrichment,
            )


def _answer(run: Run, plan: Plan | None = None) -> Answer:
    """What the run came to; `plan` has the refused in full, the run as many as it holds."""
    rejected = run.rejected_lines if plan is None else plan.rejected
    if run.kind == "site":
        return LaunchAnswer(run_id=run.run_id, scans=run.shards, hosts=run.hosts, rejected=run.rejected_count)
    if run.kind == "repository":
        return RepositoriesAnswer(
            run_id=run.run_id,
            repositories=run.repositories,
            scans=run.shards,
            refused=tuple(Refused(repository=each.text, reason=each.reason) for each in rejected),
        )
    return OrderAnswer(
        run_id=run.run_id,
        accounts=run.accounts,
        scans=run.shards,
        refused=tuple(Refused(account=each.text, reason=each.reason) for each in rejected),
    )
