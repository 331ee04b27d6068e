"""`glovebox findings` of repositories: chosen, written for others, decided about."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from glovebox.cli.exit_codes import BAD_INPUT, OK
from glovebox.findings.model import State, arguments_of, ref_of, repository_of
from tests.deployment import Command, FakeRemote, commands, connected
from tests.fakes import snapshot_answer
from tests.flow import Flow
from tests.repository_flow import (
    REPOSITORY,
    TARGET,
    misconfiguration,
    package,
    scanned,
    secret,
    vulnerability,
)

OTHER = "github.com/acme/web"


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> FakeRemote:
    """A deployment whose repository has been scanned."""
    made = connected(monkeypatch)
    flow = Flow(findings=made.findings)
    scanned(flow, "trivy", vulnerability(1), misconfiguration(severity="LOW"), package())
    scanned(flow, "trufflehog", secret(2))
    return made


@pytest.fixture
def run(capsysbinary: pytest.CaptureFixture[bytes]) -> Command:
    return commands(capsysbinary)


def test_a_repository_is_chosen_with_the_filters_of_accounts(there: FakeRemote, run: Command) -> None:
    code, out, said = run("findings", "--repository", REPOSITORY)
    assert code == OK
    assert f"{REPOSITORY}  " in out
    assert "3 findings." in said
    found = json.loads(run("findings", "--repository", REPOSITORY, "--format", "json")[1])
    assert [each["target"] for each in found] == [TARGET] * 3
    for arguments, checks in {
        ("--severity", "high"): {"CVE-2026-1", "secret:trufflehog:github-pat"},
        ("--service", "trivy-misconfiguration"): {"DS-0002"},
        ("--check", "CVE-2026-1"): {"CVE-2026-1"},
    }.items():
        _, out, _ = run("findings", *arguments, "--format", "json")
        assert {each["check"] for each in json.loads(out)} == checks
    assert "Never scanned: repo:github.com/acme/web" in run("findings", "--repository", OTHER)[2]


def test_the_findings_of_a_team_are_those_of_its_repositories(there: FakeRemote, run: Command) -> None:
    run("teams", "add", "payments")
    run("targets", "add", REPOSITORY, "--team", "payments")
    run("targets", "add", OTHER)
    assert "3 findings." in run("findings", "--team", "payments")[2]
    assert "0 findings." in run("findings", "--team", "payments", "--repository", OTHER)[2]


@pytest.mark.parametrize("kind", ["sarif", "cyclonedx", "cdx.json"])
def test_formats_of_one_repository(there: FakeRemote, run: Command, tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"shop.{kind}"
    code, out, said = run("findings", "--repository", REPOSITORY, "-o", str(file))
    assert (code, out) == (OK, "")
    made = json.loads(file.read_text())
    if kind == "sarif":
        provenances = [each["versionControlProvenance"][0]["revisionId"] for each in made["runs"]]
        assert provenances == ["c" * 40] * 5
        assert [len(each["results"]) for each in made["runs"]] == [0, 1, 0, 1, 1]
    else:
        assert [each["purl"] for each in made["components"]] == ["pkg:npm/lodash@4.17.4"]
        assert [each["id"] for each in made["vulnerabilities"]] == ["CVE-2026-1"]
    assert "3 findings." in said


def test_code_scanning_is_given_a_run_without_results_for_what_was_scanned_and_chosen(
    there: FakeRemote, run: Command
) -> None:
    asked = ("findings", "--repository", REPOSITORY, "--format", "sarif", "--service", "trivy-secret")
    [only] = json.loads(run(*asked)[1])["runs"]
    assert (only["automationDetails"]["id"], only["results"]) == ("glovebox/trivy-secret/", [])


@pytest.mark.parametrize("kind", ["sarif", "cyclonedx"])
def test_of_what_was_never_scanned_nothing_is_written(
    there: FakeRemote, run: Command, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "shop"
    code, _, said = run("findings", "--repository", OTHER, "--format", kind, "-o", str(file))
    assert code != OK
    assert f"{OTHER} was never scanned. First: glovebox scan repository {OTHER}" in " ".join(said.split())
    assert not file.exists()


@pytest.mark.parametrize(
    "arguments", [("--repository", REPOSITORY, "--repository", OTHER), ("--account", "1" * 12)]
)
def test_formats_of_one_repository_are_refused_for_anything_else(
    there: FakeRemote, run: Command, arguments: tuple[str, ...]
) -> None:
    code, out, said = run("findings", *arguments, "--format", "sarif")
    assert (code, out) == (BAD_INPUT, "")
    assert "of one repository" in said


def test_what_is_no_repository_is_refused(there: FakeRemote, run: Command) -> None:
    assert run("findings", "--repository", "shop")[0] == BAD_INPUT
    assert run("findings", "scans", "Shop/..")[0] == BAD_INPUT


def test_a_finding_of_a_repository_is_accepted_and_withdrawn(there: FakeRemote, run: Command) -> None:
    [key] = [
        key for key, entry in there.findings.ledger(TARGET).entries.items() if entry.service == "trufflehog"
    ]
    until = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%d")
    accepting = ("--reason", "a test's", "--owner", "ana", "--until", until, "--repository", REPOSITORY)
    assert run("findings", "accept", key.hex(), *accepting)[0] == OK
    assert there.findings.ledger(TARGET).entries[key].state is State.ACCEPTED
    assert run("findings", "withdraw", key.hex())[0] == OK
    assert there.findings.ledger(TARGET).entries[key].state is State.OPEN


def test_who_accepts_a_line_with_a_secret_that_is_masked_is_told_so(there: FakeRemote, run: Command) -> None:
    scanned(Flow(findings=there.findings), "trivy", secret(3), ref="v1")
    until = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%d")
    for target, told in ((f"{TARGET}@v1", True), (TARGET, False)):
        services = {"trivy-secret", "trufflehog"}
        entries = there.findings.ledger(target).entries
        [key] = [key for key, entry in entries.items() if entry.service in services]
        said = run("findings", "accept", key.hex(), "--reason", "r", "--owner", "a", "--until", until)[2]
        assert ("this accepts its line" in " ".join(said.split())) == told


@pytest.mark.parametrize("named", [(REPOSITORY,), ("--repository", REPOSITORY)])
def test_the_scans_of_a_repository(there: FakeRemote, run: Command, named: tuple[str, ...]) -> None:
    code, out, _ = run("findings", "scans", *named, "--json")
    assert code == OK
    told = json.loads(out)
    assert [(each["scanner"], each["quality"]) for each in told] == [
        ("trufflehog", "complete"),
        ("trivy", "complete"),
    ]
    assert told[1]["packages"] == 1


def test_notes_of_a_scan_are_shown(
    there: FakeRemote, run: Command, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    flow = Flow(findings=there.findings)
    flow.clock.pass_seconds(3_600)
    flow.snapshots.answers = [snapshot_answer(REPOSITORY, ignores={"kingfisher": 12}) for _ in range(3)]
    scanned(flow, "kingfisher", secret(3))
    capsysbinary.readouterr()
    told = json.loads(run("findings", "scans", REPOSITORY, "--last", "1", "--json")[1])
    assert told[0]["notes"] == ["12 files lie in node_modules, where Kingfisher searches nothing."]
    # A narrow terminal folds the name.
    assert "kingf" in run("findings", "scans", REPOSITORY)[1]


def test_a_repository_that_was_never_scanned(there: FakeRemote, run: Command) -> None:
    assert f"glovebox scan repository {OTHER}" in run("findings", "scans", OTHER)[2]


# ---------------------------------------------------------------- other refs


@pytest.fixture
def at_tag(there: FakeRemote) -> FakeRemote:
    """The same, and a tag of the repository has been scanned."""
    scanned(Flow(findings=there.findings), "trivy", misconfiguration(), ref="v1;2")
    return there


def test_another_ref_has_findings_of_its_own(at_tag: FakeRemote, run: Command) -> None:
    asked = ("findings", "--repository", REPOSITORY, "--ref", "v1;2")
    assert [each["target"] for each in json.loads(run(*asked, "--format", "json")[1])] == [f"{TARGET}@v1;2"]
    assert f"{REPOSITORY}@v1;2  " in run(*asked)[1]
    assert "3 findings." in run("findings", "--repository", REPOSITORY)[2]
    [scan] = json.loads(run("findings", "scans", REPOSITORY, "--ref", "v1;2", "--json")[1])
    assert scan["scanner"] == "trivy"
    made = json.loads(run(*asked, "--format", "sarif")[1])
    assert sum(len(each["results"]) for each in made["runs"]) == 1
    assert made["runs"][0]["versionControlProvenance"][0]["repositoryUri"] == f"https://{REPOSITORY}"
    said = run("findings", "scans", REPOSITORY, "--ref", "v2")[2]
    assert f"glovebox scan repository {REPOSITORY} --ref v2" in said


def test_a_team_owns_and_answers_for_each_ref_of_its_repository(at_tag: FakeRemote, run: Command) -> None:
    run("teams", "add", "payments", "--acceptance-days", "10")
    run("targets", "add", REPOSITORY, "--team", "payments")
    assert (
        "1 findings." in run("findings", "--team", "payments", "--repository", REPOSITORY, "--ref", "v1;2")[2]
    )
    [key] = at_tag.findings.ledger(f"{TARGET}@v1;2").entries
    for days, fine in ((30, False), (5, True)):
        until = (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d")
        accepting = ("--reason", "r", "--owner", "ana", "--until", until, "--repository", REPOSITORY)
        code, _, said = run("findings", "accept", key.hex(), *accepting, "--ref", "v1;2")
        assert (code == OK) == fine, said
    assert run("findings", "withdraw", key.hex(), "--repository", REPOSITORY)[0] != OK
    assert run("findings", "withdraw", key.hex(), "--repository", REPOSITORY, "--ref", "v1;2")[0] == OK


@pytest.mark.parametrize(
    "arguments",
    [
        ("--ref", "v1"),
        ("--account", "1" * 12, "--ref", "v1"),
        ("--repository", REPOSITORY, "--ref", "a b"),
        ("scans", "1" * 12, "--ref", "v1"),
        ("withdraw", "a" * 40, "--ref", "v1"),
    ],
)
def test_a_ref_is_one_of_a_repository(there: FakeRemote, run: Command, arguments: tuple[str, ...]) -> None:
    code, _, said = run("findings", *arguments)
    assert code == BAD_INPUT
    assert "ref" in said


def test_what_waits_at_a_ref_is_told_with_a_command_for_a_shell() -> None:
    assert arguments_of(f"{TARGET}@v1;2@3") == f"{REPOSITORY} --ref 'v1;2@3'"
    assert arguments_of(TARGET) == REPOSITORY
    assert (repository_of(f"{TARGET}@v1;2@3"), ref_of(f"{TARGET}@v1;2@3")) == (REPOSITORY, "v1;2@3")
