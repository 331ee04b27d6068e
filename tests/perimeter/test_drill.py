"""The drill: nothing gets out of the real perimeter, and everything out of the unprotected one."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from glovebox.cli import main
from glovebox.closure import closure
from glovebox.drill.beside import beside
from glovebox.drill.brief import Brief, Key
from glovebox.drill.in_lab import Drill
from glovebox.drill.judge import Permitted, Sightings, Verdict, sort_out, summary
from glovebox.drill.not_tried import NOT_TRIED
from glovebox.drill.run import ATTEMPTS, EXIT, IN_AWS, REPORT, all_to
from glovebox.errors import UpstreamError
from glovebox.lab.lab import CHECKOUT, Lab
from glovebox.lab.template import Network

LINES = {*range(1, 17), *range(21, 25)}
UNSEEN = {"the gateway's own loopback, through the gateway"}
"""What the control cannot show: what a gateway does within itself is on no wire."""
PERMITTED = Permitted(
    hostile={"10.0.0.1"},
    flows={("10.0.0.1", "10.0.0.2", "tcp", 3128)},
    key="OURS",
    name_suffixes=(".amazonaws.com",),
)
REQUEST = {"event": "request", "seen": "GET /", "key": "OURS", "valid": True, "authorizations": 1}
FLOW = {"event": "passed", "source": "10.0.0.1", "target": "10.0.0.2", "protocol": "tcp", "port": 3128}


def judged(journal: str, event: Mapping[str, object]) -> Verdict:
    seen = Sightings()
    sort_out([(journal, event)], "gbxmark", PERMITTED, seen)
    return seen.verdict(1, "one")


@pytest.mark.parametrize(
    ("journal", "event"),
    [
        ("flows", FLOW | {"target": "45.66.66.66"}),
        ("flows", FLOW | {"port": 22}),
        ("flows", FLOW | {"protocol": "udp"}),
        ("asked", {"name": "x.evil.example"}),
        ("asked", {"name": "gbxmark.s3.amazonaws.com"}),
        ("origin", REQUEST | {"seen": "GET /gbxmark"}),
        ("origin", REQUEST | {"key": "THEIRS"}),
        ("origin", REQUEST | {"valid": False}),
        ("origin", REQUEST | {"authorizations": 2}),
        ("origin", {"event": "bytes", "seen": "SSH-2.0-gbxmark"}),
    ],
)
def test_what_arrived_elsewhere_is_a_leak(journal: str, event: Mapping[str, object]) -> None:
    assert judged(journal, event).outcome == "leaked"


@pytest.mark.parametrize(
    ("journal", "event"),
    [
        ("flows", FLOW),
        ("flows", FLOW | {"source": "10.0.0.9", "target": "45.66.66.66"}),
        ("asked", {"name": "sts.amazonaws.com"}),
        ("origin", REQUEST),
        ("origin", {"event": "broken", "error": "no TLS"}),
    ],
)
def test_what_is_permitted_is_neither_leak_nor_trace(journal: str, event: Mapping[str, object]) -> None:
    verdict = judged(journal, event)
    assert (verdict.outcome, verdict.traced, verdict.good) == ("blocked", False, False)


@pytest.mark.parametrize(
    ("journal", "event"),
    [
        ("flows", FLOW | {"event": "dropped", "reason": "egress"}),
        ("queries", {"name": "gbxmark.evil.example", "action": "BLOCK"}),
        ("ledger", {"status": 407, "reason": "ticket", "method": "CONNECT", "host": "x"}),
    ],
)
def test_a_refusal_that_somebody_wrote_down_is_a_trace(journal: str, event: Mapping[str, object]) -> None:
    assert judged(journal, event).good


def test_the_summary_counts_what_is_wrong() -> None:
    rows = [
        Verdict(1, "a", "leaked", True, ""),
        Verdict(1, "b", "blocked", False, ""),
        Verdict(1, "c", "blocked", True, ""),
    ]
    assert summary(rows) == "3 attempts: 1 leaked, 1 blocked without a trace."


def test_every_line_is_tried_or_said_not_to_be() -> None:
    tried = {listed.line for listed in ATTEMPTS} | {21, 22, 23}
    assert tried | {one.line for one in NOT_TRIED} == LINES
    assert tried == LINES - {24}
    assert all(one.why for one in NOT_TRIED)


def test_names_of_attempts_are_unique() -> None:
    names = [listed.name for listed in ATTEMPTS]
    assert len(set(names)) == len(names)


def test_the_hostile_image_holds_the_attempts_and_not_the_judge() -> None:
    files = {str(path) for path in closure(CHECKOUT, "containers/drill")}
    assert "glovebox/drill/attempts/tickets.py" in files
    assert not any(name.startswith("glovebox/lab") or "judge" in name for name in files)
    imported = set()
    for name in files:
        imported |= set(
            re.findall(r"^(?:from|import) (\w+)", (CHECKOUT / name).read_text("utf-8"), re.MULTILINE)
        )
    assert imported <= sys.stdlib_module_names | {"glovebox", "containers"}


def test_without_a_judge_the_scanner_writes_down_every_attempt_with_its_times(tmp_path: Path) -> None:
    """As in AWS; here nobody listens, so each attempt is told so at once."""
    key = Key("AKIAEXAMPLEEXAMPLE00", "secret")
    here, ticket = "127.0.0.1", "claims:signature"
    bad = ("forged", "forged_kid", "mixed", "expired", "early", "other_scan")
    brief = Brief(
        gateway=here, aws_port=9, site_port=9, ticket=ticket, site_ticket=ticket,
        bad_tickets=dict.fromkeys(bad, ticket),
        region="us-east-1", bucket="bucket", foreign_bucket="other", key=key, own_key=key,
        site="site.example", origin=here, evil=here, evil_ipv6="::1",
        public_resolver=here, resolvers=(here,), metadata=(here, here), neighbour=here, bystander=here,
        endpoint=here, patience=0.05,
    )  # fmt: skip
    all_to(brief, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / REPORT).read_text("utf-8").splitlines()]
    assert [(row["line"], row["name"]) for row in rows] == [(one.line, one.name) for one in IN_AWS]
    assert all(row["started"] <= row["ended"] and ("said" in row or "cannot" in row) for row in rows)
    assert len({row["marker"] for row in rows}) == len(rows)
    assert all(row["sockets"] or "cannot" in row for row in rows), "by which logs are searched"
    assert json.loads((tmp_path / EXIT).read_text("utf-8")) == {"exit": 0}


@pytest.mark.lab
def test_nothing_gets_out_of_the_perimeter_and_everything_leaves_a_trace(
    network: Network, tmp_path: Path
) -> None:
    with Lab(network, tmp_path) as lab:
        drill = Drill(lab)
        verdicts = [*drill.run(), *beside(lab)]
    assert [verdict for verdict in verdicts if not verdict.good] == []
    assert len(verdicts) >= 40
    assert {one.what for one in drill.not_tried} <= {"SCTP", "UDP-Lite"}, "what a kernel may lack"


@pytest.mark.lab
def test_everything_gets_out_where_nothing_holds_it(network: Network, tmp_path: Path) -> None:
    """The control: each attempt, so that none of them is blocked by its own fault."""
    with Lab(network, tmp_path, kind="unprotected") as lab:
        verdicts = list(Drill(lab).run())
    assert {verdict.name for verdict in verdicts if verdict.outcome == "blocked"} == UNSEEN


@pytest.mark.lab
def test_with_the_rules_flushed_the_drill_reports_leaks(network: Network, tmp_path: Path) -> None:
    """The gateway still stands and still refuses: what leaks is what the security groups hold."""
    with Lab(network, tmp_path) as lab:
        lab.namespaces.flush()
        leaked = {verdict.line for verdict in Drill(lab).run() if verdict.outcome == "leaked"}
    assert leaked == {5, 6, 7, 11, 12}


@pytest.mark.lab
def test_a_perimeter_in_which_nothing_works_proves_nothing(network: Network, tmp_path: Path) -> None:
    with Lab(network, tmp_path, kind="bare") as lab, pytest.raises(UpstreamError, match="does not work"):
        list(Drill(lab).run())


@pytest.mark.lab
def test_the_command_prints_the_array_and_fails_on_a_leak(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["drill", "--json", "--lab", "--unprotected"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert set(rows[0]) == {"line", "name", "outcome", "traced", "evidence"}
    assert {row["outcome"] for row in rows} == {"blocked", "leaked"}
