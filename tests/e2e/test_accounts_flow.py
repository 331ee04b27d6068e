"""Accounts on the local cloud: order → claim → sealed credentials → scanner → upload → findings."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from glovebox.cli import remote
from glovebox.cli.exit_codes import OK
from glovebox.cli.main import main
from glovebox.findings.canaries import CANARY_ROLE
from glovebox.findings.canaries import CHECK as CANARY_CHECK
from glovebox.findings.model import State
from glovebox.findings.store import chosen
from glovebox.local.aws import ACCOUNT as SCANNING
from glovebox.local.connection import FILE
from glovebox.local.progress import View
from glovebox.local.stand_in_prowler import CHECKS, NAME
from glovebox.local.target import CARELESS_USER, EXTERNAL_ID, PUBLIC_BUCKET, TARGET
from glovebox.scans.model import RunState, ScanState
from tests.e2e.conftest import Platform

pytestmark = pytest.mark.e2e

HELD_OF = f"aws:{TARGET}"
ROLE = f"arn:aws:iam::{TARGET}:role/GloveboxAudit"
Items = dict[str, dict[str, object]]


def scanned(platform: Platform) -> View:
    return platform.completed(platform.cloud.scan_accounts().run_id)


@pytest.fixture(scope="module")
def first(platform: Platform) -> View:
    return scanned(platform)


def found(platform: Platform) -> dict[tuple[str, str], State]:
    """Check and resource → the finding's state."""
    store = platform.cloud.findings
    ids = chosen(store.ledger(HELD_OF), states=State)
    return {(each.check, each.name): each.state for each in store.findings(HELD_OF, ids)}


def items(platform: Platform) -> Items:
    """What stands in the table of the account, but for its scans and the head that names the latest."""
    table = platform.cloud.deployment.output("FindingsTable")
    pages = platform.cloud.aws.client("dynamodb").get_paginator("query").paginate(
        TableName=table,
        KeyConditionExpression="#target = :target",
        ExpressionAttributeNames={"#target": "target"},
        ExpressionAttributeValues={":target": {"S": HELD_OF}},
    )  # fmt: skip
    every: Items = {str(item["item"]["S"]): {**item} for page in pages for item in page["Items"]}
    return {name: item for name, item in every.items() if not name.startswith(("scan#", "ledger#head"))}


# ---------------------------------------------------------------- the good case


def test_the_scan_is_complete_at_its_first_attempt(first: View) -> None:
    [scan] = first.scans
    assert (scan.state, scan.attempt, scan.reason) == (ScanState.COMPLETED, 1, None)
    assert scan.account is not None
    assert scan.account.account == TARGET
    assert (first.run.state, first.run.accounts, first.run.missing) == (RunState.COMPLETED, 1, ())
    assert not first.problems


def test_what_was_planted_is_found_and_what_is_right_beside_it_is_not(
    platform: Platform, first: View
) -> None:
    assert first.scans[0].counts == {"new": 6}
    states = found(platform)
    assert len(states) == 6
    assert states["s3_bucket_level_public_access_block", PUBLIC_BUCKET] is State.NEW
    assert ("iam_user_mfa_enabled_console_access", CARELESS_USER) in states
    # The key and the security group have names that the emulator gave them.
    assert {check for check, _ in states} == {check.name for check in CHECKS} - {CANARY_CHECK}


def test_the_canary_is_in_the_report_and_is_no_finding(platform: Platform, first: View) -> None:
    [scan] = first.scans
    bucket = platform.cloud.deployment.output("ResultsBucket")
    assert scan.report_key is not None
    body = platform.cloud.aws.client("s3").get_object(Bucket=bucket, Key=scan.report_key)["Body"].read()
    report = json.loads(body)
    named = [item for item in report if CANARY_ROLE in json.dumps(item["resources"])]
    assert [(each["metadata"]["event_code"], each["status_code"]) for each in named] == [
        (CANARY_CHECK, "FAIL")
    ]
    assert {item["metadata"]["product"]["name"] for item in report} == {NAME}
    assert not any("data" in resource for item in report for resource in item["resources"])
    assert CANARY_ROLE not in {name for _, name in found(platform)}


@pytest.mark.usefixtures("first")
def test_a_second_scan_writes_nothing_but_itself(platform: Platform) -> None:
    before = items(platform)
    view = scanned(platform)
    assert view.scans[0].state is ScanState.COMPLETED
    assert view.scans[0].counts == {}
    assert items(platform) == before


