"""An account's task under Podman, its scanner as hostile as it can be (tests/hostile/scanner.py).

What these tests claim, they claim for Podman on this machine, in the lab's network: not for Fargate.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from glovebox.envelopes.names import CLAIM_BYTES
from glovebox_constructs.prowler_script import prowler_script
from tests.airlock_account import REPORT_KEY, account_request, redeeming
from tests.containers.task import MOST, SIGNATURE, Ground, Task, ground
from tests.envelopes import SECRET, ticket
from tests.hostile.seen import places_of, seen

pytestmark = [pytest.mark.containers, pytest.mark.lab, pytest.mark.usefixtures("images")]

OURS = ("GLOVEBOX_REQUEST_URL", "GLOVEBOX_CLAIM_URL", "GLOVEBOX_ENVELOPE_URL", "GLOVEBOX_ORDER")
LISTENING = b" 0A "
"""A socket's state in /proc/net/tcp."""


@pytest.fixture(scope="module")
def lab(images: None) -> Iterator[Ground]:
    with ground() as made:
        yield made


@pytest.fixture
def task(lab: Ground, tmp_path: Path) -> Iterator[Task]:
    with lab.task(tmp_path) as made:
        made.s3.objects["request.json"] = account_request()
        made.s3.on_put = redeeming(made.s3)
        yield made


@pytest.fixture
def opened(task: Task) -> Task:
    """A task whose volumes the inlet's image has taken into use, with nothing in them."""
    assert task.inlet("/bin/true").returncode == 0
    return task


def test_under_podman_a_hostile_scanner_sees_its_own_credentials_and_nothing_of_the_airlock(
    lab: Ground, task: Task
) -> None:
    done = task.inlet()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    before = {path.name: path.read_bytes() for path in (task.folder / "in").iterdir()}
    assert task.scanner("look") == 0
    manifest = task.manifest()
    assert (manifest.report_uploaded, manifest.reason, manifest.report_withheld) == (True, "", 0)
    # What left is what it saw: data coded into a report gets out, so this is all that there was to take.
    found = seen(task.s3.objects[REPORT_KEY])

    assert places_of(SECRET, found) == ["file /glovebox/in/credentials"]
    assert places_of(ticket().password, found)
    assert places_of(SIGNATURE, found) == []
    assert not [name for name in OURS if places_of(name, found)]
    claimed = json.loads(task.s3.objects["claim.json"])["key"]
    assert len(claimed) > CLAIM_BYTES // 2
    assert places_of(claimed[:64], found) == []

    programs = [body for name, body in found.items() if name.endswith(" cmdline")]
    assert len(programs) == 1
    assert b"containers.inlet" not in programs[0] + b"".join(found.values())
    assert not [name for name in found if name.endswith(" memory")]
    assert not [name for name, body in found.items() if name.startswith("sockets tcp") and LISTENING in body]
    answers = {name: body for name, body in found.items() if name.startswith("metadata ")}
    assert len(answers) == 6
    assert not [name for name, body in answers.items() if body.startswith(b"answered")]
    with pytest.raises(BlockingIOError):
        lab.trap.accept()

    attempts = {name: body for name, body in found.items() if name.startswith("attempt ")}
    assert len(attempts) == 17
    assert not [name for name, body in attempts.items() if body == b"done"]
    assert {path.name: path.read_bytes() for path in (task.folder / "in").iterdir()} == before


PROWLER = """#!/bin/sh
[ -r "$AWS_SHARED_CREDENTIALS_FILE" ] && [ -n "$HTTPS_PROXY" ] && touch "$HOME/scratch-is-mine" || exit 9
echo '[{"a": 1}]' >/glovebox/out/report.ocsf.json
echo '{"level": "ERROR", "message": "odd"}' >/glovebox/out/scanner.log
exit 3
"""
"""In place of the real one, which no registry here has: what it needs to read and to write, and a bad end."""


