"""A thousand accounts at once: more than one launch starts, and more than the region has room for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest

from glovebox.registry.order import MAX_ACCOUNTS
from glovebox.scans.model import RunState, ScanState
from glovebox.scans.ports import NoCapacityError, TaskOrder
from glovebox.services.launch import STARTING_SECONDS
from glovebox.services.watch import CAPACITY_SECONDS, MAX_LAUNCHES_PER_TICK, WAITING_SECONDS
from tests.account_chaos import items_of
from tests.account_flow import upload
from tests.fakes import FakeClock, FakeTasks
from tests.flow import Flow, stream_event
from tests.registry import account

RUN_TASK_SECONDS = 1.0
"""What a launch takes, nearly all of it AWS's answer to RunTask."""
SCAN_MINUTES = 20


@dataclass
class Region(FakeTasks):
    """So many tasks at once, and for everybody else there is no room."""

    clock: FakeClock = field(default_factory=FakeClock)
    room: int = MAX_ACCOUNTS
    running: dict[str, tuple[TaskOrder, float]] = field(default_factory=dict)
    """By ARN, with the time at which each began."""
    refused: int = 0

    def start(self, order: TaskOrder) -> str:
        self.clock.pass_seconds(RUN_TASK_SECONDS)
        if len(self.running) >= self.room:
            self.refused += 1
            raise NoCapacityError("You've reached the limit on the number of vCPUs.")
        arn = super().start(order)
        self.running[arn] = order, self.clock().timestamp()
        return arn


def a_minute(flow: Flow, region: Region) -> None:
    """What happens in it: tasks that are done end, the tick comes, and `launch` does what it is asked."""
    begun = flow.clock().timestamp()
    for arn, (order, since) in list(region.running.items()):
        if begun - since >= SCAN_MINUTES * 60:
            del region.running[arn]
            scan = flow.store.all_scans[order.scan_id]
            assert scan.account is not None
            flow.ingest.handle(upload(flow, scan, items_of(scan.account), order.attempt))
            flow.watch.handle(flow.task_event(order.scan_id, "STOPPED", order.attempt, arn=arn))
    flow.watch.handle({"tick": True})
    for arn, (order, _) in region.running.items():
        if flow.store.all_scans[order.scan_id].state is ScanState.LAUNCHING:
            flow.watch.handle(flow.task_event(order.scan_id, "RUNNING", order.attempt, arn=arn))
    asked, flow.launcher.asked = flow.launcher.asked, []
    for scan_id, attempt in asked:
        # Two of them run at once: they take half of the time.
        before = flow.clock().timestamp()
        flow.launch.handle({"retry": {"scanId": scan_id, "attempt": attempt}})
        flow.clock.pass_seconds((before - flow.clock().timestamp()) / 2)
    flow.clock.pass_seconds(max(begun + 60 - flow.clock().timestamp(), 0))


def ordered(room: int) -> tuple[Flow, Region, str]:
    flow = Flow(regions=("eu-west-1",))
    flow.tasks = region = Region(clock=flow.clock, room=room)
    for number in range(MAX_ACCOUNTS):
        flow.targets.put(account(number), revision=0)
    answer = flow.launch.handle({"accounts": [f"{number:012d}" for number in range(MAX_ACCOUNTS)]})
    assert answer.scans == MAX_ACCOUNTS
    return flow, region, answer.run_id


def assert_all_ended_once(flow: Flow, run_id: str) -> None:
    scans = flow.store.scans(run_id)
    assert Counter(scan.state for scan in scans) == {ScanState.COMPLETED: MAX_ACCOUNTS}
    assert len({scan.account.account for scan in scans if scan.account}) == MAX_ACCOUNTS
    assert Counter(order.scan_id for order in flow.tasks.orders).most_common(1)[0][1] == 1
    assert {scan.attempt for scan in scans} == {1}
    targets = flow.findings.targets()
    assert len(targets) == MAX_ACCOUNTS
    assert all(len(flow.findings.scans(target.target, limit=2)) == 1 for target in targets)
    flow.publish.handle(stream_event((run_id, "run")))
    assert flow.store.run(run_id).state is RunState.COMPLETED


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand lines of log are of use to nobody."""
    monkeypatch.setattr("glovebox.log.info", lambda message, **fields: None)
    monkeypatch.setattr("glovebox.log.warning", lambda message, **fields: None)


def test_where_there_is_room_watch_begins_what_launch_could_not_within_minutes() -> None:
    flow, region, run_id = ordered(room=MAX_ACCOUNTS)
    begun = len(flow.tasks.orders)
    assert begun == STARTING_SECONDS / RUN_TASK_SECONDS
    minutes = 0
    while len(flow.tasks.orders) < MAX_ACCOUNTS:
        a_minute(flow, region)
        minutes += 1
    assert minutes <= (MAX_ACCOUNTS - begun) / MAX_LAUNCHES_PER_TICK + WAITING_SECONDS / 60 + 1
    while flow.store.run(run_id).pending:
        a_minute(flow, region)
    assert_all_ended_once(flow, run_id)


def test_where_there_is_room_for_a_part_the_others_wait_for_their_turn_for_hours_and_none_is_lost() -> None:
    flow, region, run_id = ordered(room=90)
    began = flow.clock().timestamp()
    while flow.store.run(run_id).pending:
        a_minute(flow, region)
    assert region.refused > MAX_ACCOUNTS
    assert flow.clock().timestamp() - began > CAPACITY_SECONDS
    assert_all_ended_once(flow, run_id)
