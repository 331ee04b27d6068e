"""The bench's farm serves what it says, by nginx and by Python, and our engine gets it right there."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench import nginx, ours
from bench.measure import CommandFailedError, measured
from bench.sites import MIX, BenchFarm, sites, spread
from bench.targets import AUDIT, NMAP, SSLYZE_STANDARD, SSLYZE_SUITES, SUITES, Row, judge
from glovebox.farm.running import announced

pytestmark = pytest.mark.engine


@pytest.fixture(params=["nginx", "python"])
def farm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BenchFarm]:
    if request.param == "nginx" and nginx.program() is None:
        pytest.skip("nginx is not installed (Debian: apt install nginx-light)")
    with announced("bench.farm", tmp_path / "farm", ["40", request.param]) as line:
        yield msgspec.json.decode(line, type=BenchFarm)


@pytest.mark.parametrize("mode", ["suites", "audit"])
def test_every_site_is_audited_right(farm: BenchFarm, mode: str) -> None:
    summary = asyncio.run(ours.run(mode, farm, 40))
    assert (summary.right, summary.wrong) == (40, [])


def test_nginx_counts_each_connection(farm: BenchFarm) -> None:
    if farm.status_socket is None:
        assert farm.server.startswith("Python")
        return
    before = nginx.connections(farm.status_socket)
    asyncio.run(ours.run("suites", farm, 1))
    assert nginx.connections(farm.status_socket) - before - 1 >= 5


def test_a_spread_meets_every_kind() -> None:
    assert {site.kind for site in spread(sites(1_000), 50)} == set(range(len(MIX)))


def test_a_command_is_charged_for_its_children_too(tmp_path: Path) -> None:
    busy = "sum(range(10_000_000))"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{busy}'], check=True)"
    alone = measured([[sys.executable, "-c", "pass"]], tmp_path / "out")
    with_child = measured([[sys.executable, "-c", child]], tmp_path / "out")
    assert with_child.cpu > alone.cpu + 0.05


def test_memory_is_the_commands_own_and_not_its_starters(tmp_path: Path) -> None:
    ballast = bytearray(100 << 20)
    assert 1 << 20 < measured([["true"]], tmp_path / "out").peak_bytes < len(ballast)
    large = measured([[sys.executable, "-c", "x = bytearray(100 << 20)"]], tmp_path / "out")
    assert large.peak_bytes > len(ballast)


def test_a_command_that_fails_has_no_figures(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match="ended with 3"):
        measured([[sys.executable, "-c", "raise SystemExit(3)"]], tmp_path / "out")


def _rows(**cpu: float) -> dict[str, Row]:
    """Ours are good in everything but what `cpu` says."""
    mine = {
        name: Row(name=name, hosts=100, cpu_ms=cpu[key], connections=15, peak_mb=60, wall=5, right=100)
        for key, name in {"suites": SUITES, "audit": AUDIT}.items()
    }
    theirs = {"sslyze": SSLYZE_SUITES, "standard": SSLYZE_STANDARD, "nmap": NMAP}
    return mine | {name: Row(name=name, hosts=10, cpu_ms=cpu.get(key)) for key, name in theirs.items()}


def test_targets_are_kept_broken_or_not_measured() -> None:
    kept = list(judge(_rows(suites=2, audit=5, sslyze=400, standard=400, nmap=30), sites=100))
    assert {target.verdict for target in kept} == {"PASS"}
    broken = list(judge(_rows(suites=5, audit=11, sslyze=400, standard=400, nmap=30), sites=100))
    assert [target.verdict for target in broken[:3]] == ["FAIL", "FAIL", "FAIL"]
    assert broken[4].verdict == "FAIL"
    alone = list(judge(_rows(suites=2, audit=5), sites=100))
    assert [target.verdict for target in alone[:3]] == ["not measured"] * 3
