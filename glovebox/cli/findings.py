"""`glovebox findings`: what the scans found, and what people decide about it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from glovebox.cli import remote
from glovebox.cli.actions import Actions, action, json_option
from glovebox.cli.exit_codes import OK
from glovebox.cli.remote import add_connection_options

if TYPE_CHECKING:
    from glovebox.cli.choosing import Choice
    from glovebox.cli.remote import Remote
    from glovebox.findings.model import Finding
    from glovebox.findings.store import FindingStore, ScanRecord

FORMATS: Final = ("table", "json", "jsonl", "csv", "ocsf", "sarif", "cyclonedx")
OF_ONE_REPOSITORY: Final = ("sarif", "cyclonedx")
CYCLONEDX_ENDING: Final = ".cdx.json"
"""As the standard's own tools name such files."""
STATES: Final = ("new", "open", "reopened", "accepted", "resolved", "all")
SEVERITIES: Final = ("informational", "low", "medium", "high", "critical")
TABLE_ROWS: Final = 200
"""Nobody reads more in a terminal; files and the other formats have them all."""
SCANS: Final = 10
MAX_SCANS: Final = 400
"""A year of daily ones; each may be some kilobytes."""
SHOWN_ID: Final = 12
"""Digits of an id in a table: enough to name a finding among millions."""


def add_parser(subparsers: Actions[argparse.ArgumentParser]) -> None:
    """Declare the command, its options, its actions and theirs."""
    parser = subparsers.add_parser(
        "findings",
        help="what the scans found",
        description="Show what the scans of accounts and repositories found: by default what is new, open "
        "or reopened.",
    )
    parser.set_defaults(run=_show)
    parser.add_argument("--account", metavar="ID", action="append", help="of this account; may be repeated")
    parser.add_argument(
        "--repository",
        metavar="ID",
        action="append",
        help="of this repository, such as github.com/acme/shop; may be repeated",
    )
    parser.add_argument(
        "--ref", metavar="REF", default="", help="of this branch, tag or commit, not of the default branch"
    )
    parser.add_argument("--team", metavar="TEAM", help="of the accounts and repositories of this team")
    parser.add_argument("--state", choices=STATES, action="append", help="in this state; may be repeated")
    parser.add_argument(
        "--severity", choices=SEVERITIES, default="informational", help="at least this severe"
    )
    parser.add_argument(
        "--service", metavar="NAME", action="append", help="of this service, such as s3 or trivy-secret"
    )
    parser.add_argument("--check", metavar="NAME", action="append", help="of this check")
    parser.add_argument("--held", action="store_true", help="only those that wait for release or dismiss")
    parser.add_argument("--format", choices=FORMATS, help="table by default; of a file, by its ending")
    parser.add_argument(
        *("-o", "--output"), type=Path, metavar="FILE", help="write to this file instead of standard output"
    )
    add_connection_options(parser)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    accepting = action(actions, "accept", _accept, help="live with a finding until a day", inherits=True)
    accepting.add_argument("id", metavar="ID", help="the finding's id, or its first 8 digits or more")
    accepting.add_argument("--reason", metavar="TEXT", required=True, help="why")
    accepting.add_argument("--owner", metavar="TEXT", required=True, help="who answers for it")
    accepting.add_argument(
        "--until",
        metavar="DATE",
        type=_day,
        required=True,
        help="YYYY-MM-DD, on which it is open again (UTC)",
    )
    withdrawing = action(actions, "withdraw", _withdraw, help="take an acceptance back", inherits=True)
    withdrawing.add_argument("id", metavar="ID", help="as for accept")
    for each in (accepting, withdrawing):
        where = each.add_mutually_exclusive_group()
        for name in ("account", "repository"):
            where.add_argument(
                f"--{name}", metavar="ID", dest="of_target", help="look only there, which is quicker"
            )
        _ref_option(each)
    for name, run, sentence in (
        ("release", _release, "believe that what is held of a target is resolved"),
        ("dismiss", _dismiss, "do not believe it: what is held stays as it was"),
    ):
        _add_target(action(actions, name, run, help=sentence, inherits=True))
    scans = action(actions, "scans", _scans, help="what the latest scans of a target came to", inherits=True)
    _add_target(scans)
    scans.add_argument(
        "--last", metavar="N", type=_number, default=SCANS, help=f"so many of them ({SCANS} by default)"
    )
    json_option(scans)


