"""What a person sees of an audit: progress while it runs, tables when it is done.

Everything that came from a list or a site passes `text.visible` and is never read as markup.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal, Protocol, get_args

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from glovebox.cli.tally import EXPIRES_SOON_DAYS, Tally
from glovebox.siteaudit.failures import kind_of
from glovebox.siteaudit.hosts import MAX_NAME
from glovebox.siteaudit.notes import LineNote
from glovebox.siteaudit.record import MozillaProfile
from glovebox.sites.summary import OK
from glovebox.text import visible

PLAIN_SECONDS = 10.0
"""Between two lines of progress where there is no terminal: a log of an hour stays readable."""
SHOWN_CLASSES = 6
"""Failure classes beside the progress bar; the table has them all."""
SHOWN_NOTES = 20
"""Lines of the host list that are quoted on the screen; the files hold them all."""


class Progressing(Protocol):
    """Shows how far an audit is.  A context manager, so that the terminal is left as it was."""

    def __enter__(self) -> Progressing: ...

    def __exit__(self, *_: object) -> None: ...

    def audited(self, tally: Tally) -> None: ...

    def looked_up(self, done: int, total: int) -> None: ...


def progress(console: Console, total: int, already: int, *, live: bool) -> Progressing:
    """A display that renews itself, or plain lines; `already` of `total` were done before."""
    kind = LiveProgress if live else PlainProgress
    return kind(console, total, already)


class _Rate(ProgressColumn):
    """Sites a second over the last half minute."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "–/s", style="progress.data.speed")


class LiveProgress:
    def __init__(self, console: Console, total: int, already: int) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
        )
        self._bars = Progress(*columns, console=console)
        self._sites = self._bars.add_task("Sites", total=total, completed=already)
        self._shodan = self._bars.add_task("Shodan", total=None, visible=False)
        self._classes = Text()
        self._live = Live(
            Group(self._bars, self._classes), console=console, transient=True, refresh_per_second=5
        )

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def audited(self, tally: Tally) -> None:
        self._bars.update(self._sites, completed=tally.done)
        self._classes.plain = _class_line(tally)

    def looked_up(self, done: int, total: int) -> None:
        self._bars.update(self._shodan, completed=done, total=total, visible=True)


class PlainProgress:
    def __init__(self, console: Console, total: int, already: int) -> None:
        self._console = console
        self._total = total
        self._already = already
        self._started = self._last = time.monotonic()

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def audited(self, tally: Tally) -> None:
        now = time.monotonic()
        if now - self._last < PLAIN_SECONDS and tally.done < self._total:
            return
        self._last = now
        rate = (tally.done - self._already) / max(now - self._started, 0.001)
        left = (self._total - tally.done) / rate
        _line(
            self._console,
            f"{tally.done}/{self._total} sites, {rate:.1f}/s, {left:.0f} s left. {_class_line(tally)}",
        )

    def looked_up(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last < PLAIN_SECONDS and done < total:
            return
        self._last = now
        _line(self._console, f"{done}/{total} Shodan look-ups")


def show_notes(console: Console, notes: Sequence[LineNote], what: str) -> None:
    """Name the lines (`what`: "line" or "argument") that were not simply names."""
    for note in notes[:SHOWN_NOTES]:
        outcome = "used" if note.used else "not used"
        _line(console, f"{what} {note.line} {outcome}: {note.text}: {note.reason}")
    if len(notes) > SHOWN_NOTES:
        _line(console, f"… and {len(notes) - SHOWN_NOTES:,} more such {what}s")


def show_summary(console: Console, tally: Tally) -> None:
    """What became of the sites, in tables."""
    _titled(console, "Outcome", _outcomes(tally))
    _titled(
        console,
        "TLS configuration (Mozilla)",
        _counts("profile", tally.profiles, list(get_args(MozillaProfile))),
    )
    _titled(console, "Security headers (MDN Observatory)", _counts("grade", tally.grades, []))
    if tally.expiring:
        title = f"Valid certificates with {EXPIRES_SOON_DAYS} days or less: {tally.expiring}"
        _titled(console, title, _expiring(tally))


def say(console: Console, text: str) -> None:
    """One line of ours, whatever it quotes."""
    _line(console, text)


def _line(console: Console, text: str) -> None:
    console.print(Text(visible(text, 2_000)), soft_wrap=True)


def _class_line(tally: Tally) -> str:
    return ", ".join(f"{name} {count}" for name, count in tally.outcomes.most_common(SHOWN_CLASSES))


def _titled(console: Console, title: str, table: Table) -> None:
    """A title of the table's own would be folded to the table's width."""
    console.print()
    console.print(Text(title, style="bold"), soft_wrap=True)
    console.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        justify: Literal["right", "left"] = "right" if column in {"sites", "days left"} else "left"
        table.add_column(column, justify=justify, overflow="fold")
    return table


def _outcomes(tally: Tally) -> Table:
    table = _table("sites", "class", "fault", "how to fix")
    for name, count in tally.outcomes.most_common():
        if name == OK:
            table.add_row(str(count), Text(name, style="green"), "", "")
        else:
            kind = kind_of(name)
            table.add_row(str(count), Text(visible(name, 64), style="red"), kind.fault.value, Text(kind.fix))
    return table


def _counts(column: str, counts: dict[str, int], order: Sequence[str]) -> Table:
    table = _table("sites", column)
    names = [name for name in order if name in counts] or sorted(counts, key=_grade_order)
    for name in names:
        table.add_row(str(counts[name]), Text(visible(name, 64)))
    if not names:
        table.add_row("0", "none could be judged")
    return table


def _grade_order(grade: str) -> tuple[str, int]:
    """A+ before A before A-."""
    return grade[:1], {"+": 0, "": 1, "-": 2}.get(grade[1:], 3)


def _expiring(tally: Tally) -> Table:
    table = _table("days left", "site")
    for days, host in tally.soonest:
        table.add_row(str(days), Text(visible(host, MAX_NAME)))
    return table
