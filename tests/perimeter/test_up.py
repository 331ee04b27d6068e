"""`glovebox up --perimeter`: the site audit inside the perimeter, and a hostile scanner instead of it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from glovebox.cli.main import main
from glovebox.errors import ConfigurationError
from glovebox.farm.identities import PKI_HOST
from glovebox.lab.journal import Reader
from glovebox.lab.plan import (
    EVIL_ADDRESS,
    GATEWAY,
    INTERNET,
    NEIGHBOUR,
    ORIGIN_ADDRESS,
    SCANNER,
    task_machines,
)
from glovebox.local import perimeter as building
from glovebox.local.agent import MAX_TASKS
from glovebox.local.aws import ACCOUNT, REGION
from glovebox.local.cloud import CHECKOUT
from glovebox.local.endpoint import Buckets, signed_for_buckets
from glovebox.local.perimeter import require_perimeter
from glovebox.local.progress import View
from glovebox.scans.model import RunState, ScanState, SiteScanRequest, SiteTarget
from glovebox.siteaudit.direct import direct_network
from tests.perimeter.inside import RUN_SECONDS, Inside

lab = pytest.mark.lab

TIMES = frozenset({"auditedAt", "durationMs", "requestTime", "date", "Date"})
UNSAID = ".dns.ipv6"
"""The way out has no IPv6, so nothing is said about it."""
HOSTILE = Path(__file__).with_name("hostile_task.py")


@pytest.fixture(scope="module")
def audited(inside: Inside) -> View:
    """One run of the schedule over the whole fleet."""
    inside.cloud.upload_list("\n".join(inside.perimeter.farm.hosts).encode())
    return inside.completed(inside.cloud.fire_schedule())


@lab
def test_the_audit_is_complete_inside_the_perimeter(inside: Inside, audited: View) -> None:
    assert audited.run.state is RunState.COMPLETED, audited.scans
    assert {scan.attempt for scan in audited.scans} == {1}
    assert (audited.problems, inside.perimeter.problems) == ([], [])
    assert len(audited.scans) == 2, "side by side, each on a machine of its own"


def fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Every field by its path, but for times."""

    def walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict):
            for key, each in value.items():
                if key not in TIMES:
                    yield from walk(each, f"{path}.{key}")
        elif isinstance(value, list):
            yield f"{path} has", len(value)
            for number, each in enumerate(value):
                yield from walk(each, f"{path}[{number}]")
        else:
            yield path, value

    return dict(walk(record, ""))


async def resolved(inside: Inside) -> SiteScanRequest:
    """What `launch` would hand to a task that goes straight out."""
    farm = inside.perimeter.farm
    async with direct_network(farm.settings) as network:
        found = {host: await network.resolve(host) for host in (*farm.hosts, PKI_HOST)}
    targets = [SiteTarget(host=host, resolution=found[host]) for host in farm.hosts]
    issuers = [SiteTarget(host=PKI_HOST, resolution=found[PKI_HOST])]
    return SiteScanRequest(
        scan_id="straight",
        attempt=1,
        scan_date="2026-01-02T03:04:05Z",
        targets=targets,
        issuers=issuers,
        settings=farm.settings,
    )


def straight_out(inside: Inside, folder: Path) -> dict[str, Any]:
    """The records of the same fleet by the same auditor, started beside the fleet, without any perimeter."""
    (folder / "request.json").write_bytes(msgspec.json.encode(asyncio.run(resolved(inside))))
    process = inside.perimeter.lab.namespaces.start(
        INTERNET,
        [sys.executable, "-m", "containers.siteaudit"],
        environment={
            **os.environ,
            "PYTHONPATH": str(CHECKOUT),
            "GLOVEBOX_IN": str(folder),
            "GLOVEBOX_OUT": str(folder),
        },
    )
    assert process.wait(RUN_SECONDS) == 0, (folder / "scanner.log").read_text()
    records = [json.loads(line) for line in (folder / "report.jsonl").read_text().splitlines()]
    return {record["FQDN"]: record for record in records}


