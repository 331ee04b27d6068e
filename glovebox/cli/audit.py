"""`glovebox audit`: audit web sites from the command line."""

from __future__ import annotations

import argparse
import logging
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from rich.console import Console

from glovebox.cli import exit_codes
from glovebox.cli.auditing import Audit, Engine
from glovebox.cli.journal import Journal, RunState
from glovebox.cli.show import say, show_notes, show_summary
from glovebox.dates import iso
from glovebox.errors import InputError
from glovebox.scans.model import MAX_RUN_HOSTS
from glovebox.siteaudit.hosts import MAX_LIST_BYTES, HostList, parse_host_list, parse_hosts
from glovebox.siteaudit.loop import audit_runner
from glovebox.siteaudit.settings import AuditSettings
from glovebox.sites.shodan import ShodanCache, ShodanPort

LOG_FILE = "audit.log"
"""Tracebacks of errors of ours; written only where there is one."""
MAX_ROOTS_BYTES = 1 << 20
"""As the settings hold."""
_NAMED_FAULTS = 5
"""Hosts that the last sentence names; the files hold them all."""

DESCRIPTION = """\
Audit public web sites: DNS, TLS versions and suites, certificates, redirects and security headers.
Every host gets a record, with a failure class, whose fault it is and how to fix it.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser("audit", help="audit public web sites", description=DESCRIPTION)
    parser.set_defaults(run=run)
    defaults = AuditSettings()
    parser.add_argument("host", nargs="*", metavar="HOST", help="a name such as www.example.com")
    parser.add_argument(
        "--hosts", type=Path, metavar="FILE", help="a list, one name a line; - for standard input"
    )
    parser.add_argument(
        *("-o", "--output"),
        type=Path,
        metavar="DIR",
        help="where the files go; glovebox-<date> in this folder by default, nowhere with --json",
    )
    parser.add_argument(
        "--json", action="store_true", help="one record a line to standard output, nothing else there"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the audit in DIR (needs -o)")
    parser.add_argument(
        "--concurrency",
        type=int,
        default=defaults.concurrency,
        metavar="N",
        help="sites at once (%(default)s)",
    )
    parser.add_argument(
        "--shodan-key-file",
        type=Path,
        metavar="FILE",
        help="look each address up in Shodan, with the key in FILE",
    )
    network = parser.add_argument_group("test networks only")
    network.add_argument("--resolver", metavar="ADDRESS:PORT", help="ask this name server")
    network.add_argument(
        "--http-port", type=int, default=defaults.http_port, metavar="N", help="instead of 80"
    )
    network.add_argument(
        "--https-port", type=int, default=defaults.https_port, metavar="N", help="instead of 443"
    )
    network.add_argument(
        "--allow-network",
        action="append",
        default=[],
        metavar="CIDR",
        help="reach addresses of this network too, and names under .test; may be repeated",
    )
    network.add_argument("--roots", type=Path, metavar="FILE", help="trust the authorities in FILE (PEM) too")


def run(args: argparse.Namespace, engine: Engine | None = None) -> int:
    """Audit what `args` names; answers the exit code.  Raises GloveboxError where nothing could be begun."""
    console = Console(stderr=True)
    settings = _settings(args)
    shodan = _shodan(args.shodan_key_file)
    with ExitStack() as stack:
        scratch = None
        if args.json and args.output is None:
            scratch = Path(stack.enter_context(TemporaryDirectory(prefix="glovebox-audit-")))
        journal = stack.enter_context(_journal(args, console, scratch))
        stack.enter_context(_log_to(None if scratch else journal.folder / LOG_FILE))
        audit = Audit(
            journal, settings, engine or _engine(), console, shodan, sys.stdout.buffer if args.json else None
        )
        with audit_runner() as runner:
            runner.run(audit.run())
        run_summary = audit.summary()
        files = [] if scratch else journal.publish(run_summary, audit.answers)
        show_summary(console if args.json else Console(), audit.tally)
        for path in files:
            say(console, f"wrote {path}")
        _say_what_is_missing(console, audit, None if scratch else journal.folder)
    if audit.interrupted:
        return exit_codes.INTERRUPTED
    return exit_codes.FAILED if audit.tally.our_fault else exit_codes.OK


def _engine() -> Engine:
    from glovebox.siteaudit.direct import audit_directly

    return audit_directly


def _settings(args: argparse.Namespace) -> AuditSettings:
    """Raises InputError for a value out of its range."""
    chosen = {
        "concurrency": args.concurrency,
        "httpPort": args.http_port,
        "httpsPort": args.https_port,
        "resolver": args.resolver,
        "allowedNetworks": args.allow_network,
        "extraRoots": _read(args.roots, MAX_ROOTS_BYTES).decode("ascii", "replace") if args.roots else "",
    }
    try:
        return msgspec.convert(chosen, AuditSettings)
    except msgspec.ValidationError as error:
        raise InputError(
            f"An option is out of its range: {error}.", fix="See glovebox audit --help."
        ) from error


def _shodan(key_file: Path | None) -> tuple[ShodanPort, ShodanCache] | None:
    if key_file is None:
        return None
    # The library takes a fifth of a second to import, which an audit without it need not pay.
    from glovebox.adapters.shodan import FileShodanCache, ShodanClient, read_key_file, user_cache_folder

    return ShodanClient(read_key_file(key_file)), FileShodanCache(user_cache_folder())


def _journal(args: argparse.Namespace, console: Console, scratch: Path | None) -> Journal:
    """The folder's journal, new or resumed; notes about the host list are said on the way."""
    if args.resume and args.output is None:
        raise InputError("--resume needs the folder of the audit.", fix="Name it with -o DIR.")
    given = _hosts(args)
    if given is not None:
        show_notes(console, given.notes, "line" if args.hosts else "argument")
    if args.resume:
        return _resumed(args.output, given, console)
    if given is None:
        raise InputError("There is nothing to audit.", fix="Name hosts, or a list with --hosts FILE.")
    now = datetime.now(UTC)
    folder = scratch or args.output or Path(f"glovebox-{now:%Y-%m-%dT%H%M%SZ}")
    state = RunState(
        run_id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}",
        scan_date=iso(now),
        hosts=given.hosts,
        rejected=given.rejected,
    )
    return Journal.create(folder, state)