def _add_target(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("of_target", metavar="TARGET", nargs="?", help="an account's or a repository's id")
    for name in ("account", "repository"):
        which.add_argument(f"--{name}", metavar="ID", dest="named_target", help=f"the same, of this {name}")
    _ref_option(parser)


def _ref_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ref",
        metavar="REF",
        dest="of_ref",
        default="",
        help="of the repository, where not its default branch",
    )


# ---------------------------------------------------------------- showing


def _show(args: argparse.Namespace) -> int:
    from glovebox.cli.choosing import chosen_targets, freshness, read
    from glovebox.cli.output import say

    there = remote.connect(args)
    choice = _choice(args)
    targets = chosen_targets(there, args.account, args.repository, args.ref, args.team)
    found = read(there.findings, targets, choice)
    kind = args.format or _format_of(args.output)
    if kind == "table" and args.output is None:
        shown = _print_table(found)
    else:
        only = _only_repository(targets) if kind in OF_ONE_REPOSITORY else ""
        shown = _write(found, kind, args.output, there.findings, only, choice)
    say(f"{shown:,} findings. {freshness(there, targets, now=int(time.time()))}")
    return OK


def _choice(args: argparse.Namespace) -> Choice:
    from glovebox.cli.choosing import Choice
    from glovebox.findings.model import Severity, State

    live = [each.value for each in State if each.live]
    wanted = args.state or ([each.value for each in State] if args.held else live)
    return Choice(
        states=tuple(each for each in State if "all" in wanted or each.value in wanted),
        severity=Severity[args.severity.upper()],
        services=frozenset(args.service) if args.service else None,
        checks=frozenset(args.check) if args.check else None,
        held=True if args.held else None,
    )


def _format_of(output: Path | None) -> str:
    if output is not None and output.name.lower().endswith(CYCLONEDX_ENDING):
        return "cyclonedx"
    ending = "" if output is None else output.suffix.lstrip(".").lower()
    return ending if ending in FORMATS else "table" if output is None else "jsonl"


def _print_table(found: Iterator[Finding]) -> int:
    from glovebox.cli.output import print_table, say
    from glovebox.findings.export import TABLE_COLUMNS, table_rows
    from glovebox.findings.model import name_of

    rows, count = [], 0
    for finding in found:
        if count < TABLE_ROWS:
            [cells] = table_rows([finding])
            rows.append((finding.id[:SHOWN_ID], name_of(finding.target), *cells))
        count += 1
    if rows:
        print_table(("id", "target", *TABLE_COLUMNS), rows)
    if count > TABLE_ROWS:
        say(f"The first {TABLE_ROWS:,} of {count:,}; -o FILE has them all.")
    return count


def _only_repository(targets: list[str]) -> str:
    """Raises InputError unless the targets are one repository."""
    from glovebox.errors import InputError
    from glovebox.findings.model import repository_of

    if len(targets) != 1 or not repository_of(targets[0]):
        raise InputError(
            f"These formats are of one repository, and {len(targets):,} targets are chosen.",
            fix="Name one: --repository github.com/acme/shop.",
        )
    return targets[0]


def _write(
    found: Iterator[Finding],
    kind: str,
    output: Path | None,
    store: FindingStore,
    repository: str,
    choice: Choice,
) -> int:
    from glovebox.cli.writing import encoded, of_repository, to_file, to_stdout

    count = 0

    def counted() -> Iterator[Finding]:
        nonlocal count
        for finding in found:
            count += 1
            yield finding

    if repository:
        pieces = of_repository(
            counted(), kind, store, repository, services=choice.services, now=int(time.time())
        )
    else:
        pieces = encoded(counted(), kind)
    if output is None:
        to_stdout(pieces)
    else:
        to_file(pieces, output)
    return count


