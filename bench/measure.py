"""What a command costs: time on the clock, processor time of it and all its children, and memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PATIENCE: Final = 600.0
"""Seconds for one command; a peer that hangs is ended, and its row says so."""


LAUNCHER: Final = Path(__file__).with_name("launch.py")


class CommandFailedError(Exception):
    """The command did not end with 0, or not in time."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one command, or of several one after the other."""

    wall: float
    cpu: float
    """Seconds, user and system together."""
    peak_bytes: int
    """Resident memory of its largest process."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.wall + other.wall, self.cpu + other.cpu, max(self.peak_bytes, other.peak_bytes))


NOTHING: Final = Usage(0.0, 0.0, 0)


def measured(
    commands: Sequence[Sequence[str]], output: Path, environment: Mapping[str, str] | None = None
) -> Usage:
    """Run `commands` one after the other; their output goes to the file `output`.

    Raises CommandFailedError.
    """
    total = NOTHING
    with output.open("wb") as file:
        for command in commands:
            total += _one(command, file.fileno(), dict(environment or os.environ))
    return total


def _one(command: Sequence[str], output: int, environment: dict[str, str]) -> Usage:
    reading, writing = os.pipe()
    began = time.perf_counter()
    with os.fdopen(reading, "rb") as report:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(writing), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            pass_fds=[writing],
            start_new_session=True,
        )
        os.close(writing)
        with _deadline(process):
            said = report.read().split()
            process.wait()
    wall = time.perf_counter() - began
    if not said or said[0] != b"0":
        code = said[0].decode() if said else "no answer"
        raise CommandFailedError(f"{command[0]} ended with {code} after {wall:.0f} s")
    return Usage(wall, float(said[1]), int(said[2]) * 1_024)


@contextmanager
def _deadline(process: subprocess.Popen[bytes]) -> Iterator[None]:
    timer = threading.Timer(PATIENCE, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
