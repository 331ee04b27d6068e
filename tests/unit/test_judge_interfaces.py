"""What the judge knows of AWS's interfaces is what the installed botocore says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from glovebox.tickets.errors import TicketError
from squid.helpers.aws_interfaces import QUERY, READ_POSTS, REST, TARGET_PREFIXES
from squid.helpers.labels import service_label
from squid.helpers.refusals import REASONS
from squid.helpers.verbs import reads
from squid.unauthenticated_operations import ACTIONS, ROUTES, TARGETS

ROOT = Path(__file__).resolve().parents[2]


def test_the_generated_files_are_what_the_generator_makes() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "aws-operations", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (
        f"run tools/aws-operations and review what changes:\n{done.stdout}{done.stderr}"
    )


def test_the_generator_takes_no_other_argument() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "aws-operations", "--force"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2


def test_the_known_unauthenticated_operations_are_there() -> None:
    assert {
        "awscognitoidentityproviderservice.signup",
        "awscognitoidentityproviderservice.initiateauth",
        "awscognitoidentityservice.getid",
    } <= TARGETS
    assert {"assumerolewithsaml", "assumerolewithwebidentity"} == ACTIONS
    assert ("POST", "/token") in ROUTES


def test_services_are_known_by_their_protocols() -> None:
    assert {"ec2", "iam", "rds", "sns"} <= QUERY
    assert {"lambda", "securityhub", "route53", "email"} <= REST
    assert TARGET_PREFIXES["dynamodb"] == ("DynamoDB_20120810",)
    assert "/findings" in READ_POSTS["securityhub"]
    assert not any("+" in path or "?" in path for paths in READ_POSTS.values() for path in paths)
    assert not {"s3", "sts", ""} & (QUERY | REST | set(TARGET_PREFIXES))


@pytest.mark.parametrize(
    ("host", "label"),
    [
        ("ec2.us-east-1.amazonaws.com", "ec2"),
        ("iam.amazonaws.com", "iam"),
        ("api.ecr.ap-southeast-12.amazonaws.com", "api.ecr"),
        ("s3.dualstack.us-gov-west-1.amazonaws.com", "s3"),
        ("ec2-fips.us-east-1.amazonaws.com", "ec2"),
        ("a.b.s3.us-east-1.amazonaws.com", "a.b.s3"),
        ("s3-us-west-2.amazonaws.com", "s3-us-west-2"),
        ("us-east-1.amazonaws.com", ""),
        ("amazonaws.com", ""),
        (".amazonaws.com", ""),
        ("ec2.us-east-1.amazonaws.com.", ""),
        ("ec2.us-east-1.amazonaws.com.cn", ""),
        ("example.com", ""),
    ],
)
def test_a_host_is_known_by_its_label(host: str, label: str) -> None:
    assert service_label(host) == label


@pytest.mark.parametrize(
    "operation", ["Get", "GetUser", "ListBuckets", "BatchGetItem", "LookupEvents", "Describe2"]
)
def test_reading_operations(operation: str) -> None:
    assert reads(operation)


@pytest.mark.parametrize(
    "operation", ["", "get", "getUser", "Getaway", "PutItem", "GetUser\n", "Get User", "XGet"]
)
def test_other_operations(operation: str) -> None:
    assert not reads(operation)


def test_every_reason_is_documented() -> None:
    text = (ROOT / "docs" / "tickets.md").read_text()
    tickets = {kind.word for kind in TicketError.__subclasses__()}
    assert len(tickets) == 7
    missing = {word for word in tickets | set(REASONS) if f"`{word}`" not in text}
    assert not missing
