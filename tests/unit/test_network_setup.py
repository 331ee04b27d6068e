"""The function that sets networks up while they are deployed, against moto's EC2."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import pytest
from moto import mock_aws

from glovebox_constructs import network_setup_code as code

REGION = "eu-central-1"


class Resolver:
    """Moto knows no DNS Firewall."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []

    def update_firewall_config(self, **asked: str) -> None:
        self.asked.append(asked)


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield boto3.client("ec2", region_name=REGION)


def _network(ec2: Any) -> dict[str, Any]:
    vpc = ec2.create_vpc(CidrBlock="10.42.0.0/20")["Vpc"]["VpcId"]
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    [group] = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    return {"Vpc": vpc, "DefaultGroup": group["GroupId"], "PrefixLists": {}}


def _rules(ec2: Any, group: str) -> list[Any]:
    found: list[Any] = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])[
        "SecurityGroupRules"
    ]
    return found


def test_a_default_group_is_closed_and_stays_closed(ec2: Any) -> None:
    network = _network(ec2)
    assert _rules(ec2, network["DefaultGroup"])
    for _ in range(2):
        code.set_up(network, ec2, Resolver())
        assert _rules(ec2, network["DefaultGroup"]) == []


def test_the_dns_firewall_is_told_to_fail_closed(ec2: Any) -> None:
    network, resolver = _network(ec2), Resolver()
    code.set_up(network, ec2, resolver)
    assert resolver.asked == [{"ResourceId": network["Vpc"], "FirewallFailOpen": "DISABLED"}]


def test_prefix_lists_are_looked_up_by_name(ec2: Any) -> None:
    network = _network(ec2) | {"PrefixLists": {"S3": f"com.amazonaws.{REGION}.s3"}}
    told = code.set_up(network, ec2, Resolver())
    assert told["S3"].startswith("pl-")
    with pytest.raises(ValueError, match="not enough values"):
        code.prefix_list(ec2, "com.amazonaws.nowhere.s3")


@pytest.fixture
def cloudformation() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Where a custom resource sends its answer."""
    answers: list[dict[str, Any]] = []

    class Answers(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", answers
    server.shutdown()
    thread.join()
    server.server_close()


def _event(kind: str, url: str, network: dict[str, Any]) -> dict[str, Any]:
    names = {"StackId": "s", "RequestId": "r", "LogicalResourceId": "l", "ResponseURL": url}
    return {"RequestType": kind, "ResourceProperties": network, **names}


def test_a_failure_is_told_instead_of_letting_the_deployment_wait(
    monkeypatch: pytest.MonkeyPatch, ec2: Any, cloudformation: tuple[str, list[dict[str, Any]]]
) -> None:
    url, answers = cloudformation
    monkeypatch.setattr(code.boto3, "client", lambda service: ec2 if service == "ec2" else Resolver())
    code.handle(_event("Create", url, _network(ec2) | {"PrefixLists": {"S3": "nothing"}}), None)
    code.handle(_event("Create", url, _network(ec2)), None)
    assert [each["Status"] for each in answers] == ["FAILED", "SUCCESS"]
    assert "not enough values" in answers[0]["Reason"]
    assert answers[1]["LogicalResourceId"] == "l"


def test_taking_a_network_away_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, ec2: Any, cloudformation: tuple[str, list[dict[str, Any]]]
) -> None:
    url, answers = cloudformation
    resolver, network = Resolver(), _network(ec2)
    monkeypatch.setattr(code.boto3, "client", lambda service: ec2 if service == "ec2" else resolver)
    code.handle(_event("Delete", url, network), None)
    assert [each["Status"] for each in answers] == ["SUCCESS"]
    assert resolver.asked == []
    assert _rules(ec2, network["DefaultGroup"])
