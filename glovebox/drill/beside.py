"""Attempts that no packet shows: on the machine itself, on the broker's lists, on what is shipped.

Lines 21, 22 and 23 of the threat model, each judged by whoever holds it: the sandbox by what was used and how
the process ended, host lists by the parser and the address rule that `launch` uses, output by the outlet.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from containers.outlet.inspection import log_tail
from glovebox.drill.judge import Verdict
from glovebox.errors import InputError, RefusedError
from glovebox.lab.journal import Journal
from glovebox.lab.lab import Lab
from glovebox.lab.plan import SCANNER
from glovebox.lab.sandbox import USER, Limits, sandboxed
from glovebox.scans.model import LOG_FILE
from glovebox.siteaudit.addresses import public_address
from glovebox.siteaudit.hosts import parse_hosts

OUT_BYTES = 32 << 20
"""What the hostile process may leave; a mount of that size."""
DEADLINE = 1.5
"""Seconds; a scan's is an hour, and ends in the same way."""
GREED = 256 << 20
"""What it tries to get, of memory and of disk."""
_LIMITS = Limits(address_space=192 << 20, cpu_seconds=1, processes=32)
_OUT = "/run/lab/out"


@dataclass(frozen=True, slots=True)
class Hog:
    """Ends with 0 only where it got what it wanted."""

    name: str
    code: str


HOGS = (
    Hog("exhaust memory", f"held = []\nfor _ in range({GREED} >> 20): held.append(bytearray(1 << 20))"),
    Hog(
        "fill the disk with many files",
        f"for n in range({GREED} >> 20):\n with open(f'{_OUT}/{{n}}', 'wb') as f: f.write(bytes(1 << 20))",
    ),
    Hog("fill the disk with one file", f"with open('{_OUT}/big', 'wb') as f: f.truncate({GREED})"),
    Hog(
        "start processes without end",
        "import os, time\nfor _ in range(256):\n if os.fork() == 0: time.sleep(60); os._exit(0)",
    ),
    Hog("burn the processor for ever", "while True: pass"),
    Hog(
        "wait for ever, deaf to signals",
        "import signal, time\nsignal.signal(15, signal.SIG_IGN)\ntime.sleep(600)",
    ),
)

REFUSED_NAMES = (
    "10.0.0.5", "169.254.169.254", "0x7f000001", "[::1]", "localhost", "metadata.google.internal",
    "a" * 64 + ".com", "a." * 200 + "com", "evil.com\x00.example.com",
)  # fmt: skip
REFUSED_ADDRESSES = (
    "127.0.0.1", "10.42.0.11", "169.254.169.254", "100.64.0.1", "0.1.2.3", "224.0.0.1", "::1",
    "fd00:ec2::254", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe",
)  # fmt: skip
"""Where names of strangers may lead to: each address of each name is judged once, before a ticket."""


def beside(lab: Lab) -> Iterator[Verdict]:
    """All attempts of this module, on a lab that is up."""
    yield _secrets_printed(lab.folder)
    out = lab.namespaces.run_folder / "lab" / "out"
    for hog in HOGS:
        yield _exhaustion(lab, hog, out)
    yield from (_name_refused(name) for name in REFUSED_NAMES)
    yield from (_address_refused(address) for address in REFUSED_ADDRESSES)


def _exhaustion(lab: Lab, hog: Hog, out: Path) -> Verdict:
    mount = f"mkdir -p {_OUT} && mount -t tmpfs -o size={OUT_BYTES},uid={USER},mode=0700 out {_OUT}\n"
    lab.namespaces.script(mount)
    command = sandboxed([lab.python, "-I", "-c", hog.code], _LIMITS)
    began = time.monotonic()
    process = lab.namespaces.start(
        SCANNER, ["env", "-C", "/", *command], output=subprocess.DEVNULL, errors=subprocess.DEVNULL
    )
    try:
        ended = f"exit code {process.wait(DEADLINE)}"
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        ended = f"killed at its deadline of {DEADLINE} s"
    took = time.monotonic() - began
    used, left = shutil.disk_usage(out).used, _left_behind(lab)
    lab.namespaces.script(f"umount {_OUT}\n")
    got_it = process.returncode == 0 or used > OUT_BYTES or left > 0
    evidence = f"{ended} after {took:.1f} s, {used >> 20} MiB on disk, {left} processes left"
    # What ECS says in a task's state event: how it ended.
    Journal(lab.journal("tasks")).write(event="ended", name=hog.name, how=evidence)
    return Verdict(22, hog.name, "leaked" if got_it else "blocked", True, f"task record: {evidence}")


def _left_behind(lab: Lab) -> int:
    """Processes of the hostile user, once the kernel had a moment to end them."""
    found = 0
    for _ in range(50):
        found = int(lab.namespaces.script(f"ps -o pid= -u {USER} | wc -l\n"))
        if found == 0:
            break
        time.sleep(0.02)
    return found


def _secrets_printed(folder: Path) -> Verdict:
    """The end of a scanner's log travels with its report: without what looks like a secret."""
    name = "print credentials into the log that is shipped"
    where = folder / "printed"
    where.mkdir()
    token = secrets.token_hex(16)
    key = f"ASIA{token[:16].upper()}"
    (where / LOG_FILE).write_text(
        f"found {key}\npassword: {token}\nhttps://user:{token}@example.com/\n", "utf-8"
    )
    shipped = log_tail(where)
    leaked = token in shipped or key in shipped
    evidence = f"manifest: {shipped!r}"
    return Verdict(21, name, "leaked" if leaked else "blocked", "found" in shipped, evidence)


def _name_refused(name: str) -> Verdict:
    shown = name if len(name) < 40 else f"{name[:16]}… of {len(name)} characters"

    def hosts() -> str | None:
        listed = parse_hosts([name, "example.com"], max_hosts=10)
        others = [host for host in listed.hosts if host != "example.com"]
        return None if others or not listed.notes else listed.notes[0].reason

    return _refusal(f"a host list with {shown!r}", hosts)


def _address_refused(address: str) -> Verdict:
    def allowed() -> str | None:
        public_address(address)
        return None

    return _refusal(f"a name that leads to {address}", allowed)


def _refusal(name: str, attempt: Callable[[], str | None]) -> Verdict:
    """`attempt` answers the note of its refusal, or raises it; `None` is a leak."""
    try:
        note = attempt()
    except (InputError, RefusedError) as error:
        note = str(error)
    if note is None:
        return Verdict(23, name, "leaked", False, "it was accepted")
    return Verdict(23, name, "blocked", True, f"run's record: {note}")