def _resumed(folder: Path, given: HostList | None, console: Console) -> Journal:
    journal = Journal.resume(folder)
    if given is not None and set(given.hosts) != set(journal.state.hosts):
        journal.close()
        raise InputError(
            f"The audit in {folder} has another list of hosts.",
            fix="Leave the list out to go on with it, or name another folder.",
        )
    for number in journal.skipped:
        say(console, f"output.jsonl, line {number}: no record of this run; its site is audited again")
    return journal


def _hosts(args: argparse.Namespace) -> HostList | None:
    if args.host and args.hosts:
        raise InputError("Hosts are named twice, as arguments and by --hosts.", fix="Use one of them.")
    test_names = bool(args.allow_network)
    if args.hosts:
        return parse_host_list(
            _read(args.hosts, MAX_LIST_BYTES), max_hosts=MAX_RUN_HOSTS, test_names=test_names
        )
    if args.host:
        return parse_hosts(args.host, max_hosts=MAX_RUN_HOSTS, test_names=test_names)
    return None


def _read(path: Path, limit: int) -> bytes:
    """One byte more than `limit` at most, which the reader of the content refuses.  Raises InputError."""
    if path == Path("-"):
        return sys.stdin.buffer.read(limit + 1)
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}).", fix="Check the path and its owner."
        ) from error


@contextmanager
def _log_to(path: Path | None) -> Iterator[None]:
    """Keep what the engine logs out of the progress display, and with the audit's files."""
    if path is None:
        yield
        return
    handler = logging.FileHandler(path, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def _say_what_is_missing(console: Console, audit: Audit, folder: Path | None) -> None:
    faults = audit.tally.our_fault
    if faults:
        named = ", ".join(faults[:_NAMED_FAULTS]) + (" …" if len(faults) > _NAMED_FAULTS else "")
        where = f"; see {folder / LOG_FILE}" if folder and (folder / LOG_FILE).exists() else ""
        say(console, f"Something of ours failed at {len(faults)} sites ({named}){where}.")
    if audit.interrupted:
        missing = len(audit.summary().missing)
        say(console, f"Interrupted: {missing} of {len(audit.hosts)} sites have no record.")
        if folder:
            say(console, f"Go on with: glovebox audit --resume -o {folder}")
