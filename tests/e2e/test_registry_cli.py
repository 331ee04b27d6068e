"""The command line on the local cloud, found from another terminal by the run's own file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from glovebox.cli import remote
from glovebox.cli.exit_codes import BAD_INPUT, OK, REFUSED
from glovebox.cli.main import main
from glovebox.findings import recording
from glovebox.findings.model import State
from glovebox.local.aws import ACCOUNT as SCANNING
from glovebox.local.connection import FILE
from glovebox.local.target import TARGET as SCANNED
from tests.e2e.conftest import Platform
from tests.findings import START, TARGET, judgement, observation
from tests.prowler import ACCOUNT, COVERAGE

pytestmark = pytest.mark.e2e

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def run(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Command:
    folders: list[Path] = [each for each in platform.cloud.aws.authority.parents if (each / FILE).exists()]
    monkeypatch.setattr(remote, "local_runs", lambda: folders[0].parent)

    def command(*arguments: str) -> tuple[int, str]:
        code = main([*arguments, "--local"])
        return code, capsysbinary.readouterr().out.decode()

    return command


def test_targets_teams_and_owners_are_kept_in_the_deployment(run: Command) -> None:
    assert run("teams", "add", "payments", "--contact", "#payments")[0] == OK
    assert run("targets", "add", ACCOUNT, "--name", "Shop", "--ou", "Root/Prod")[0] == OK
    assert run("targets", "add", ACCOUNT)[0] == REFUSED
    assert run("targets", "add", SCANNING)[0] == REFUSED
    assert run("owners", "add", "--team", "payments", "--ou", "Root")[0] == OK
    [told] = [each for each in json.loads(run("targets", "list", "--json")[1]) if each["id"] == ACCOUNT]
    assert (told["id"], told["team"], told["teamBecause"]) == (ACCOUNT, "payments", "ou:Root")
    assert run("teams", "remove", "payments")[0] == REFUSED
    assert run("targets", "import", "--from-organizations")[0] == BAD_INPUT
    for arguments in (
        ("owners", "remove", "--ou", "Root"),
        ("targets", "remove", ACCOUNT),
        ("teams", "remove", "payments"),
    ):
        assert run(*arguments)[0] == OK
    left = json.loads(run("targets", "list", "--json")[1])
    accounts = [each["id"] for each in left if each["kind"] == "account"]
    assert accounts == [SCANNED], "the local cloud's own"


def test_findings_are_shown_and_accepted_in_the_deployment(run: Command) -> None:
    # What ingest does with a report; the deployment's own table, by the command line's own way to it.
    there = remote.connect(argparse.Namespace(local=True, profile=None, region=None))
    recording.record(
        there.findings,
        TARGET,
        judgement(observation(1), observation(2)),
        scan_id="first",
        at=START,
        coverage=COVERAGE,
        now=START,
    )
    of_account = ("--account", ACCOUNT)
    found = json.loads(run("findings", *of_account, "--format", "json")[1])
    assert {each["resource"] for each in found} == {observation(1).resource, observation(2).resource}
    until = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%d")
    choice = ("--reason", "known", "--owner", "ana", "--until", until)
    assert run("findings", "accept", found[0]["id"], *choice)[0] == OK
    [accepted] = json.loads(run("findings", *of_account, "--state", "accepted", "--format", "json")[1])
    assert accepted["acceptance"]["reason"] == "known"
    assert run("findings", "withdraw", found[0]["id"])[0] == OK
    assert run("findings", "withdraw", found[0]["id"])[0] == REFUSED
    [ocsf, _] = json.loads(run("findings", *of_account, "--format", "ocsf")[1])
    assert ocsf["unmapped"]["glovebox"]["state"] in {State.NEW, State.OPEN}
