"""`glovebox cost`: what a deployment costs while nothing runs."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from glovebox.cli.exit_codes import OK
from glovebox.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glovebox.cost.estimate import Line, Object


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser(
        "cost",
        help="what a deployment costs while nothing runs",
        description=(
            "Price the synthesized templates with a table of list prices: an idle month, with the egress "
            "gateway running. What is paid by use is not in it. Asks nobody: no AWS account is needed."
        ),
    )
    parser.add_argument("--zones", type=int, choices=(1, 2), help="of the perimeter, instead of the setting")
    parser.add_argument(
        "--assembly", type=Path, metavar="DIR", help="price these synthesized templates, such as cdk.out"
    )
    parser.add_argument("--json", action="store_true", help="print the bill as a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Synthesize, or take what is there; price it; print it."""
    from glovebox.cost.estimate import PriceTable, estimate

    table = PriceTable.load()
    if args.assembly is not None:
        lines = estimate(_templates(args.assembly), table)
    else:
        with tempfile.TemporaryDirectory(prefix="glovebox-cost-") as folder:
            _synthesize(Path(folder), args.zones)
            lines = estimate(_templates(Path(folder)), table)
    if args.json:
        print(json.dumps(_as_json(lines, table.about), indent=2))
    else:
        _print(lines, table.about)
    return OK


def _synthesize(folder: Path, zones: int | None) -> None:
    from glovebox.local.assembly import synthesize

    context: dict[str, object] = {"aws:cdk:bundling-stacks": []}
    if zones:
        context["glovebox:zones"] = zones
    synthesize(Path(__file__).resolve().parents[2], folder, context)


def _templates(folder: Path) -> list[Object]:
    found = sorted(folder.glob("*.template.json"))
    if not found:
        raise ConfigurationError(f"There is no template in {folder}.", fix="Run `make synth` first.")
    return [json.loads(path.read_text(encoding="utf-8")) for path in found]


def _total(lines: Sequence[Line]) -> float:
    return round(sum(line.usd for line in lines), 2)


def _as_json(lines: Sequence[Line], about: str) -> dict[str, object]:
    shown = [{"what": line.what, "quantity": line.quantity, "usd": line.usd} for line in lines]
    return {"lines": shown, "total": _total(lines), "about": about}


def _print(lines: Sequence[Line], about: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(caption=about, caption_justify="left")
    table.add_column("an idle month")
    table.add_column("how many", justify="right")
    table.add_column("USD", justify="right")
    for line in lines:
        table.add_row(line.what, f"{line.quantity:g}", f"{line.usd:.2f}")
    table.add_section()
    table.add_row("total", "", f"{_total(lines):.2f}", style="bold")
    Console().print(table)