@lab
def test_each_record_is_that_of_an_audit_straight_out(inside: Inside, audited: View, tmp_path: Path) -> None:
    paths = inside.cloud.download_files(audited.run, tmp_path / "files")
    lines = next(path for path in paths if path.name == "output.jsonl").read_text().splitlines()
    within = {record["FQDN"]: record for record in map(json.loads, lines)}
    straight = straight_out(inside, tmp_path)
    assert set(within) == set(straight) == set(inside.perimeter.farm.hosts)
    for host, record in straight.items():
        here, there = fields(within[host]), fields(record)
        differing = {
            path: (here.get(path), there.get(path))
            for path in sorted({*here, *there} - {UNSAID, ".scanDate"})
            if here.get(path) != there.get(path)
        }
        assert differing == {}, host


@lab
def test_every_connection_is_a_tunnel_in_the_ledger_with_its_scan(inside: Inside, audited: View) -> None:
    lines = [line for line in inside.perimeter.ledger() if line["reason"] == "allowed"]
    assert {line["scan"] for line in lines} == {scan.scan_id for scan in audited.scans}
    assert inside.perimeter.tunnels().allowed == len(lines) > 50
    listed = {inside.perimeter.farm.settings.http_port, inside.perimeter.farm.settings.https_port}
    assert {int(str(line["port"])) for line in lines} == listed


# ---------------------------------------------------------------- an account


@dataclass(frozen=True)
class Scanned:
    """One scan of the local cloud's account, and the requests that got to it meanwhile."""

    view: View
    arrived: Sequence[Mapping[str, Any]]


@pytest.fixture(scope="module")
def scanned(inside: Inside, audited: View) -> Scanned:
    journal = Reader(inside.perimeter.lab.journal("aws"))
    list(journal.news())
    view = inside.completed(inside.cloud.scan_accounts().run_id)
    return Scanned(view, [each for each in journal.news() if each["event"] == "request"])


@lab
def test_the_account_is_scanned_inside_the_perimeter(inside: Inside, scanned: Scanned) -> None:
    [scan] = scanned.view.scans
    assert (scan.state, scan.attempt) == (ScanState.COMPLETED, 1), scan
    assert (scanned.view.problems, inside.perimeter.problems) == ([], [])


@lab
def test_the_account_is_asked_through_the_gateway_alone_with_the_scans_ticket(
    inside: Inside, scanned: Scanned
) -> None:
    scan = scanned.view.scans[0].scan_id
    passed = [each for each in inside.perimeter.ledger() if each.get("scan") == scan]
    assert {each["reason"] for each in passed} == {"allowed"}
    asked = sorted((str(each["host"]), str(each["method"])) for each in passed if each["method"] != "CONNECT")
    assert asked == sorted((each["host"], each["method"]) for each in scanned.arrived)
    assert {host.partition(".")[0] for host, _ in asked} >= {"ec2", "iam", "kms", "s3", "sts"}
    assert {each["client"] for each in scanned.arrived} == {
        inside.perimeter.lab.plan.machines[GATEWAY].address
    }


ASKS_AWS = """
import http.client, ssl, sys
connection = http.client.HTTPSConnection(sys.argv[1], context=ssl._create_unverified_context(), timeout=10)
connection.request("GET", "/", headers={"Host": "sts.us-east-1.amazonaws.com"})
print(connection.getresponse().status)
"""


@lab
def test_whoever_does_not_come_from_the_gateway_gets_no_answer_of_aws(inside: Inside) -> None:
    """As the audit role's boundary says: with a scan's own keys nobody gets in from elsewhere."""
    running = inside.perimeter.lab
    command = [running.python, "-I", "-c", ASKS_AWS, ORIGIN_ADDRESS]
    said = subprocess.run(
        running.namespaces.inside(INTERNET, command), capture_output=True, text=True, check=True, cwd="/"
    )
    assert said.stdout.strip() == "403"


