"""`glovebox up --perimeter`: scanners of repositories reach a bucket there, and nothing and nobody else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from glovebox.lab.plan import EVIL_ADDRESS, GATEWAY, NEIGHBOUR, S3_ADDRESS, SCANNER
from glovebox.local.boxes import PYTHON
from glovebox.local.progress import View
from glovebox.local.repositories import HOST
from glovebox.local.sample_repositories import OWNER, PLANTED
from glovebox.scans.model import ScanState
from glovebox.scans.repositories import target_of
from glovebox_constructs.scan_script import scan_script
from tests.perimeter.inside import Inside

pytestmark = pytest.mark.lab

FAULTY = f"{HOST}/{OWNER}/{PLANTED}"
LOOKS_AROUND = """
import json, os, socket, sys
def tried(address, port):
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError as error:
        return type(error).__name__
    return "connected"
outcomes = {f"{address}:{port}": tried(address, port) for address, port in json.loads(sys.argv[1])}
with open(os.path.join(os.environ["TMPDIR"], "outcomes.json"), "w") as file:
    json.dump([outcomes, sorted(os.environ)], file)
os.execv("/bin/sh", ["/bin/sh", "-c", sys.argv[2]])
"""
"""The scanner's own script follows, so the scan is none the worse."""


@dataclass(frozen=True)
class Tried:
    view: View
    outcomes: Mapping[str, str]
    environment: list[str]


@pytest.fixture(scope="module")
def tried(inside: Inside) -> Tried:
    machines = inside.perimeter.lab.plan.machines
    gateway = machines[GATEWAY].address
    ends = [
        (S3_ADDRESS, 443),
        *((gateway, port) for port in (3128, 3129)),
        *((machines[name].address, 443) for name in (SCANNER, NEIGHBOUR)),
        (EVIL_ADDRESS, 443),
    ]
    inside.commands["trivy"] = (PYTHON, "-c", LOOKS_AROUND, json.dumps(ends), scan_script("trivy"))
    try:
        view = inside.completed(inside.cloud.scan_repositories(FAULTY).run_id)
    finally:
        inside.commands.clear()
    [kept] = (inside.folder / "tasks").glob("*/volumes/scratch/outcomes.json")
    outcomes, environment = json.loads(kept.read_text())
    return Tried(view, outcomes, environment)


def test_a_repository_is_scanned_inside_the_perimeter(inside: Inside, tried: Tried) -> None:
    assert [(scan.state, scan.attempt) for scan in tried.view.scans] == [(ScanState.COMPLETED, 1)] * 2, tried
    [summary] = [each for each in inside.cloud.findings.targets() if each.target == target_of(FAULTY)]
    assert summary.tally.states == {"new": {"critical": 2, "high": 5, "medium": 3}}
    assert not tried.view.problems


def test_its_scanner_reaches_the_endpoint_and_neither_the_gateway_nor_anybody_else(tried: Tried) -> None:
    outcomes = dict(tried.outcomes)
    assert outcomes.pop(f"{S3_ADDRESS}:443") == "connected"
    assert len(outcomes) == 5
    assert set(outcomes.values()) <= {"TimeoutError", "ConnectionRefusedError", "OSError"}, outcomes


def test_the_gateway_has_heard_nothing_of_it(inside: Inside, tried: Tried) -> None:
    scans = {scan.scan_id for scan in tried.view.scans}
    assert not [each for each in inside.perimeter.ledger() if each.get("scan") in scans]


def test_the_scanner_is_given_no_address_and_no_key(tried: Tried) -> None:
    assert not [
        name for name in tried.environment if "URL" in name or "ORDER" in name or "PROXY" in name.upper()
    ]
