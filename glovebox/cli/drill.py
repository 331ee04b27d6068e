"""`glovebox drill`: a hostile scanner tries to get out, and others say whether it did."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from glovebox.cli.exit_codes import FAILED, OK
from glovebox.errors import ConfigurationError

if TYPE_CHECKING:
    from glovebox.drill.judge import NotTried, Verdict
    from glovebox.lab.lab import Kind

_EVIDENCE = 160
"""Characters of evidence in the table; `--json` has all of it."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser(
        "drill",
        help="try to break out of the perimeter, in a lab on this machine",
        description=(
            "Build the perimeter of the synthesized stacks from network namespaces, nftables and Squid, let "
            "a hostile scanner try to get out, and say for each attempt whether it was blocked and left a "
            "trace, by what others saw. Needs root on Linux; touches neither AWS nor the internet."
        ),
    )
    parser.add_argument("--json", action="store_true", help="print the verdicts as a JSON array")
    parser.add_argument(
        "--lab",
        action="store_true",
        help="in the lab on this machine: the default, and so far the only place",
    )
    parser.add_argument(
        "--unprotected",
        action="store_true",
        help="the control: without rules and gateway everything must leak",
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep journals and logs in this new folder")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the drill; non-zero where anything leaked or left no trace."""
    from glovebox.lab.probe import why_no_drill

    lacking = why_no_drill()
    if lacking is not None:
        raise ConfigurationError(f"The lab cannot run on this machine: {lacking}.", fix="See docs/lab.md.")
    verdicts, not_tried = _drill("unprotected" if args.unprotected else "real", args.keep)
    if args.json:
        print(json.dumps([verdict.row() for verdict in verdicts], indent=1))
        _say_not_tried(not_tried)
    else:
        _show(verdicts)
        _say_not_tried(not_tried)
    return OK if all(verdict.good for verdict in verdicts) else FAILED


def _drill(kind: Kind, keep: Path | None) -> tuple[list[Verdict], list[NotTried]]:
    from glovebox.drill.beside import beside
    from glovebox.drill.in_lab import Drill
    from glovebox.drill.not_tried import NOT_TRIED
    from glovebox.lab.lab import Lab
    from glovebox.lab.synthesis import perimeter

    with _folder(keep) as folder, Lab(perimeter(), folder, kind=kind) as lab:
        drill = Drill(lab)
        verdicts = [*drill.run(), *beside(lab)]
    verdicts.sort(key=lambda verdict: verdict.line)
    return verdicts, sorted([*NOT_TRIED, *drill.not_tried], key=lambda one: one.line)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        try:
            keep.mkdir(parents=True)
        except OSError as error:
            raise ConfigurationError(
                f"{keep} cannot be made: {error.strerror}.", fix="Name a new folder."
            ) from error
        yield keep.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="glovebox-drill-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _show(verdicts: Sequence[Verdict]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from glovebox.drill.judge import summary
    from glovebox.text import visible

    table = Table(box=None, pad_edge=False)
    for column in ("line", "attempt", "outcome", "traced", "evidence"):
        table.add_column(column, justify="right" if column == "line" else "left", overflow="fold")
    for verdict in verdicts:
        table.add_row(
            str(verdict.line),
            Text(visible(verdict.name, _EVIDENCE)),
            Text(verdict.outcome, style="red" if verdict.outcome == "leaked" else "green"),
            Text("yes" if verdict.traced else "no", style="" if verdict.traced else "red"),
            Text(visible(verdict.evidence, _EVIDENCE)),
        )
    console = Console()
    console.print(table)
    console.print()
    console.print(Text(summary(verdicts), style="bold"))


def _say_not_tried(not_tried: Sequence[NotTried]) -> None:
    """On standard error, so that the array stays alone."""
    print("Not tried:", file=sys.stderr)
    for one in not_tried:
        print(f"  line {one.line}: {one.what}: {one.why}.", file=sys.stderr)
