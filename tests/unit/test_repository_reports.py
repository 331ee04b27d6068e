"""From a repository's report to findings, packages, and the end of its scan."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from glovebox.errors import UpstreamError
from glovebox.findings.store import Commit, FindingStore, ScanRecord
from glovebox.scans.model import Manifest, ScanState
from glovebox.scans.repositories import Gap, Snapshot
from glovebox.scans.state import Scan
from glovebox.services.repository_reports import FIXES
from tests.account_flow import logged
from tests.flow import Flow
from tests.repository_flow import (
    DATABASE,
    TARGET,
    misconfiguration,
    order,
    package,
    planted_lines,
    scanned,
    secret,
    take,
    upload,
    vulnerability,
)

DAY = 86_400


@pytest.fixture
def flow() -> Flow:
    return Flow()


def states(flow: Flow) -> dict[str, int]:
    ledger, counts = flow.findings.ledger(TARGET), dict[str, int]()
    for entry in ledger.entries.values():
        counts[ledger.shown(entry).value] = counts.get(ledger.shown(entry).value, 0) + 1
    return counts


def record_of(flow: Flow, scan: Scan) -> ScanRecord:
    found = flow.findings.scan(TARGET, scan.scan_id)
    assert found is not None
    return found


def failure_class(scan: Scan) -> str:
    assert scan.failure is not None
    assert scan.failure.fix == FIXES[scan.failure.failure_class]
    return scan.failure.failure_class


def snapshotted(flow: Flow, scanner: Any, **changed: object) -> Scan:
    """A new scan, its snapshot changed."""
    [scan] = order(flow, scanner)
    assert scan.snapshot is not None
    snapshot: Snapshot = replace(scan.snapshot, **changed)
    flow.store.all_scans[scan.scan_id] = replace(scan, snapshot=snapshot)
    return flow.store.scan(scan.scan_id)


# ---------------------------------------------------------------- other refs


def test_a_scan_of_another_ref_neither_resolves_nor_opens_what_the_default_branch_has(flow: Flow) -> None:
    scanned(flow, "trivy", vulnerability(1), package())
    flow.clock.pass_seconds(DAY)
    after = scanned(flow, "trivy", vulnerability(2), package("left-pad"), ref="v1.2")
    assert (after.target, after.counts) == (f"{TARGET}@v1.2", {"new": 1})
    assert states(flow) == {"new": 1}
    assert [each.name for each in flow.findings.components(TARGET)] == ["lodash"]
    assert [each.name for each in flow.findings.components(after.target)] == ["left-pad"]
    flow.clock.pass_seconds(DAY)
    assert scanned(flow, "trivy", vulnerability(1), package()).counts == {}


# ---------------------------------------------------------------- how a scan ends


def test_a_whole_report_completes_the_scan_and_says_who_looked_at_what(flow: Flow) -> None:
    after = scanned(flow, "trivy", vulnerability(1), vulnerability(2), package())
    assert (after.state, after.counts, after.failure) == (ScanState.COMPLETED, {"new": 2}, None)
    told = record_of(flow, after)
    assert (told.scanner, told.commit, told.items, told.packages) == ("trivy", "c" * 40, 3, 1)
    assert told.tally.services == {"trivy-vulnerability": {"high": 2}}


def test_a_finding_is_read_as_it_was_found(flow: Flow) -> None:
    scanned(flow, "trivy", misconfiguration())
    [found] = flow.findings.findings(TARGET, flow.findings.ledger(TARGET).entries)
    assert (found.account, found.region, found.service) == ("", "global", "trivy-misconfiguration")
    assert (found.repository, found.places[0].line) == ("github.com/acme/shop", 3)
    assert found.text is not None
    assert found.text.remediation == "Add USER to the Dockerfile"


def test_each_scanner_resolves_what_it_looks_for_and_nothing_else(flow: Flow) -> None:
    scanned(flow, "trivy", vulnerability(1))
    scanned(flow, "trufflehog", secret(1), secret(2))
    flow.clock.pass_seconds(DAY)
    after = scanned(flow, "trufflehog", secret(2))
    assert after.counts == {"resolved": 1}
    assert states(flow) == {"open": 2, "resolved": 1}


def test_the_last_finding_of_a_service_is_resolved_as_what_was_planted_still_speaks(flow: Flow) -> None:
    scanned(flow, "trivy", vulnerability(1), misconfiguration())
    flow.clock.pass_seconds(DAY)
    after = scanned(flow, "trivy")
    assert (after.state, after.counts) == (ScanState.COMPLETED, {"resolved": 2})


def test_the_scanners_of_one_run_do_not_overtake_each_other(flow: Flow) -> None:
    trivy, trufflehog = order(flow, "trivy", "trufflehog")
    flow.clock.pass_seconds(60)
    take(flow, trufflehog, [*planted_lines("trufflehog"), secret()])
    after = take(flow, trivy, [*planted_lines("trivy"), vulnerability()])
    assert (after.state, after.counts) == (ScanState.COMPLETED, {"new": 1})
    assert states(flow) == {"new": 2}


def test_what_was_planted_and_is_not_reported_is_an_alarm(
    flow: Flow, capsys: pytest.CaptureFixture[str]
) -> None:
    [scan] = order(flow, "kingfisher")
    after = take(flow, scan, [secret()])
    assert (after.state, failure_class(after)) == (ScanState.UNTRUSTED, "canary_missed")
    [alarm] = logged(capsys, "scan untrusted")
    assert (alarm["target"], alarm["level"]) == (TARGET, "ERROR")


def test_what_the_scanner_cannot_have_seen_is_an_alarm(flow: Flow) -> None:
    after = scanned(flow, "kingfisher", vulnerability())
    assert (after.state, failure_class(after)) == (ScanState.UNTRUSTED, "report_foreign")
    assert states(flow) == {}


@pytest.mark.parametrize(
    ("manifest", "said", "failure"),
    [
        ({"scanner_exit": 137}, "The scanner ended with code 137.", "scanner_killed"),
        ({"scanner_exit": 2}, "The scanner ended with code 2.", "scanner_errors"),
        ({"report_withheld": 3}, "The outlet withheld 3 items that it could not read.", "report_damaged"),
        ({"report_lines": 9}, "The manifest counts 9 items, the report has 5.", "report_damaged"),
        (
            {"database_updated": "2026-03-01T02:00:00Z"},
            "Trivy's database is 75 hours old.",
            "database_stale",
        ),
        (
            {"database_updated": "2026-04-01T02:00:00Z"},
            "Trivy's database is 668 hours ahead of the scan.",
            "database_stale",
        ),
        (
            {"database_updated": "yester\x1bday"},
            "Trivy's database says yester<U+001B>day of its age, which is no time.",
            "database_stale",
        ),
    ],
)
def test_what_the_task_tells_against_its_report_makes_it_partial(
    flow: Flow, manifest: dict[str, Any], said: str, failure: str
) -> None:
    scanned(flow, "trivy", vulnerability(1))
    flow.clock.pass_seconds(60)
    after = scanned(flow, "trivy", vulnerability(2), **manifest)
    assert (after.state, after.reason, failure_class(after)) == (ScanState.PARTIAL, said, failure)
    # Bad news counts, good news does not.
    assert states(flow) == {"open": 1, "new": 1}


def test_no_database_is_partial_and_not_untrusted(flow: Flow) -> None:
    [scan] = order(flow, "trivy")
    lines = [line for line in planted_lines("trivy") if type(line).__name__ != "Vulnerability"]
    after = take(flow, scan, lines, database_updated="")
    assert (after.state, failure_class(after)) == (ScanState.PARTIAL, "database_missing")
    assert after.reason == "Trivy had no database of vulnerabilities."


@pytest.mark.parametrize(
    ("scanner", "updated", "failure"),
    [("trivy", "", "database_missing"), ("trivy", DATABASE, None), ("trufflehog", "", None)],
)
def test_a_scan_that_failed_for_want_of_a_database_says_so(
    flow: Flow, scanner: Any, updated: str, failure: str | None
) -> None:
    """As Trivy does it: it ends with code 1 and leaves an empty file, which is no report."""
    [scan] = order(flow, scanner)
    for attempt in (1, 2):
        told = Manifest(
            scan_id=scan.scan_id,
            attempt=attempt,
            report_uploaded=False,
            reason="the report is empty",
            scanner_exit=1,
            database_updated=updated,
        )
        flow.ingest.handle(flow.announce(scan.scan_id, told, attempt))
    after = flow.store.scan(scan.scan_id)
    assert after.state is ScanState.FAILED
    assert (after.failure and failure_class(after)) == failure
    assert "The task sent no report: the report is empty." in (after.reason or "")


def test_only_trivy_needs_a_database(flow: Flow) -> None:
    assert scanned(flow, "trufflehog", secret()).state is ScanState.COMPLETED


def test_what_a_snapshot_lacks_makes_its_scans_partial_and_is_named(flow: Flow) -> None:
    gaps = [Gap(kind="export-ignored", path=f"tests/{number}\u202e") for number in range(7)]
    scan = snapshotted(flow, "trufflehog", gaps=gaps, gap_counts={"export-ignored": 7, "submodule": 1})
    after = take(flow, scan, planted_lines("trufflehog"))
    assert (after.state, failure_class(after)) == (ScanState.PARTIAL, "snapshot_incomplete")
    named = ", ".join(f"tests/{number}<U+202E>" for number in range(5))
    assert after.reason == (
        "The snapshot lacks files of its commit: 7 left out by export-ignore, 1 in submodules "
        f"({named} and 3 more)."
    )


def test_lines_that_hide_something_are_told_and_take_nothing_from_the_scan(flow: Flow) -> None:
    scan = snapshotted(flow, "trivy", ignores={"trivy": 12, "kingfisher": 3})
    after = take(flow, scan, planted_lines("trivy"))
    assert after.state is ScanState.COMPLETED
    assert record_of(flow, after).notes == ("12 lines of the sources hide what follows from Trivy.",)


def test_a_scan_without_a_snapshot_on_record_is_not_believed(flow: Flow) -> None:
    [scan] = order(flow, "trivy")
    flow.store.all_scans[scan.scan_id] = replace(scan, snapshot=None)
    after = take(flow, flow.store.scan(scan.scan_id), planted_lines("trivy"))
    assert (after.state, after.attempt) == (ScanState.REQUESTED, 2)
    assert after.reason == "The scan has no snapshot on record, so nobody knows what was scanned."
    assert flow.findings.ledger(TARGET).revision == 0


def test_a_scanner_that_ended_badly_and_said_nothing_is_tried_once_more(flow: Flow) -> None:
    [scan] = order(flow, "kingfisher")
    again = take(flow, scan, b"\n", scanner_exit=1)
    assert (again.state, again.attempt) == (ScanState.REQUESTED, 2)


def test_the_same_event_again_changes_nothing(flow: Flow) -> None:
    [scan] = order(flow, "trivy")
    event = upload(flow, scan, [*planted_lines("trivy"), vulnerability(), package()])
    flow.ingest.handle(event)
    before = (flow.store.scan(scan.scan_id), flow.findings.ledger(TARGET), flow.findings.components(TARGET))
    flow.ingest.handle(event)
    assert (
        flow.store.scan(scan.scan_id),
        flow.findings.ledger(TARGET),
        flow.findings.components(TARGET),
    ) == before


# ---------------------------------------------------------------- packages


def names(flow: Flow) -> list[str]:
    return [each.name for each in flow.findings.components(TARGET)]


def test_the_latest_list_of_packages_counts(flow: Flow) -> None:
    scanned(flow, "trivy", package("a"), package("b"))
    scanned(flow, "trufflehog", secret())
    assert names(flow) == ["a", "b"]
    flow.clock.pass_seconds(60)
    scanned(flow, "trivy", package("b"), package("c"))
    assert names(flow) == ["b", "c"]
    flow.clock.pass_seconds(60)
    scanned(flow, "trivy")
    assert names(flow) == []


def test_packages_come_from_partial_scans_that_list_some_and_from_untrusted_ones_never(
    flow: Flow,
) -> None:
    scanned(flow, "trivy", package("a"))
    flow.clock.pass_seconds(60)
    scanned(flow, "trivy", scanner_exit=1)
    assert names(flow) == ["a"]
    flow.clock.pass_seconds(60)
    scanned(flow, "trivy", package("b"), scanner_exit=1)
    assert names(flow) == ["b"]
    flow.clock.pass_seconds(60)
    [scan] = order(flow, "trivy")
    assert take(flow, scan, [package("evil")]).state is ScanState.UNTRUSTED
    assert names(flow) == ["b"]


class Dying:
    """The store, which dies right before or right after a commit."""

    def __init__(self, store: FindingStore) -> None:
        self.store = store
        self.dies = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def commit(self, target: str, before: Any, commit: Commit) -> None:
        if self.dies == "after":
            self.store.commit(target, before, commit)
        if self.dies:
            self.dies = ""
            raise UpstreamError("the function's time is over")
        self.store.commit(target, before, commit)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_death_leaves_one_list_or_the_other(flow: Flow, moment: str) -> None:
    scanned(flow, "trivy", package("a"))
    flow.clock.pass_seconds(DAY)
    dying = Dying(flow.findings)
    stand_in: Any = dying
    flow.findings = stand_in
    [scan] = order(flow, "trivy")
    event = upload(flow, scan, [*planted_lines("trivy"), package("b")])
    dying.dies = moment
    with pytest.raises(UpstreamError):
        flow.ingest.handle(event)
    assert names(flow) == (["a"] if moment == "before" else ["b"])
    flow.ingest.handle(event)
    assert names(flow) == ["b"]
