"""Five hundred repositories at once: little room for tasks, and snapshots that fail now and then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from glovebox.findings.life import Quality
from glovebox.scans.model import MAX_ATTEMPTS, RunState, ScanState
from glovebox.scans.state import Scan
from tests.flow import Flow, stream_event
from tests.region import Region, a_minute
from tests.registry import repository
from tests.repository_queue import REPOSITORIES, SCAN_MINUTES, SCANNERS, Host, queued, report


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand lines of log are of use to nobody."""
    monkeypatch.setattr("glovebox.log.info", lambda message, **fields: None)
    monkeypatch.setattr("glovebox.log.warning", lambda message, **fields: None)


def test_all_end_once_whatever_room_there_is_and_whatever_the_host_says() -> None:
    queue = queued()
    flow, region, host, run_id, gone = queue.flow, queue.region, queue.host, queue.run_id, queue.gone
    scans = flow.store.scans(run_id)
    lost = len(gone) * SCANNERS
    assert Counter(scan.state for scan in scans) == {
        ScanState.COMPLETED: REPOSITORIES * SCANNERS - lost,
        ScanState.FAILED: lost,
    }
    assert {scan.failure.failure_class for scan in scans if scan.failure} == {"repository_gone"}
    assert {scan.attempt for scan in scans} == {1}
    assert len(scans) == REPOSITORIES * SCANNERS
    assert host.given.keys() == {(run_id, f"github.com/acme/r{number}") for number in range(REPOSITORIES)} - {
        (run_id, name) for name in gone
    }
    # Each minute's launches began within it: none was asked for twice, or stood before another order.
    assert region.behind == 0
    # Neither room nor snapshots were there for everybody at once.
    assert region.refused > REPOSITORIES
    assert min(host.failed[how] for how in ("rate_limited", "host_unavailable", "crashed")) > 10
    assert_none_twice(flow, region, run_id, scans)


def assert_none_twice(flow: Flow, region: Region, run_id: str, scans: Sequence[Scan]) -> None:
    assert Counter(order.scan_id for order in region.orders).most_common(1)[0][1] == 1
    whole = [scan for scan in scans if scan.state is ScanState.COMPLETED]
    assert all(scan.snapshot is not None for scan in whole)
    targets = flow.findings.targets()
    assert len(targets) == len(whole) / SCANNERS
    for target in targets:
        records = flow.findings.scans(target.target, limit=10)
        assert [each.quality for each in records] == [Quality.COMPLETE] * SCANNERS
    flow.publish.handle(stream_event((run_id, "run")))
    run = flow.store.run(run_id)
    assert (run.state, run.missing_count) == (RunState.PARTIAL, REPOSITORIES // 100)


def test_a_repository_is_asked_for_once_a_scanner_and_attempt_where_there_is_room() -> None:
    flow = Flow()
    flow.tasks = region = Region(clock=flow.clock, scan_minutes=SCAN_MINUTES)
    flow.snapshots = host = Host(clock=flow.clock)
    for number in range(50):
        flow.targets.put(repository(f"r{number}"), revision=0)
    run_id = flow.launch.handle({"repositories": "all"}).run_id
    killed = set[str]()
    while flow.store.run(run_id).pending:
        for arn, (order, _) in list(region.running.items()):
            if order.scan_id.endswith("7") and order.scan_id not in killed:
                # Each tenth task dies once.
                killed.add(order.scan_id)
                del region.running[arn]
                event = flow.task_event(order.scan_id, "STOPPED", order.attempt, outlet=None, arn=arn)
                flow.watch.handle(event)
        a_minute(flow, region, report)
    assert killed
    assert {scan.state for scan in flow.store.scans(run_id)} == {ScanState.COMPLETED}
    assert max(host.given.values()) <= SCANNERS * MAX_ATTEMPTS
    assert sum(host.given.values()) == len(region.orders) == 50 * SCANNERS + len(killed)
