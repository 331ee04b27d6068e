"""A box for a hostile process on this machine: what Fargate gives a scanner, as near as plain Linux comes.

User 10001 without capabilities and without a way to get any, in namespaces of its own (mounts, processes,
IPC; the network is the machine's of the lab), a read-only root, a small /tmp, and limits on everything that
it could exhaust.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

USER = 10_001
"""The user of all our images."""
BOX = "/run/box"
"""Where a box shows what it is given, instead of the lab's own folders."""
_SETTING = (
    "{shown}mount -t tmpfs -o size={tmp},mode=1777,nosuid,nodev tmpfs /tmp"
    ' && mount -o remount,bind,ro / && "$@"; exit $?'
)
"""The shell stays, as process 1: to become another user takes the parent-death signal away (prctl(2)), and a
process deaf to everything else would outlive whoever started the box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bytes, seconds and counts."""

    address_space: int = 1 << 30
    """A Python with TLS needs 100 MB of it."""
    data: int | None = None
    """Memory that the process itself asked for, where address space would count every mapped library."""
    file_bytes: int = 8 << 20
    tmp_bytes: int = 16 << 20
    cpu_seconds: int = 60
    processes: int = 64
    """Of user 10001, in all."""
    open_files: int = 256


@dataclass(frozen=True, slots=True)
class Shown:
    """A folder of the host that a box has as `/run/box/<name>`."""

    name: str
    source: str
    writable: bool = False
    closed: str | None = None
    """Where it must be at its own place as well: the folder above it that nobody else may enter, which is
    empty in the box but for this."""


def sandboxed(command: Sequence[str], limits: Limits | None = None, shown: Sequence[Shown] = ()) -> list[str]:
    """`command` as one that starts it in the box; to be run as root, on a machine of the lab or anywhere.

    With `shown`, on a machine of the lab alone: the box has these folders, and none of the lab's.
    """
    allowed = limits or Limits()
    data = [] if allowed.data is None else [f"--data={allowed.data}"]
    return [
        "unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child=KILL", "--mount-proc", "--",
        "sh", "-euc", _SETTING.format(tmp=allowed.tmp_bytes, shown=_showing(shown)), "sandbox",
        "prlimit",
        f"--as={allowed.address_space}",
        *data,
        f"--fsize={allowed.file_bytes}",
        f"--cpu={allowed.cpu_seconds}",
        f"--nproc={allowed.processes}",
        f"--nofile={allowed.open_files}",
        "--core=0", "--",
        "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--bounding-set=-all",
        "--inh-caps=-all", "--no-new-privs", "--pdeathsig=KILL", "--",
        *command,
    ]  # fmt: skip


def _showing(shown: Sequence[Shown]) -> str:
    """The box's own folder first, as the host's paths are still there; then nothing of the lab is."""
    if not shown:
        return ""
    steps = [f"mkdir -p {BOX}", f"mount -t tmpfs -o size=1m,mode=0755 box {BOX}"]
    for each in shown:
        target, mode = f"{BOX}/{each.name}", "rw" if each.writable else "ro"
        steps += [
            f"mkdir {target}",
            f"mount --bind {shlex.quote(each.source)} {target}",
            f"mount -o remount,bind,nosuid,nodev,{mode} {target}",
        ]
    for each in shown:
        if each.closed is not None:
            steps += [
                f"mount -t tmpfs -o size=1m,mode=0755 none {shlex.quote(each.closed)}",
                f"mkdir -p {shlex.quote(each.source)}",
                f"mount --bind {BOX}/{each.name} {shlex.quote(each.source)}",
                f"mount -o remount,bind,nosuid,nodev,ro {shlex.quote(each.source)}",
            ]
    steps.append("mount -t tmpfs -o ro,size=4k,mode=0755 none /run/lab")
    return "".join(f"{step} && " for step in steps)
