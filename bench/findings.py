"""`python -m bench.findings [--json FILE]`: what a large report and a large target cost.

Exit code 0 where every promise is kept, 1 where one is not.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from bench import repository_reports
from bench.accounts import Forgetful, ingested
from bench.measure import measured
from glovebox.adapters.dynamodb_findings import DynamoFindingStore
from glovebox.findings.judging import judge
from glovebox.findings.prowler import ProwlerReport
from glovebox.findings.recording import record
from glovebox.scans.model import ScanState
from tests.account_flow import planted_item
from tests.prowler import ACCOUNT, BINDING, COVERAGE, bucket, item, report
from tests.small_dynamodb import SmallDynamoDB

REPORT_BYTES: Final = 100_000_000
ITEM_BYTES: Final = 8_800
"""The mean of a real report, whose frameworks and configuration are most of it."""
FINDINGS: Final = 50_000
CHANGED: Final = FINDINGS // 100
RUNS: Final = 6
"""The fourth and later ones fold pages, which costs the most."""
TARGET: Final = f"aws:{ACCOUNT}"
START: Final = 1_795_000_000
DAY: Final = 86_400


class Figure(Struct, frozen=True, kw_only=True):
    """One promise and what was measured."""

    promise: str
    measured: str
    kept: bool


class _Ingested(Struct, frozen=True, kw_only=True):
    """What the process of `--ingest` says: seconds of processor time, write units by kind of item."""

    first: float
    again: float
    written: dict[str, int]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.findings", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="as the other parts; this one is short anyway")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--ingest", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.ingest:
        _ingest_twice(Path(options.ingest[0]), int(options.ingest[1]))
        return 0
    figures = [*large_report(), *large_target(), *large_repository()]
    for figure in figures:
        print(f"{'ok  ' if figure.kept else 'FAIL'}  {figure.promise}: {figure.measured}")
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2))
    return 0 if all(figure.kept for figure in figures) else 1


def large_report() -> Iterator[Figure]:
    """A report of 100 MB through the whole of `ingest`, in a process of its own: taken in, when all of its
    findings are new, and again the next day; both keep the promise."""
    with tempfile.TemporaryDirectory(prefix="glovebox-bench-") as temporary:
        folder = Path(temporary)
        path, output = folder / "report.json", folder / "output.txt"
        items = _write_report(path)
        command = [sys.executable, "-m", "bench.findings", "--ingest", str(path), str(items)]
        usage = measured([command], output)
        told = msgspec.json.decode(output.read_bytes(), type=_Ingested)
    yield Figure(
        promise=f"ingest takes a report of {REPORT_BYTES // 1_000_000} MB in 2 s of processor time",
        measured=f"{told.again:.2f} s ({items:,} items; {told.first:.1f} s where all of them are new)",
        kept=max(told.first, told.again) <= 2,
    )
    peak = usage.peak_bytes / 1e6
    yield Figure(promise="in 250 MB", measured=f"{peak:.0f} MB", kept=peak <= 250)
    yield Figure(
        promise="and writes the scan alone where nothing changed",
        measured=" and ".join(f"{units:,} write units of {kind}" for kind, units in told.written.items()),
        kept=set(told.written) == {"ledger#head", "scan"},
    )


def large_target() -> Iterator[Figure]:
    """50,000 findings, of which 1 % change; then the same report again.  All of our own time counts."""
    table = SmallDynamoDB()
    stand_in: Any = table
    store = DynamoFindingStore(stand_in, "findings", at_once=1)
    first, began, _ = _ingest(store, table, 0, range(FINDINGS))
    yield Figure(promise=f"{FINDINGS:,} new findings in 300 s", measured=first, kept=began <= 300)
    runs = [
        _ingest(store, table, day, range(day * CHANGED // 2, FINDINGS + day * CHANGED // 2))
        for day in range(1, RUNS + 1)
    ]
    slowest, dearest = max(seconds for _, seconds, _ in runs), max(units for _, _, units in runs)
    yield Figure(
        promise=f"{CHANGED} of {FINDINGS:,} findings changed, in 30 s",
        measured=f"{slowest:.1f} s at most of {len(runs)} scans",
        kept=slowest <= 30,
    )
    yield Figure(
        promise="and 1,000 write units",
        measured=f"{dearest:,} at most, {min(units for _, _, units in runs):,} at least",
        kept=dearest <= 1_000,
    )
    before = dict(table.partitions[TARGET])
    told, _, _ = _ingest(store, table, RUNS + 1, range(RUNS * CHANGED // 2, FINDINGS + RUNS * CHANGED // 2))
    after = table.partitions[TARGET]
    written = sorted(name.split("#")[0] for name in after if after[name] is not before.get(name))
    yield Figure(
        promise="the same report again writes the scan alone",
        measured=f"{told}: {' and '.join(written)}",
        kept=written == ["ledger", "scan"],
    )


def large_repository() -> Iterator[Figure]:
    """Trivy's own report of 20 MB: the outlet makes lines of it, and `ingest` takes these."""
    with tempfile.TemporaryDirectory(prefix="glovebox-bench-") as temporary:
        costs = repository_reports.measured(Path(temporary))
    native, found = costs.native_bytes / 1e6, costs.found_bytes / 1e6
    yield Figure(
        promise="the outlet makes lines of Trivy's report of 20 MB in 1 s of processor time",
        measured=f"{costs.outlet_seconds:.2f} s ({native:.1f} MB: {costs.vulnerabilities:,} vulnerabilities, "
        f"{costs.packages:,} packages)",
        kept=costs.outlet_seconds <= 1,
    )
    yield Figure(
        promise="and ingest takes them in 1 s",
        measured=f"{costs.again_seconds:.2f} s ({found:.1f} MB of lines; {costs.first_seconds:.2f} s where "
        "all are new)",
        kept=max(costs.first_seconds, costs.again_seconds) <= 1,
    )


