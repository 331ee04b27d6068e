"""`python -m bench.perimeter [--quick] [--json FILE]`: the perimeter's figures against its targets.

Everything on loopback and in namespaces of this machine.  What it cannot measure here, it says.  Exit code 0
where every target that could be measured is met, 1 where one is not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from bench import gateway, gateway_audit
from bench.gateway import Figures
from bench.measure import PATIENCE
from bench.targets import Target, at_least, at_most, target_table
from glovebox.errors import GloveboxError
from glovebox.lab.lab import Lab
from glovebox.lab.probe import why_no_drill
from glovebox.lab.synthesis import perimeter

ROUNDS: Final = 5
SECONDS: Final = 3.0
"""Of each of a round's six loads."""
LABS: Final = 3
QUICK_SECONDS: Final = 1.0
QUICK_HOSTS: Final = 100
FAR_MS: Final = 50.0
"""To and fro, as to most sites; on loopback one costs nothing but processor time."""
FAR_HOSTS: Final = 200

KEPT = "gateway: at least 3,000 requests/s on kept connections"
NEW = "gateway: at least 700 new connections/s, a request each"
ADDED = "gateway: at most 1 ms of latency added, kept connection (p50)"
ADDED_NEW = "gateway: at most 1 ms of latency added, new connection (p50)"
DECISION = "judge: at most 30 µs of processor time a decision, with the pipe"
FAR = f"{gateway_audit.PROMISE}, with sites {FAR_MS:g} ms away"
LAB_UP, LAB_DOWN = "lab: up in at most 2 s", "lab: down in at most 0.5 s"
DRILL = "drill: at most 30 s, with its lab"
COST = "an idle month in one zone: at most 35 USD, from the synthesized templates"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run, as `--json` writes it."""

    machine: str
    busy: float
    """Processes that wanted a processor when it began (load average)."""
    figures: Figures | None
    targets: list[Target]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.perimeter", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of each")
    parser.add_argument("--json", type=Path, help="write the report to this file too")
    options = parser.parse_args(arguments)
    busy = os.getloadavg()[0]
    figures, targets = _gateway(quick=options.quick)
    targets += [*_audit(quick=options.quick), *_lab(1 if options.quick else LABS)]
    targets += [_command(DRILL, _drill), _command(COST, _cost)]
    report = Report(
        machine=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        busy=busy,
        figures=figures,
        targets=targets,
    )
    _print(report)
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    return 1 if any(target.verdict == "FAIL" for target in report.targets) else 0


def _gateway(*, quick: bool) -> tuple[Figures | None, list[Target]]:
    lacking = gateway.why_not()
    if lacking:
        return None, [_unmeasured(promise, lacking) for promise in (KEPT, NEW, ADDED, ADDED_NEW, DECISION)]
    with gateway.setup() as running:
        figures = gateway.measure(
            running,
            rounds=1 if quick else ROUNDS,
            seconds=QUICK_SECONDS if quick else SECONDS,
        )
        decision = gateway.decision_us(running.gateway)
    return figures, [
        at_least(KEPT, figures.kept_per_second, 3_000),
        at_least(NEW, figures.new_per_second, 700),
        at_most(ADDED, figures.kept_added_ms, 1, digits=2),
        at_most(ADDED_NEW, figures.new_added_ms, 1, digits=2),
        at_most(DECISION, decision, 30),
    ]


def _audit(*, quick: bool) -> Iterator[Target]:
    """Through the port for sites.  A record with a failure keeps no promise."""
    lacking = gateway.why_not()
    if lacking:
        yield from (_unmeasured(promise, lacking) for promise in (gateway_audit.PROMISE, FAR))
        return
    near = gateway_audit.measure(
        hosts=QUICK_HOSTS if quick else gateway_audit.HOSTS, rounds=1 if quick else gateway_audit.ROUNDS
    )
    far = gateway_audit.measure(hosts=QUICK_HOSTS if quick else FAR_HOSTS, rounds=1, delay_ms=FAR_MS)
    for promise, figures in ((gateway_audit.PROMISE, near), (FAR, far)):
        ratio = None if figures.failed else figures.ratio * 100
        target = at_least(promise, ratio, 70)
        yield target if ratio else msgspec.structs.replace(target, verdict="FAIL", measured="audits failed")


def _lab(times: int) -> Iterator[Target]:
    """The synthesis before it is not the lab's: its templates are kept until a source changes."""
    lacking = why_no_drill()
    if lacking:
        yield from (_unmeasured(promise, lacking) for promise in (LAB_UP, LAB_DOWN))
        return
    network = perimeter()
    ups, downs = list[float](), list[float]()
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="glovebox-bench-lab-") as folder:
            began = time.perf_counter()
            with Lab(network, Path(folder)):
                ups.append(time.perf_counter() - began)
                began = time.perf_counter()
            downs.append(time.perf_counter() - began)
    yield at_most(LAB_UP, median(ups), 2, digits=2)
    yield at_most(LAB_DOWN, median(downs), 0.5, digits=2)


def _drill() -> Target:
    """A drill that ends with anything but 0 keeps no promise, however fast it was."""
    lacking = why_no_drill()
    if lacking:
        return _unmeasured(DRILL, lacking)
    began = time.perf_counter()
    attempts = len(json.loads(_glovebox("drill", "--json")))
    spent = time.perf_counter() - began
    target = at_most(DRILL, spent, 30)
    return msgspec.structs.replace(target, measured=f"{target.measured} ({attempts} attempts, none leaked)")


def _cost() -> Target:
    bill = json.loads(_glovebox("cost", "--zones", "1", "--json"))
    return at_most(COST, float(bill["total"]), 35, digits=2)


def _command(promise: str, measure: Callable[[], Target]) -> Target:
    try:
        return measure()
    except GloveboxError as error:
        return Target(promise=promise, measured=error.reason, verdict="FAIL")


def _glovebox(*arguments: str) -> bytes:
    """What the command prints.  Raises GloveboxError with its last words where it does not end with 0."""
    program = Path(sys.executable).with_name("glovebox")
    done = subprocess.run([program, *arguments], capture_output=True, timeout=PATIENCE, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise GloveboxError(f"`glovebox {arguments[0]}` ended with {done.returncode}: {said[-200:]}")
    return done.stdout


def _unmeasured(promise: str, lacking: str) -> Target:
    return Target(promise=promise, measured=lacking, verdict="not measured")


def _print(report: Report) -> None:
    console = Console()
    console.width = max(console.width, 130)
    console.print(f"{report.machine}; load average {report.busy:.1f} when it began")
    if figures := report.figures:
        table = Table("medians", "kept connections", "a connection a request")
        rows: list[tuple[str, float, float | None, int]] = [
            ("direct, requests/s", figures.kept_direct_per_second, figures.new_direct_per_second, 0),
            ("through the gateway, requests/s", figures.kept_per_second, figures.new_per_second, 0),
            ("added p50, ms", figures.kept_added_ms, figures.new_added_ms, 2),
            ("gateway's processor time, µs a request", figures.kept_cpu_us, figures.new_cpu_us, 0),
            ("of it the helpers", figures.kept_helpers_cpu_us, None, 0),
        ]
        for name, kept, new, digits in rows:
            table.add_row(name, f"{kept:,.{digits}f}", "" if new is None else f"{new:,.{digits}f}")
        console.print(table)
    console.print(target_table(report.targets))


if __name__ == "__main__":
    sys.exit(main())
