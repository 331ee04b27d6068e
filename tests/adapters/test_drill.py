"""What the drill reads and keeps, on the emulated services."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from glovebox.adapters import logs as logs_adapter
from glovebox.adapters.aws import client
from glovebox.adapters.ecs import EcsTaskAddresses
from glovebox.adapters.logs import CloudWatchLogs
from glovebox.adapters.s3_drills import S3Drills
from glovebox.adapters.system_names import ipv4_addresses
from glovebox.errors import NotFoundError, UpstreamError

REGION = "eu-central-1"
NOW = datetime(2026, 3, 8, 5, tzinfo=UTC)
SUBNET = {"name": "subnetId", "value": "subnet-0a1b"}
TASK = "arn:aws:ecs:eu-central-1:111122223333:task/cluster/0a1b"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield


@pytest.fixture
def drills() -> S3Drills:
    boto3.client("s3").create_bucket(
        Bucket="drills", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return S3Drills(client("s3"), "drills")


def test_a_drill_is_kept_and_found(drills: S3Drills) -> None:
    assert drills.latest("verdict.json") is None
    drills.put("drill-1", "order.json", b"{}")
    assert drills.read("drill-1", "order.json") == b"{}"
    assert drills.latest("verdict.json") is None
    drills.put("drill-1", "verdict.json", b"{}")
    latest = drills.latest("verdict.json")
    assert latest is not None
    assert latest.tzinfo is not None
    with pytest.raises(NotFoundError):
        drills.read("drill-2", "order.json")


def _log(*messages: str) -> None:
    service = boto3.client("logs")
    service.create_log_group(logGroupName="flows")
    service.create_log_stream(logGroupName="flows", logStreamName="eni")
    moment = int(datetime.now(UTC).timestamp() * 1_000)
    service.put_log_events(
        logGroupName="flows",
        logStreamName="eni",
        logEvents=[{"timestamp": moment, "message": message} for message in messages],
    )


def test_lines_of_a_time_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which lines a pattern fits is the service's to say; the emulator's idea of it is not asked here."""
    _log("10.0.0.1 REJECT", "10.0.0.2 ACCEPT")
    began = datetime.now(UTC) - timedelta(hours=1)
    logs = CloudWatchLogs(client("logs"))
    assert list(logs.lines("flows", began - timedelta(hours=1), began, ("10.0.0.1",))) == []
    found = list(logs.lines("flows", began, began + timedelta(hours=2), ()))
    assert sorted(found) == ["10.0.0.1 REJECT", "10.0.0.2 ACCEPT"]
    monkeypatch.setattr(logs_adapter, "MAX_LINES", 1)
    with pytest.raises(UpstreamError, match="more than"):
        list(logs.lines("flows", began, began + timedelta(hours=2), ()))


def test_lines_are_asked_for_by_any_of_their_terms() -> None:
    service = client("logs")
    expected = {
        "logGroupName": "flows",
        "startTime": int(NOW.timestamp() * 1_000),
        "endTime": int(NOW.timestamp() * 1_000) + 1_000,
        "filterPattern": '?"10.0.0.1" ?"SKIPDATA"',
    }
    with Stubber(service) as stub:
        stub.add_response("filter_log_events", {"events": [{"message": "one"}]}, expected)
        lines = CloudWatchLogs(service).lines(
            "flows", NOW, NOW + timedelta(seconds=1), ("10.0.0.1", "SKIPDATA")
        )
        assert list(lines) == ["one"]


@pytest.mark.parametrize(
    ("details", "address"),
    [
        (
            [{"name": "subnetId", "value": "s"}, {"name": "privateIPv4Address", "value": "10.0.0.1"}],
            "10.0.0.1",
        ),
        ([{"name": "subnetId", "value": "s"}], None),
    ],
)
def test_ecs_says_which_address_a_task_had(details: list[dict[str, str]], address: str | None) -> None:
    service = client("ecs")
    answer = {"tasks": [{"attachments": [{"type": "ElasticNetworkInterface", "details": details}]}]}
    with Stubber(service) as stub:
        stub.add_response("describe_tasks", answer, {"cluster": "cluster", "tasks": [TASK]})
        if address is None:
            with pytest.raises(UpstreamError, match="address"):
                EcsTaskAddresses(service, "cluster").address(TASK)
        else:
            assert EcsTaskAddresses(service, "cluster").address(TASK) == address


def test_the_system_resolves_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ipv4_addresses("127.0.0.1") == ("127.0.0.1",)

    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UpstreamError, match="not known"):
        ipv4_addresses("example.com")