def _scans(args: argparse.Namespace) -> int:
    from glovebox.cli.choosing import kind_and_id
    from glovebox.cli.output import print_json, print_table, say

    there, target = _acting(args), _target(args)
    found = there.findings.scans(target, limit=args.last)
    if args.json:
        print_json(found)
    elif found:
        print_table(
            ("scan", "scanner", "asked for", "quality", "items", "refused", "changes", "why"),
            map(_scan_row, found),
        )
    else:
        say(f"{target} was never scanned: glovebox scan {kind_and_id(target)}")
    return OK


def _scan_row(scan: ScanRecord) -> tuple[object, ...]:
    changes = ", ".join(f"{count:,} {step}" for step, count in scan.steps.items())
    why = " ".join((*scan.reasons, *scan.examples[:1], *scan.notes))
    asked, refused = _moment(scan.at), f"{sum(scan.refused.values()):,}"
    return (
        scan.scan_id,
        scan.scanner or "prowler",
        asked,
        scan.quality.value,
        f"{scan.items:,}",
        refused,
        changes or "–",
        why,
    )


# ---------------------------------------------------------------- deciding


def _accept(args: argparse.Namespace) -> int:
    from glovebox.cli.output import say
    from glovebox.findings import recording
    from glovebox.findings.model import Acceptance
    from glovebox.findings.services import TRIVY_SECRET

    there = _acting(args)
    now = int(time.time())
    target, key = _find(there, args)
    acceptance = Acceptance(reason=args.reason, owner=args.owner, until=args.until)
    there.registry.require_acceptable(target, acceptance, now=now)
    recording.accept(there.findings, target, key, acceptance, by=there.caller, now=now)
    say(f"{key.hex()} of {target} is accepted until {_date(args.until)}.")
    if there.findings.ledger(target).entries[key].service == TRIVY_SECRET:
        say(
            "Trivy masks the values of secrets, so this accepts its line, and with it whatever secret of its "
            "kind stands there next. Repair it if you can."
        )
    return OK


def _withdraw(args: argparse.Namespace) -> int:
    from glovebox.cli.output import say
    from glovebox.findings import recording

    there = _acting(args)
    target, key = _find(there, args)
    recording.withdraw(there.findings, target, key, by=there.caller, now=int(time.time()))
    say(f"{key.hex()} of {target} is open again.")
    return OK


def _release(args: argparse.Namespace) -> int:
    from glovebox.cli.output import say
    from glovebox.findings import recording

    there, target = _acting(args), _target(args)
    recording.release(there.findings, target, by=there.caller, now=int(time.time()))
    say(f"What was held of {target} is resolved.")
    return OK


def _dismiss(args: argparse.Namespace) -> int:
    from glovebox.cli.output import say
    from glovebox.findings import recording

    there, target = _acting(args), _target(args)
    recording.dismiss(there.findings, target, by=there.caller, now=int(time.time()))
    say(f"What was held of {target} stays as it was.")
    return OK


def _acting(args: argparse.Namespace) -> Remote:
    """Raises InputError for a filter before the action: an action is about what it names alone."""
    from glovebox.errors import InputError

    filters = (
        "account",
        "repository",
        "ref",
        "team",
        "state",
        "service",
        "check",
        "held",
        "format",
        "output",
    )
    given = [f"--{each}" for each in filters if getattr(args, each)]
    if given:
        raise InputError(f"{given[0]} chooses what is shown.", fix="Give the action its own options only.")
    return remote.connect(args)


def _find(there: Remote, args: argparse.Namespace) -> tuple[str, bytes]:
    from glovebox.cli.choosing import find

    only = args.of_target is not None or args.of_ref
    return find(there.findings, args.id, _target(args) if only else None)


def _target(args: argparse.Namespace) -> str:
    from glovebox.cli.choosing import target_named

    return target_named(args.of_target or getattr(args, "named_target", None) or "", args.of_ref)


def _day(text: str) -> int:
    """Epoch seconds at which the day begins."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise argparse.ArgumentTypeError("a day is such as 2026-12-31") from error
    return int(day.timestamp())


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= MAX_SCANS:
        raise argparse.ArgumentTypeError(f"a number from 1 to {MAX_SCANS}")
    return int(text)


def _moment(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
