"""`python -m bench [--quick] [--json FILE] [--hosts N]`: our engine and the peers in turn, on one farm.

Exit code 0 where every target that could be measured is met, 1 where one is not.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from bench import nginx, ours
from bench.measure import CommandFailedError, Usage, measured
from bench.peers import Peer, peers
from bench.sites import BenchFarm, spread
from bench.targets import AUDIT, SUITES, Row, Target, judge, target_table
from glovebox.farm.running import announced, environment

WIDTH: Final = 130
"""Columns at least, so that a log shows what a terminal does."""
HOSTS: Final = 1_000
QUICK_HOSTS: Final = 200
ENVIRONMENTS: Final = Path(".glovebox/bench")
"""Where the peers' environments stay between runs."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run, as `--json` writes it."""

    machine: str
    server: str
    sites: int
    rows: list[Row]
    targets: list[Target]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few hosts: less than a minute")
    parser.add_argument("--hosts", type=int, help=f"sites for our engine; {HOSTS} by default")
    parser.add_argument("--json", type=Path, help="write the report to this file too")
    options = parser.parse_args(arguments)
    count = options.hosts or (QUICK_HOSTS if options.quick else HOSTS)
    scanners = peers(ENVIRONMENTS)
    with tempfile.TemporaryDirectory(prefix="glovebox-bench-") as temporary:
        folder = Path(temporary)
        with announced("bench.farm", folder / "farm", [str(count)]) as line:
            (folder / "farm.json").write_bytes(line)
            farm = msgspec.json.decode(line, type=BenchFarm)
            rows = [_ours(SUITES, "suites", farm, folder), _ours(AUDIT, "audit", farm, folder)]
            rows += [_theirs(peer, farm, folder, quick=options.quick) for peer in scanners]
    report = Report(
        machine=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        server=farm.server,
        sites=count,
        rows=rows,
        targets=list(judge({row.name: row for row in rows}, sites=count)),
    )
    _print(report)
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    return 1 if any(target.verdict == "FAIL" for target in report.targets) else 0


def _ours(name: str, mode: str, farm: BenchFarm, folder: Path) -> Row:
    command = [sys.executable, "-m", "bench.ours", mode, str(folder / "farm.json")]
    start = _start([*command, "0"], folder)
    before = _connections(farm)
    usage = measured([command], folder / "ours.json")
    after = _connections(farm)
    summary = msgspec.json.decode((folder / "ours.json").read_bytes().splitlines()[-1], type=ours.Summary)
    note = "; ".join(summary.wrong[:3])
    return _row(name, len(farm.sites), usage, start, _between(before, after), right=summary.right, note=note)


def _theirs(peer: Peer, farm: BenchFarm, folder: Path, *, quick: bool) -> Row:
    if peer.program is None:
        return Row(name=peer.name, note=f"not installed: {peer.missing}")
    sites = farm.sites
    if peer.distinct_addresses:
        sites = list({site.address: site for site in sites}.values())
    chosen = spread(sites, peer.quick_hosts if quick else peer.hosts)
    # Each runs under the farm's own OpenSSL settings, as the machine's may forbid it to ask for old versions.
    clean = environment(folder)
    start = _start([peer.program, peer.start], folder, clean)
    commands = peer.commands(chosen, farm.settings.https_port, folder)
    before = _connections(farm)
    try:
        usage = measured(commands, folder / "theirs.txt", clean)
    except CommandFailedError as error:
        return Row(name=peer.name, note=str(error))
    return _row(
        peer.name, len(chosen), usage, start, _between(before, _connections(farm)), runs=len(commands)
    )


def _start(command: list[str], folder: Path, clean: Mapping[str, str] | None = None) -> Usage:
    """What the program costs without a host; the cheaper of two, as the first may still write caches."""
    runs = [measured([command], folder / "start.txt", clean) for _ in range(2)]
    return min(runs, key=lambda usage: usage.cpu)


def _row(
    name: str,
    hosts: int,
    usage: Usage,
    start: Usage,
    connections: int | None,
    *,
    runs: int = 1,
    right: int | None = None,
    note: str = "",
) -> Row:
    return Row(
        name=name,
        hosts=hosts,
        hosts_per_second=round(hosts / usage.wall, 2),
        cpu_ms=round(max(usage.cpu - start.cpu * runs, 0.0) / hosts * 1_000, 2),
        start_cpu_ms=round(start.cpu * 1_000, 1),
        connections=None if connections is None else round(connections / hosts, 1),
        peak_mb=round(usage.peak_bytes / 1e6, 1),
        wall=round(usage.wall, 2),
        right=right,
        note=note,
    )


def _connections(farm: BenchFarm) -> int | None:
    return nginx.connections(farm.status_socket) if farm.status_socket else None


def _between(before: int | None, after: int | None) -> int | None:
    """Without the one that asked for the second count."""
    return None if before is None or after is None else after - before - 1


def _print(report: Report) -> None:
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(f"{report.machine}; {report.sites} sites served by {report.server}")
    figures = Table(
        "scanner", "hosts", "hosts/s", "CPU ms/host", "connections/host", "peak MB", "right", "note"
    )
    for row in report.rows:
        numbers = (row.hosts_per_second, row.cpu_ms, row.connections, row.peak_mb, row.right)
        shown = ("–" if number is None else f"{number:g}" for number in numbers)
        figures.add_row(row.name, str(row.hosts or "–"), *shown, row.note)
    console.print(figures)
    console.print(target_table(report.targets))


if __name__ == "__main__":
    sys.exit(main())
