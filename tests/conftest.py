"""What a machine lacks is said once, here: such tests skip with the reason, and in CI they fail."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / "tools"
BUILD_SECONDS = 900
PROWLER = ROOT / ".glovebox/prowler/bin/prowler"
"""In an environment of its own: it pins its own boto3."""
SCANNERS = ROOT / ".glovebox/scanners/.ready"
TRUFFLEHOG = ROOT / ".glovebox/trufflehog/trufflehog"

# Node is started by the first import of aws_cdk, with the environment of that moment.  The validation of
# every template at synth triples its time (CI has a step with it on); the banner on its age fails nothing.
os.environ.setdefault("CDK_VALIDATION", "false")
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")


def _lacks_node() -> str | None:
    return None if shutil.which("npm") else "npm is not installed (Node's package manager)"


def _lacks_browser() -> str | None:
    if shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome"):
        return None
    return "Chromium is not installed (Debian: apt install chromium)"


def _lacks_openssl() -> str | None:
    return None if shutil.which("openssl") else "the openssl command is not installed"


def _lacks_containers() -> str | None:
    if os.geteuid() != 0:
        return "building the images offline needs root"
    missing = [tool for tool in ("podman", "mmdebstrap") if not shutil.which(tool)]
    return f"not installed: {', '.join(missing)}" if missing else None


def _lacks_prowler() -> str | None:
    if not PROWLER.exists():
        return "Prowler is not installed (make test-prowler brings it)"
    return _lacks_containers()


def _lacks_scanners() -> str | None:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "Trivy's package is for Linux on x86-64"
    if not SCANNERS.exists():
        return "the real scanners are not installed (make test brings them)"
    return _lacks_loneliness()


def _lacks_trufflehog() -> str | None:
    return (
        _lacks_loneliness() if TRUFFLEHOG.exists() else "TruffleHog is not built (make test-trufflehog does)"
    )


def _lacks_loneliness() -> str | None:
    from tests.scanners.boxes import alone

    return None if alone() else "the kernel lets nobody take away a process's network (unshare --net)"


@functools.cache  # It tries a namespace, which takes a tenth of a second.
def _lacks_lab() -> str | None:
    from glovebox.lab.probe import why_no_drill

    return why_no_drill()


PROBES: dict[str, Callable[[], str | None]] = {
    "node": _lacks_node,
    "browser": _lacks_browser,
    "openssl": _lacks_openssl,
    "containers": _lacks_containers,
    "lab": _lacks_lab,
    "squid": _lacks_containers,
    "prowler": _lacks_prowler,
    "scanners": _lacks_scanners,
    "trufflehog": _lacks_trufflehog,
}
"""Marker → why this machine cannot run such tests, or `None`."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, probe in PROBES.items():
        if item.get_closest_marker(marker) is None:
            continue
        lacking = probe()
        if lacking is None:
            continue
        if os.environ.get("CI"):
            pytest.fail(f"CI must run this test, but {lacking}", pytrace=False)
        pytest.skip(lacking)


@pytest.fixture(scope="session")
def images() -> None:
    """All images of these sources in Podman's store; nothing is built where nothing has changed."""
    for command in ([str(TOOLS / "base-image")], [sys.executable, str(TOOLS / "build-images")]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
        assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]


ROOMS = (
    ("perimeter", "perimeter"),
    ("e2e", "cloud"),
    ("containers", "cloud"),
    ("engine/test_engine_hostile", "patience"),
    ("engine/test_traits", "patience"),
    ("adapters", "adapters"),
    ("infrastructure", "templates"),
    ("scanners", "scanners"),
    ("policies", "templates"),
)
"""Tests that share what takes seconds to make, by the beginning of their path.  With two workers one of them
runs a room, and the long rooms come first.  What is not named is a room of its own, a file each."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _room(item.nodeid)[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    # xdist's own groups go by a suffix that it adds to a test's id, and pytest 9.2 takes no suffix any more.
    from xdist.scheduler import LoadScopeScheduling

    class ByRoom(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _room(nodeid)[1]

    return ByRoom(config, log)


def _room(nodeid: str) -> tuple[int, str]:
    """The place of a test's room in the order, and its name."""
    path = nodeid.partition("::")[0].removeprefix("tests/")
    named = ((place, room) for place, (start, room) in enumerate(ROOMS) if path.startswith(start))
    return next(named, (len(ROOMS), path))
