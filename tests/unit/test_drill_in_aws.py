"""The judge of the drill in AWS: lines as AWS documents them in, verdicts out; and it misses no leak."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Network

import msgspec
import pytest

from glovebox.drill.flow_log import FIELDS, FORMAT, LostRecordsError, read_flow
from glovebox.drill.in_aws import LOGS, OUTSIDE, Evidence, Judgement, Place, judged
from glovebox.drill.judge import Verdict
from glovebox.drill.report import Row, read_report
from glovebox.drill.run import ATTEMPTS, CONTROLS, IN_AWS
from glovebox.drill.scanner import Listed
from glovebox.errors import InputError, RejectedReportError

TASK, GATEWAY, EVIL = "10.42.0.37", "10.43.0.10", "203.0.113.66"
PLACE = Place(scanner=TASK, gateway=GATEWAY, ports=(3128, 3129), network=IPv4Network("10.42.0.0/20"))
BEGAN = 1_772_600_000.0
SLOT = 200
"""Seconds between attempts in these tests, so that one's traces are nobody else's."""
TIGHT = 1


def flow(**changed: str | int) -> str:
    """A record of the task's interface, refused by its security group."""
    fields: dict[str, str | int] = {
        "version": 5, "account-id": "111122223333", "interface-id": "eni-0a1b2c3d4e5f60718",
        "srcaddr": TASK, "dstaddr": EVIL, "srcport": 49152, "dstport": 443, "protocol": 6,
        "packets": 3, "bytes": 180, "start": int(BEGAN), "end": int(BEGAN) + 1, "action": "REJECT",
        "log-status": "OK", "pkt-dst-aws-service": "-", "flow-direction": "egress", "traffic-path": "-",
    }  # fmt: skip
    fields.update({name.replace("_", "-"): value for name, value in changed.items()})
    return " ".join(str(fields[name]) for name in FIELDS)


def query(name: str, *, at: float, port: int, **changed: object) -> str:
    line: dict[str, object] = {
        "version": "1.100000", "account_id": "111122223333", "region": "eu-central-1",
        "vpc_id": "vpc-0a1b2c3d4e5f60718",
        "query_timestamp": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "query_name": f"{name}.", "query_type": "TXT", "query_class": "IN", "rcode": "NXDOMAIN",
        "answers": [], "srcaddr": TASK, "srcport": str(port), "transport": "UDP",
        "srcids": {"instance": "i-0a1b2c3d4e5f60718"},
        "firewall_rule_action": "BLOCK", "firewall_rule_group_id": "rslvr-frg-0a1b",
        "firewall_domain_list_id": "rslvr-fdl-0a1b",
    }  # fmt: skip
    line.update(changed)
    return json.dumps({name: value for name, value in line.items() if value is not None})


def decision(*, at: float, port: int, **changed: object) -> str:
    line: dict[str, object] = {
        "time": at, "status": 407, "ms": 0, "received": 610, "sent": 580, "client": TASK,
        "client_port": str(port), "listener": "3128", "scan": "drill-x", "reason": "name", "verdict": "-",
        "tripwire": "-", "method": "CONNECT", "host": "x.evil.example", "port": "443",
        "url": "x.evil.example:443", "target": "-", "agent": "-", "upstream": "-", "squid": "TCP_DENIED",
        "error": "-",
    }  # fmt: skip
    return json.dumps(line | changed, separators=(",", ":"))


def listed(line: int, name: str, *, may_lack: bool = False) -> Listed:
    return Listed(line, name, lambda _: "", may_lack=may_lack)


CONTROL = listed(0, "a tunnel to a site")
BY_FLOW, BY_QUERY, BY_LEDGER = listed(6, "by flow"), listed(5, "by query"), listed(1, "by ledger")
LACKED = listed(6, "lacked", may_lack=True)
TRIED = (BY_FLOW, BY_QUERY, BY_LEDGER)