def _ingest(
    store: DynamoFindingStore, table: SmallDynamoDB, day: int, numbers: Sequence[int]
) -> tuple[str, float, int]:
    """A report about these buckets, read and recorded: in words, seconds, write units."""
    data = report(json.dumps(item(bucket(number), check=_check(number))).encode() for number in numbers)
    units, read = table.write_units, table.read_units
    began = time.perf_counter()
    found = ProwlerReport(BINDING).read(data)
    record(
        store,
        TARGET,
        judge(found, coverage=COVERAGE),
        scan_id=f"20261122T000000Z-{day:08x}-0000",
        at=START + day * DAY,
        coverage=COVERAGE,
        now=START + day * DAY,
        report=found,
    )
    seconds = time.perf_counter() - began
    units, read = table.write_units - units, table.read_units - read
    return f"{seconds:.1f} s, {units:,} write units, {read:,} read units", seconds, units


def _check(number: int) -> str:
    return f"s3_check_{number % 600}"


def _write_report(path: Path) -> int:
    """As Prowler writes it: indented, with frameworks and configuration of a real one's size; its items."""
    padding = {f"Framework-{number}": [f"{number}.{each}" for each in range(6)] for number in range(40)}
    with path.open("wb") as file:
        file.write(b"[" + json.dumps(planted_item()).encode())
        number = 0
        while file.tell() < REPORT_BYTES - ITEM_BYTES:
            made: dict[str, Any] = item(bucket(number), check=_check(number))
            made["unmapped"]["compliance"] = padding
            file.write(b"," + json.dumps(made, indent=4).encode())
            number += 1
        file.write(b"]")
    return number + 1


def _ingest_twice(path: Path, items: int) -> None:
    first, again = ingested([(path, items)] * 2, Forgetful())
    if (first.scan.state, again.scan.state) != (ScanState.COMPLETED, ScanState.COMPLETED):
        raise SystemExit(f"{first.scan.reason} {again.scan.reason}")
    told = _Ingested(first=first.seconds, again=again.seconds, written=again.written)
    print(msgspec.json.encode(told).decode())


if __name__ == "__main__":
    sys.exit(main())
