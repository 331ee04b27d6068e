"""The gateway's boot program: whole once its places are filled; its refresh runs with stand-ins for AWS."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from glovebox_constructs.gateway_keys import NOTHING_YET
from glovebox_constructs.squid_egress import BOOT

PUBLIC = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"
ANSWERS = {
    "secretsmanager": {"SecretString": json.dumps({"certificate": "LEAF", "key": "KEY"})},
    "ssm": {"Parameter": {"Value": f"# published yesterday\n{PUBLIC}\n"}},
}
CREDENTIALS = {"AccessKeyId": "AKIAEXAMPLE", "SecretAccessKey": "secret/of+ours", "Token": "token=="}
CURL = """#!/bin/bash
# The last argument is the address; what is asked for stands in files beside this program.
here=$(dirname "$0"); last="${!#}"
printf '%s\\n' "$*" >>"$here/asked"
case "$last" in
  */token) echo t ;;
  */security-credentials/) echo role ;;
  */security-credentials/role) cat "$here/credentials" ;;
  https://secretsmanager.*) cat >>"$here/signed"; cat "$here/secretsmanager" ;;
  https://ssm.*) cat >>"$here/signed"; cat "$here/ssm" ;;
  *) exit 22 ;;
esac
"""
DOCKER = """#!/bin/bash
echo "$*" >>"$(dirname "$0")/docker.log"
"""


def _filled(folder: Path) -> str:
    text = BOOT.read_text()
    places = {"FOLDER": str(folder), "REGION": "eu-central-1", "IMAGE": "r/i@sha256:0", "FILES": ""}
    for name in set(re.findall(r"@([A-Z]+)@", text)):
        text = text.replace(f"@{name}@", places.get(name, name.lower()))
    return text


class Machine:
    """A folder of stand-ins for `curl`, `docker` and `chown`, and the refresh program."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / "gateway"
        self.folder.mkdir()
        for name, text in {"curl": CURL, "docker": DOCKER, "chown": "#!/bin/bash\n"}.items():
            (root / name).write_text(text)
            (root / name).chmod(0o755)
        (root / "credentials").write_text(json.dumps(CREDENTIALS))
        for service, answer in ANSWERS.items():
            (root / service).write_text(json.dumps(answer))
        program = re.search(r"gateway-refresh <<'PROGRAM'\n(.*?)\nPROGRAM\n", _filled(self.folder), re.DOTALL)
        assert program
        self.program = program[1]

    def refresh(self) -> int:
        environment = {**os.environ, "PATH": f"{self.root}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-c", self.program],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode

    def log(self, name: str) -> str:
        path = self.root / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_whole_program_is_bash(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-n"], input=_filled(tmp_path), text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_leaf_and_ticket_keys_are_put_in_place_for_the_gateway_alone(machine: Machine) -> None:
    assert machine.refresh() == 0
    written = {each.name: each.read_text().strip() for each in machine.folder.iterdir()}
    assert written == {"leaf.pem": "LEAF", "leaf.key": "KEY", "ticket-keys.pem": PUBLIC}
    assert (machine.folder / "leaf.key").stat().st_mode & 0o077 == 0


def test_the_gateway_is_told_of_changes_alone(machine: Machine) -> None:
    told = "kill --signal HUP gateway"
    machine.refresh()
    assert machine.log("docker.log").count(told) == 1
    machine.refresh()
    assert machine.log("docker.log").count(told) == 1
    (machine.root / "ssm").write_text(json.dumps({"Parameter": {"Value": PUBLIC.replace("A", "B")}}))
    machine.refresh()
    assert machine.log("docker.log").count(told) == 2
    assert (machine.folder / "ticket-keys.pem").read_text().strip() == PUBLIC.replace("A", "B")


def test_a_comment_that_changes_is_no_reason_to_reload(machine: Machine) -> None:
    machine.refresh()
    told = machine.log("docker.log")
    (machine.root / "ssm").write_text(json.dumps({"Parameter": {"Value": f"# in use today\n{PUBLIC}\n"}}))
    assert machine.refresh() == 0
    assert machine.log("docker.log") == told


@pytest.mark.parametrize(
    ("service", "answer"),
    [
        ("ssm", {"Parameter": {"Value": NOTHING_YET}}),
        ("ssm", {"Parameter": {"Value": ""}}),
        ("secretsmanager", {"__type": "ResourceNotFoundException"}),
        ("secretsmanager", {"SecretString": "no leaf"}),
    ],
)
def test_what_is_not_minted_yet_puts_nothing_in_place(
    machine: Machine, service: str, answer: dict[str, object]
) -> None:
    (machine.root / service).write_text(json.dumps(answer))
    assert machine.refresh() != 0
    assert list(machine.folder.iterdir()) == []


def test_a_machine_that_is_faster_than_the_first_keys_waits_for_them(machine: Machine) -> None:
    waits = re.search(r"\nfor _ in .*?\ndone\n\[[^\n]+\]\n", _filled(machine.folder), re.DOTALL)
    assert waits
    tries, keys = machine.root / "tries", machine.folder / "ticket-keys.pem"
    program = waits[0].replace("/usr/local/sbin/gateway-refresh", "refresh")
    text = f"""set -euo pipefail
        sleep() {{ :; }}
        refresh() {{ echo >>{tries}; [ "$(wc -l <{tries})" -lt 3 ] || echo K >{keys}; [ -e {keys} ]; }}
        folder={machine.folder}
        {program}"""
    assert subprocess.run(["bash", "-c", text], check=False, timeout=60).returncode == 0
    assert len(tries.read_text().splitlines()) == 3


def test_requests_are_signed_and_no_list_of_processes_shows_the_keys(machine: Machine) -> None:
    machine.refresh()
    assert 'user = "AKIAEXAMPLE:secret/of+ours"' in machine.log("signed")
    assert "secret/of+ours" not in machine.log("asked")


@pytest.mark.parametrize("service", ANSWERS)
def test_what_aws_refuses_leaves_everything_as_it_was(machine: Machine, service: str) -> None:
    machine.refresh()
    (machine.root / service).write_text('{"__type": "AccessDeniedException"}')
    assert machine.refresh() != 0
    written = {each.name: each.read_text().strip() for each in machine.folder.iterdir()}
    assert written == {"leaf.pem": "LEAF", "leaf.key": "KEY", "ticket-keys.pem": PUBLIC}
