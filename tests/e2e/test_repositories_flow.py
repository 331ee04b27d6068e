"""Repositories on the local cloud: order → snapshot → inlet → scanner → outlet → ingest → findings.

The scanners are the stand-ins; tests/e2e/test_real_repositories.py has the real ones.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from glovebox.cli import remote
from glovebox.cli.exit_codes import OK
from glovebox.cli.main import main
from glovebox.findings.model import State
from glovebox.findings.store import chosen
from glovebox.local.agent import remove
from glovebox.local.cloud import LocalCloud
from glovebox.local.connection import FILE
from glovebox.local.progress import View
from glovebox.local.repositories import HOST
from glovebox.local.sample_repositories import (
    CLEAN,
    DOCKERFILE,
    HIDING,
    KEY_FILE,
    LOCK_FILE,
    OWNER,
    PARTLY,
    PLANTED,
    SETTINGS,
    TEAM,
    TERRAFORM,
    repair,
)
from glovebox.registry.model import Disabled
from glovebox.scans.model import ScanState
from glovebox.scans.repositories import target_of
from glovebox.scans.state import Scan
from tests.e2e import leaks
from tests.e2e.conftest import Platform

pytestmark = pytest.mark.e2e

ALL = {f"{HOST}/{OWNER}/{name}" for name in (PLANTED, CLEAN, PARTLY)}
FAULTY = f"{HOST}/{OWNER}/{PLANTED}"


@dataclass(frozen=True)
class First:
    """The first run, and what its containers said."""

    view: View
    logs: Mapping[str, bytes]

    def scan(self, repository: str, scanner: str) -> Scan:
        [scan] = [
            each
            for each in self.view.scans
            if each.repository
            and (each.repository.repository, each.repository.scanner) == (repository, scanner)
        ]
        return scan


def scanned(platform: Platform, *repositories: str) -> View:
    answer = platform.cloud.scan_repositories(*repositories)
    assert not answer.refused
    return platform.completed(answer.run_id)


@pytest.fixture(scope="module")
def first(platform: Platform) -> First:
    agent = platform.cloud.agent
    tasks = platform.folder / "tasks"
    agent.keep = True
    try:
        view = scanned(platform)
        logs = {str(path): path.read_bytes() for path in tasks.glob("*/*.log")}
    finally:
        agent.keep = False
        for folder in tasks.glob("*"):
            remove(folder)
    return First(view, logs)


def found(cloud: LocalCloud, repository: str) -> dict[tuple[str, str], State]:
    """Check and file → the finding's state."""
    target = target_of(repository)
    ids = chosen(cloud.findings.ledger(target), states=State)
    return {(each.check, each.places[0].path): each.state for each in cloud.findings.findings(target, ids)}


