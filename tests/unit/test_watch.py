"""No scan stays open: events in any order, and ticks for those that never came."""

from __future__ import annotations

import itertools

import pytest
from msgspec.structs import replace

from glovebox.dates import iso
from glovebox.errors import InputError, UpstreamError
from glovebox.scans.model import ScanState, handoff_key
from glovebox.scans.ports import NoCapacityError
from glovebox.scans.state import Scan
from glovebox.services.watch import (
    CAPACITY_SECONDS,
    ENRICH_SECONDS,
    INGEST_SECONDS,
    LAUNCHING_SECONDS,
    MAX_LAUNCHES_PER_TICK,
    PUBLISH_SECONDS,
    QUEUE_SECONDS,
    WAITING_SECONDS,
)
from tests.flow import Flow

A, B = "a.example.com", "b.example.com"
TICK = {"tick": True}


@pytest.fixture
def flow() -> Flow:
    return Flow(shard_hosts=2)


@pytest.fixture
def scan(flow: Flow) -> Scan:
    return flow.store.scans(flow.start(A, B))[0]


def now(flow: Flow, scan: Scan) -> Scan:
    return flow.store.scan(scan.scan_id)


def run_of(flow: Flow) -> str:
    return next(iter(flow.store.runs))


def test_a_running_task_starts_the_scan_and_its_environment_files_go(flow: Flow, scan: Scan) -> None:
    flow.watch.handle(flow.task_event(scan.scan_id, "RUNNING"))
    assert now(flow, scan).state is ScanState.RUNNING
    assert now(flow, scan).started_at is not None
    assert list(flow.hand_off.objects) == [handoff_key(scan.scan_id, 1, "request.json")]


def test_a_stopped_task_takes_all_of_its_hand_off_with_it(flow: Flow, scan: Scan) -> None:
    flow.watch.handle(flow.task_event(scan.scan_id, "STOPPED"))
    assert flow.hand_off.objects == {}


def test_a_task_that_dies_is_started_once_more_and_then_the_scan_has_failed(flow: Flow, scan: Scan) -> None:
    flow.watch.handle(flow.task_event(scan.scan_id, "STOPPED", outlet=None))
    after = now(flow, scan)
    assert (after.state, after.attempt) == (ScanState.REQUESTED, 2)
    assert flow.launcher.asked == [(scan.scan_id, 2)]
    flow.launch.handle({"retry": {"scanId": scan.scan_id, "attempt": 2}})
    flow.watch.handle(flow.task_event(scan.scan_id, "STOPPED", attempt=2, outlet=1))
    after = now(flow, scan)
    assert (after.state, after.missing) == (ScanState.FAILED, (A, B))
    assert after.reason is not None
    assert "outlet ended with 1" in after.reason
    assert flow.store.run(run_of(flow)).pending == 0
    assert len(flow.launcher.asked) == 1


def test_events_of_one_task_end_alike_in_every_order_and_twice() -> None:
    orders = list(itertools.permutations(["RUNNING", "STOPPED", "ingest"]))
    ends = set()
    for order in orders:
        flow = Flow(shard_hosts=2)
        [scan] = flow.store.scans(flow.start(A, B))
        uploaded = flow.upload(scan.scan_id, flow.records(scan.scan_id))
        for step in (*order, *order):
            if step == "ingest":
                flow.ingest.handle(uploaded)
            else:
                flow.watch.handle(flow.task_event(scan.scan_id, step))
        after = now(flow, scan)
        ends.add((after.state, after.attempt, flow.store.run(run_of(flow)).pending, len(flow.launcher.asked)))
    assert ends == {(ScanState.COMPLETED, 1, 0, 0)}


def test_events_of_a_former_task_change_nothing(flow: Flow, scan: Scan) -> None:
    flow.watch.handle(flow.task_event(scan.scan_id, "STOPPED", outlet=1))
    before = now(flow, scan)
    flow.watch.handle(flow.task_event(scan.scan_id, "RUNNING"))
    flow.watch.handle(flow.task_event(scan.scan_id, "STOPPED", outlet=1))
    assert now(flow, scan) == before
    assert len(flow.launcher.asked) == 1


def test_a_task_that_nobody_waits_for_is_stopped_when_it_shows_itself(flow: Flow, scan: Scan) -> None:
    flow.watch.handle(flow.task_event(scan.scan_id, "RUNNING", arn="arn:aws:ecs:task/stray"))
    assert flow.tasks.stopped == ["arn:aws:ecs:task/stray"]
    flow.watch.handle(flow.task_event(scan.scan_id, "RUNNING"))
    assert flow.tasks.stopped == ["arn:aws:ecs:task/stray"]
    assert now(flow, scan).state is ScanState.RUNNING


