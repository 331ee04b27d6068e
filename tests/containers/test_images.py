"""Our images, built as their Dockerfiles say and run by Podman.

These tests speak for Podman on this machine: not for Fargate's kernel, and where no registry is in reach not
for the bytes of the real base, since a stand-in with the same Debian packages takes its name.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from glovebox.local.engines import image_name

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ("inlet", "outlet", "siteaudit")
LIMITS = (
    "--rm", "--pull=never", "--network=none", "--read-only", "--cap-drop=ALL",
    "--security-opt=no-new-privileges", "--memory=256m", "--pids-limit=32",
    "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024",
)  # fmt: skip
"""What a task definition of ours sets, in Podman's words."""

pytestmark = [pytest.mark.containers, pytest.mark.usefixtures("images")]


def run(image: str, *command: str, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """`command` in `image` under a task's limits, instead of the image's own entry point."""
    return subprocess.run(
        ["podman", "run", *LIMITS, *options, f"--entrypoint={command[0]}", image_name(image), *command[1:]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        # Podman leaves a note called `oom` where it stands when a container is killed.
        cwd=tempfile.gettempdir(),
    )


def python(image: str, program: str, *, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    return run(image, "python3", "-c", program, options=options)


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_its_own_module_as_a_user_without_rights(image: str) -> None:
    inspected = subprocess.run(
        ["podman", "image", "inspect", image_name(image)], capture_output=True, text=True, check=True
    )
    config = json.loads(inspected.stdout)[0]["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["python3", "-m", f"containers.{image}"]
    assert "/glovebox/out" in config["Volumes"]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_ships_its_own_closure_and_no_other_entry_point(image: str) -> None:
    listed = python(
        image,
        "import os; print(*sorted(os.listdir('/opt/glovebox/containers')), *os.listdir('/opt/glovebox'))",
    )
    assert listed.returncode == 0, listed.stderr
    shipped = listed.stdout.split()
    assert image in shipped
    assert not (set(IMAGES) - {image}) & set(shipped)
    assert not {"functions", "stacks", "boto3", "aws_cdk", "pip"} & set(shipped)


@pytest.mark.parametrize("image", IMAGES)
def test_under_podman_a_container_has_no_capability_and_gains_none(image: str) -> None:
    status = python(image, "print(open('/proc/self/status').read())")
    fields = dict(line.split(":\t", 1) for line in status.stdout.splitlines() if ":\t" in line)
    assert int(fields["CapEff"], 16) == 0
    assert int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"].strip() == "1"
    assert fields["Uid"].split()[0] == "10001"


@pytest.mark.parametrize("path", ["/x", "/opt/glovebox/x", "/usr/bin/x", "/etc/x", "/glovebox/x"])
def test_under_podman_the_scanner_cannot_write_outside_its_volumes(path: str) -> None:
    written = python("siteaudit", f"open({path!r}, 'w')")
    assert written.returncode != 0
    assert "Read-only file system" in written.stderr or "Permission denied" in written.stderr


def test_under_podman_a_scanner_that_takes_all_memory_is_killed() -> None:
    greedy = python("siteaudit", "b = [bytearray(1 << 24) for _ in range(10_000)]")
    assert greedy.returncode == 137


def test_under_podman_a_scanner_cannot_fork_without_end() -> None:
    forking = python(
        "siteaudit",
        "import os, time\nfor n in range(1_000):\n  if os.fork() == 0: time.sleep(5); os._exit(0)\n",
    )
    assert "BlockingIOError" in forking.stderr


def test_without_a_request_the_scanner_says_so_and_leaves_an_exit_code(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
        folder.chmod(0o777)
    volumes = (f"--volume={inside}:/glovebox/in:ro", f"--volume={outside}:/glovebox/out:rw", "--tmpfs=/tmp")
    ended = run("siteaudit", "python3", "-m", "containers.siteaudit", options=volumes)
    assert ended.returncode == 2, ended.stderr
    assert json.loads((outside / "exit.json").read_text()) == {"exit": 2}