def archive(platform: Platform, scan: Scan) -> dict[str, bytes]:
    """What the snapshot of a scan holds."""
    assert scan.snapshot is not None
    bucket = platform.cloud.deployment.output("SnapshotsBucket")
    body = platform.cloud.aws.client("s3").get_object(Bucket=bucket, Key=scan.snapshot.key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as members:
        return {
            each.name.partition("/")[2]: file.read()
            for each in members
            if (file := members.extractfile(each)) is not None
        }


PLANTED_FAULTS = {
    ("CVE-2018-3721", LOCK_FILE),
    ("CVE-2019-10744", LOCK_FILE),
    ("DS-0002", DOCKERFILE),
    ("DS-0013", DOCKERFILE),
    ("AWS-0065", TERRAFORM),
    ("license:GPL-3.0-only", LOCK_FILE),
    ("secret:trivy:private-key", KEY_FILE),
    ("secret:trivy:aws-access-key-id", SETTINGS),
    ("secret:trufflehog:PrivateKey", KEY_FILE),
    ("secret:trufflehog:AWS", SETTINGS),
}
REPAIRED = {
    ("DS-0002", DOCKERFILE),
    ("DS-0013", DOCKERFILE),
    ("secret:trivy:private-key", KEY_FILE),
    ("secret:trufflehog:PrivateKey", KEY_FILE),
}


# ---------------------------------------------------------------- the good case


def test_every_repository_is_scanned_by_every_scanner_at_the_first_attempt(first: First) -> None:
    asked = {
        (each.repository.repository, each.repository.scanner) for each in first.view.scans if each.repository
    }
    assert asked == {(repository, scanner) for repository in ALL for scanner in ("trivy", "trufflehog")}
    assert {scan.attempt for scan in first.view.scans} == {1}
    for scan in first.view.scans:
        assert scan.repository is not None
        whole = scan.repository.repository != f"{HOST}/{OWNER}/{PARTLY}"
        assert scan.state is (ScanState.COMPLETED if whole else ScanState.PARTIAL), scan
    assert (first.view.run.kind, first.view.run.repositories) == ("repository", len(ALL))
    assert not first.view.problems


def test_what_was_planted_is_found_and_no_file_of_the_repository_hides_it(
    platform: Platform, first: First
) -> None:
    assert found(platform.cloud, FAULTY) == dict.fromkeys(PLANTED_FAULTS, State.NEW)
    shown = archive(platform, first.scan(FAULTY, "trivy"))
    assert {name for name in HIDING if name in shown} == set(HIDING), "it would have, being there"


def test_a_repository_without_faults_has_no_findings(platform: Platform, first: First) -> None:
    assert found(platform.cloud, f"{HOST}/{OWNER}/{CLEAN}") == {}
    assert {scan.counts.get("new", 0) for scan in first.view.scans if CLEAN in str(scan.repository)} == {0}


def test_what_an_archive_lacks_makes_its_scans_partial_and_is_named(first: First) -> None:
    scan = first.scan(f"{HOST}/{OWNER}/{PARTLY}", "trivy")
    assert scan.snapshot is not None
    assert scan.snapshot.gap_counts == {"export-ignored": 1, "lfs": 1}
    assert "internal/settings.py" in str(scan.reason)


def test_findings_belong_to_the_team_of_codeowners(platform: Platform, first: First) -> None:
    owner = platform.cloud.registry.owner_of_target(target_of(FAULTY))
    assert owner.team == TEAM
    assert "CODEOWNERS" in owner.because


def test_all_scanners_of_a_run_look_at_one_snapshot(platform: Platform, first: First) -> None:
    taken = [each.snapshot for each in first.view.scans if each.snapshot]
    assert len(taken) == len(first.view.scans)
    assert len({each.key for each in taken}) == len(ALL)


# ---------------------------------------------------------------- secrets


def test_a_planted_secret_is_nowhere_afterwards_but_in_its_snapshot(platform: Platform, first: First) -> None:
    cloud = platform.cloud
    assert cloud.repositories.planted is not None
    snapshot = first.scan(FAULTY, "trivy").snapshot
    assert snapshot is not None
    platform.cleared()
    held = leaks.found_in(
        cloud.aws, platform.folder, cloud.repositories.planted.values, iter(first.logs.items())
    )
    samples = f"{platform.folder / 'repositories'}/"
    # That it is found there shows that the search would find it elsewhere.
    assert {place for place in held if not place.startswith(samples)} == {
        f"s3://{cloud.deployment.output('SnapshotsBucket')}/{snapshot.key}"
    }
    assert len(first.logs) == 3 * len(first.view.scans)


def test_the_tasks_folders_are_gone(platform: Platform, first: First) -> None:
    platform.cleared()


# ---------------------------------------------------------------- afterwards


def test_what_was_repaired_is_resolved_by_the_next_scan_and_nothing_else(
    platform: Platform, first: First
) -> None:
    repair(platform.cloud.repositories.folders[f"{OWNER}/{PLANTED}"])
    view = scanned(platform, FAULTY)
    assert sum((Counter(scan.counts) for scan in view.scans), Counter()) == {"resolved": len(REPAIRED)}
    states = found(platform.cloud, FAULTY)
    assert {each for each, state in states.items() if state is State.RESOLVED} == REPAIRED
    assert set(states) == PLANTED_FAULTS
    before, after = (each.snapshot for each in (first.scan(FAULTY, "trivy"), view.scans[0]))
    assert before is not None
    assert after is not None
    assert before.commit != after.commit


def test_a_repository_that_is_switched_off_or_unknown_is_refused(platform: Platform, first: First) -> None:
    registry = platform.cloud.registry
    clean, unknown = f"{HOST}/{OWNER}/{CLEAN}", f"{HOST}/{OWNER}/unknown"
    registry.change_repository(clean, disabled=Disabled.BY_HAND)
    try:
        answer = platform.cloud.scan_repositories(clean, unknown)
    finally:
        registry.change_repository(clean, disabled=None)
    assert {each.repository for each in answer.refused} == {clean, unknown}
    assert answer.scans == 0


def test_the_command_line_scans_and_shows_in_another_terminal(
    platform: Platform,
    first: First,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    [folder] = [each for each in platform.cloud.aws.authority.parents if (each / FILE).exists()]
    monkeypatch.setattr(remote, "local_runs", lambda: folder.parent)
    monkeypatch.setattr("glovebox.cli.scan.POLL_SECONDS", 0.2)
    clean = f"{HOST}/{OWNER}/{CLEAN}"
    assert main(["scan", "repository", clean, "--wait", "--json", "--local"]) == OK
    scans = json.loads(capsysbinary.readouterr().out)["scans"]
    assert {each["state"] for each in scans} == {"completed"}
    assert main(["findings", "--repository", FAULTY, "--format", "json", "--local"]) == OK
    shown = json.loads(capsysbinary.readouterr().out)
    assert "CVE-2019-10744" in {each["check"] for each in shown}