# ---------------------------------------------------------------- a hostile scanner


@dataclass(frozen=True)
class Tried:
    """What a hostile scanner reached: the name of each attempt, and how it ended."""

    outcomes: Mapping[str, str]
    news: Sequence[tuple[str, Mapping[str, object]]]
    """Of the lab's journals."""


@pytest.fixture(scope="module")
def tried(inside: Inside, audited: View) -> Tried:
    farm, machines = inside.perimeter.farm, inside.perimeter.lab.plan.machines
    own_port = inside.cloud.aws.port
    buckets = inside.perimeter.engine.buckets
    scan = audited.scans[0].scan_id
    handoff = f"{buckets.handoff}.s3.us-east-1.amazonaws.com"
    table = f"{inside.cloud.deployment.output('ScansTable')}.s3.us-east-1.amazonaws.com"
    site = farm.addresses["good.fleet.test"]
    attempts = {
        "gateway": ["connect", machines[GATEWAY].address, 3129],
        "emulator on loopback": ["connect", "127.0.0.1", own_port],
        "emulator by the router": ["connect", "100.64.0.1", own_port],
        "emulator by the host's address": ["connect", host_address(), own_port],
        "a site without the gateway": ["connect", site, farm.settings.https_port],
        "the internet": ["connect", EVIL_ADDRESS, 443],
        "metadata": ["connect", "169.254.169.254", 80],
        "another task": ["connect", machines[NEIGHBOUR].address, 443],
        "and the first machine": ["connect", machines[SCANNER].address, 443],
        "a name of the internet": ["resolve", "data.evil.example"],
        "a bucket's name": ["resolve", handoff],
        "a tunnel without a ticket": ["tunnel", machines[GATEWAY].address, f"{EVIL_ADDRESS}:443"],
        "list a bucket": ["get", handoff, "/"],
        "another's request": ["get", handoff, f"/handoff/{scan}/1/request.json"],
        "the emulator's own pages": ["get", handoff, "/../_ministack/health"],
        "another service": ["get", handoff, signed_for("sts", scan) + "&Action=GetCallerIdentity"],
        "another service, as a bucket's": [
            "get",
            handoff,
            signed_for("s3", scan) + "&Action=GetCallerIdentity",
        ],
        "another bucket": ["get", table, "/"],
        "the lab's folder": ["list", "/run/lab"],
        "the run's folder": ["list", str(inside.folder)],
    }
    list(inside.perimeter.lab.news())
    inside.commands["siteaudit"] = (
        os.path.realpath(sys.executable),
        "-c",
        HOSTILE.read_text(),
        json.dumps(attempts),
    )
    try:
        order = json.dumps({"hosts": ["good.fleet.test"], "requestedBy": "test"}).encode()
        inside.cloud.launch(order)
        path = next(awaited(inside.folder, "tasks/*/volumes/out/tried.json"))
    finally:
        inside.commands.clear()
    # Journals are written within milliseconds of what they tell.
    time.sleep(0.5)
    return Tried(json.loads(path.read_text()), list(inside.perimeter.lab.news()))


def signed_for(service: str, scan: str) -> str:
    """A task's request by the address, with a made-up signature of the emulator's root."""
    day = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    credential = f"{ACCOUNT}%2F{day[:8]}%2F{REGION}%2F{service}%2Faws4_request"
    return (
        f"/handoff/{scan}/1/request.json?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}"
        f"&X-Amz-Date={day}&X-Amz-Expires=600&X-Amz-SignedHeaders=host&X-Amz-Signature=0"
    )


def awaited(folder: Path, pattern: str) -> Iterator[Path]:
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline:
        yield from folder.glob(pattern)
        time.sleep(0.1)
    raise AssertionError(f"no {pattern}")


def host_address() -> str:
    """An address of this machine that is not loopback, if it has one."""
    command = ["ip", "-4", "-o", "addr", "show", "up", "scope", "global"]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    words = said.stdout.split()
    return words[words.index("inet") + 1].partition("/")[0] if "inet" in words else "192.0.2.2"


