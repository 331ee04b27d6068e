"""The real Prowler through the real gateway, to a local AWS over TLS: it finds, and goes nowhere else."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient

from glovebox.farm.dns import Answer
from squid.hosts import hosts_of
from tests.conftest import PROWLER
from tests.perimeter.gateway import ACCOUNT, BUCKET, KEY_ID, LIST, SCAN, SECRET, Gateway, aws_claims
from tests.perimeter.gateway import running_gateway as running

pytestmark = pytest.mark.prowler

REGION, CLOSED_REGION = "us-east-1", "us-west-2"
"""The gateway's list holds of the second only what sits there whatever a scan's regions are."""
TOKEN = "the-brokered-session-token"
SECONDS = 300
USER, GOOD_BUCKET = "careless-user", "careful-bucket"
OPEN_GROUP, CLOSED_GROUP = "open-to-the-world", "open-to-us"
ASKS_SHODAN = "ec2_elastic_ip_shodan"
GUESSES_BUCKETS = "s3_bucket_shadow_resource_vulnerability"
"""Asks for buckets by names that AWS's services would give them, and takes every refusal, the gateway's too,
for a bucket of somebody else's: a real scan leaves it out."""
OPTIONS = (
    "-M", "json-ocsf", "-b", "--no-color", "-z", "-F", "report", "--log-level", "WARNING",
    "--aws-retries-max-attempts", "1", "--scan-unused-services", "--excluded-checks", ASKS_SHODAN,
)  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """One run of Prowler, and what others saw of it."""

    code: int
    said: str
    findings: list[dict[str, Any]]
    log: str
    ledger: list[dict[str, Any]]
    arrived: list[dict[str, str]]
    """What got to the local AWS."""
    version: str
    """What `prowler -v` says, which would ask GitHub for a newer one."""
    elsewhere: int
    """The exit code of a run in the closed region."""

    def status(self, check: str, name: str) -> str:
        """Of the one finding of `check` that speaks of `name`."""
        (found,) = (
            finding["status_code"]
            for finding in self.findings
            if finding["metadata"]["event_code"] == check
            and name in json.dumps([finding["status_detail"], finding["resources"][0]["name"]])
        )
        return str(found)

    def refused(self) -> list[dict[str, Any]]:
        return [line for line in self.ledger if line["reason"] not in {"allowed", "-"}]


@contextmanager
def local_aws(address: str, folder: Path, certificates: Path) -> Iterator[str]:
    """Moto in Prowler's environment: gives the address where an account's owner changes things."""
    with socket.socket() as trying:
        trying.bind(("127.0.0.1", 0))
        port = trying.getsockname()[1]
    arguments = [address, certificates / "origin.pem", certificates / "origin.key", port, folder / "arrived"]
    command = [PROWLER.with_name("python"), Path(__file__).with_name("local_aws.py"), *map(str, arguments)]
    with (folder / "aws.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", (folder / "aws.log").read_text()[-2_000:]
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate()


def plant(endpoint: str) -> None:
    """Something bad of each kind, and something good beside it."""

    def owner(service: str) -> BaseClient:
        return boto3.client(  # type: ignore[call-overload]  # the service is a variable
            service,
            region_name=REGION,
            endpoint_url=endpoint,
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
            aws_secret_access_key="unused",
        )

    storage, identities, network = owner("s3"), owner("iam"), owner("ec2")
    for bucket in (BUCKET, GOOD_BUCKET):
        storage.create_bucket(Bucket=bucket)
    storage.put_bucket_acl(Bucket=BUCKET, ACL="public-read")
    identities.create_user(UserName=USER)
    identities.create_login_profile(UserName=USER, Password="without-a-second-factor")
    identities.update_account_password_policy(MinimumPasswordLength=6, RequireNumbers=True)
    home = network.describe_vpcs()["Vpcs"][0]["VpcId"]
    for name, source in {OPEN_GROUP: "0.0.0.0/0", CLOSED_GROUP: "10.0.0.0/8"}.items():
        group = network.create_security_group(GroupName=name, Description=name, VpcId=home)["GroupId"]
        rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": source}]}
        network.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])


def scanners_environment(gateway: Gateway, home: Path) -> dict[str, str]:
    """What a scanner's task has: a ticket, the key that it is pinned to, the gateway's authority."""
    settings = "[default]\ns3 =\n  addressing_style = path\n  us_east_1_regional_endpoint = regional\n"
    (home / "aws").write_text(settings)
    ticket = gateway.signer.sign(aws_claims(buckets=[BUCKET, GOOD_BUCKET]))
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONWARNINGS": "ignore",
        **ticket.environment(f"{gateway.places.gateway}:3128"),
        "AWS_CA_BUNDLE": gateway.authority,
        "REQUESTS_CA_BUNDLE": gateway.authority,
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": TOKEN,
        "AWS_CONFIG_FILE": str(home / "aws"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
        "PROWLER_AWS_PARTITION": "aws",
    }


