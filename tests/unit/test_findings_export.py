"""Findings leave in forms that others read, and no text in them becomes more than text."""

from __future__ import annotations

import csv
import json
from functools import cache
from typing import Any, Final

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from glovebox.findings import export
from glovebox.findings.model import Acceptance, CheckText, Finding, Place, Severity, State
from glovebox.findings.prowler import ProwlerReport
from tests.findings import START, TARGET
from tests.prowler import ACCOUNT, BINDING, REGION, bucket

TEXT = CheckText(
    check="s3_bucket_public_access",
    title="Bucket is not public",
    description="Buckets that everybody may read.",
    risk="Anybody reads it.",
    remediation="Block public access.",
    references=("https://docs.example.com/s3",),
    compliance={"CIS-3.0": ("2.1.4",)},
)
FINDING = Finding(
    target=TARGET,
    id="ab" * 20,
    check="s3_bucket_public_access",
    service="s3",
    account=ACCOUNT,
    region=REGION,
    resource=bucket(1),
    name="bucket-1",
    type="AwsS3Bucket",
    severity=Severity.HIGH,
    detail="The bucket is public.",
    state=State.NEW,
    since=START,
    first_seen=START,
    scan_id="20261122T000000Z-00000000-0000",
    text=TEXT,
)


def rows(*findings: Finding) -> list[dict[str, str]]:
    return list(csv.DictReader("".join(export.csv_lines(findings)).splitlines(keepends=True)))


def test_ocsf_is_a_detection_finding_with_ours_under_unmapped() -> None:
    [found] = json.loads(b"".join(export.ocsf([FINDING])))
    assert (found["class_uid"], found["type_uid"], found["metadata"]["version"]) == (2004, 200401, "1.5.0")
    assert (found["severity_id"], found["severity"], found["status_id"]) == (4, "High", 1)
    assert found["finding_info"]["uid"] == FINDING.id
    assert found["unmapped"]["glovebox"] == {
        "target": TARGET,
        "state": "new",
        "since": "2026-11-18T11:06:40Z",
        "scan": FINDING.scan_id,
    }


BROKEN: Final[tuple[dict[str, object], ...]] = (
    {"severity_id": "high"},
    {"severity_id": 77},
    {"finding_info": {}},
    {"glovebox": 1},
)


@cache
def schema(*profiles: str) -> Any:
    """OCSF's own of a Detection Finding."""
    of_ocsf = OcsfJsonSchemaEmbedded(get_ocsf_schema(export.OCSF_VERSION))
    return jsonschema_rs.validator_for(of_ocsf.get_class_schema("detection_finding", profiles=list(profiles)))


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("severity", list(Severity))
def test_what_we_export_is_valid_by_the_schema_of_ocsf(state: State, severity: Severity) -> None:
    acceptance = Acceptance(reason="r", owner="web", until=START + 1)
    of_account = replace(FINDING, state=state, severity=severity, acceptance=acceptance)
    of_repository = replace(
        of_account,
        target="repo:github.com/acme/shop@v1.2",
        account="",
        service="trivy-secret",
        check="secret:trivy:github-pat",
        places=(Place("src/settings.py", 3),),
        text=None,
    )
    for finding, profiles in ((of_account, ("cloud", "datetime")), (of_repository, ("datetime",))):
        made = json.loads(msgspec.json.encode(export.to_ocsf(finding)))
        schema(*profiles).validate(made)
        assert made["metadata"]["profiles"] == list(profiles)
        for broken in BROKEN:
            assert not schema(*profiles).is_valid({**made, **broken}), broken
    assert made["resources"][0]["data"]["ref"] == "v1.2"


def test_what_we_export_as_ocsf_we_can_read() -> None:
    report = ProwlerReport(BINDING).read(
        b"".join(export.ocsf([FINDING, replace(FINDING, resource=bucket(2))]))
    )
    assert report.troubles == ()
    first, second = report.observations.values()
    assert (first.check, first.resource, first.detail) == (FINDING.check, bucket(1), FINDING.detail)
    assert second.resource == bucket(2)
    assert report.checks == {FINDING.check: TEXT}


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [
        (State.NEW, "New", "FAIL"),
        (State.OPEN, "In Progress", "FAIL"),
        (State.REOPENED, "In Progress", "FAIL"),
        (State.ACCEPTED, "Suppressed", "FAIL"),
        (State.RESOLVED, "Resolved", "PASS"),
    ],
)
def test_states_in_words_of_ocsf(state: State, status: str, code: str) -> None:
    found: Any = export.to_ocsf(replace(FINDING, state=state))
    assert (found["status"], found["status_code"]) == (status, code)
    assert found["type_uid"] == 200_400 + found["activity_id"]


def test_an_acceptance_is_told() -> None:
    accepted = Acceptance(reason="A public site.", owner="web", until=START + 86_400)
    finding = replace(FINDING, state=State.ACCEPTED, acceptance=accepted)
    found: Any = export.to_ocsf(finding)
    until = "2026-11-19T11:06:40Z"
    assert found["unmapped"]["glovebox"]["acceptance"] == {
        "reason": "A public site.",
        "owner": "web",
        "until": until,
    }
    [row] = rows(finding)
    assert (row["acceptedBy"], row["acceptedUntil"], row["acceptanceReason"]) == (
        "web",
        until,
        "A public site.",
    )


def test_no_findings_are_an_empty_array_and_a_header() -> None:
    assert json.loads(b"".join(export.ocsf([]))) == []
    assert list(export.csv_lines([])) == [",".join(export.COLUMNS) + "\r\n"]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_no_cell_begins_like_a_formula(text: str) -> None:
    [row] = rows(replace(FINDING, detail=text, name=text, text=replace(TEXT, title=text)))
    for cell in (row["detail"], row["name"], row["title"]):
        assert cell.lstrip("'") == text.lstrip("'") or cell == text
        assert not cell.lstrip(" ").startswith(("=", "+", "-", "@"))


def test_json_lines_hold_all_that_is_kept() -> None:
    [line] = export.json_lines([FINDING])
    found = json.loads(line)
    assert (found["id"], found["text"]["title"], found["firstSeen"]) == (FINDING.id, TEXT.title, START)


def test_rows_of_a_table() -> None:
    [row] = export.table_rows([FINDING])
    assert dict(zip(export.TABLE_COLUMNS, row, strict=True)) == {
        "state": "new",
        "severity": "high",
        "check": FINDING.check,
        "region": REGION,
        "resource": bucket(1),
        "since": "2026-11-18T11:06:40Z",
    }


def test_a_finding_without_its_checks_text_is_exported_all_the_same() -> None:
    bare = replace(FINDING, text=None)
    found: Any = export.to_ocsf(bare)
    assert found["finding_info"]["title"] == bare.check
    assert rows(bare)[0]["title"] == ""