@lab
def test_a_task_reaches_the_gateway_and_its_buckets(tried: Tried) -> None:
    """Else nothing would be proven by what fails."""
    assert tried.outcomes["gateway"] == "open"
    assert tried.outcomes["a bucket's name"].startswith("52.")


DROPPED = (
    "emulator by the router", "emulator by the host's address", "a site without the gateway", "the internet",
    "metadata",
)  # fmt: skip


@lab
@pytest.mark.parametrize("name", DROPPED)
def test_what_a_task_may_not_reach_is_dropped_and_journaled(tried: Tried, name: str) -> None:
    assert tried.outcomes[name] == "dropped"
    target = tried.outcomes[f"{name} at"]
    dropped = {
        f"{event['target']}:{event['port']}"
        for journal, event in tried.news
        if journal == "flows" and event["event"] == "dropped"
    }
    assert target in dropped


@lab
def test_a_task_reaches_no_other_task(tried: Tried) -> None:
    """One of the two is itself."""
    ends = [tried.outcomes["another task"], tried.outcomes["and the first machine"]]
    assert sorted(ends) == ["dropped", "refused"]


@lab
def test_the_emulator_is_not_on_a_tasks_loopback(tried: Tried) -> None:
    assert tried.outcomes["emulator on loopback"] == "refused"


@lab
def test_a_question_of_a_name_ends_at_the_dns_firewall(tried: Tried) -> None:
    assert tried.outcomes["a name of the internet"] == "no such name"
    queries = [event for journal, event in tried.news if journal == "queries"]
    assert ("data.evil.example", "BLOCK") in [(event["name"], event["action"]) for event in queries]
    assert "data.evil.example" not in [event["name"] for journal, event in tried.news if journal == "asked"]


@lab
def test_the_gateway_refuses_who_has_no_ticket_and_says_so(tried: Tried) -> None:
    assert tried.outcomes["a tunnel without a ticket"].split()[1] == "407"
    assert "ticket" in [event["reason"] for journal, event in tried.news if journal == "ledger"]


@lab
@pytest.mark.parametrize(
    "name",
    [
        "list a bucket",
        "another's request",
        "another service",
        "another service, as a bucket's",
        "the emulator's own pages",
    ],
)
def test_the_endpoint_hands_on_nothing_but_a_tasks_own_work(inside: Inside, tried: Tried, name: str) -> None:
    assert tried.outcomes[name] == "403"
    journal = inside.perimeter.lab.journal("s3").read_text().splitlines()
    refused = [event for event in map(json.loads, journal) if event.get("status") == 403]
    assert tried.outcomes[f"{name} at"].partition("?")[0] in [event["path"] for event in refused]


@lab
def test_another_bucket_has_no_name(tried: Tried) -> None:
    assert tried.outcomes["another bucket"] == "no such name"


@lab
def test_a_task_sees_neither_the_lab_nor_the_run(tried: Tried) -> None:
    assert tried.outcomes["the lab's folder"] == "[]"
    assert tried.outcomes["the run's folder"] in ("closed", "absent")


@lab
def test_a_machine_is_free_again_when_its_task_has_ended(inside: Inside, tried: Tried) -> None:
    for _ in range(100):
        if not inside.cloud.agent.running:
            break
        time.sleep(0.05)
    assert not inside.perimeter.engine._machines
    assert len(task_machines(MAX_TASKS)) == MAX_TASKS


# ---------------------------------------------------------------- keys, ends, refusals


@lab
def test_the_gateway_reads_new_keys_without_losing_its_listeners(inside: Inside, tried: Tried) -> None:
    running = inside.perimeter.lab
    identity = building._identity(inside.cloud.aws, inside.cloud.deployment)
    log = running.folder / "ledger.log"
    before = log.read_text().count("Reconfiguring")
    running.renew(identity)
    for _ in range(100):
        if log.read_text().count("Reconfiguring") > before:
            break
        time.sleep(0.05)
    assert log.read_text().count("Reconfiguring") == before + 1
    assert inside.perimeter.tunnels().allowed > 0


