"""A run over repositories is closed by what its scans came to, and its people are told once."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from glovebox.findings import recording
from glovebox.findings.life import Coverage
from glovebox.findings.model import GLOBAL, Observation, Severity, Status, identity
from glovebox.registry.model import Team
from glovebox.registry.owners import By, OwnerRule
from glovebox.scans.model import RunState, ScanState
from glovebox.scans.state import Scan, finished
from tests.fakes import no_snapshot
from tests.findings import judgement
from tests.flow import Flow
from tests.registry import repository

SHOP, BANK, LAB = (f"github.com/acme/{name}" for name in ("shop", "bank", "lab"))
COVERAGE = Coverage(regions=frozenset({GLOBAL}))


@pytest.fixture
def flow() -> Flow:
    """Payments owns the shop by CODEOWNERS; the bank has a team of its own; nobody owns the lab."""
    made = Flow(scanners=("trivy",))
    made.targets.put(Team(name="payments"), revision=0)
    made.targets.put(repository("shop", codeowners=("@acme/payments",)), revision=0)
    made.targets.put(repository("bank", team="treasury"), revision=0)
    made.targets.put(repository("lab"), revision=0)
    return made


def ordered(flow: Flow, *ids: str) -> tuple[str, dict[str, Scan]]:
    """A run, and the one scan of each of its repositories."""
    run_id = flow.launch.handle({"repositories": list(ids)}).run_id
    return run_id, {each.repository.repository: each for each in flow.store.scans(run_id) if each.repository}


def found(flow: Flow, scan: Scan, *severities: Severity, state: ScanState = ScanState.COMPLETED) -> None:
    """The scan ends with a finding of each severity, as ingest would end it."""
    observations = [
        Observation(
            id=identity(scan.target, str(number)),
            check="DS-0002",
            service="trivy-misconfiguration",
            region=GLOBAL,
            resource=f"Dockerfile.{number}",
            severity=severity,
            status=Status.FAIL,
        )
        for number, severity in enumerate(severities)
    ]
    at = int(flow.clock().timestamp())
    record = recording.record(
        flow.findings,
        scan.target,
        judgement(*observations),
        scan_id=scan.scan_id,
        at=at,
        coverage=COVERAGE,
        now=at,
    )
    before = flow.store.scan(scan.scan_id)
    reason = None if state is ScanState.COMPLETED else "Not all of it is there."
    ended = finished(before, state=state, now=flow.clock(), reason=reason)
    flow.store.replace(before, replace(ended, counts=dict(record.steps)))


def closed(flow: Flow, run_id: str) -> str:
    """Publish and notify, twice; the mail."""
    for _ in range(2):
        flow.publish.handle(flow.stream(run_id))
        flow.notify.handle(flow.stream(run_id))
    [(_, body)] = flow.topic.messages
    return body


def test_people_are_told_once_what_is_new_by_owner_and_severity(flow: Flow) -> None:
    run_id, scans = ordered(flow, SHOP, BANK, LAB)
    found(flow, scans[SHOP], Severity.CRITICAL, Severity.HIGH)
    found(flow, scans[BANK], Severity.LOW)
    found(flow, scans[LAB], Severity.MEDIUM)
    body = closed(flow, run_id)
    run = flow.store.run(run_id)
    assert (run.state, run.counts, run.files, run.missing) == (RunState.COMPLETED, {"new": 4}, (), ())
    [(subject, _)] = flow.topic.messages
    assert subject == ("Repository scans 2026-03-04: completed, 4 (1 critical, 1 high, 1 medium, 1 low) new")
    assert "3 scans of 3 repositories: 3 completed." in body
    lines = body.splitlines()
    start = lines.index("New and reopened: 4 (1 critical, 1 high, 1 medium, 1 low) new")
    assert lines[start + 1 : start + 7] == [
        "  payments: 2 (1 critical, 1 high) new",
        f"    {SHOP}: 2 (1 critical, 1 high) new",
        "  nobody: 1 (1 medium) new",
        f"    {LAB}: 1 (1 medium) new",
        "  treasury: 1 (1 low) new",
        f"    {BANK}: 1 (1 low) new",
    ]
    assert f"  critical new: DS-0002, Dockerfile.0 ({SHOP})" in lines


def test_scans_that_are_not_whole_are_told_first_with_reason_owner_and_fix(flow: Flow) -> None:
    flow.snapshots.answers = [no_snapshot("access_denied")]  # the bank's, which is the first
    run_id, scans = ordered(flow, SHOP, BANK, LAB)
    found(flow, scans[SHOP], state=ScanState.PARTIAL)
    found(flow, scans[LAB], Severity.HIGH, state=ScanState.UNTRUSTED)
    body = closed(flow, run_id)
    run = flow.store.run(run_id)
    assert (run.state, run.missing, run.missing_count) == (RunState.PARTIAL, (BANK,), 1)
    assert run.untrusted == (scans[LAB].scan_id,)
    titles = ["Not believed (1)", "Failed (1)", "Not whole (1)", "New and reopened"]
    assert [body.index(title) for title in titles] == sorted(body.index(title) for title in titles)
    assert f"{BANK}, treasury, trivy: There is none. See the host. [{scans[BANK].scan_id}]" in body
    assert f"{SHOP}, payments, trivy, {'c' * 12}: Not all of it is there." in body


def test_another_ref_is_told_by_its_name_and_is_its_repositorys_owners(flow: Flow) -> None:
    run_id = flow.launch.handle({"repositories": [SHOP], "ref": "v1.2"}).run_id
    [scan] = flow.store.scans(run_id)
    found(flow, scan, Severity.HIGH, state=ScanState.UNTRUSTED)
    body = closed(flow, run_id)
    assert f"{SHOP}@v1.2, payments, trivy, {'c' * 12}: " in body
    assert f"payments: 1 (1 high) new\n    {SHOP}@v1.2: 1 (1 high) new" in body
    assert f"high new: DS-0002, Dockerfile.0 ({SHOP}@v1.2)" in body


def test_a_run_of_which_no_repository_could_be_had_has_failed(flow: Flow) -> None:
    flow.snapshots.answers = [no_snapshot(), no_snapshot()]
    run_id, _ = ordered(flow, SHOP, BANK)
    closed(flow, run_id)
    assert flow.store.run(run_id).state is RunState.FAILED


def test_a_repository_that_left_the_registry_still_has_an_owner_by_its_name(flow: Flow) -> None:
    flow.targets.put(OwnerRule(by=By.REPOSITORY, value="acme/l*", team="science"), revision=0)
    run_id, scans = ordered(flow, LAB)
    found(flow, scans[LAB], Severity.HIGH)
    flow.targets.remove(repository("lab"), revision=1)
    assert "science: 1 (1 high) new" in closed(flow, run_id)
