"""The function `drill`: starts a task as launch does, judges it once its logs are there, counts the days."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import msgspec
import pytest

from containers.inlet.__main__ import _lay_down, _request
from glovebox.drill.brief import Brief
from glovebox.drill.run import ATTEMPTS, IN_AWS
from glovebox.errors import ConfigurationError, InputError, NotFoundError, RefusedError, UpstreamError
from glovebox.scans.model import Manifest, OutletOrder, handoff_key, manifest_key, report_key
from glovebox.scans.ports import StoredVersion
from glovebox.services.drill import LAST_TRACE, NEVER_DAYS, SITE, Drill, DrillSettings
from glovebox.tickets.errors import TicketError
from glovebox.tickets.keys import KeySet
from tests.fakes import PUBLIC_ADDRESS, FakeClock, FakeHandOff, FakeTasks, FakeTicketKey, FakeUploads
from tests.tickets import SIGNER
from tests.unit.test_drill_in_aws import GATEWAY, TASK, decision, flow, query

SCHEDULED = "2026-03-08T05:00:00Z"
DRILL = "drill-20260308T050000Z"
START = {"start": True, "scheduledTime": SCHEDULED}


@dataclass
class FakeDrills:
    clock: Callable[[], datetime]
    objects: dict[str, bytes] = field(default_factory=dict)
    written: dict[str, datetime] = field(default_factory=dict)

    def put(self, drill_id: str, name: str, body: bytes) -> None:
        self.objects[f"{drill_id}/{name}"] = body
        self.written[name] = self.clock()

    def read(self, drill_id: str, name: str) -> bytes:
        if f"{drill_id}/{name}" not in self.objects:
            raise NotFoundError("not there")
        return self.objects[f"{drill_id}/{name}"]

    def latest(self, name: str) -> datetime | None:
        return self.written.get(name)


@dataclass
class FakeResults:
    objects: dict[str, list[bytes]] = field(default_factory=dict)

    def versions(self, key: str) -> Sequence[StoredVersion]:
        found = self.objects.get(key, [])
        return [StoredVersion(str(number), len(body)) for number, body in enumerate(found)]

    def read(self, key: str, version: StoredVersion) -> AbstractContextManager[Iterator[bytes]]:
        @contextmanager
        def reading() -> Iterator[Iterator[bytes]]:
            yield iter([self.objects[key][int(version.version_id)]])

        return reading()


@dataclass
class FakeLogs:
    groups: dict[str, list[str]] = field(default_factory=dict)

    def lines(self, group: str, began: datetime, ended: datetime, terms: Sequence[str]) -> Iterator[str]:
        assert began < ended
        return (line for line in self.groups.get(group, []) if any(term in line for term in terms))


class FakeTaskAddresses:
    def address(self, task_arn: str) -> str:
        assert task_arn == f"arn:aws:ecs:task/{DRILL}"
        return TASK


class World:
    """A drill's surroundings, in which by default everything holds."""

    def __init__(self) -> None:
        self.clock = FakeClock(datetime.fromisoformat(SCHEDULED).astimezone(UTC))
        self.hand_off, self.tasks, self.results = FakeHandOff(), FakeTasks(), FakeResults()
        self.logs, self.drills = FakeLogs(), FakeDrills(self.clock)
        self.names: Sequence[str] = (PUBLIC_ADDRESS,)
        self.gateways: Sequence[str] = ("10.43.0.10:3129", "10.43.0.26:3129")

    @property
    def drill(self) -> Drill:
        settings = DrillSettings(
            region="us-east-1", own_region="eu-central-1", account="111122223333", bucket="drills",
            foreign_bucket="results", results_bucket="results", gateways=self.gateways, aws_port=3128,
            scan_network=IPv4Network("10.42.0.0/20"), egress_network=IPv4Network("10.43.0.0/26"),
            flow_logs=("scan", "egress"), query_log="queries", ledger="ledger",
        )  # fmt: skip
        return Drill(
            hand_off=self.hand_off, uploads=FakeUploads(), tasks=self.tasks, results=self.results,
            task_addresses=FakeTaskAddresses(), drills=self.drills, logs=self.logs, key=FakeTicketKey(),
            addresses=lambda name: self.names if name == SITE else (), settings=settings, clock=self.clock,
        )  # fmt: skip

    def request(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.hand_off.objects[handoff_key(DRILL, 1, "request.json")])
        return found

    def ran(self) -> None:
        """The task's report and the logs of a box that holds; a quarter of an hour passes."""
        rows, at = [], self.clock().timestamp() + 60
        gateway = self.request()["brief"]["gateway"]
        for number, listed in enumerate(IN_AWS):
            at, port = at + 1, 50_000 + number
            marker = f"gbx{number:012x}"
            kind = "udp" if listed.line == 5 else "tcp"
            row = {
                "line": listed.line,
                "name": listed.name,
                "marker": marker,
                "started": at,
                "ended": at + 0.5,
            }
            rows.append(row | {"sockets": [f"{kind}/{port}"], "said": "no"})
            if not listed.line:
                passed = {"status": 200, "reason": "allowed", "upstream": PUBLIC_ADDRESS}
                self._log("ledger", decision(at=at, port=port, **passed))
            elif listed.line == 5:
                self._log("queries", query(f"{marker}.evil.example", at=at, port=port))
            elif listed.line in (6, 7):
                self._log("scan", flow(srcport=port, start=int(at) + 30, end=int(at) + 30))
            else:
                self._log("ledger", decision(at=at, port=port))
        assert gateway == GATEWAY
        self.uploaded(b"\n".join(msgspec.json.encode(row) for row in rows))
        self.clock.time = datetime.fromtimestamp(at + 900, UTC)

    def _log(self, group: str, line: str) -> None:
        self.logs.groups.setdefault(group, []).append(line)

    def uploaded(self, report: bytes | None, **changed: object) -> None:
        manifest = Manifest(
            scan_id=DRILL, attempt=1, report_uploaded=report is not None, report_bytes=len(report or b""),
            report_sha256=hashlib.sha256(report or b"").hexdigest(),
        )  # fmt: skip
        manifest = msgspec.structs.replace(manifest, **changed)
        self.results.objects[manifest_key(DRILL, 1)] = [msgspec.json.encode(manifest)]
        if report is not None:
            self.results.objects[report_key(DRILL, 1)] = [report]

    def judge(self, key: str = manifest_key(DRILL, 1), bucket: str = "results") -> dict[str, object]:
        body = {"detail": {"bucket": {"name": bucket}, "object": {"key": key, "version-id": "0"}}}
        return self.drill.handle({"Records": [{"messageId": "m1", "body": json.dumps(body)}]})

    @property
    def verdict(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads(self.drills.objects[f"{DRILL}/verdict.json"])
        return found


@pytest.fixture
def world() -> World:
    return World()


def test_a_drill_goes_down_the_way_of_all_scans(world: World, tmp_path: Path) -> None:
    assert world.drill.handle(START) == {"drillId": DRILL}
    [order] = world.tasks.orders
    assert (order.scan_id, order.attempt, order.token) == (DRILL, 1, DRILL)
    assert len(order.started_by) <= 36
    folder = f"handoff/{DRILL}/1"
    assert world.hand_off.objects.keys() == {
        f"{folder}/{name}" for name in ("request.json", "inlet.env", "outlet.env")
    }
    environment = world.hand_off.objects[f"{folder}/outlet.env"].decode().strip()
    forms = msgspec.json.decode(
        base64.b64decode(environment.removeprefix("GLOVEBOX_ORDER=")), type=OutletOrder
    )
    assert forms.report.fields["key"] == report_key(DRILL, 1)
    # What the inlet lays down is what the scanner reads.
    _lay_down(_request(world.hand_off.objects[f"{folder}/request.json"]), tmp_path)
    brief = Brief.of(json.loads((tmp_path / "request.json").read_text("utf-8"))["brief"])
    assert brief == Brief.of(world.request()["brief"])
    assert (brief.gateway, brief.aws_port, brief.site_port) == ("10.43.0.10", 3128, 3129)


def test_the_brief_names_nobody_whom_a_leak_would_trouble(world: World) -> None:
    world.drill.handle(START)
    brief = Brief.of(world.request()["brief"])
    assert (brief.site, brief.origin) == ("example.com", PUBLIC_ADDRESS)
    documentation = [IPv4Network(each) for each in ("192.0.2.0/24", "203.0.113.0/24")]
    for address in (brief.evil, brief.public_resolver):
        assert any(IPv4Network(address).subnet_of(network) for network in documentation)
    assert {brief.bucket, brief.foreign_bucket} == {"drills", "results"}
    for key in (brief.key, brief.own_key):
        assert key.id.endswith("EXAMPLE")


def test_its_good_tickets_are_good_and_its_bad_ones_are_not(world: World) -> None:
    world.drill.handle(START)
    brief, now = Brief.of(world.request()["brief"]), int(world.clock().timestamp())
    keys = KeySet.of([SIGNER.public_key])
    for ticket in (brief.ticket, brief.site_ticket):
        user, _, password = ticket.partition(":")
        claims = keys.verify(user, password, now)
        assert claims.scan.startswith("drill-"), "by which the ledger's alarms know it"
        with pytest.raises(TicketError):
            keys.verify(user, password, now + 3_600)
    for name in ("forged", "forged_kid", "mixed", "expired", "early"):
        user, _, password = brief.bad_tickets[name].partition(":")
        with pytest.raises(TicketError):
            keys.verify(user, password, now)


def test_a_schedule_that_fires_twice_starts_one_drill(world: World) -> None:
    assert world.drill.handle(START) == world.drill.handle(START)
    assert len(world.tasks.orders) == 1


def test_without_a_gateway_nothing_is_started(world: World) -> None:
    world.gateways = ()
    with pytest.raises(ConfigurationError, match="prove nothing"):
        world.drill.handle(START)


@pytest.mark.parametrize("names", [(), ("10.0.0.5",), ("169.254.169.254",)])
def test_a_site_without_a_public_address_stops_the_drill(world: World, names: Sequence[str]) -> None:
    world.names = names
    with pytest.raises((UpstreamError, RefusedError)):
        world.drill.handle(START)
    assert not world.tasks.orders


@pytest.mark.parametrize("event", [{}, {"start": "yes"}, {"start": True, "scheduledTime": "soon"}, None, []])
def test_what_is_no_order_is_refused(world: World, event: object) -> None:
    with pytest.raises(InputError):
        world.drill.handle(event)


def test_a_box_that_holds_gets_a_clean_sheet(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.drill.handle(START)
    world.ran()
    capsys.readouterr()
    assert world.judge() == {"batchItemFailures": []}
    verdict = world.verdict
    assert (verdict["leaked"], verdict["untraced"]) == (0, 0), verdict["verdicts"]
    assert verdict["attempts"] == sum(one.line > 0 for one in IN_AWS)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {"level": "INFO", "message": "drill judged", "drillId": DRILL}
        | {name: verdict[name] for name in ("attempts", "leaked", "untraced")}
    ]
    not_tried = {one["what"] for one in verdict["notTried"]}
    assert {one.name for one in ATTEMPTS if one.lab_only} <= not_tried
    assert not world.hand_off.objects, "its tickets and forms are gone"


def test_a_leak_is_told_at_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.drill.handle(START)
    world.ran()
    at = int(world.clock().timestamp()) - 900
    world.logs.groups["egress"] = [
        flow(srcaddr=GATEWAY, dstaddr="203.0.113.66", action="ACCEPT", start=at, end=at)
    ]
    assert world.judge() == {"batchItemFailures": []}
    assert world.verdict["leaked"] > 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "drill leaked" in {line["message"] for line in said}


def test_a_missing_trace_is_waited_for_and_then_told(world: World) -> None:
    world.drill.handle(START)
    world.ran()
    world.logs.groups["queries"].pop()
    assert world.judge() == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert f"{DRILL}/verdict.json" not in world.drills.objects
    world.clock.pass_seconds(LAST_TRACE.total_seconds())
    assert world.judge() == {"batchItemFailures": []}
    assert (world.verdict["leaked"], world.verdict["untraced"]) == (0, 1)


def test_a_drill_is_judged_once(world: World) -> None:
    world.drill.handle(START)
    world.ran()
    world.judge()
    before = dict(world.drills.objects)
    world.logs.groups.clear()
    assert world.judge() == {"batchItemFailures": []}
    assert world.drills.objects == before


@pytest.mark.parametrize("report", [None, b"{}", b"x" * (300 << 10)])
def test_without_a_report_to_believe_everything_is_untraced(world: World, report: bytes | None) -> None:
    world.drill.handle(START)
    world.ran()
    del world.results.objects[report_key(DRILL, 1)]
    world.uploaded(report)
    world.judge()
    assert world.verdict["trouble"]
    assert world.verdict["untraced"] == len(IN_AWS)


def test_a_report_that_is_not_its_manifests_is_not_believed(world: World) -> None:
    world.drill.handle(START)
    world.ran()
    report = world.results.objects[report_key(DRILL, 1)][0]
    world.uploaded(report, report_sha256="0" * 64)
    world.judge()
    assert "digest" in world.verdict["trouble"]


def test_the_first_upload_counts_and_a_second_one_rings(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.drill.handle(START)
    world.ran()
    world.results.objects[report_key(DRILL, 1)].append(b"{}")
    world.judge()
    assert world.verdict["untraced"] == 0
    assert "second_upload" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "bucket", "error"),
    [
        ("results/20260304T050607Z-0badcafe-0000/1/manifest.json", "results", RefusedError),
        (manifest_key(DRILL, 2), "results", RefusedError),
        (manifest_key(DRILL, 1), "another", InputError),
        (manifest_key("drill-20200101T000000Z", 1), "results", NotFoundError),
    ],
)
def test_objects_of_nobodys_drill_are_refused(
    world: World, key: str, bucket: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        world.judge(key, bucket)


def test_the_days_since_a_verdict_are_counted(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.drill.handle({"check": True}) == {"days": NEVER_DAYS}
    world.drill.handle(START)
    assert world.drill.handle({"check": True}) == {"days": NEVER_DAYS}, "started is not judged"
    world.ran()
    world.judge()
    world.clock.time += timedelta(days=8, minutes=1)
    capsys.readouterr()
    assert world.drill.handle({"check": True}) == {"days": 8}
    assert json.loads(capsys.readouterr().out) == {"level": "INFO", "message": "drill age", "days": 8}
