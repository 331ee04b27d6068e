"""A box for a hostile process on this machine: what Fargate gives a scanner, as near as plain Linux comes.

User 10001 without capabilities and without a way to get any, in namespaces of its own (mounts, processes,
IPC; the network is the machine's of the lab), a read-only root, a small /tmp, and limits on everything that
it could exhaust.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

USER = 10_001
"""The user of all our images."""
_SETTING = (
    "mount -t tmpfs -o size={tmp},mode=1777,nosuid,nodev tmpfs /tmp"
    ' && mount -o remount,bind,ro / && "$@"; exit $?'
)
"""The shell stays, as process 1: to become another user takes the parent-death signal away (prctl(2)), and a
process deaf to everything else would outlive whoever started the box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bytes, seconds and counts."""

    address_space: int = 1 << 30
    """A Python with TLS needs 100 MB of it."""
    file_bytes: int = 8 << 20
    tmp_bytes: int = 16 << 20
    cpu_seconds: int = 60
    processes: int = 64
    """Of user 10001, in all."""
    open_files: int = 256


def sandboxed(command: Sequence[str], limits: Limits | None = None) -> list[str]:
    """`command` as one that starts it in the box; to be run as root, on a machine of the lab or anywhere."""
    allowed = limits or Limits()
    return [
        "unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child=KILL", "--mount-proc", "--",
        "sh", "-euc", _SETTING.format(tmp=allowed.tmp_bytes), "sandbox",
        "prlimit",
        f"--as={allowed.address_space}",
        f"--fsize={allowed.file_bytes}",
        f"--cpu={allowed.cpu_seconds}",
        f"--nproc={allowed.processes}",
        f"--nofile={allowed.open_files}",
        "--core=0", "--",
        "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--bounding-set=-all",
        "--inh-caps=-all", "--no-new-privs", "--pdeathsig=KILL", "--",
        *command,
    ]  # fmt: skip
