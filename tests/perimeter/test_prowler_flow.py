"""The real Prowler as the platform runs it: order, sealed credentials, the lab's box, Squid, findings.

What it finds is compared with a run of the same script by the same audit role, without box and gateway.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from glovebox.findings.canaries import CANARY_ROLE
from glovebox.local.aws import ACCOUNT, LocalAws
from glovebox.local.cloud import CHECKOUT, LocalCloud, Plan, running_cloud
from glovebox.local.engines import ProcessEngine
from glovebox.local.progress import View
from glovebox.local.scanner_tools import Tools
from glovebox.local.target import CARELESS_USER, EXTERNAL_ID, PUBLIC_BUCKET, TARGET
from glovebox.scans.model import ScanState
from tests.conftest import PROWLER
from tests.perimeter.inside import Inside

pytestmark = [pytest.mark.prowler, pytest.mark.lab]

REGION = "us-east-1"
SECONDS = 540
Verdict = tuple[str, str, str, str]


@dataclass(frozen=True)
class Compared:
    """The platform's run, and the one beside it."""

    inside: Inside
    view: View
    report: list[dict[str, Any]]
    direct: list[dict[str, Any]]

    def refused(self) -> set[str]:
        """Hosts that the gateway kept this scan from."""
        of_scan = (
            each for each in self.inside.perimeter.ledger() if each.get("scan") == self.view.scans[0].scan_id
        )
        return {str(each["host"]) for each in of_scan if each["reason"] != "allowed"}


def verdicts(report: list[dict[str, Any]]) -> list[Verdict]:
    return sorted(
        (item["metadata"]["event_code"], item["status_code"], resource["region"], resource["uid"])
        for item in report
        for resource in item["resources"]
    )


def straight(cloud: LocalCloud, folder: Path) -> list[dict[str, Any]]:
    """The task's own script with a session of the audit role, before the emulator."""
    definition = cloud.aws.client("ecs").describe_task_definition(taskDefinition="Glovebox-Scanners-Prowler")
    [scanner] = [
        each for each in definition["taskDefinition"]["containerDefinitions"] if each["name"] == "scanner"
    ]
    keys = session(cloud)
    told = {
        "AWS_ACCESS_KEY_ID": keys.credentials.key_id,
        "AWS_SECRET_ACCESS_KEY": keys.credentials.secret,
        "AWS_SESSION_TOKEN": keys.credentials.token or "",
        "AWS_ENDPOINT_URL": cloud.aws.endpoint,
        "AWS_CA_BUNDLE": str(cloud.aws.authority),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "GLOVEBOX_REGIONS": REGION,
    }
    (folder / "environment").write_text("".join(f"export {name}='{value}'\n" for name, value in told.items()))
    places = {"GLOVEBOX_IN": str(folder), "GLOVEBOX_OUT": str(folder), "TMPDIR": str(folder)}
    path = os.pathsep.join((str(PROWLER.parent), "/usr/bin", "/bin"))
    subprocess.run(
        [*scanner["entryPoint"], *scanner["command"]],
        env={"PATH": path, "PYTHONWARNINGS": "ignore", **places},
        cwd=folder, timeout=SECONDS, check=True,
    )  # fmt: skip
    found: list[dict[str, Any]] = json.loads((folder / "report.ocsf.json").read_bytes())
    return found


def session(cloud: LocalCloud) -> LocalAws:
    """What `redeem` gets for a scan."""
    function = cloud.deployment.output("RedeemFunction")
    variables = cloud.aws.client("lambda").get_function_configuration(FunctionName=function)["Environment"][
        "Variables"
    ]
    role = f"arn:aws:iam::{ACCOUNT}:role/GloveboxRedeem"
    own = cloud.aws.client("sts").assume_role(RoleArn=role, RoleSessionName="redeem")["Credentials"]
    make = type(cloud.aws.credentials)
    redeem = cloud.aws.acting_as(make(own["AccessKeyId"], own["SecretAccessKey"], own["SessionToken"]))
    keys = redeem.client("sts").assume_role(
        RoleArn=variables["AUDIT_ROLE"].replace("${Target}", TARGET),
        RoleSessionName="straight",
        SourceIdentity="20260101T000000Z-01234567-0000",
        ExternalId=EXTERNAL_ID,
        Policy=variables["SESSION_POLICY"].replace("${Target}", TARGET),
        PolicyArns=[{"arn": arn} for arn in variables["SESSION_MANAGED_POLICIES"].split(",")],
    )["Credentials"]
    return cloud.aws.acting_as(make(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]))


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared]:
    folder = tmp_path_factory.mktemp("real")
    tools = Tools(frozenset({"prowler"}))
    plan = Plan(
        folder=folder / "cloud",
        engine=ProcessEngine(CHECKOUT, tools=tools),
        perimeter=True,
        tools=tools,
        traits=("good",),
    )
    with running_cloud(plan) as cloud:
        assert cloud.perimeter is not None
        inside = Inside(cloud, cloud.perimeter, folder, {})
        view = inside.completed(cloud.scan_accounts().run_id, seconds=SECONDS)
        key = view.scans[0].report_key
        assert key is not None, view.scans
        bucket = cloud.deployment.output("ResultsBucket")
        report = json.loads(cloud.aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
        beside = folder / "straight"
        beside.mkdir()
        yield Compared(inside, view, report, straight(cloud, beside))


def test_each_verdict_is_that_of_a_run_without_box_and_gateway(compared: Compared) -> None:
    through, direct = verdicts(compared.report), verdicts(compared.direct)
    assert through == direct
    assert len(through) > 100


def test_what_was_planted_is_found(compared: Compared) -> None:
    failed = {
        (check, resource) for check, status, _, resource in verdicts(compared.report) if status == "FAIL"
    }
    assert ("s3_bucket_public_access", f"arn:aws:s3:::{PUBLIC_BUCKET}") in failed
    assert ("iam_user_mfa_enabled_console_access", f"arn:aws:iam::{TARGET}:user/{CARELESS_USER}") in failed
    assert any(CANARY_ROLE in resource for _, resource in failed)


def test_the_scan_is_partial_because_of_what_the_emulator_does_not_know_and_is_believed(
    compared: Compared,
) -> None:
    [scan] = compared.view.scans
    assert (scan.state, scan.attempt) == (ScanState.PARTIAL, 1)
    assert "log has errors" in str(scan.reason)
    assert scan.failure is not None
    assert scan.failure.failure_class == "scanner_errors"
    assert scan.counts["new"] > 50


def test_the_gateway_refuses_nothing_of_the_regions_that_are_scanned(compared: Compared) -> None:
    """A false denial would make the report incomplete.  For Route 53 it asks EC2 in all regions."""
    others = {host for host in compared.refused() if not (host.startswith("ec2.") and REGION not in host)}
    assert others == set()