@dataclass
class Drill:
    """A drill in which all went well; tests change what the logs say."""

    slot: int = SLOT
    flows: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    ledger: list[str] = field(default_factory=list)
    attempts: Sequence[Listed] = TRIED
    changed: dict[str, dict[str, object]] = field(default_factory=dict)

    def row(self, number: int, one: Listed) -> Row:
        row = Row(
            line=one.line,
            name=one.name,
            marker=f"gbx{number:012x}",
            started=self.at(number),
            ended=self.at(number) + 0.5,
            sockets=[f"{'udp' if one is BY_QUERY else 'tcp'}/{50_000 + number}"],
        )
        return msgspec.structs.replace(row, **self.changed.get(one.name, {}))

    def at(self, number: int) -> float:
        return BEGAN + number * self.slot

    @property
    def rows(self) -> list[Row]:
        return [self.row(number, one) for number, one in enumerate((CONTROL, *self.attempts))]

    def all_well(self) -> Drill:
        passed = {"status": 200, "reason": "allowed", "host": "93.184.216.34", "upstream": "93.184.216.34"}
        self.ledger = [decision(at=self.at(0), port=50_000, **passed), decision(at=self.at(3), port=50_003)]
        moment = int(self.at(1))
        self.flows = [
            flow(srcport=50_001, start=moment, end=moment),
            flow(dstaddr=GATEWAY, srcport=50_000, dstport=3129, action="ACCEPT"),
            flow(srcaddr=GATEWAY, dstaddr=TASK, srcport=3129, dstport=50_000, action="ACCEPT"),
            flow(srcaddr=GATEWAY, dstaddr="93.184.216.34", action="ACCEPT"),
            flow(dstaddr="52.219.1.1", action="ACCEPT", pkt_dst_aws_service="S3", traffic_path=7),
            flow(dstaddr="10.42.0.9", action="ACCEPT"),
            flow(srcaddr="10.42.0.99", dstaddr="198.51.100.1", action="ACCEPT"),
        ]
        self.queries = [
            query("gbx000000000002.evil.example", at=self.at(2), port=50_002),
            query("api.ecr.eu-central-1.amazonaws.com", at=BEGAN, port=1, firewall_rule_action="ALLOW"),
            query(
                "sts.us-east-1.amazonaws.com", at=BEGAN, port=1, srcaddr=GATEWAY, firewall_rule_action=None
            ),
        ]
        return self

    def judged(self) -> Judgement:
        evidence = Evidence(PLACE)
        evidence.flows(self.flows)
        evidence.queries(self.queries)
        evidence.ledger(["2026/03/04 05:06:07| Squid is fine", *self.ledger])
        return judged(self.rows, [CONTROL], self.attempts, evidence)

    def verdicts(self) -> Mapping[str, Verdict]:
        return {verdict.name: verdict for verdict in self.judged().verdicts}


@pytest.fixture
def drill() -> Drill:
    return Drill().all_well()


def test_what_was_refused_in_a_log_is_blocked_and_traced(drill: Drill) -> None:
    verdicts = drill.verdicts()
    assert verdicts.keys() == {CONTROL.name, *(one.name for one in TRIED)}
    assert all(verdict.good for verdict in verdicts.values())
    assert verdicts["by flow"].evidence == f"flow log: rejected, tcp from {TASK} to {EVIL} port 443"
    assert verdicts["by query"].evidence == "query log: BLOCK gbx000000000002.evil.example"
    assert verdicts["by ledger"].evidence == "ledger: 407 name CONNECT x.evil.example"


