"""`glovebox scan`: have accounts or repositories scanned, and follow the scans."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any, Literal

from glovebox.cli import remote
from glovebox.cli.actions import Actions, action, json_option
from glovebox.cli.exit_codes import INCOMPLETE, OK
from glovebox.cli.repository_targets import is_repository

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from glovebox.cli.remote import Remote
    from glovebox.registry.order import OrderAnswer, Refused, RepositoriesAnswer
    from glovebox.scans.state import Run, Scan

POLL_SECONDS = 5.0
"""A scan takes minutes, and a thousand of them are a read of some hundred kilobytes."""
DEFAULT_MINUTES = 150
"""Two attempts of an hour each, and room to start them."""
MAX_MINUTES = 24 * 60


def add_parser(subparsers: Actions[argparse.ArgumentParser]) -> None:
    """Declare the command, its actions and their options."""
    parser = subparsers.add_parser(
        "scan",
        help="have accounts or repositories scanned",
        description="Have accounts or repositories scanned.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    starting = action(actions, "account", _account, help="scan accounts that are on record")
    starting.add_argument("ids", metavar="ID", nargs="*", help="an account's id")
    starting.add_argument("--all", action="store_true", help="every account that is on record and enabled")
    looking = action(actions, "repository", _repository, help="scan repositories that are on record")
    looking.add_argument("ids", metavar="ID", nargs="*", help="a repository's id: github.com/acme/shop")
    looking.add_argument("--all", action="store_true", help="every repository on record and enabled")
    looking.add_argument(
        "--ref", metavar="REF", default="", help="a branch, tag or commit, where it is not the default branch"
    )
    showing = action(actions, "show", _show, help="show how far a run is")
    showing.add_argument("run_id", metavar="RUN", help="the run, as `glovebox scan` named it")
    for following in (starting, looking, showing):
        following.add_argument("--wait", action="store_true", help="wait until every scan has ended")
        following.add_argument(
            "--timeout", metavar="MINUTES", type=_minutes, default=DEFAULT_MINUTES, help="wait no longer"
        )
        json_option(following)


def _account(args: argparse.Namespace) -> int:
    from glovebox.registry.order import AccountsOrder

    wanted = _wanted(args, "account", args.ids)
    there = remote.connect(args)
    if wanted != "all":
        there.registry.require_scannable(wanted)
    _say_ordered()
    answer = there.orders.scan(AccountsOrder(accounts=wanted, requested_by=there.caller))
    return _ordered(there, answer, f"{answer.accounts} accounts", args)


def _repository(args: argparse.Namespace) -> int:
    from glovebox.cli.choosing import require_ref
    from glovebox.registry.order import RepositoriesOrder

    wanted = _wanted(args, "repository", [each.lower() for each in args.ids])
    ref = require_ref(args.ref)
    there = remote.connect(args)
    if wanted != "all":
        there.registry.require_scannable_repositories(wanted)
    order = RepositoriesOrder(repositories=wanted, ref=ref, requested_by=there.caller)
    _say_ordered()
    answer = there.orders.scan_repositories(order)
    return _ordered(there, answer, f"{answer.repositories} repositories", args)


def _say_ordered() -> None:
    from glovebox.cli.output import say

    say("Ordering; the answer comes when the first tasks are started, in up to five minutes.")


def _ordered(
    there: Remote, answer: OrderAnswer | RepositoriesAnswer, targets: str, args: argparse.Namespace
) -> int:
    """Say what an order came to, and follow it where that is wanted."""
    from glovebox.cli.output import print_json, say

    _say_refused(answer.refused)
    say(f"Run {answer.run_id}: {answer.scans} scans of {targets}.")
    if args.wait:
        return _follow(there, there.scans.run(answer.run_id), args)
    if args.json:
        print_json(answer)
    say(f"To follow it: glovebox scan show {answer.run_id} --wait")
    return OK if not answer.refused else INCOMPLETE


def _wanted(
    args: argparse.Namespace, kind: Literal["account", "repository"], named: Iterable[str]
) -> tuple[str, ...] | Literal["all"]:
    """Raises InputError for nothing, for too much, and for some beside all of them."""
    from glovebox.errors import InputError
    from glovebox.registry.order import MAX_TARGETS

    if args.all and args.ids:
        raise InputError("--all has no ids beside it.", fix="Name some, or leave their ids out.")
    if args.all:
        return "all"
    ids = tuple(dict.fromkeys(named))
    if not ids:
        raise InputError(f"No {kind} is named.", fix="Give one id or more, or --all.")
    if len(ids) > MAX_TARGETS:
        raise InputError(f"One order has at most {MAX_TARGETS:,} targets.", fix="Make it several.")
    for each in ids:
        if is_repository(each) != (kind == "repository"):
            raise InputError(f"{each!r} is no id of one {kind}.", fix="See glovebox targets list.")
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
    """The targets that `launch` refused; none of a run over sites, which refuses lines of a list."""
    from glovebox.registry.order import Refused

    if run.kind == "account":
        return [Refused(account=each.text, reason=each.reason) for each in run.rejected_lines]
    if run.kind == "repository":
        return [Refused(repository=each.text, reason=each.reason) for each in run.rejected_lines]
    return []


def _say_refused(refused: Iterable[Refused]) -> None:
    from glovebox.cli.output import say

    for each in refused:
        say(f"{each.name} is not scanned: {each.reason}")


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
    from glovebox.findings.model import name_of

    told = [_as_json(there, each) for each in scans]
    if as_json:
        print_json({"runId": run.run_id, "scans": told, "refused": _refused(run)})
        return
    rows = [
        (
            each["scanId"],
            f"{name_of(scan.target)} ({each['scanner']})" if scan.repository else each["account"],
            each["state"],
            each["attempt"],
            ", ".join(f"{count} {step}" for step, count in each["findings"].items()) or "–",
            " ".join(filter(None, (each["reason"], each["fix"]))),
        )
        for each, scan in zip(told, scans, strict=True)
    ]
    print_table(("scan", run.kind, "state", "attempt", "findings", "reason"), rows)


def _as_json(there: Remote, scan: Scan) -> dict[str, Any]:
    record = there.findings.scan(scan.target, scan.scan_id) if scan.target and scan.state.ended else None
    return {
        "scanId": scan.scan_id,
        **_about(scan),
        "state": scan.state.value,
        "attempt": scan.attempt,
        "reason": scan.reason,
        "fix": scan.failure.fix if scan.failure else None,
        "findings": record.steps if record else {},
        "endedAt": scan.ended_at,
    }


def _about(scan: Scan) -> dict[str, object]:
    """What is scanned; what the snapshot is and lacks is there as soon as it is known."""
    if scan.repository is not None:
        snapshot = scan.snapshot
        return {
            "repository": scan.repository.repository,
            "scanner": scan.repository.scanner,
            "ref": scan.repository.ref,
            "commit": snapshot.commit if snapshot else None,
            "gaps": snapshot.gaps if snapshot else [],
            "gapCounts": snapshot.gap_counts if snapshot else {},
        }
    return {
        "account": scan.account.account if scan.account else "",
        "regions": scan.account.regions if scan.account else [],
    }


def _minutes(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= MAX_MINUTES:
        raise argparse.ArgumentTypeError(f"minutes are a number from 1 to {MAX_MINUTES}")
    return int(text)
