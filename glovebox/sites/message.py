"""The mail about a run: plain text, counts first, then what is new and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from glovebox.scans.state import Run
from glovebox.siteaudit.failures import FAILURES
from glovebox.sites.changes import Changes, Difference
from glovebox.sites.item import SiteSummary
from glovebox.text import plain

MAX_SUBJECT = 100
"""SNS refuses longer subjects, and anything but ASCII."""
MAX_ENTRIES = 50
"""Lines of one section: who needs more opens the page."""
MAX_WORDS = 200


def subject(run: Run, changes: Changes) -> str:
    new, fixed = len(changes.new_failures), len(changes.fixed)
    text = f"Site audit {run.scan_date[:10]}: {run.state.value}, {new} new failures, {fixed} fixed"
    return plain(text).encode("ascii", "replace").decode()[:MAX_SUBJECT]


def body(run: Run, changes: Changes, page_url: str) -> str:
    """Every string of a site goes through `plain`: a mail program is a terminal of a kind."""
    return "\n".join(_lines(run, changes, page_url)) + "\n"


def _lines(run: Run, changes: Changes, page_url: str) -> Iterator[str]:
    records = sum(run.counts.values())
    yield f"Run {run.run_id} of {run.scan_date} is {run.state.value}."
    yield f"{run.hosts:,} hosts on the list, {records:,} with a record, {run.missing_count:,} without."
    if run.rejected_count:
        yield f"{run.rejected_count:,} lines of the list were not used:"
        noted = (f"line {note.line}: {_words(note.reason)}" for note in run.rejected_lines)
        yield from section(noted, run.rejected_count)
    yield from _titled("Results", [f"{count:,} {_words(name)}" for name, count in run.counts.items()])
    yield from _titled("New failures", [_failure(site) for site in changes.new_failures])
    yield from _titled("Fixed", [f"{one.fqdn}: was {_words(one.before)}" for one in changes.fixed])
    yield from _titled("Changed", [_difference(one) for one in changes.differences])
    if run.missing_count:
        yield from ("", f"Without a record ({run.missing_count:,})")
        yield from section(run.missing, run.missing_count)
    yield from (
        "",
        f"{changes.first_seen:,} sites were audited for the first time.",
        f"Files and history: {page_url}",
    )


def _titled(title: str, entries: Sequence[str]) -> Iterator[str]:
    if entries:
        yield from ("", f"{title} ({len(entries):,})")
        yield from section(entries, len(entries))


def section(entries: Iterable[str], total: int) -> Iterator[str]:
    shown = list(islice(entries, MAX_ENTRIES))
    yield from (f"  {entry}" for entry in shown)
    if total > len(shown):
        yield f"  and {total - len(shown):,} more"


def _failure(site: SiteSummary) -> str:
    name = site.failure_class or ""
    kind = FAILURES.get(name.partition(":")[0])
    return f"{site.fqdn}: {_words(name)}" + (f". {kind.fix}" if kind else "")


def _difference(one: Difference) -> str:
    return f"{one.fqdn}: {one.what} {_words(one.before)} -> {_words(one.now)}"


def _words(text: str) -> str:
    return plain(text)[:MAX_WORDS]
