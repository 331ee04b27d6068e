"""What a machine lacks is said once, here: such tests skip with the reason, and in CI they fail."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

PROWLER = Path(__file__).resolve().parents[1] / ".glovebox/prowler/bin/prowler"
"""In an environment of its own: it pins its own boto3."""

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


TOGETHER = frozenset({"adapters", "e2e", "infrastructure", "perimeter", "policies"})
"""Folders whose tests share what takes seconds to make (a cloud, templates): with `-n`, one worker has them.

A new one is named here; tests of several folders that share something bear the same `xdist_group` marker.
"""


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in this very hook, and would come first
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a worker, each test gets its group, all of which the same worker runs."""
    if hasattr(config, "workerinput"):
        for item in items:
            if not item.get_closest_marker("xdist_group"):
                item.add_marker(pytest.mark.xdist_group(_group(item)))


def _group(item: pytest.Item) -> str:
    """What uses Podman, whose images and containers are one store; else the test's folder or file."""
    if item.get_closest_marker("containers"):
        return "containers"
    place = item.path.relative_to(Path(__file__).parent)
    return place.parts[0] if place.parts[0] in TOGETHER else str(place)
