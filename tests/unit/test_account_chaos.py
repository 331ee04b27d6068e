"""Whatever is killed, lost, repeated or cut off: each scan of an account ends, and nothing is done twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from glovebox.findings.store import ScanRecord
from glovebox.scans.accounts import AccountTarget
from glovebox.scans.model import RunState, ScanState
from glovebox.scans.state import RECORDING_LOST, Scan
from tests import chaos
from tests.account_chaos import AccountWorld, items_of
from tests.box_chaos import HOURS, STEPS, WITH_REPORT
from tests.flow import Event

STORMS = 200
ORDER: Event = {"accounts": "all", "requestedBy": "schedule", "scheduledTime": "2026-03-04T05:06:00Z"}


@dataclass(frozen=True)
class Storm(chaos.Storm[AccountWorld]):
    """Over accounts."""

    @property
    def targets(self) -> set[str]:
        return {f"aws:{scan.account.account}" for scan in self.scans if scan.account}

    def records(self, target: str) -> dict[str, ScanRecord]:
        found = self.world.flow.findings.scans(target, limit=1_000)
        return {record.scan_id: record for record in found}

    def known(self, target: str) -> set[str]:
        """Findings that are on record, by check and resource."""
        store = self.world.flow.findings
        found = store.findings(target, store.ledger(target).entries)
        return {f"{each.check} {each.resource}" for each in found}


def said(scan: Scan) -> set[str]:
    """What an honest scanner finds in this shard, without the canary."""
    assert scan.account is not None
    return {
        f"{each['metadata']['event_code']} {each['resources'][0]['uid']}"  # type: ignore[index]  # as written
        for each in items_of(scan.account)
        if "Canary" not in str(each["resources"])
    }


@pytest.fixture(scope="module")
def storms() -> list[Storm]:
    return [Storm.over(AccountWorld(seed), ORDER, steps=STEPS, hours=HOURS) for seed in range(STORMS)]


def test_the_storms_are_storms(storms: list[Storm]) -> None:
    """Each misfortune came, most of them often, or the tests below would say nothing."""
    seen = sum((storm.world.seen for storm in storms), Counter[str]())
    often = ("crash", "race", "hung", "scanner killed", "no envelope", "throttled")
    lost = ("watch event lost", "redeem event lost", "ingest event lost", "publish event lost")
    killed = tuple(f"killed before {step}" for step in ("claim", "open", "report", "manifest", "end"))
    for name in (*often, *lost, *killed):
        assert seen[name] >= 5, (name, seen)
    states = Counter(scan.state for storm in storms for scan in storm.scans)
    assert states[ScanState.COMPLETED] > states.total() / 3
    assert states[ScanState.PARTIAL] > 5
    assert states[ScanState.FAILED] + states[ScanState.EXPIRED] > 5
    assert {storm.run.state for storm in storms} >= {RunState.COMPLETED, RunState.PARTIAL}


def test_every_scan_ends_and_every_run_is_closed_once(storms: list[Storm]) -> None:
    for storm in storms:
        assert all(scan.state.ended for scan in storm.scans), storm.seed
        assert (storm.run.pending, storm.run.published_at is None) == (0, False), storm.seed
        assert storm.world.published == {storm.run.run_id: 1}, storm.seed


def test_a_task_that_outlives_its_scan_hangs_and_holds_nothing_that_opens_anything(
    storms: list[Storm],
) -> None:
    """An outlet that hangs when all is uploaded; a second task of a launch that was cut off, unannounced."""
    for storm in storms:
        for task in storm.world.running:
            box = storm.world.boxes[task.arn]
            assert box.hung, storm.seed
            now = storm.world.flow.clock().timestamp()
            assert box.credentials is None or box.credentials.expires < now, storm.seed


def test_no_account_is_lost_and_none_is_scanned_that_must_not_be(storms: list[Storm]) -> None:
    for storm in storms:
        enabled = {f"{number:012d}" for number in range(1, 4)}
        scanned = {scan.account.account for scan in storm.scans if scan.account}
        assert scanned <= enabled, storm.seed
        assert len(scanned) == storm.run.accounts, storm.seed
        shards = [(each.account, *each.regions, *each.services) for each in _targets(storm)]
        assert len(set(shards)) == len(shards) == storm.run.shards, storm.seed


def _targets(storm: Storm) -> list[AccountTarget]:
    return [scan.account for scan in storm.scans if scan.account]


def test_no_attempt_gets_two_sets_of_credentials(storms: list[Storm]) -> None:
    for storm in storms:
        given, opened = storm.world.sessions.given_to, storm.world.opened
        assert all(count == 1 for count in given.values()), storm.seed
        assert all(count == 1 for count in opened.values()), storm.seed
        assert {f"{scan_id}-{attempt}" for scan_id, attempt in opened} <= given.keys(), storm.seed


def test_no_scan_is_recorded_twice_and_what_is_recorded_is_what_its_scanner_said(storms: list[Storm]) -> None:
    for storm in storms:
        for target in storm.targets:
            records, ledger = storm.records(target), storm.world.flow.findings.ledger(target)
            # Nothing but scans commits here, each commit is one revision, and each finding was new once.
            assert ledger.revision == len(records), storm.seed
            assert sum(each.steps.get("new", 0) for each in records.values()) == len(ledger.entries), (
                storm.seed
            )
            possible = {name for scan in _of(storm, target) if scan.scan_id in records for name in said(scan)}
            assert storm.known(target) <= possible, storm.seed


def test_what_a_completed_scan_found_is_there_and_what_no_record_says_is_not(storms: list[Storm]) -> None:
    for storm in storms:
        for target in storm.targets:
            records, known = storm.records(target), storm.known(target)
            for scan in _of(storm, target):
                if scan.state is ScanState.COMPLETED:
                    assert said(scan) <= known, storm.seed
                lost = (scan.reason or "").endswith(RECORDING_LOST)
                assert (scan.state not in WITH_REPORT) or scan.scan_id in records or lost, storm.seed


def test_no_honest_scanner_is_called_untrusted(storms: list[Storm]) -> None:
    """A report that ends before the canary is the only reason here."""
    for storm in storms:
        for scan in storm.scans:
            if scan.state is ScanState.UNTRUSTED:
                assert "planted resource" in (scan.reason or ""), storm.seed


def _of(storm: Storm, target: str) -> list[Scan]:
    return [scan for scan in storm.scans if scan.account and f"aws:{scan.account.account}" == target]