def test_a_task_that_turns_up_after_its_launch_was_given_up_has_its_time_bound(flow: Flow) -> None:
    flow.tasks.errors = [UpstreamError("no answer, but the task was started")]
    [scan] = flow.store.scans(flow.start(A))
    flow.watch.handle(flow.task_event(scan.scan_id, "RUNNING", arn="arn:aws:ecs:task/late"))
    flow.clock.pass_seconds(4_000)
    flow.watch.handle(TICK)
    assert flow.tasks.stopped == ["arn:aws:ecs:task/late"]


def test_the_end_of_another_task_under_our_name_changes_nothing(flow: Flow, scan: Scan) -> None:
    flow.watch.handle(flow.task_event(scan.scan_id, "STOPPED", outlet=1, arn="arn:aws:ecs:task/other"))
    assert now(flow, scan).state is ScanState.LAUNCHING


def test_tasks_of_others_are_none_of_our_business(flow: Flow, scan: Scan) -> None:
    event = flow.task_event(scan.scan_id, "STOPPED", outlet=1)
    detail = event["detail"]
    assert isinstance(detail, dict)
    for origin in ("", "ecs-svc/123", f"{scan.scan_id}-9", f"x{scan.scan_id}-1"):
        flow.watch.handle({"detail": {**detail, "startedBy": origin}})
    assert now(flow, scan).state is ScanState.LAUNCHING


@pytest.mark.parametrize("event", [{}, [], {"tick": False}, {"detail": {"lastStatus": 1}}])
def test_an_event_of_something_else_is_refused(flow: Flow, event: object) -> None:
    with pytest.raises(InputError):
        flow.watch.handle(event)


# ---------------------------------------------------------------- ticks


def test_a_tick_leaves_a_healthy_scan_alone(flow: Flow, scan: Scan) -> None:
    writes = flow.store.writes
    flow.clock.pass_seconds(30)
    flow.watch.handle(TICK)
    assert flow.store.writes == writes
    assert flow.launcher.asked == []


def test_a_scan_that_waits_for_room_is_asked_for_again_until_it_starts(flow: Flow) -> None:
    flow.tasks.errors = [NoCapacityError("full")]
    [scan] = flow.store.scans(flow.start(A))
    flow.clock.pass_seconds(WAITING_SECONDS + 1)
    flow.watch.handle(TICK)
    flow.watch.handle(TICK)
    assert flow.launcher.asked == [(scan.scan_id, 1)] * 2
    for scan_id, attempt in flow.launcher.asked:
        flow.launch.handle({"retry": {"scanId": scan_id, "attempt": attempt}})
    assert len(flow.tasks.orders) == 1