LEAKS: dict[str, tuple[str, str]] = {
    "the task to a public address": ("flows", flow(action="ACCEPT", srcport=50_001)),
    "the task to a public address, from a port that it did not report": ("flows", flow(action="ACCEPT")),
    "the task to a neighbour": ("flows", flow(action="ACCEPT", dstaddr="10.42.15.254", dstport=8080)),
    "the task to S3 by the internet": (
        "flows",
        flow(action="ACCEPT", dstaddr="52.219.1.1", pkt_dst_aws_service="S3", traffic_path=8),
    ),
    "the task to another service of AWS": (
        "flows",
        flow(action="ACCEPT", dstaddr="52.95.1.1", pkt_dst_aws_service="EC2", traffic_path=8),
    ),
    "UDP": ("flows", flow(action="ACCEPT", protocol=17)),
    "a protocol without ports": ("flows", flow(action="ACCEPT", protocol=47, srcport=0, dstport=0)),
    "another port of the gateway": ("flows", flow(action="ACCEPT", dstaddr=GATEWAY, dstport=22)),
    "the gateway to a foreign address": ("flows", flow(action="ACCEPT", srcaddr=GATEWAY)),
    "the gateway to a neighbour of its own": (
        "flows",
        flow(action="ACCEPT", srcaddr=GATEWAY, dstaddr="10.43.0.62"),
    ),
    "a foreign name that was answered": (
        "queries",
        query("x.evil.example", at=BEGAN + SLOT, port=50_001, firewall_rule_action="ALLOW", rcode="NOERROR"),
    ),
    "a foreign name without a firewall": (
        "queries",
        query("x.evil.example", at=BEGAN + SLOT, port=7, firewall_rule_action=None),
    ),
    "a name of Amazon's with the marker": (
        "queries",
        query("gbx000000000001.s3.amazonaws.com", at=BEGAN + SLOT, port=7, firewall_rule_action="ALLOW"),
    ),
    "the marker in a question of the gateway's": (
        "queries",
        query("gbx000000000001.x", at=BEGAN + SLOT, port=7, srcaddr=GATEWAY, firewall_rule_action=None),
    ),
    "a request that the gateway let through": (
        "ledger",
        decision(at=BEGAN + SLOT, port=50_001, status=200, reason="allowed", upstream="52.1.1.1"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LEAKS)
def test_what_passed_during_an_attempt_is_its_leak(drill: Drill, name: str) -> None:
    journal, line = LEAKS[name]
    if journal == "flows":
        fields = dict(zip(FIELDS, line.split(), strict=True))
        line = flow(**{**fields, "start": int(BEGAN) + SLOT, "end": int(BEGAN) + SLOT})
    getattr(drill, journal).append(line)
    verdicts = drill.verdicts()
    assert verdicts["by flow"].outcome == "leaked"
    assert {one for one, verdict in verdicts.items() if verdict.outcome == "leaked"} == {"by flow"}


def test_a_leak_between_attempts_is_nobodys_and_still_a_leak(drill: Drill) -> None:
    moment = int(BEGAN) + SLOT + 90
    drill.slot = SLOT
    drill.flows.append(flow(action="ACCEPT", start=moment, end=moment))
    verdicts = drill.verdicts()
    assert verdicts[OUTSIDE].outcome == "leaked"
    assert verdicts["by flow"].good


@pytest.mark.parametrize("journal", ["flows", "queries", "ledger"])
def test_without_its_log_an_attempt_is_untraced(drill: Drill, journal: str) -> None:
    getattr(drill, journal).clear()
    bad = {name for name, verdict in drill.verdicts().items() if not verdict.good}
    missing = {"flows": {"by flow"}, "queries": {"by query"}, "ledger": {"by ledger", CONTROL.name}}
    assert bad == missing[journal]


def test_another_attempts_trace_is_not_its_own_however_near() -> None:
    drill = Drill(slot=TIGHT).all_well()
    drill.changed["by ledger"] = {"sockets": ["tcp/60000"]}
    bad = [verdict for verdict in drill.judged().verdicts if not verdict.good]
    assert [(verdict.name, verdict.outcome, verdict.traced) for verdict in bad] == [
        ("by ledger", "blocked", False)
    ]


def test_an_old_trace_of_the_same_port_is_none(drill: Drill) -> None:
    drill.ledger[1] = decision(at=BEGAN - 600, port=50_003)
    assert not drill.verdicts()["by ledger"].traced


def test_a_decision_about_another_task_is_no_trace(drill: Drill) -> None:
    drill.ledger[1] = decision(at=drill.at(3), port=50_003, client="10.42.0.38")
    assert not drill.verdicts()["by ledger"].traced


def test_an_allowed_line_proves_nothing(drill: Drill) -> None:
    """An opened tunnel without anything in it: neither refused nor let through."""
    drill.ledger[1] = decision(at=drill.at(3), port=50_003, status=200, reason="allowed")
    verdict = drill.verdicts()["by ledger"]
    assert (verdict.outcome, verdict.traced) == ("blocked", False)


def test_a_gateway_that_lets_nothing_through_proves_nothing(drill: Drill) -> None:
    drill.ledger[0] = decision(at=drill.at(0), port=50_000, reason="ticket")
    assert not drill.verdicts()[CONTROL.name].good


@pytest.mark.parametrize(
    ("journal", "line"),
    [
        ("flows", flow(log_status="SKIPDATA", srcaddr="-", dstaddr="-")),
        ("flows", "5 111122223333 eni-0a1b 10.42.0.37"),
        ("flows", flow(srcport="x")),
        ("queries", "{}"),
        ("queries", query("a.example", at=BEGAN, port=1, query_timestamp="yesterday")),
        ("ledger", '{"time":1}'),
    ],
)
def test_a_log_with_a_gap_is_no_clean_sheet(drill: Drill, journal: str, line: str) -> None:
    getattr(drill, journal).append(line)
    verdict = drill.verdicts()[LOGS]
    assert (verdict.outcome, verdict.traced) == ("blocked", False)


def test_an_interface_without_traffic_is_no_gap(drill: Drill) -> None:
    drill.flows.append(flow(log_status="NODATA", srcaddr="-", dstaddr="-", srcport="-", dstport="-"))
    assert LOGS not in drill.verdicts()


def test_what_a_kernel_lacks_is_not_tried_and_nothing_else_may_say_so() -> None:
    drill = Drill(attempts=(*TRIED, LACKED)).all_well()
    drill.changed = {name: {"cannot": "no such socket"} for name in ("lacked", "by flow")}
    drill.flows.clear()
    judgement = drill.judged()
    assert [one.what for one in judgement.not_tried] == ["lacked"]
    assert "lacked" not in {verdict.name for verdict in judgement.verdicts}
    assert not drill.verdicts()["by flow"].good


def test_an_attempt_that_the_report_lacks_is_untraced(drill: Drill) -> None:
    evidence = Evidence(PLACE)
    verdicts = judged(drill.rows[:-1], [CONTROL], TRIED, evidence).verdicts
    assert verdicts[-1] == Verdict(1, "by ledger", "blocked", False, "the report does not have it")


# ---------------------------------------------------------------- the report


def text(rows: Sequence[Row]) -> bytes:
    return b"\n".join(msgspec.json.encode(row) for row in rows)


def read(data: bytes) -> list[Row]:
    return read_report(data, (CONTROL, *TRIED), BEGAN, BEGAN + 10 * SLOT)


def test_a_report_says_what_was_tried_and_when(drill: Drill) -> None:
    assert read(text(drill.rows)) == drill.rows
    assert read(text(drill.rows[:2])) == drill.rows[:2]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "another"},
        {"line": 25},
        {"marker": "gbx"},
        {"marker": "gbx000000000001"},
        {"started": 0.0},
        {"started": BEGAN + 1e9, "ended": BEGAN + 1e9},
        {"started": BEGAN + SLOT, "ended": BEGAN + SLOT},
        {"ended": BEGAN},
        {"ended": BEGAN + 4 * SLOT - 1},
        {"sockets": ["tcp/50000"] * 33},
        {"sockets": ["tcp/-1"]},
        {"said": "x" * 501},
    ],
)
def test_a_report_that_claims_too_much_is_refused(drill: Drill, change: dict[str, object]) -> None:
    rows = drill.rows
    rows[2] = msgspec.structs.replace(rows[2], **change)
    with pytest.raises(RejectedReportError):
        read(text(rows))


