"""The lab itself: each rule with its control, the sandbox, and that nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glovebox.errors import UpstreamError
from glovebox.lab import namespaces
from glovebox.lab.lab import CHECKOUT, Lab
from glovebox.lab.namespaces import Namespaces
from glovebox.lab.plan import (
    BYSTANDER,
    DYNAMODB_ADDRESS,
    ENDPOINT,
    EVIL_ADDRESS,
    GATEWAY,
    METADATA_ADDRESSES,
    NEIGHBOUR,
    ORIGIN_ADDRESS,
    PUBLIC_RESOLVER,
    S3_ADDRESS,
    SCANNER,
    TICKETLESS,
    place,
)
from glovebox.lab.sandbox import USER, sandboxed
from glovebox.lab.template import Network
from tests.perimeter.conftest import Reach

pytestmark = pytest.mark.lab

ALLOWED = [
    (SCANNER, GATEWAY, 3128),
    (SCANNER, GATEWAY, 3129),
    (SCANNER, ENDPOINT, 443),
    (SCANNER, S3_ADDRESS, 443),
    (TICKETLESS, ENDPOINT, 443),
    (TICKETLESS, S3_ADDRESS, 443),
    (GATEWAY, ORIGIN_ADDRESS, 443),
]
DENIED = [
    (SCANNER, GATEWAY, 22),
    (SCANNER, ENDPOINT, 80),
    (SCANNER, S3_ADDRESS, 80),
    (SCANNER, DYNAMODB_ADDRESS, 443),
    (SCANNER, NEIGHBOUR, 443),
    (SCANNER, TICKETLESS, 443),
    (SCANNER, BYSTANDER, 443),
    (SCANNER, EVIL_ADDRESS, 443),
    (SCANNER, PUBLIC_RESOLVER, 53),
    (SCANNER, METADATA_ADDRESSES[0], 80),
    (SCANNER, METADATA_ADDRESSES[1], 80),
    (TICKETLESS, GATEWAY, 3128),
    (TICKETLESS, GATEWAY, 3129),
    (TICKETLESS, EVIL_ADDRESS, 443),
    (GATEWAY, SCANNER, 443),
    (GATEWAY, BYSTANDER, 22),
    (ENDPOINT, SCANNER, 443),
    (BYSTANDER, GATEWAY, 3128),
    ("internet", SCANNER, 443),
    ("internet", GATEWAY, 3128),
]


def address_of(lab: Lab, target: str) -> str:
    machine = lab.plan.machines.get(target)
    return machine.address if machine else target


@pytest.mark.parametrize(("source", "target", "port"), ALLOWED)
def test_what_the_roles_allow_passes(
    bare_lab: Lab, reach: Reach, source: str, target: str, port: int
) -> None:
    assert reach(bare_lab, source, address_of(bare_lab, target), port) in ("open", "reached")


@pytest.mark.parametrize(("source", "target", "port"), DENIED)
def test_what_no_role_allows_is_dropped_and_logged(
    bare_lab: Lab, reach: Reach, source: str, target: str, port: int
) -> None:
    address = address_of(bare_lab, target)
    list(bare_lab.news())
    assert reach(bare_lab, source, address, port) == "dropped"
    dropped = [
        event for journal, event in bare_lab.news() if journal == "flows" and event["event"] == "dropped"
    ]
    assert (address, port) in [(event["target"], event["port"]) for event in dropped]


def test_without_rules_everything_denied_is_reached(network: Network, tmp_path: Path, reach: Reach) -> None:
    """The control: so the drops above are the rules' doing and not the lab's."""
    with Lab(network, tmp_path, kind="bare") as lab:
        lab.namespaces.flush()
        ends = {row: reach(lab, row[0], address_of(lab, row[1]), row[2]) for row in DENIED}
    assert [row for row, end in ends.items() if end == "dropped"] == []


def in_box(lab: Lab, code: str) -> subprocess.CompletedProcess[str]:
    command = lab.namespaces.inside(SCANNER, ["env", "-C", "/", *sandboxed([lab.python, "-I", "-c", code])])
    environment = {"PATH": os.environ["PATH"], "CANARY": "of-the-neighbour"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_a_boxed_process_has_no_rights_and_nobody_beside_it(bare_lab: Lab) -> None:
    done = in_box(
        bare_lab,
        "import os; s = open('/proc/self/status').read()\n"
        "print(os.getuid(), os.getgroups(), [l.split()[1] for l in s.splitlines() if l.startswith('Cap')],"
        " 'NoNewPrivs:\\t1' in s, len([p for p in os.listdir('/proc') if p.isdigit()]))",
    )
    zero = "0" * 16
    assert done.stdout.strip() == f"{USER} [] {[zero] * 5} True 2", done.stderr


def test_a_boxed_process_reads_no_other_environment(bare_lab: Lab) -> None:
    """Of the processes that it sees at all: its shell, which has the canary, is root's."""
    done = in_box(
        bare_lab,
        "import glob\nfound = []\n"
        "for path in glob.glob('/proc/[0-9]*/environ'):\n"
        "    try: found.append(path) if b'CANARY' in open(path, 'rb').read() else None\n"
        "    except PermissionError: print('refused', path)\n"
        "print(len(found))",
    )
    assert done.stdout.splitlines() == ["refused /proc/1/environ", "1"], "its own alone"