@lab
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_command_leaves_nothing_however_it_ends(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "glovebox.cli.main", "up", "--perimeter"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=CHECKOUT
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("Page"):
                break
        else:
            pytest.fail("".join(said))
        assert any("Perimeter: network namespaces" in line for line in said)
        ours = descendants(process.pid)
        assert len(ours) > 10
        process.send_signal(number)
        process.communicate(timeout=60)
    deadline = time.monotonic() + 10
    while (left := [pid for pid in ours if Path(f"/proc/{pid}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def descendants(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob(f"{pid}/task/*/children"):
        for child in map(int, path.read_text().split()):
            found += [child, *descendants(child)]
    return found


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--hosts", "some.txt"], "has no way to the internet"),
        (["--engine", "podman"], "boxed processes"),
    ],
)
def test_what_the_perimeter_cannot_do_is_refused(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up", "--perimeter", *options]) == 2
    assert said in capsys.readouterr().err


def test_a_machine_that_cannot_build_it_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "why_no_drill", lambda: "not installed: nftables")
    with pytest.raises(ConfigurationError, match="not installed: nftables"):
        require_perimeter()


BUCKETS = Buckets("https://127.0.0.1:4566", "hand", "hand-results", "hand-claims", "hand-snapshots")
AS_NAMED = "https://hand.s3.us-east-1.amazonaws.com/handoff/a/1/request.json?X-Amz-Signature=1"


def test_addresses_of_buckets_are_handed_over_by_name() -> None:
    url = "https://127.0.0.1:4566/hand/handoff/a/1/request.json?X-Amz-Signature=1"
    assert BUCKETS.translated(url) == AS_NAMED
    order = base64.b64encode(b'{"report":{"url":"https://127.0.0.1:4566/hand-results"}}').decode()
    handed = base64.b64decode(BUCKETS.translated(order))
    assert handed == b'{"report":{"url":"https://hand-results.s3.us-east-1.amazonaws.com"}}'


@pytest.mark.parametrize("value", ["", "plain", "aGVsbG8=", "https://127.0.0.1:4566/handsome/key"])
def test_what_is_no_address_of_a_bucket_stays_as_it_is(value: str) -> None:
    assert BUCKETS.translated(value) == value


GOOD_SIGNATURE = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20260101%2Fus-east-1%2Fs3%2Faws4_request"
    "&X-Amz-Date=20260101T000000Z&X-Amz-Expires=9&X-Amz-SignedHeaders=host&X-Amz-Signature=0"
)


def test_a_signature_of_s3_alone_opens_the_endpoint() -> None:
    assert signed_for_buckets(GOOD_SIGNATURE)
    assert signed_for_buckets(f"{GOOD_SIGNATURE}&X-Amz-Security-Token=abc%2B%3D")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "X-Amz-Signature=0",
        GOOD_SIGNATURE.replace("%2Fs3%2F", "%2Fiam%2F"),
        GOOD_SIGNATURE.replace("%2Faws4_request", "%2Faws4_request%2Fsts%2Faws4_request"),
        GOOD_SIGNATURE.replace("%2Fs3%2F", "%2Fiam%2Fs3%2F"),
        f"{GOOD_SIGNATURE}&Action=ListUsers",
        f"{GOOD_SIGNATURE}&Action",
        f"{GOOD_SIGNATURE}&X-Amz-Credential=AKIA%2F20260101%2Fus-east-1%2Fiam%2Faws4_request",
        f"{GOOD_SIGNATURE}&uploads",
        GOOD_SIGNATURE.replace("&X-Amz-Signature=0", ""),
    ],
)
def test_whatever_else_stands_in_an_address_does_not(query: str) -> None:
    assert not signed_for_buckets(query)