@pytest.mark.parametrize(
    "data", [b"{", b"[" * 100_000, b"\xff", b"null", b'{"line":1}', b"x" * (300 << 10), b"{}\n" * 6]
)
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(RejectedReportError):
        read(data)


# ---------------------------------------------------------------- formats and lists


def test_flow_logs_are_written_with_the_fields_that_are_read() -> None:
    assert FORMAT.split()[:4] == ["${version}", "${account-id}", "${interface-id}", "${srcaddr}"]
    record = read_flow(flow(protocol=17, action="ACCEPT"))
    assert record is not None
    assert (record.socket, record.target, record.port, record.accepted) == ("udp/49152", EVIL, 443, True)
    assert getattr(read_flow(flow(protocol=1, srcport=0, dstport=0)), "socket", "") == "icmp/0"
    with pytest.raises(LostRecordsError):
        read_flow(flow(log_status="SKIPDATA"))
    with pytest.raises(InputError, match="fields"):
        read_flow("2 111122223333 eni-1")


def test_what_is_tried_in_aws_is_what_a_log_can_show() -> None:
    assert IN_AWS[: len(CONTROLS)] == tuple(CONTROLS)
    left_out = {one.name for one in ATTEMPTS if one not in IN_AWS}
    assert left_out == {one.name for one in ATTEMPTS if one.lab_only}
    assert len(IN_AWS) >= 60