@pytest.mark.parametrize("path", ["/etc/hostname", "/run/here", "/var/tmp/here", f"{CHECKOUT}/here"])
def test_a_boxed_process_writes_nowhere_but_in_its_tmp(bare_lab: Lab, path: str) -> None:
    done = in_box(bare_lab, f"open('/tmp/mine', 'w').close(); open({path!r}, 'w')")
    assert "Error" in done.stderr.splitlines()[-1]
    assert "/tmp/mine" not in done.stderr


def test_a_boxed_process_reads_no_key_of_the_gateway(network: Network, tmp_path: Path) -> None:
    with Lab(network, tmp_path) as lab:
        done = in_box(lab, "print(open('/run/lab/gateway/leaf.key').read())")
        reachable = in_box(lab, "import os; print(os.listdir('/run/lab'))")
    assert "PermissionError" in done.stderr
    assert "gateway" in reachable.stdout, "it is there, and closed"


def our_processes(marker: str) -> list[str]:
    """Command lines that hold `marker`, of whatever namespace."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [line for line in found if marker in line]


_KEEPER = "mount -t tmpfs -o mode=0755 lab /run"


def wait_until_gone(marker: str) -> list[str]:
    for _ in range(200):
        if not our_processes(marker):
            return []
        time.sleep(0.02)
    return our_processes(marker)


def test_a_lab_that_is_left_leaves_nothing(network: Network, tmp_path: Path) -> None:
    before = set(Path("/run/netns").glob("*"))
    with Lab(network, tmp_path, kind="bare"):
        assert our_processes(str(tmp_path))
    assert wait_until_gone(str(tmp_path)) == []
    assert set(Path("/run/netns").glob("*")) == before
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    assert [line for line in mounts if line.startswith("lab ") or "/run/lab" in line] == []


def test_a_lab_whose_maker_is_killed_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time\n"
        "from glovebox.lab.lab import Lab\nfrom glovebox.lab.synthesis import perimeter\n"
        "with Lab(perimeter(), pathlib.Path(sys.argv[1])): print('up', flush=True); time.sleep(60)\n"
    )
    folder = tmp_path / "killed"
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, cwd=CHECKOUT
    ) as maker:
        assert maker.stdout is not None
        assert maker.stdout.readline() == b"up\n"
        assert len(our_processes(str(folder))) > 3
        assert our_processes("/run/lab/gateway/squid.conf")
        maker.send_signal(signal.SIGKILL)
    assert wait_until_gone(str(folder)) == []
    assert wait_until_gone("/run/lab/gateway/squid.conf") == []


def test_a_lab_that_cannot_be_built_leaves_nothing(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "render", lambda plan: "this is no rule set")
    lab = Namespaces(place(network))
    others = our_processes(_KEEPER)
    with pytest.raises(UpstreamError, match="syntax error"), lab:
        pytest.fail("it was built")
    for _ in range(200):
        if len(our_processes(_KEEPER)) == len(others):
            break
        time.sleep(0.02)
    assert len(our_processes(_KEEPER)) == len(others)
