"""Whatever is killed, lost or repeated: each scan of a repository ends, and nothing is done twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from glovebox.scans.model import RunState, ScanState
from tests import chaos
from tests.box_chaos import HOURS, STEPS, WITH_REPORT
from tests.flow import Event
from tests.repository_chaos import GONE, RepositoryWorld

STORMS = 100
ORDER: Event = {"repositories": "all", "requestedBy": "schedule", "scheduledTime": "2026-03-04T05:06:00Z"}


@dataclass(frozen=True)
class Storm(chaos.Storm[RepositoryWorld]):
    """Over repositories."""

    @property
    def targets(self) -> set[str]:
        return {scan.target for scan in self.scans}


@pytest.fixture(scope="module")
def storms() -> list[Storm]:
    return [Storm.over(RepositoryWorld(seed), ORDER, steps=STEPS, hours=HOURS) for seed in range(STORMS)]


def test_the_storms_are_storms(storms: list[Storm]) -> None:
    """Each misfortune came, most of them often, or the tests below would say nothing."""
    seen = sum((storm.world.seen for storm in storms), Counter[str]())
    often = ("crash", "race", "hung", "scanner killed", "no snapshot", "repository gone", "throttled")
    lost = ("watch event lost", "ingest event lost", "publish event lost")
    killed = tuple(f"killed before {step}" for step in ("report", "manifest", "end"))
    for name in (*often, *lost, *killed):
        assert seen[name] >= 5, (name, seen)
    states = Counter(scan.state for storm in storms for scan in storm.scans)
    assert states[ScanState.COMPLETED] > states.total() / 3
    assert min(states[ScanState.PARTIAL], states[ScanState.FAILED]) > 5
    assert {storm.run.state for storm in storms} >= {RunState.COMPLETED, RunState.PARTIAL}


def test_every_scan_ends_and_every_run_is_closed_once(storms: list[Storm]) -> None:
    for storm in storms:
        assert all(scan.state.ended for scan in storm.scans), storm.seed
        assert (storm.run.pending, storm.run.published_at is None) == (0, False), storm.seed
        assert storm.world.published == {storm.run.run_id: 1}, storm.seed


def test_no_repository_is_lost_and_none_is_scanned_that_must_not_be(storms: list[Storm]) -> None:
    for storm in storms:
        targets = [(scan.target, scan.report_kind) for scan in storm.scans]
        assert len(set(targets)) == len(targets) == storm.run.shards, storm.seed
        assert len(storm.targets) == storm.run.repositories, storm.seed
        assert "repo:github.com/acme/off" not in storm.targets, storm.seed


def test_a_task_starts_with_its_snapshot_on_record_or_not_at_all(storms: list[Storm]) -> None:
    for storm in storms:
        started = {order.scan_id for order in storm.world.flow.tasks.orders}
        for scan in storm.scans:
            assert (scan.scan_id not in started) or scan.snapshot is not None, storm.seed
        tokens = [order.token for order in storm.world.flow.tasks.orders]
        assert len(set(tokens)) == len(tokens), storm.seed


def test_a_repository_that_is_gone_fails_with_that_class_and_no_other_does(storms: list[Storm]) -> None:
    for storm in storms:
        for scan in storm.scans:
            gone = storm.world.gone and scan.target == f"repo:{GONE}"
            said = scan.failure is not None and scan.failure.failure_class == "repository_gone"
            assert said is gone, storm.seed
            assert (scan.state is ScanState.FAILED) or not gone, storm.seed


def test_no_scan_is_recorded_twice_and_each_with_a_report_has_its_record(storms: list[Storm]) -> None:
    for storm in storms:
        store = storm.world.flow.findings
        for target in storm.targets:
            records = {each.scan_id for each in store.scans(target, limit=1_000)}
            ledger = store.ledger(target)
            # Nothing but scans commits here, and each commit is one revision.
            assert ledger.revision == len(records), storm.seed
            assert records <= {scan.scan_id for scan in storm.scans if scan.target == target}, storm.seed
            for scan in storm.scans:
                if scan.target == target and scan.state is ScanState.COMPLETED:
                    assert scan.scan_id in records, storm.seed
                if scan.scan_id in records:
                    assert scan.state in WITH_REPORT, storm.seed
