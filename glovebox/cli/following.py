"""How far a run is while somebody waits for it: a bar on a terminal, elsewhere a line for each change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from glovebox.cli.output import console, say

Tell = Callable[[int, str], None]
"""Given the scans that have ended, and all of them by state in words."""


@contextmanager
def following(wanted: int) -> Iterator[Tell]:
    """Shows `wanted` scans on standard error, so that what is piped stays clean."""
    shown = console(stderr=True)
    if not shown.is_terminal or shown.is_dumb_terminal:
        yield _lines(wanted)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(TextColumn("Scans"), *columns, console=shown, transient=True) as bars:
        bar = bars.add_task("", total=wanted)
        yield lambda ended, states: bars.update(bar, completed=ended, description=states, refresh=True)


def _lines(wanted: int) -> Tell:
    before = ""

    def tell(ended: int, states: str) -> None:
        nonlocal before
        now = f"{ended}/{wanted} ended: {states}"
        if now != before:
            say(now)
        before = now

    return tell
