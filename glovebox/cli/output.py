"""What commands on a deployment print: tables for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

MAX_CELL = 400
"""Longer than any ARN that people read."""
PIPE_WIDTH = 240
"""Columns where there is no terminal: programs cut lines by themselves, folded ones they cannot join."""


def console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    made = Console(stderr=stderr)
    return made if made.is_terminal else Console(stderr=stderr, width=PIPE_WIDTH)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Cells are text, whatever is in them; hidden characters are spelled out."""
    from rich.table import Table
    from rich.text import Text

    from glovebox.text import visible

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(str(cell), MAX_CELL)) for cell in row))
    console().print(table)


def line(console: Console, text: str) -> None:
    """Text as it is: whoever pipes it wants whole lines, and none of it is markup."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_json(value: object) -> None:
    """One value, indented, to standard output."""
    import msgspec

    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
    sys.stdout.buffer.flush()


def say(text: str) -> None:
    """A line to standard error, so that what is piped stays clean."""
    from glovebox.text import visible

    print(visible(text, 2_000), file=sys.stderr)
