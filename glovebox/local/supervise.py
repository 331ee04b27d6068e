"""Run one command under limits, and leave none of its processes behind.

    python -I supervise.py '{"data": 536870912, ...}' COMMAND ARGUMENT...

A supervisor is the nearest thing to a container's first process that plain Linux offers without
privileges: it adopts every orphan below it (`PR_SET_CHILD_SUBREAPER`), so that a process which
leaves its group or its session is still ours to end; and it dies with whoever started it
(`PR_SET_PDEATHSIG`), taking all of them along.  It answers as a container engine would: the
command's own exit code, or 128 and the signal's number.

Started as a file of its own with the standard library alone, because it is what stands between
the starting process and a command that is not trusted.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import NoReturn

# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

GRACE_SECONDS = 2.0
"""Between SIGTERM and SIGKILL: enough to write a last line, short enough for Ctrl-C."""
CANNOT_RUN = 126
"""What a shell answers for a command that is there and cannot be run."""

LIMITS = {
    "data": resource.RLIMIT_DATA,
    "files": resource.RLIMIT_NOFILE,
    "file_bytes": resource.RLIMIT_FSIZE,
    "cpu_seconds": resource.RLIMIT_CPU,
    "core": resource.RLIMIT_CORE,
}
"""Names of limits → the kernel's.  `data` is memory that the process itself asked for: address space
would count every mapped library.  `processes` is apart: the kernel counts all of a user's."""


def main(arguments: list[str]) -> NoReturn:
    parent = os.getppid()
    limits: dict[str, int] = json.loads(arguments[0])
    signals = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:  # It died before the kernel knew that we follow it.
        os._exit(CANNOT_RUN)
    child = os.fork()
    if child == 0:
        _become(arguments[1:], limits, signals)
    try:
        code = _wait(child, signals)
    finally:
        _end_all()
    os._exit(code)


def _become(command: list[str], limits: dict[str, int], blocked: set[signal.Signals]) -> NoReturn:
    try:
        os.setsid()
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
        more_processes = limits.pop("processes", None)
        if more_processes is not None:
            allowed = _tasks_of_this_user() + more_processes
            resource.setrlimit(resource.RLIMIT_NPROC, _within(resource.RLIMIT_NPROC, allowed))
        for name, value in limits.items():
            resource.setrlimit(LIMITS[name], _within(LIMITS[name], value))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)
        os.execvp(command[0], command)  # noqa: S606  without a shell is what we want
    except OSError as error:
        os.write(2, f"cannot run {command[0]}: {error}\n".encode())
        os._exit(CANNOT_RUN)


def _within(limit: int, value: int) -> tuple[int, int]:
    """The value, or what the user may have at most."""
    _, hard = resource.getrlimit(limit)
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
    return allowed, allowed


def _wait(child: int, signals: set[signal.Signals]) -> int:
    """The command's exit code, once it has ended by itself or because we were told to end it."""
    while True:
        if signal.sigwait(signals) != signal.SIGCHLD:
            return _end(child)
        code = _reap(child)
        if code is not None:
            return code


def _end(child: int) -> int:
    _signal(-child, signal.SIGTERM)
    while signal.sigtimedwait({signal.SIGCHLD}, GRACE_SECONDS) is not None:
        code = _reap(child)
        if code is not None:
            return code
    _signal(-child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return _code(status)


def _reap(child: int) -> int | None:
    """Collect every child that has ended; the exit code of ours if it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == child:
            code = _code(status)


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _end_all() -> None:
    """Kill our children until there are none: the children of a dead child become ours."""
    while children := _children_of(os.getpid()):
        for pid in children:
            _signal(pid, signal.SIGKILL)
        for pid in children:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                continue


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _stat_fields() -> list[tuple[int, int, list[str]]]:
    """Process id, owner and the fields of proc(5)'s stat after the name, of every process."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text(errors="replace")
            owner = entry.stat().st_uid
        except OSError:  # It ended meanwhile.
            continue
        found.append((int(entry.name), owner, text.rpartition(")")[2].split()))
    return found


def _children_of(parent: int) -> list[int]:
    return [pid for pid, _, fields in _stat_fields() if int(fields[1]) == parent]


def _tasks_of_this_user() -> int:
    """Threads of the user: RLIMIT_NPROC counts them all, on the whole machine."""
    return sum(int(fields[17]) for _, owner, fields in _stat_fields() if owner == os.getuid())


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


if __name__ == "__main__":
    main(sys.argv[1:])
