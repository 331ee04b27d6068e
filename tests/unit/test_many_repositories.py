"""Five hundred repositories at once: little room for tasks, and snapshots that fail now and then."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from glovebox.errors import UpstreamError
from glovebox.findings.life import Quality
from glovebox.scans.model import MAX_ATTEMPTS, RunState, ScanState
from glovebox.scans.repositories import SnapshotAnswer, SnapshotOrder
from glovebox.scans.state import Scan
from tests.fakes import FakeClock, FakeSnapshots, no_snapshot
from tests.flow import Event, Flow, stream_event
from tests.region import Region, a_minute
from tests.registry import repository
from tests.repository_flow import planted_lines, secret, upload

REPOSITORIES = 500
SCANNERS = 2
ROOM = 36
SCAN_MINUTES = 4
SNAPSHOT_SECONDS, KNOWN_SECONDS = 10, 1
FAILING = 0.1


@dataclass
class Host(FakeSnapshots):
    """Takes its time, unless it has the snapshot, and fails now and then; some repositories are gone for good."""

    clock: FakeClock = field(default_factory=FakeClock)
    random: random.Random = field(default_factory=lambda: random.Random(5))  # noqa: S311 - repeatable
    gone: frozenset[str] = frozenset()
    given: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Snapshots that were answered, by run and repository."""
    ready: dict[tuple[str, str], float] = field(default_factory=dict)
    """When the first of them was."""
    failed: Counter[str] = field(default_factory=Counter)

    def take(self, order: SnapshotOrder) -> SnapshotAnswer:
        taken = self.ready.get((order.run_id, order.repository), math.inf) <= self.clock().timestamp()
        self.clock.pass_seconds(KNOWN_SECONDS if taken else SNAPSHOT_SECONDS)
        if order.repository in self.gone:
            return no_snapshot("repository_gone")
        if self.random.random() < FAILING:
            how = self.random.choice(["rate_limited", "host_unavailable", "crashed"])
            self.failed[how] += 1
            if how == "crashed":
                raise UpstreamError("snapshot failed: out of memory")
            return no_snapshot(how, again=True)
        self.given[order.run_id, order.repository] += 1
        self.ready.setdefault((order.run_id, order.repository), self.clock().timestamp())
        return super().take(order)


def report(flow: Flow, scan: Scan, attempt: int) -> Event:
    assert scan.repository is not None
    lines = planted_lines(scan.repository.scanner)
    return upload(flow, scan, [*lines, secret()], attempt)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand lines of log are of use to nobody."""
    monkeypatch.setattr("glovebox.log.info", lambda message, **fields: None)
    monkeypatch.setattr("glovebox.log.warning", lambda message, **fields: None)


def test_all_end_once_whatever_room_there_is_and_whatever_the_host_says() -> None:
    flow = Flow()
    gone = frozenset(f"github.com/acme/r{number}" for number in range(0, REPOSITORIES, 100))
    flow.tasks = region = Region(clock=flow.clock, room=ROOM, scan_minutes=SCAN_MINUTES)
    flow.snapshots = host = Host(clock=flow.clock, gone=gone)
    for number in range(REPOSITORIES):
        flow.targets.put(repository(f"r{number}"), revision=0)
    answer = flow.launch.handle({"repositories": "all"})
    assert answer.scans == REPOSITORIES * SCANNERS
    while flow.store.run(answer.run_id).pending:
        a_minute(flow, region, report)

    scans = flow.store.scans(answer.run_id)
    lost = len(gone) * SCANNERS
    assert Counter(scan.state for scan in scans) == {
        ScanState.COMPLETED: REPOSITORIES * SCANNERS - lost,
        ScanState.FAILED: lost,
    }
    assert {scan.failure.failure_class for scan in scans if scan.failure} == {"repository_gone"}
    assert {scan.attempt for scan in scans} == {1}
    assert host.given.keys() == {
        (answer.run_id, f"github.com/acme/r{number}") for number in range(REPOSITORIES)
    } - {(answer.run_id, name) for name in gone}
    # Each minute's launches began within it, so none was asked for twice, and none stood before another order.
    assert region.behind == 0
    # Neither room nor snapshots were there for everybody at once.
    assert region.refused > REPOSITORIES
    assert min(host.failed[how] for how in ("rate_limited", "host_unavailable", "crashed")) > 10
    assert_none_twice(flow, region, answer.run_id, scans)


def assert_none_twice(flow: Flow, region: Region, run_id: str, scans: list[Scan]) -> None:
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
