"""Whether this machine can build the lab, and if not, why: in words that say what to do."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "ip": "iproute2",
    "nft": "nftables",
    "sysctl": "procps",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "prlimit": "util-linux",
}
"""Program → the Debian package that has it."""
SQUID = "squid"
_PROBE_SECONDS = 10
_TRIAL = (
    "mount -t tmpfs lab /run && mkdir /run/netns && ip netns add probe && nft -f - <<'RULES'\n"
    "table inet probe { chain c { type filter hook forward priority filter;\nlog group 42 drop\n}\n}\nRULES\n"
)


def why_no_lab() -> str | None:
    """What this machine lacks to build the namespaces, or `None`."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "building network namespaces needs root"
    missing = sorted({package for tool, package in PACKAGES.items() if not shutil.which(tool)})
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: apt install {' '.join(missing)})"
    if interpreter() is None:
        version = "{}.{}".format(*sys.version_info)
        return f"no Python {version} that every user may run, for boxes and the gateway's helpers"
    spaces = ["--mount", "--net", "--pid", "--ipc", "--fork", "--mount-proc"]
    trial = subprocess.run(
        ["unshare", *spaces, "sh", "-eu"],
        input=_TRIAL, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False,
    )  # fmt: skip
    if trial.returncode != 0:
        return f"the kernel or the container does not let us: {trial.stderr.strip()[:300]}"
    return None


def why_no_drill() -> str | None:
    """What this machine lacks to run the drill in the lab, or `None`."""
    lacking = why_no_lab()
    if lacking is None and not shutil.which(SQUID):
        return "the gateway's daemon is not installed (Debian: apt install squid-openssl)"
    return lacking


def interpreter() -> str | None:
    """A Python of our version that a user without any right may run; ours may stand in somebody's home."""
    for candidate in (sys.executable, "/usr/bin/python{}.{}".format(*sys.version_info)):
        path = Path(candidate).resolve()
        if path.exists() and closed_above(path) is None:
            return str(path)
    return None


def closed_above(path: Path) -> Path | None:
    """The uppermost part of a path that only its owner may enter."""
    parts = (*reversed(path.parents), path)
    return next((part for part in parts if not part.stat().st_mode & stat.S_IXOTH), None)
