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
from glovebox.cli.output import line
from glovebox.errors import GloveboxError
from glovebox.local.scanner_tools import CACHE_VARIABLE, UPSTREAM

if TYPE_CHECKING:
    from rich.console import Console

    from glovebox.farm.running import Farm
    from glovebox.local.cloud import LocalCloud, Plan
    from glovebox.local.engines import Engine
    from glovebox.local.scanner_tools import Tools
    from glovebox.siteaudit.settings import AuditSettings

STAND_IN = "stand-in"
FLEET_SHARD_HOSTS = 40
"""So that the demonstration shows several tasks, too."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser(
        "up",
        help="run the whole platform on this machine",
        description=(
            "Deploy the templates into an emulator on 127.0.0.1, audit the hosts of a list, scan an account "
            "of the emulator's, and repositories, once through the whole flow, and serve page, API and "
            "files. Without --hosts it audits a fleet of servers of its own, without --repository it scans "
            "samples with planted faults, so it needs no network. It talks to no AWS and no GitHub."
        ),
    )
    parser.add_argument("--hosts", type=Path, metavar="FILE", help="a host list of your own, one host a line")
    parser.add_argument(
        "--repository",
        action="append",
        type=Path,
        default=[],
        metavar="FOLDER",
        help="a repository's working tree to scan instead of the samples; may be repeated",
    )
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
    parser.add_argument(
        "--scanner",
        action="append",
        choices=(STAND_IN, *UPSTREAM),
        default=[],
        metavar="NAME",
        help="a scanner that is to be the real one, and no small stand-in: "
        f"{', '.join(UPSTREAM)}; may be repeated",
    )
    parser.add_argument("--keep", action="store_true", help="keep state, logs and the tasks' folders")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Bring it up, audit once, and serve until Ctrl-C, or end with --once."""
    from rich.console import Console

    from glovebox.local.cloud import CHECKOUT, Plan, require_linux
    from glovebox.local.repositories import given

    require_linux()
    console = Console()
    tools = _tools(args)
    repositories = given(args.repository) if args.repository else None
    engine = _inside(console, args) if args.perimeter else _outside(console, args, tools)
    _say_who_scans(console, tools)
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
            tools=tools,
            repositories=repositories,
            say=lambda step: console.print(f"{step} …"),
        )
        return _run(console, plan, hosts, once=args.once)


def _tools(args: argparse.Namespace) -> Tools:
    """Raises ConfigurationError where a scanner that is to be the real one is not here."""
    from glovebox.local.scanner_tools import Tools

    cache = os.environ.get(CACHE_VARIABLE)
    return Tools(frozenset(args.scanner) - {STAND_IN}, Path(cache) if cache else None)


def _say_who_scans(console: Console, tools: Tools) -> None:
    real = [scanner for scanner in UPSTREAM if scanner in tools.real]
    small = [scanner for scanner in UPSTREAM if scanner not in tools.real and tools.scans(scanner)]
    if real:
        line(console, f"Scanners: the real {', the real '.join(real)}")
    for scanner in small:
        line(console, f"Scanners: a small stand-in for {scanner} (--scanner {scanner} for the real one)")


def _outside(console: Console, args: argparse.Namespace, tools: Tools) -> Engine:
    from glovebox.local.cloud import CHECKOUT
    from glovebox.local.engines import choose_engine

    engine, reasons = choose_engine(args.engine, CHECKOUT, tools=tools)
    console.print(f"Containers run as: [bold]{engine.name}[/bold]")
    for reason in reasons:
        line(console, f"  not with {reason}")
    line(console, "Perimeter: none, tasks go straight out; with --perimeter and root it is built")
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
    line(console, f"Perimeter: network namespaces and nftables from the template, {squid_version()}")
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
            line(console, f"State and logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _run(console: Console, plan: Plan, hosts: bytes, *, once: bool) -> int:
    from glovebox.cli.running import followed, say_accounts, say_repositories, say_sites, say_tunnels
    from glovebox.local.cloud import running_cloud

    with running_cloud(plan) as cloud:
        _say_what_differs(console, cloud)
        line(console, f"Page  {cloud.page}/\nAPI   {cloud.page}/api/listScans")
        if cloud.perimeter:
            hosts = _listed(cloud.perimeter.farm)
        cloud.upload_list(hosts)
        runs = cloud.fire_schedule(), cloud.scan_accounts().run_id, cloud.scan_repositories().run_id
        sites, accounts, repositories = followed(console, cloud, *runs)
        complete = [
            say_sites(console, cloud, sites),
            say_accounts(console, cloud, accounts),
            say_repositories(console, cloud, repositories),
        ]
        say_tunnels(console, cloud)
        if once:
            return OK if all(complete) else FAILED
        line(console, f"Serving {cloud.page}/ — Ctrl-C ends it")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            console.print("Ending everything …")
        return OK if all(complete) else FAILED


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
        line(console, f"  {kind}, because {reason}:\n    {', '.join(sorted(what))}")


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