def test_a_scan_without_room_for_hours_fails_and_says_why(flow: Flow) -> None:
    """Every try begins its wait for the next one anew, and none of them the wait as a whole."""
    flow.tasks.errors = [NoCapacityError("Capacity is unavailable.")] * 1_000
    [scan] = flow.store.scans(flow.start(A))
    for _ in range(CAPACITY_SECONDS // (WAITING_SECONDS + 1) + 1):
        assert now(flow, scan).state is ScanState.REQUESTED
        flow.clock.pass_seconds(WAITING_SECONDS + 1)
        flow.watch.handle(TICK)
        flow.launch.handle({"retry": {"scanId": scan.scan_id, "attempt": 1}})
    assert (now(flow, scan).state, now(flow, scan).reason) == (ScanState.FAILED, "Capacity is unavailable.")
    assert flow.store.run(run_of(flow)).pending == 0


def test_a_scan_that_stands_in_a_queue_which_moves_waits_for_its_turn_for_a_day(flow: Flow) -> None:
    flow.tasks.errors = [NoCapacityError("Capacity is unavailable.")]
    waiting, other = flow.store.scans(flow.start(A, B, "c.example.com"))
    for _ in range(QUEUE_SECONDS // CAPACITY_SECONDS):
        assert now(flow, waiting).state is ScanState.REQUESTED
        flow.clock.pass_seconds(CAPACITY_SECONDS)
        # A task of the very same run starts now and then.
        flow.store.all_scans[other.scan_id] = replace(now(flow, other), started_at=iso(flow.clock()))
        flow.watch.handle(TICK)
    flow.clock.pass_seconds(1)
    flow.watch.handle(TICK)
    assert now(flow, waiting).state is ScanState.FAILED


def test_a_launch_that_was_cut_off_is_released_and_done_again_under_the_next_token(flow: Flow) -> None:
    flow.tasks.errors = [KeyboardInterrupt()]  # type: ignore[list-item]  # the function's time is over
    with pytest.raises(KeyboardInterrupt):
        flow.start(A)
    [scan] = flow.store.scans(run_of(flow))
    flow.clock.pass_seconds(LAUNCHING_SECONDS + 1)
    flow.watch.handle(TICK)
    assert flow.launcher.asked == [(scan.scan_id, 1)]
    flow.launch.handle({"retry": {"scanId": scan.scan_id, "attempt": 1}})
    assert now(flow, scan).task_arn is not None


def test_a_task_past_its_deadline_is_stopped_and_at_last_the_scan_expires(flow: Flow, scan: Scan) -> None:
    for attempt in (1, 2):
        flow.clock.pass_seconds(4_000)
        flow.watch.handle(TICK)
        assert len(flow.tasks.stopped) == attempt
        flow.launch.handle({"retry": {"scanId": scan.scan_id, "attempt": 2}})
    assert now(flow, scan).state is ScanState.EXPIRED
    assert flow.store.run(run_of(flow)).pending == 0


def test_a_report_that_is_never_ingested_loses_its_attempt(flow: Flow, scan: Scan) -> None:
    flow.watch.handle(flow.task_event(scan.scan_id, "STOPPED", outlet=0))
    flow.clock.pass_seconds(INGEST_SECONDS - 1)
    flow.watch.handle(TICK)
    assert now(flow, scan).attempt == 1
    flow.clock.pass_seconds(2)
    flow.watch.handle(TICK)
    assert (now(flow, scan).attempt, flow.launcher.asked) == (2, [(scan.scan_id, 2)])


def test_an_attempt_that_ingest_gave_up_is_launched_by_a_tick(flow: Flow, scan: Scan) -> None:
    flow.ingest.handle(flow.upload(scan.scan_id, [b"{}"], scanner_exit=None))
    flow.clock.pass_seconds(WAITING_SECONDS + 1)
    flow.watch.handle(TICK)
    assert flow.launcher.asked == [(scan.scan_id, 2)]


def test_enrichment_that_never_comes_is_given_up() -> None:
    flow = Flow(enrichment=True)
    [scan] = flow.store.scans(flow.start(A))
    flow.ingest.handle(flow.upload(scan.scan_id, flow.records(scan.scan_id)))
    assert flow.store.run(run_of(flow)).pending == 1
    flow.clock.pass_seconds(ENRICH_SECONDS + 1)
    flow.watch.handle(TICK)
    assert flow.store.run(run_of(flow)).pending == 0
    assert now(flow, scan).enrichment_note == "The look-ups were never finished."


def test_a_late_publication_is_woken_and_then_left_in_peace_for_a_while(flow: Flow, scan: Scan) -> None:
    flow.ingest.handle(flow.upload(scan.scan_id, flow.records(scan.scan_id)))
    flow.clock.pass_seconds(PUBLISH_SECONDS + 1)
    writes = flow.store.writes
    flow.watch.handle(TICK)
    flow.watch.handle(TICK)
    assert flow.store.writes == writes + 1
    flow.publish.handle(flow.stream(run_of(flow)))
    assert flow.store.open_runs() == []


def test_a_publication_under_way_is_left_its_time_however_long_the_run_took(flow: Flow, scan: Scan) -> None:
    flow.clock.pass_seconds(PUBLISH_SECONDS + 1)
    flow.ingest.handle(flow.upload(scan.scan_id, flow.records(scan.scan_id)))
    flow.clock.pass_seconds(60)
    writes = flow.store.writes
    flow.watch.handle(TICK)
    assert flow.store.writes == writes


def test_one_scan_that_cannot_be_helped_does_not_keep_a_tick_from_the_others(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow.shard_hosts = 1
    first, second = flow.store.scans(flow.start(A, B))
    stop = flow.tasks.stop

    def failing(task_arn: str, reason: str) -> None:
        if task_arn == now(flow, first).task_arn:
            raise UpstreamError("ECS is down")
        stop(task_arn, reason)

    monkeypatch.setattr(flow.tasks, "stop", failing)
    flow.clock.pass_seconds(4_000)
    flow.watch.handle(TICK)
    assert (now(flow, first).attempt, now(flow, second).attempt) == (1, 2)


def test_a_tick_asks_for_a_bounded_number_of_launches(flow: Flow) -> None:
    flow.shard_hosts = 1
    hosts = [f"h{number}.example.com" for number in range(MAX_LAUNCHES_PER_TICK + 10)]
    flow.tasks.errors = [NoCapacityError("full")] * len(hosts)
    flow.start(*hosts)
    flow.clock.pass_seconds(WAITING_SECONDS + 1)
    flow.watch.handle(TICK)
    assert len(flow.launcher.asked) == MAX_LAUNCHES_PER_TICK
