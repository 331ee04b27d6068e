"""A thousand accounts at once: more than one launch starts, and more than the region has room for."""

from __future__ import annotations

from collections import Counter

import pytest

from glovebox.registry.order import MAX_TARGETS
from glovebox.scans.model import RunState, ScanState
from glovebox.scans.state import Scan
from glovebox.services.launch import STARTING_SECONDS
from glovebox.services.watch import CAPACITY_SECONDS, MAX_LAUNCHES_PER_TICK, WAITING_SECONDS
from tests.account_chaos import items_of
from tests.account_flow import upload
from tests.flow import Event, Flow, stream_event
from tests.region import RUN_TASK_SECONDS, Region, a_minute
from tests.registry import account


def report(flow: Flow, scan: Scan, attempt: int) -> Event:
    assert scan.account is not None
    return upload(flow, scan, items_of(scan.account), attempt)


def ordered(room: int) -> tuple[Flow, Region, str]:
    flow = Flow(regions=("eu-west-1",))
    flow.tasks = region = Region(clock=flow.clock, room=room)
    for number in range(MAX_TARGETS):
        flow.targets.put(account(number), revision=0)
    answer = flow.launch.handle({"accounts": [f"{number:012d}" for number in range(MAX_TARGETS)]})
    assert answer.scans == MAX_TARGETS
    return flow, region, answer.run_id


def assert_all_ended_once(flow: Flow, run_id: str) -> None:
    scans = flow.store.scans(run_id)
    assert Counter(scan.state for scan in scans) == {ScanState.COMPLETED: MAX_TARGETS}
    assert len({scan.account.account for scan in scans if scan.account}) == MAX_TARGETS
    assert Counter(order.scan_id for order in flow.tasks.orders).most_common(1)[0][1] == 1
    assert {scan.attempt for scan in scans} == {1}
    targets = flow.findings.targets()
    assert len(targets) == MAX_TARGETS
    assert all(len(flow.findings.scans(target.target, limit=2)) == 1 for target in targets)
    flow.publish.handle(stream_event((run_id, "run")))
    assert flow.store.run(run_id).state is RunState.COMPLETED


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand lines of log are of use to nobody."""
    monkeypatch.setattr("glovebox.log.info", lambda message, **fields: None)
    monkeypatch.setattr("glovebox.log.warning", lambda message, **fields: None)


def test_where_there_is_room_watch_begins_what_launch_could_not_within_minutes() -> None:
    flow, region, run_id = ordered(room=MAX_TARGETS)
    begun = len(flow.tasks.orders)
    assert begun == STARTING_SECONDS / RUN_TASK_SECONDS
    minutes = 0
    while len(flow.tasks.orders) < MAX_TARGETS:
        a_minute(flow, region, report)
        minutes += 1
    assert minutes <= (MAX_TARGETS - begun) / MAX_LAUNCHES_PER_TICK + WAITING_SECONDS / 60 + 1
    while flow.store.run(run_id).pending:
        a_minute(flow, region, report)
    assert_all_ended_once(flow, run_id)


def test_where_there_is_room_for_a_part_the_others_wait_for_their_turn_for_hours_and_none_is_lost() -> None:
    flow, region, run_id = ordered(room=90)
    began = flow.clock().timestamp()
    while flow.store.run(run_id).pending:
        a_minute(flow, region, report)
    assert region.refused > MAX_TARGETS
    assert flow.clock().timestamp() - began > CAPACITY_SECONDS
    assert_all_ended_once(flow, run_id)
