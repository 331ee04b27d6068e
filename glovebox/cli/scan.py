"""`glovebox scan`: have accounts scanned, and follow the scans."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from glovebox.cli import remote
from glovebox.cli.actions import Actions, action, json_option
from glovebox.cli.exit_codes import INCOMPLETE, OK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from glovebox.cli.remote import Remote
    from glovebox.registry.order import Accounts, Refused
    from glovebox.scans.state import Run, Scan

POLL_SECONDS = 5.0
"""A scan takes minutes, and a thousand of them are a read of some hundred kilobytes."""
DEFAULT_MINUTES = 150
"""Two attempts of an hour each, and room to start them."""
MAX_MINUTES = 24 * 60


def add_parser(subparsers: Actions[argparse.ArgumentParser]) -> None:
    """Declare the command, its actions and their options."""
    parser = subparsers.add_parser("scan", help="have accounts scanned", description="Have accounts scanned.")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    starting = action(actions, "account", _account, help="scan accounts that are on record")
    starting.add_argument("ids", metavar="ID", nargs="*", help="an account's id")
    starting.add_argument("--all", action="store_true", help="every account that is on record and enabled")
    showing = action(actions, "show", _show, help="show how far a run is")
    showing.add_argument("run_id", metavar="RUN", help="the run, as `glovebox scan account` named it")
    for following in (starting, showing):
        following.add_argument("--wait", action="store_true", help="wait until every scan has ended")
        following.add_argument(
            "--timeout", metavar="MINUTES", type=_minutes, default=DEFAULT_MINUTES, help="wait no longer"
        )
        json_option(following)


def _account(args: argparse.Namespace) -> int:
    from glovebox.cli.output import print_json, say
    from glovebox.registry.order import AccountsOrder

    wanted = _wanted(args)
    there = remote.connect(args)
    if wanted != "all":
        there.registry.require_scannable(wanted)
    answer = there.orders.scan(AccountsOrder(accounts=wanted, requested_by=there.caller))
    _say_refused(answer.refused)
    say(f"Run {answer.run_id}: {answer.scans} scans of {answer.accounts} accounts.")
    if args.wait:
        return _follow(there, there.scans.run(answer.run_id), args)
    if args.json:
        print_json(answer)
    say(f"To follow it: glovebox scan show {answer.run_id} --wait")
    return OK if not answer.refused else INCOMPLETE


def _wanted(args: argparse.Namespace) -> Accounts:
    """Raises InputError for no account, for too many, and for some beside all of them."""
    from glovebox.errors import InputError
    from glovebox.registry.order import MAX_ACCOUNTS

    if args.all and args.ids:
        raise InputError("--all has no ids beside it.", fix="Name accounts, or leave their ids out.")
    if args.all:
        return "all"
    ids = tuple(dict.fromkeys(args.ids))
    if not ids:
        raise InputError("No account is named.", fix="Give one id or more, or --all.")
    if len(ids) > MAX_ACCOUNTS:
        raise InputError(f"One order has at most {MAX_ACCOUNTS:,} accounts.", fix="Make it several.")
    return ids


def _show(args: argparse.Namespace) -> int:
    from glovebox.errors import InputError
    from glovebox.scans.model import RUN_ID

    if RUN_ID.fullmatch(args.run_id) is None:
        raise InputError(
            f"{args.run_id!r} is no run's id.",
            fix="It is such as 20261122T120000Z-0123abcd, without a scan's number.",
        )
    there = remote.connect(args)
    run = there.scans.run(args.run_id)
    _say_refused(_refused(run))
    if args.wait:
        return _follow(there, run, args)
    _print(there, run, there.scans.scans(run.run_id), as_json=args.json)
    return OK


def _refused(run: Run) -> list[Refused]:
    """The accounts that `launch` refused; none of a run over sites, which refuses lines of a list."""
    from glovebox.registry.order import Refused

    notes = run.rejected_lines if run.kind == "account" else ()
    return [Refused(account=each.text, reason=each.reason) for each in notes]


def _say_refused(refused: Iterable[Refused]) -> None:
    from glovebox.cli.output import say

    for each in refused:
        say(f"{each.account} is not scanned: {each.reason}")


def _follow(there: Remote, run: Run, args: argparse.Namespace) -> int:
    """Poll until all scans have ended, and show how far they are."""
    from glovebox.cli.following import following
    from glovebox.cli.output import say
    from glovebox.scans.model import ScanState

    deadline = time.monotonic() + args.timeout * 60
    with following(run.shards) as tell:
        while True:
            scans = there.scans.scans(run.run_id)
            ended = sum(each.state.ended for each in scans)
            over = ended >= run.shards
            tell(ended, _states(scans))
            if over or time.monotonic() >= deadline:
                break
            time.sleep(POLL_SECONDS)
    _print(there, run, scans, as_json=args.json)
    if not over:
        say(f"Not all have ended in {args.timeout} minutes. To go on: glovebox scan show {run.run_id} --wait")
    whole = over and not _refused(run) and all(each.state is ScanState.COMPLETED for each in scans)
    return OK if whole else INCOMPLETE


def _states(scans: Sequence[Scan]) -> str:
    from collections import Counter

    counts = Counter(each.state.value for each in scans)
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))


def _print(there: Remote, run: Run, scans: Sequence[Scan], *, as_json: bool) -> None:
    from glovebox.cli.output import print_json, print_table

    told = [_as_json(there, each) for each in scans]
    if as_json:
        print_json({"runId": run.run_id, "scans": told, "refused": _refused(run)})
        return
    rows = [
        (
            each["scanId"],
            each["account"],
            each["state"],
            each["attempt"],
            ", ".join(f"{count} {step}" for step, count in each["findings"].items()) or "–",
            " ".join(filter(None, (each["reason"], each["fix"]))),
        )
        for each in told
    ]
    print_table(("scan", "account", "state", "attempt", "findings", "reason"), rows)


def _as_json(there: Remote, scan: Scan) -> dict[str, Any]:
    account = scan.account.account if scan.account else ""
    record = there.findings.scan(f"aws:{account}", scan.scan_id) if account and scan.state.ended else None
    return {
        "scanId": scan.scan_id,
        "account": account,
        "regions": scan.account.regions if scan.account else [],
        "state": scan.state.value,
        "attempt": scan.attempt,
        "reason": scan.reason,
        "fix": scan.failure.fix if scan.failure else None,
        "findings": record.steps if record else {},
        "endedAt": scan.ended_at,
    }


def _minutes(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= MAX_MINUTES:
        raise argparse.ArgumentTypeError(f"minutes are a number from 1 to {MAX_MINUTES}")
    return int(text)