@pytest.mark.usefixtures("first")
def test_a_fault_that_was_repaired_is_resolved_and_one_that_is_back_is_reopened(platform: Platform) -> None:
    finding = ("s3_bucket_level_public_access_block", PUBLIC_BUCKET)
    target = platform.cloud.target
    target.repair_bucket()
    try:
        assert scanned(platform).scans[0].counts == {"resolved": 1}
        assert found(platform)[finding] is State.RESOLVED
    finally:
        target.open_bucket()
    assert scanned(platform).scans[0].counts == {"reopened": 1}
    assert found(platform)[finding] is State.REOPENED


@pytest.mark.usefixtures("first")
def test_the_command_line_scans_and_shows_in_another_terminal(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    [folder] = [each for each in platform.cloud.aws.authority.parents if (each / FILE).exists()]
    monkeypatch.setattr(remote, "local_runs", lambda: folder.parent)
    monkeypatch.setattr("glovebox.cli.scan.POLL_SECONDS", 0.2)
    assert main(["scan", "account", TARGET, "--wait", "--json", "--local"]) == OK
    [scan] = json.loads(capsysbinary.readouterr().out)["scans"]
    assert (scan["state"], scan["account"]) == ("completed", TARGET)
    arguments = ["findings", "--account", TARGET, "--severity", "high", "--format", "json", "--local"]
    assert main(arguments) == OK
    shown = json.loads(capsysbinary.readouterr().out)
    assert PUBLIC_BUCKET in {each["resource"].rpartition(":")[2] for each in shown}


# ---------------------------------------------------------------- what goes wrong

DIES_ONCE = """
import base64, json, os, runpy, signal
order = json.loads(base64.b64decode(os.environ["GLOVEBOX_ORDER"]))
if order["attempt"] == 1:
    os.kill(os.getpid(), signal.SIGKILL)
runpy.run_module("containers.outlet", run_name="__main__")
"""


@pytest.mark.usefixtures("first")
def test_a_task_that_is_killed_is_started_once_more_with_a_claim_of_its_own(
    platform: Platform, tmp_path: Path
) -> None:
    outlet = tmp_path / "outlet.py"
    outlet.write_text(DIES_ONCE)
    platform.commands["outlet"] = (sys.executable, str(outlet))
    try:
        view = scanned(platform)
    finally:
        platform.commands.clear()
    [scan] = view.scans
    assert (scan.state, scan.attempt) == (ScanState.COMPLETED, 2)
    bucket = platform.cloud.deployment.output("ClaimsBucket")
    listed = platform.cloud.aws.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"claims/{scan.scan_id}")
    assert [each["Key"].split("/")[2] for each in listed["Contents"]] == ["1", "2"]


SAYS_NOTHING = (
    "import os, pathlib; pathlib.Path(os.environ['GLOVEBOX_OUT'], 'exit.json').write_text('{\"exit\":0}')"
)


@pytest.mark.usefixtures("first")
def test_a_scanner_that_says_nothing_resolves_nothing(platform: Platform) -> None:
    before = found(platform)
    platform.commands["prowler"] = (sys.executable, "-c", SAYS_NOTHING)
    try:
        scan = platform.tried_again(platform.cloud.scan_accounts().run_id)
    finally:
        platform.commands.clear()
    assert "no report" in str(scan.reason)
    assert found(platform) == before


# ---------------------------------------------------------------- who gets in


def assuming(platform: Platform, who: Callable[[], str], external_id: str) -> str:
    """What the emulator says to a role's session, or to a root, that asks for the audit role."""
    aws = platform.cloud.aws
    role = who()
    caller = aws
    if role:
        keys = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        caller = aws.acting_as(
            type(aws.credentials)(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        )
    try:
        caller.client("sts").assume_role(
            RoleArn=ROLE, RoleSessionName="20260101T000000Z-01234567-0000-1", ExternalId=external_id
        )
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "let in"


@pytest.mark.parametrize(
    ("role", "external_id", "answer"),
    [
        pytest.param("GloveboxRedeem", EXTERNAL_ID, "let in", id="redeem"),
        pytest.param("GloveboxRedeem", "another-external-id", "AccessDenied", id="another ExternalId"),
        pytest.param("Launch", EXTERNAL_ID, "AccessDenied", id="launch"),
        pytest.param("", EXTERNAL_ID, "AccessDenied", id="the scanning account's root"),
    ],
)
def test_the_audit_role_lets_redeem_in_and_nobody_else(
    platform: Platform, role: str, external_id: str, answer: str
) -> None:
    def arn() -> str:
        if role != "Launch":
            return f"arn:aws:iam::{SCANNING}:role/{role}" if role else ""
        function = platform.cloud.deployment.output("LaunchFunction")
        return platform.cloud.aws.client("lambda").get_function_configuration(FunctionName=function)["Role"]

    assert assuming(platform, arn, external_id) == answer
