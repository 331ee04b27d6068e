"""A repository's task under Podman: inlet, a scanner in the way of an unmodified image, outlet.

What these tests claim, they claim for Podman on this machine: not for Fargate.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from glovebox.scans.repository_lines import Line, Secret
from glovebox_constructs.scan_script import scan_script
from tests.airlock_repository import FOUND_KEY, repository_order
from tests.containers.task import AUTHORITY, OURS, SIGNATURE, Ground, Task, ground
from tests.hostile.seen import places_of, seen
from tests.native_reports import hog
from tests.tarballs import of_files, snapshot_request

pytestmark = [pytest.mark.containers, pytest.mark.lab, pytest.mark.usefixtures("images")]

VALUE = "ghp_1B4a2e77838347a7E420ce178F2E7c6912E1"
FILES = {"src/a.py": f"token = '{VALUE}'\n".encode(), "README.md": b"# Shop\n"}
ARCHIVE = of_files(FILES)
SCANNER = """#!/bin/sh
[ "$1" != --version ] || { echo trufflehog 3.90.0; exit 0; }
[ "$2" != --help ] || exit 0
/bin/cat "$2"/repository/src/a.py "$2"/repository/README.md "$2"/canary/* >/dev/null || exit 9
for place in "$2" "$2"/repository "$2"/repository/src "$2"/canary; do
  { echo x >"$place"/new; } 2>/dev/null && exit 8
done
{ echo x >>"$2"/repository/src/a.py; } 2>/dev/null && exit 7
{ /bin/chmod u+w "$2"/repository/src/a.py; } 2>/dev/null && exit 6
echo @LINE@
echo @CANARY@
echo '{"level":"error","msg":"odd: @VALUE@"}' >&2
"""
"""In place of TruffleHog, which no registry here has: what it reads, what it must not, and what it leaves."""


@pytest.fixture(scope="module")
def lab(images: None) -> Iterator[Ground]:
    with ground() as made:
        yield made


@pytest.fixture
def task(lab: Ground, tmp_path: Path) -> Iterator[Task]:
    with lab.task(tmp_path) as made:
        made.s3.objects["request.json"] = msgspec.json.encode(snapshot_request(ARCHIVE, 2, "trufflehog"))
        made.s3.objects["archive"] = ARCHIVE
        yield made


def test_under_podman_a_scanner_reads_the_tree_and_cannot_change_it_and_no_secret_gets_out(
    task: Task,
) -> None:
    done = task.inlet()
    assert (done.returncode, done.stderr) == (0, "")
    assert SIGNATURE not in done.stdout
    program = task.folder / "scratch" / "trufflehog"
    canary = hog("a-key", path="/glovebox/in/tree/canary/key.pem", DetectorName="PrivateKey")
    script = SCANNER.replace("@VALUE@", VALUE)
    script = script.replace("@LINE@", shlex.quote(json.dumps(hog(VALUE))))
    program.write_text(script.replace("@CANARY@", shlex.quote(json.dumps(canary))))
    program.chmod(0o755)
    assert task.scripted(scan_script("trufflehog"), ["--env=PATH=/tmp:/usr/bin:/bin"], OURS) == 0

    manifest = task.manifest(repository_order(task.s3, "trufflehog"))
    assert (manifest.scanner_exit, manifest.reason, manifest.report_withheld) == (0, "", 0)
    assert manifest.scanner_version == "3.90.0"
    assert [(each.what, each.count) for each in manifest.logged_errors] == [("other", 1)]
    assert VALUE not in manifest.log_tail
    sent = task.s3.objects[FOUND_KEY]
    assert VALUE.encode() not in sent
    lines = [msgspec.json.decode(line, type=Line) for line in sent.splitlines()]
    assert [(line.path, line.rule) for line in lines if isinstance(line, Secret)] == [
        ("repository/src/a.py", "Github"),
        ("canary/key.pem", "PrivateKey"),
    ]


def test_under_podman_a_hostile_scanner_sees_the_tree_and_nothing_of_the_airlock(task: Task) -> None:
    assert task.inlet().returncode == 0
    before = {path: path.stat().st_mode for path in (task.folder / "in").rglob("*")}
    assert task.scanner("look") == 0
    found = seen((task.out / "report.ocsf.json").read_bytes())
    assert places_of(VALUE, found) == ["file /glovebox/in/tree/repository/src/a.py"]
    assert places_of("BEGIN PRIVATE KEY", found) == ["file /glovebox/in/tree/canary/key.pem"]
    for hidden in (SIGNATURE, "GLOVEBOX_SNAPSHOT_URL", "GLOVEBOX_ORDER", "GLOVEBOX_REQUEST_URL"):
        assert places_of(hidden, found) == []
    attempts = {name: body for name, body in found.items() if name.startswith("attempt ")}
    assert len(attempts) == 17
    assert not [name for name, body in attempts.items() if body == b"done"]
    assert {path: path.stat().st_mode for path in (task.folder / "in").rglob("*")} == before


def test_under_podman_the_outlet_has_no_way_to_what_the_inlet_laid_down(task: Task) -> None:
    assert task.inlet().returncode == 0
    assert (task.folder / "in" / "tree" / "repository" / "README.md").is_file()
    listed = task.outlet("/usr/bin/find", "/glovebox")
    assert listed.returncode == 0, listed.stderr
    assert set(listed.stdout.split()) == {"/glovebox", "/glovebox/in", "/glovebox/out", AUTHORITY}


def test_under_podman_a_volume_that_is_full_is_called_so_and_nothing_stays(task: Task) -> None:
    """The volumes are on a disk of 96 MB."""
    archive = of_files({f"{number}": bytes([number]) * (1 << 20) for number in range(128)})
    request = snapshot_request(archive, 128, "trufflehog")
    task.s3.objects |= {"request.json": msgspec.json.encode(request), "archive": archive}
    done = task.inlet()
    assert done.returncode == 1
    assert "There is no room for the repository" in done.stdout
    assert list((task.folder / "in").iterdir()) == []


def test_under_podman_an_archive_that_is_another_one_ends_the_task(task: Task) -> None:
    task.s3.objects["archive"] = of_files({**FILES, "more": b"x"})
    done = task.inlet()
    assert done.returncode == 1
    assert "snapshot_damaged" in done.stdout
    assert SIGNATURE not in done.stdout + done.stderr
    assert list((task.folder / "in").iterdir()) == []
