"""`glovebox up`: the whole platform on this machine, on the local fleet or on your own list."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from glovebox.cli.exit_codes import FAILED, OK
from glovebox.errors import GloveboxError

if TYPE_CHECKING:
    from rich.console import Console

    from glovebox.farm.running import Farm
    from glovebox.local.cloud import LocalCloud, Plan
    from glovebox.local.engines import Engine, EngineName
    from glovebox.local.progress import View
    from glovebox.siteaudit.settings import AuditSettings

FLEET_SHARD_HOSTS = 40
"""So that the demonstration shows several tasks, too."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser(
        "up",
        help="run the whole platform on this machine",
        description=(
            "Deploy the templates into an emulator on 127.0.0.1, audit the hosts of a list once through the "
            "whole flow, and serve page, API and files. Without --hosts it audits a fleet of servers of its "
            "own, so it needs no network. It never talks to AWS."
        ),
    )
    parser.add_argument("--hosts", type=Path, metavar="FILE", help="a host list of your own, one host a line")
    parser.add_argument("--once", action="store_true", help="end after the results; non-zero unless complete")
    parser.add_argument(
        "--port", type=_port, metavar="P", help="the page's port (default: 8642, or a free one)"
    )
    parser.add_argument(
        "--engine",
        choices=("auto", "podman", "docker", "process"),
        default="auto",
        help="what runs the containers (default: the first that can)",
    )
    parser.add_argument(
        "--perimeter",
        action="store_true",
        help="run the tasks inside the perimeter, in network namespaces with the real gateway (needs root)",
    )
    parser.add_argument("--keep", action="store_true", help="keep state, logs and the tasks' folders")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Bring it up, audit once, and serve until Ctrl-C, or end with --once."""
    from rich.console import Console

    from glovebox.local.cloud import CHECKOUT, Plan, require_linux

    require_linux()
    console = Console()
    engine = _inside(console, args) if args.perimeter else _outside(console, args.engine)
    # With the process in its name, for two may start in the same second.
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"
    folder = CHECKOUT / ".glovebox" / "runs" / name
    with (
        _signals_as_interrupt(),
        _own_folder(console, folder, keep=args.keep),
        _hosts(args, folder) as (hosts, settings),
    ):
        plan = Plan(
            folder=folder,
            engine=engine,
            audit_settings=settings,
            shard_hosts=None if args.hosts else FLEET_SHARD_HOSTS,
            port=args.port,
            keep=args.keep,
            perimeter=args.perimeter,
            say=lambda step: console.print(f"{step} …"),
        )
        return _run(console, plan, hosts, once=args.once)


def _outside(console: Console, wanted: EngineName) -> Engine:
    from glovebox.local.cloud import CHECKOUT
    from glovebox.local.engines import choose_engine

    engine, reasons = choose_engine(wanted, CHECKOUT)
    console.print(f"Containers run as: [bold]{engine.name}[/bold]")
    for reason in reasons:
        _line(console, f"  not with {reason}")
    _line(console, "Perimeter: none, tasks go straight out; with --perimeter and root it is built")
    return engine


def _inside(console: Console, args: argparse.Namespace) -> Engine:
    """Say what the perimeter is made of.  Raises InputError, ConfigurationError where it cannot be."""
    from glovebox.errors import InputError
    from glovebox.lab.gateway import squid_version
    from glovebox.local.cloud import CHECKOUT
    from glovebox.local.engines import ProcessEngine
    from glovebox.local.perimeter import require_perimeter

    if args.hosts is not None:
        raise InputError(
            "The perimeter on this machine has no way to the internet, so it audits its own fleet alone.",
            fix="Give --hosts without --perimeter, or --perimeter without --hosts.",
        )
    if args.engine not in ("auto", "process"):
        raise InputError(
            f"Inside the perimeter containers are boxed processes, not {args.engine}'s.",
            fix="Leave --engine away.",
        )
    require_perimeter()
    console.print("Containers run as: [bold]boxed processes, each task on a machine of its own[/bold]")
    _line(console, f"Perimeter: network namespaces and nftables from the template, {squid_version()}")
    return ProcessEngine(CHECKOUT)  # Of the plan without a perimeter; the lab brings its own.


@contextmanager
def _own_folder(console: Console, folder: Path, *, keep: bool) -> Iterator[None]:
    """State and logs of this run: gone at its end, unless they are wanted or may say what went wrong."""
    try:
        yield
    except GloveboxError:
        keep = True
        raise
    finally:
        if keep and folder.exists():
            _line(console, f"State and logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _run(console: Console, plan: Plan, hosts: bytes, *, once: bool) -> int:
    from glovebox.local.cloud import running_cloud

    with running_cloud(plan) as cloud:
        _say_what_differs(console, cloud)
        _line(console, f"Page  {cloud.page}/\nAPI   {cloud.page}/api/listScans")
        if cloud.perimeter:
            hosts = _listed(cloud.perimeter.farm)
        cloud.upload_list(hosts)
        view = _follow(console, cloud, cloud.fire_schedule())
        complete = _say_results(console, cloud, view)
        _say_tunnels(console, cloud)
        if once:
            return OK if complete else FAILED
        _line(console, f"Serving {cloud.page}/ — Ctrl-C ends it")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            console.print("Ending everything …")
        return OK if complete else FAILED


@contextmanager
def _hosts(args: argparse.Namespace, folder: Path) -> Iterator[tuple[bytes, AuditSettings | None]]:
    """The list and how to audit it: the user's own with the system's resolver, or the fleet.

    Of the perimeter's fleet nothing is known before it stands.
    """
    if args.perimeter:
        yield b"", None
        return
    if args.hosts is not None:
        yield _read(args.hosts), None
        return
    from glovebox.farm.running import running_farm

    with running_farm(folder / "fleet") as farm:
        yield _listed(farm), farm.settings


def _listed(farm: Farm) -> bytes:
    return "".join(f"{host}\n" for host in farm.hosts).encode()


def _read(path: Path) -> bytes:
    from glovebox.errors import InputError

    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"The host list cannot be read: {error}.", fix="Give a file with a host a line."
        ) from error


def _say_what_differs(console: Console, cloud: LocalCloud) -> None:
    groups: dict[tuple[str, str], set[str]] = {}
    for change in cloud.changes:
        groups.setdefault((change.kind, change.reason), set()).add(change.what)
    console.print("Different from AWS (docs/local-cloud.md says more):")
    for (kind, reason), what in sorted(groups.items()):
        _line(console, f"  {kind}, because {reason}:\n    {', '.join(sorted(what))}")


def _line(console: Console, text: str) -> None:
    """Text as it is: whoever pipes it wants whole lines, and none of it is markup."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _follow(console: Console, cloud: LocalCloud, run_id: str) -> View:
    """Show the run until it is over."""
    from rich.live import Live
    from rich.text import Text

    from glovebox.local.progress import follow, look

    view = look(cloud, run_id)
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        for view in follow(cloud, run_id):
            live.update(Text(_state(view)))
    return view