def test_under_podman_the_task_definitions_script_runs_between_inlet_and_outlet_as_its_own_user(
    task: Task,
) -> None:
    assert task.inlet().returncode == 0
    program = task.folder / "scratch" / "prowler"
    program.write_text(PROWLER)
    program.chmod(0o755)
    assert task.scripted(prowler_script(), ["--env=PATH=/tmp:/usr/bin:/bin"]) == 3
    manifest = task.manifest()
    assert (manifest.scanner_exit, manifest.report_lines, manifest.reason) == (3, 1, "")
    assert [(each.what, each.count) for each in manifest.logged_errors] == [("other", 1)]


def test_what_is_planted_is_found_so_that_finding_nothing_means_something(tmp_path: Path) -> None:
    """The same look, in a box with holes: an address in its environment, a neighbour's process, no rules."""
    with ground() as open_ground, open_ground.task(tmp_path) as task:
        open_ground.namespaces.flush()
        assert task.inlet("/bin/true").returncode == 0
        holes = (f"--env=GLOVEBOX_REQUEST_URL={task.s3.url('request.json')}", "--pid=host")
        assert task.scanner("look", options=holes) == 0
        found = seen((task.out / "report.ocsf.json").read_bytes())
        assert "environment" in places_of(SIGNATURE, found)
        assert len([name for name in found if name.endswith(" cmdline")]) > 1
        assert [name for name in found if name.endswith(" memory")]
        open_ground.trap.accept()[0].close()


def test_under_podman_the_inlet_s_image_opens_its_volumes_to_the_scanner_s_group_and_nobody_else(
    opened: Task,
) -> None:
    folders = {path.name: path.stat() for path in opened.folder.iterdir() if path.is_dir()}
    assert {name: (oct(at.st_mode & 0o7777), at.st_uid, at.st_gid) for name, at in folders.items()} == {
        "in": ("0o750", 10001, 10001),
        "out": ("0o770", 10001, 10001),
        "scratch": ("0o1777", 0, 0),
    }


@pytest.mark.parametrize("refused", ["request.json", "claim.json"])
def test_under_podman_an_inlet_that_fails_says_so_by_its_exit_code_and_leaves_nothing(
    task: Task, refused: str
) -> None:
    """The task definition lets a scanner start after SUCCESS alone."""
    task.s3.answers = [200, 403] if refused == "claim.json" else [302]
    done = task.inlet()
    assert done.returncode == 1
    assert SIGNATURE not in done.stdout + done.stderr
    assert list((task.folder / "in").iterdir()) == []


@pytest.mark.parametrize(
    ("harm", "code", "reason"),
    [
        ("links", 0, "report.ocsf.json cannot be opened (Too many levels of symbolic links)"),
        ("sparse", 0, f"the report is larger than {MOST:,} bytes"),
        ("closed", 0, "report.ocsf.json cannot be opened (Permission denied)"),
        ("disk", 0, f"the report is larger than {MOST:,} bytes"),
        ("memory", 137, "The report is cut off."),
    ],
)
def test_under_podman_an_outlet_survives_its_scanner_and_says_what_it_left(
    opened: Task, harm: str, code: int, reason: str
) -> None:
    assert opened.scanner(harm) == code
    manifest = opened.manifest()
    assert (manifest.scanner_exit, manifest.log_tail) == (None, "")
    assert manifest.reason.startswith(reason)
    assert manifest.report_uploaded == (harm == "memory")


def test_under_podman_a_crowd_of_files_costs_the_outlet_nothing(opened: Task) -> None:
    assert opened.scanner("crowd") == 0
    assert opened.manifest().reason.startswith("the scanner left more than 64 files")


def test_under_podman_forks_end_at_the_limit_and_the_scanners_end_ends_them_all(opened: Task) -> None:
    assert opened.scanner("forks") == 0
    assert (opened.out / "refused").exists()
    manifest = opened.manifest()
    assert (manifest.scanner_exit, manifest.report_uploaded) == (0, True)


def test_under_podman_a_scanner_that_ignores_its_end_is_killed(opened: Task) -> None:
    process = opened.start_scanner("deaf")
    deadline = time.monotonic() + 20
    while not (opened.out / "listening").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    opened.stop_scanner(seconds=1)
    assert process.wait(20) == 137
    assert opened.manifest().scanner_exit is None
