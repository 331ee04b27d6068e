"""Supervised children: limits hold, and nothing outlives its supervisor."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glovebox.local import processes
from glovebox.local.aws import clean_environment
from glovebox.local.processes import Limits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")

LIMITS = Limits(data=256 << 20, files=64, file_bytes=1 << 20, cpu_seconds=60, processes=200)
PATIENCE = 20.0


def start(code: str, folder: Path, limits: Limits | None = None) -> subprocess.Popen[bytes]:
    with (folder / "output").open("wb") as output:
        return processes.start(
            [sys.executable, "-I", "-c", code],
            environment=clean_environment(),
            folder=folder,
            output=output,
            limits=limits,
        )


@pytest.mark.parametrize(("code", "wanted"), [("pass", 0), ("raise SystemExit(7)", 7)])
def test_the_exit_code_is_the_commands(tmp_path: Path, code: str, wanted: int) -> None:
    assert start(code, tmp_path).wait(PATIENCE) == wanted


def test_death_by_a_signal_counts_as_engines_count_it(tmp_path: Path) -> None:
    assert start("import os; os.kill(os.getpid(), 9)", tmp_path).wait(PATIENCE) == 128 + signal.SIGKILL


def test_a_command_that_is_not_there_is_told(tmp_path: Path) -> None:
    with (tmp_path / "output").open("wb") as output:
        process = processes.start(["/nonexistent"], environment={}, folder=tmp_path, output=output)
    assert process.wait(PATIENCE) == 126
    assert "cannot run /nonexistent" in (tmp_path / "output").read_text()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        pytest.param("bytearray(512 << 20)", "MemoryError", id="memory"),
        pytest.param("[open('/dev/null') for _ in range(100)]", "Too many open files", id="files"),
        pytest.param("open('big', 'wb').write(b'x' * (2 << 20))", "File too large", id="size of a file"),
        pytest.param(
            "import resource; raise SystemExit(str(resource.getrlimit(resource.RLIMIT_CORE)))",
            "(0, 0)",
            id="core",
        ),
    ],
)
def test_limits_hold(tmp_path: Path, code: str, said: str) -> None:
    process = start(f"import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n{code}", tmp_path, LIMITS)
    assert process.wait(PATIENCE) == 1
    assert said in (tmp_path / "output").read_text()


def test_the_limit_of_processes_leaves_the_users_own_alone(tmp_path: Path) -> None:
    code = (
        "import resource, pathlib, os\n"
        "soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)\n"
        "assert soft >= 200, soft\n"
        "assert 'NoNewPrivs:\\t1' in pathlib.Path('/proc/self/status').read_text()"
    )
    assert start(code, tmp_path, LIMITS).wait(PATIENCE) == 0, (tmp_path / "output").read_text()


DAEMON = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    pathlib.Path("pid").write_text(str(os.getpid()))
    time.sleep(600)
while not pathlib.Path("pid").exists() or not pathlib.Path("pid").read_text():
    time.sleep(0.01)
"""


def daemon_of(folder: Path) -> Path:
    file = folder / "pid"
    deadline = time.monotonic() + PATIENCE
    while not file.exists() or not file.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return Path("/proc") / file.read_text()


def test_a_process_that_left_its_session_ends_with_the_command(tmp_path: Path) -> None:
    process = start(DAEMON, tmp_path)
    daemon = daemon_of(tmp_path)
    assert process.wait(PATIENCE) == 0
    assert not daemon.exists()


def test_ending_kills_what_ignores_the_signal(tmp_path: Path) -> None:
    process = start(f"{DAEMON}\ntime.sleep(600)", tmp_path)
    daemon = daemon_of(tmp_path)
    assert processes.end(process) == 128 + signal.SIGKILL
    assert not daemon.exists()


def test_the_death_of_whoever_started_it_ends_it(tmp_path: Path) -> None:
    starter = (
        "import sys, time, pathlib\n"
        "from glovebox.local import processes\n"
        f"processes.start([sys.executable, '-I', '-c', {DAEMON + 'time.sleep(600)'!r}], environment={{}},\n"
        "                folder=pathlib.Path('.'), output=open('output', 'wb'))\n"
        "time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", starter], cwd=tmp_path)
    daemon = daemon_of(tmp_path)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + PATIENCE
    while daemon.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
