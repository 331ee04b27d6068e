"""The stand-in for Prowler: its command line, its verdicts over moto, its log and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from glovebox.findings.binding import Binding
from glovebox.findings.canaries import CANARY_ROLE, CHECK
from glovebox.findings.prowler import ProwlerReport
from glovebox.local import stand_in_prowler
from glovebox.local.stand_in_prowler import CHECKS, NAME, main

ACCOUNT, REGION = "123456789012", "us-east-1"
"""The account is moto's own."""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield


def arguments(folder: Path, *more: str) -> list[str]:
    """As our script gives them."""
    mutelist = folder / "mutelist.yaml"
    return [
        "aws", "-M", "json-ocsf", "-F", "report", "-o", str(folder), "-b", "--no-color",
        "--log-level", "WARNING", "--log-file", str(folder / "scanner.log"),
        "--aws-retries-max-attempts", "2", "-w", str(mutelist), "-f", REGION, *more,
    ]  # fmt: skip


def verdicts(folder: Path) -> dict[tuple[str, str], str]:
    items: list[dict[str, Any]] = json.loads((folder / "report.ocsf.json").read_bytes())
    return {(i["metadata"]["event_code"], i["resources"][0]["name"]): i["status_code"] for i in items}


def test_what_is_wrong_fails_and_what_is_right_passes(tmp_path: Path) -> None:
    storage, identities = boto3.client("s3", REGION), boto3.client("iam", REGION)
    keys, network = boto3.client("kms", REGION), boto3.client("ec2", REGION)
    for bucket in ("open", "closed"):
        storage.create_bucket(Bucket=bucket)
    block = {"IgnorePublicAcls": True, "RestrictPublicBuckets": True}
    storage.put_public_access_block(Bucket="closed", PublicAccessBlockConfiguration=block)  # type: ignore[arg-type]  # a part
    storage.put_bucket_versioning(Bucket="closed", VersioningConfiguration={"Status": "Enabled"})
    identities.update_account_password_policy(MinimumPasswordLength=14)
    for user in ("careless", "careful"):
        identities.create_user(UserName=user)
    identities.create_login_profile(UserName="careless", Password="without-a-second-factor")
    identities.create_role(RoleName=CANARY_ROLE, AssumeRolePolicyDocument=json.dumps(TRUST))
    fresh, rotated = (keys.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
    keys.enable_key_rotation(KeyId=rotated)
    group = network.create_security_group(GroupName="open", Description="open")["GroupId"]
    network.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=20, ToPort=25, CidrIp="0.0.0.0/0"
    )
    assert main(arguments(tmp_path, "-z")) == 0
    found = verdicts(tmp_path)
    expected = {
        ("s3_bucket_level_public_access_block", "open"): "FAIL",
        ("s3_bucket_level_public_access_block", "closed"): "PASS",
        ("s3_bucket_object_versioning", "open"): "FAIL",
        ("s3_bucket_object_versioning", "closed"): "PASS",
        ("iam_password_policy_minimum_length_14", ACCOUNT): "PASS",
        ("iam_user_mfa_enabled_console_access", "careless"): "FAIL",
        ("iam_user_mfa_enabled_console_access", "careful"): "PASS",
        (CHECK, CANARY_ROLE): "FAIL",
        ("kms_cmk_rotation_enabled", fresh): "FAIL",
        ("kms_cmk_rotation_enabled", rotated): "PASS",
        ("ec2_securitygroup_allow_ingress_from_internet_to_tcp_port_22", group): "FAIL",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert {check for check, _ in found} == {check.name for check in CHECKS}


def test_its_report_is_read_like_prowlers_and_says_what_it_is(tmp_path: Path) -> None:
    boto3.client("s3", REGION).create_bucket(Bucket="open")
    main(arguments(tmp_path, "-z", "-s", "s3"))
    body = (tmp_path / "report.ocsf.json").read_bytes()
    read = ProwlerReport(Binding(account=ACCOUNT, regions=frozenset({REGION}))).read(body)
    assert (read.troubles, read.refusals.counts, read.services) == ((), {}, {"s3"})
    assert len(read.observations) == 2
    assert {item["metadata"]["product"]["name"] for item in json.loads(body)} == {NAME}


def test_services_and_checks_are_chosen_as_prowler_chooses_them(tmp_path: Path) -> None:
    boto3.client("s3", REGION).create_bucket(Bucket="open")
    main(arguments(tmp_path, "-z", "-e", "s3_bucket_object_versioning", "--excluded-services", "iam", "ec2"))
    assert verdicts(tmp_path) == {("s3_bucket_level_public_access_block", "open"): "FAIL"}


def test_findings_end_with_three_unless_they_are_said_to_be_fine(tmp_path: Path) -> None:
    assert main(arguments(tmp_path)) == 3


@pytest.mark.parametrize("option", ["--shodan", "--fixer", "--send-sh-findings", "-B"])
def test_an_option_that_our_tasks_do_not_give_is_an_error(tmp_path: Path, option: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments(tmp_path, option))
    assert ended.value.code == 2


def test_what_is_denied_is_an_error_in_the_log_and_nothing_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(scope: object) -> Iterator[stand_in_prowler.Verdict]:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListBuckets")
        yield  # A generator, as the checks are.

    check = next(each for each in CHECKS if each.name == "s3_bucket_object_versioning")
    refused = stand_in_prowler.Check(
        check.name, check.severity, check.title, check.description, check.risk, check.remedy, denied
    )
    monkeypatch.setattr(stand_in_prowler, "CHECKS", (refused,))
    assert main(arguments(tmp_path)) == 0
    assert (tmp_path / "report.ocsf.json").read_bytes() == b"[]"
    [line] = (tmp_path / "scanner.log").read_text().splitlines()
    assert json.loads(line)["level"] == "ERROR"
    assert "An error occurred (AccessDenied) when calling the ListBuckets operation" in line
