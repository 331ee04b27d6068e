"""Child processes that cannot outlive us, whatever they do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

SUPERVISOR = Path(__file__).with_name("supervise.py")
END_SECONDS = 10.0
"""For a supervisor to end all that it has; it kills after two seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one supervised command may use; bytes and seconds. Zero files of core: nothing to leak."""

    data: int
    files: int
    file_bytes: int
    cpu_seconds: int
    processes: int
    core: int = 0


def start(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    output: IO[bytes],
    limits: Limits | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` under a supervisor, with exactly this environment.

    It runs in a session of its own, so that a Ctrl-C in our terminal reaches us alone and
    we end things in order.  Must be called from a thread that lives as long as the command:
    the kernel ends the supervisor with the thread that started it.
    """
    allowed = asdict(limits) if limits else {}
    return subprocess.Popen(
        [sys.executable, "-I", str(SUPERVISOR), json.dumps(allowed), *command],
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes]) -> int:
    """Ask the supervisor to end everything below it, and wait until it has; its exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