def _state(view: View) -> str:
    scans = ", ".join(f"{count} {state}" for state, count in sorted(view.states.items()))
    classes = ", ".join(f"{name} {count}" for name, count in view.counts.most_common(6))
    problems = "".join(f"\n  {problem}" for problem in view.problems[-3:])
    return (
        f"Run {view.run.run_id}: {view.run.state.value} | scans: {scans} | "
        f"records {view.written}/{view.run.hosts} | {classes}{problems}"
    )


def _say_results(console: Console, cloud: LocalCloud, view: View) -> bool:
    """Print what came out; whether each host has a record and the files are there."""
    from rich.table import Table

    from glovebox.local.cloud import CHECKOUT
    from glovebox.scans.model import RunState
    from glovebox.text import visible

    run = view.run
    table = Table("outcome", "sites", title=f"Run {run.run_id}: {run.state.value}")
    for name, count in sorted(run.counts.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(visible(name, 80), str(count))
    console.print(table)
    for note in run.rejected_lines:
        _line(console, f"  line {note.line} not used: {visible(note.reason, 200)} {visible(note.text, 80)}")
    for host in run.missing:
        _line(console, f"  without a record: {visible(host, 253)}")
    for scan in view.scans:
        if scan.reason:
            _line(console, f"  {scan.scan_id}: {visible(scan.reason, 400)}")
    for problem in view.problems:
        _line(console, f"  container agent: {visible(problem, 400)}")
    paths = cloud.download_files(run, CHECKOUT / "results" / run.run_id)
    for path in paths:
        _line(console, f"  {path}")
    return run.state is RunState.COMPLETED and bool(paths) and view.over


def _say_tunnels(console: Console, cloud: LocalCloud) -> None:
    """What the gateway decided, from its own ledger."""
    if cloud.perimeter is None:
        return
    tunnels = cloud.perimeter.tunnels()
    why = ", ".join(f"{reason} {count}" for reason, count in sorted(tunnels.refused.items()))
    refused = sum(tunnels.refused.values())
    _line(
        console,
        f"Tunnels through the gateway: {tunnels.allowed} allowed, {refused} refused"
        + (f" ({why})" if why else ""),
    )
    dropped = cloud.perimeter.dropped()
    _line(console, f"Packets that the perimeter dropped: {dropped}")
    for problem in cloud.perimeter.problems:
        _line(console, f"  perimeter: {problem}")


@contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end us the way Ctrl-C does: in order, with every child."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)