def prowler(environment: dict[str, str], home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROWLER, *arguments],
        env=environment, cwd=home, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def ran(gateway_image: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("prowler")
    (folder / "mute.yaml").write_text("Mutelist:\n  Accounts: {}\n")
    with running() as gateway:
        address = f"{gateway.places.net}.110"
        gateway.names.default = Answer(addresses=(address,))
        environment = scanners_environment(gateway, folder)
        with local_aws(address, folder, gateway.folder) as endpoint:
            plant(endpoint)
            options = (*OPTIONS, "-w", str(folder / "mute.yaml"), "--log-file", str(folder / "log"))
            done = prowler(
                environment, folder,
                "aws", "--services", "s3", "iam", "ec2", "-f", REGION, "-o", str(folder / "out"), *options,
            )  # fmt: skip
            version = prowler(environment, folder, "-v")
            elsewhere = prowler(environment, folder, "aws", "--services", "s3", "-f", CLOSED_REGION, *options)
        report = folder / "out/report.ocsf.json"
        yield Ran(
            code=done.returncode,
            said=done.stdout + done.stderr,
            findings=json.loads(report.read_bytes()) if report.exists() else [],
            log=(folder / "log").read_text() if (folder / "log").exists() else "",
            ledger=gateway.ledger(),
            arrived=[json.loads(line) for line in (folder / "arrived").read_text().splitlines()],
            version=version.stdout,
            elsewhere=elsewhere.returncode,
        )


def test_prowler_ends_and_finds_what_is_wrong_with_the_bucket(ran: Ran) -> None:
    assert ran.code == 0, ran.said[-3_000:]
    assert ran.status("s3_bucket_public_access", BUCKET) == "FAIL"
    assert ran.status("s3_bucket_public_access", GOOD_BUCKET) == "PASS"


def test_prowler_finds_the_users_and_the_password_policys_faults(ran: Ran) -> None:
    assert ran.status("iam_user_mfa_enabled_console_access", USER) == "FAIL"
    assert ran.status("iam_password_policy_minimum_length_14", ACCOUNT) == "FAIL"
    assert ran.status("iam_password_policy_number", ACCOUNT) == "PASS"


def test_prowler_finds_the_open_security_group(ran: Ran) -> None:
    check = "ec2_securitygroup_allow_ingress_from_internet_to_tcp_port_22"
    assert (ran.status(check, OPEN_GROUP), ran.status(check, CLOSED_GROUP)) == ("FAIL", "PASS")


def allowed_hosts() -> set[str]:
    """The list's, and this account's own name where its settings are kept."""
    own = {f"{ACCOUNT}.s3-control.{region}.amazonaws.com" for region in (REGION, CLOSED_REGION)}
    return {*hosts_of(LIST), *own}


def test_only_allowed_hosts_were_reached_and_the_ledger_has_each_request(ran: Ran) -> None:
    passed = [line for line in ran.ledger if line["reason"] == "allowed"]
    assert {line["host"] for line in passed} <= allowed_hosts()
    assert {line["scan"] for line in passed} == {SCAN}
    requests = sorted((line["host"], line["method"]) for line in passed if line["method"] != "CONNECT")
    assert requests == sorted((each["host"], each["method"]) for each in ran.arrived)
    assert len(requests) > 100


def test_nothing_was_refused_that_the_scan_needs(ran: Ran) -> None:
    """A false denial would make the report incomplete without a word."""
    denied = {(line["host"], line["verdict"]) for line in ran.refused()}
    others = {("api.github.com", "-"), (f"sts.{CLOSED_REGION}.amazonaws.com", "-")}
    assert denied == {(f"s3.{REGION}.amazonaws.com", "foreign_bucket"), *others}
    assert {line["scan"] for line in ran.refused()} == {SCAN}
    assert "ProxyConnectionError" not in ran.log.partition("CRITICAL")[0]


def test_buckets_of_others_are_refused_and_prowler_goes_on(ran: Ran) -> None:
    """What it makes of it is wrong, which is why a real scan leaves this check out."""
    asked = [line["url"] for line in ran.refused() if line["verdict"] == "foreign_bucket"]
    assert len(asked) >= 4
    assert not any(bucket in url for url in asked for bucket in (BUCKET, GOOD_BUCKET))
    wrong = [each for each in ran.findings if each["metadata"]["event_code"] == GUESSES_BUCKETS]
    assert {finding["status_code"] for finding in wrong} == {"FAIL"}


def test_the_question_for_a_newer_version_is_refused_and_prowler_goes_on(ran: Ran) -> None:
    assert ran.version.startswith("Prowler ")
    assert "latest" not in ran.version


def test_a_region_that_is_not_on_the_list_cannot_be_scanned(ran: Ran) -> None:
    assert ran.elsewhere == 1
    closed = {each["host"] for each in ran.arrived if f".{CLOSED_REGION}." in each["host"]}
    assert closed <= {f"{ACCOUNT}.s3-control.{CLOSED_REGION}.amazonaws.com"}


def test_neither_secret_nor_token_is_in_the_ledger(ran: Ran) -> None:
    ledger = json.dumps(ran.ledger)
    assert SECRET not in ledger
    assert TOKEN not in ledger
