"""The mail about a run over accounts: what needs somebody first, then what is new and whose it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from glovebox.accounts.news import Arrivals, Held, News, Owners
from glovebox.findings.model import Finding, Severity
from glovebox.scans.model import ScanState
from glovebox.scans.state import Run, Scan
from glovebox.sites.message import MAX_SUBJECT, section
from glovebox.text import clean

MAX_WORDS: Final = 300
NOBODY: Final = "nobody"
_ENDS: Final = {
    ScanState.UNTRUSTED: "Not believed",
    ScanState.FAILED: "Failed",
    ScanState.EXPIRED: "Out of time",
    ScanState.CANCELLED: "Cancelled",
    ScanState.PARTIAL: "Not whole",
}
"""Titles of the ends that somebody should look at, the worst first."""


def subject(run: Run, news: News) -> str:
    new = _total(one.new for one in news.arrivals)
    text = f"Account scans {run.scan_date[:10]}: {run.state.value}, {_counted(new)} new"
    if run.untrusted:
        text += f", {len(run.untrusted):,} not believed"
    if news.held:
        text += f", {len(news.held):,} accounts wait for you"
    return clean(text, MAX_SUBJECT).encode("ascii", "replace").decode()


def body(run: Run, scans: Sequence[Scan], news: News, owners: Owners) -> str:
    """Every string that is not ours goes through `clean`: a mail program is a terminal of a kind."""
    return "\n".join(_lines(run, scans, news, owners)) + "\n"


def _lines(run: Run, scans: Sequence[Scan], news: News, owners: Owners) -> Iterator[str]:
    yield f"Run {run.run_id} of {run.scan_date} is {run.state.value}."
    states = Counter(scan.state for scan in scans)
    told = ", ".join(f"{states[state]:,} {state.value}" for state in ScanState if states[state])
    yield f"{len(scans):,} scans of {run.accounts:,} accounts: {told or 'none'}."
    for state, title in _ENDS.items():
        ended = [scan for scan in scans if scan.state is state]
        yield from _titled(title, [_ended(scan, owners) for scan in ended])
    yield from _titled("Held until somebody decides", [_held(each, owners) for each in news.held])
    refused = [f"{_words(note.text)}: {_words(note.reason)}" for note in run.rejected_lines]
    if refused:
        yield from ("", f"Not scanned ({run.rejected_count:,})", *section(refused, run.rejected_count))
    yield from _new(news)
    yield from _titled("The gravest of them", [_finding(each) for each in news.gravest])
    yield from ("", f"All of it: glovebox findings, glovebox scan show {run.run_id}")


def _new(news: News) -> Iterator[str]:
    """By team, in the order of the gravest account of each."""
    yield from ("", f"New and reopened: {_all(news.arrivals)}")
    teams: dict[str, list[Arrivals]] = {}
    for one in news.arrivals:
        teams.setdefault(one.team, []).append(one)
    lines: list[str] = []
    for team, accounts in teams.items():
        lines.append(f"{_words(team) or NOBODY}: {_all(accounts)}")
        lines += [f"  {_named(each.account, each.name)}: {_all([each])}" for each in accounts]
    yield from section(lines, len(lines))


def _all(arrivals: Sequence[Arrivals]) -> str:
    new, reopened = _total(one.new for one in arrivals), _total(one.reopened for one in arrivals)
    told = [f"{_counted(new)} new"] if new or not reopened else []
    return ", ".join([*told, *([f"{_counted(reopened)} reopened"] if reopened else [])])


def _total(parts: Iterable[Mapping[Severity, int]]) -> Counter[Severity]:
    total: Counter[Severity] = Counter()
    for part in parts:
        total.update(part)
    return total


def _counted(counts: Mapping[Severity, int]) -> str:
    by_severity = [
        f"{counts[each]:,} {each.name.lower()}" for each in sorted(Severity, reverse=True) if counts.get(each)
    ]
    total = f"{sum(counts.values()):,}"
    return f"{total} ({', '.join(by_severity)})" if by_severity else total


def _ended(scan: Scan, owners: Owners) -> str:
    reason = _words(scan.reason or "no reason given")
    fix = f" {_words(scan.failure.fix)}" if scan.failure else ""
    if scan.account is None:
        return f"{scan.scan_id}: {reason}{fix}"
    account = scan.account.account
    where = ", ".join(scan.account.regions)
    named = _named(account, owners.name(account))
    return f"{named}, {_words(owners.team(account)) or NOBODY}, {where}: {reason}{fix} [{scan.scan_id}]"


def _held(one: Held, owners: Owners) -> str:
    named = _named(one.account, owners.name(one.account))
    return (
        f"{named}: {one.count:,} findings. {_words(one.hold.reason)} "
        f"To decide: glovebox findings release {one.account}, or dismiss {one.account}."
    )


def _finding(one: Finding) -> str:
    title = _words(one.text.title) if one.text else ""
    return (
        f"{one.severity.name.lower()} {one.state.value}: {one.check}, {_words(one.resource)} "
        f"({one.account}, {one.region})" + (f": {title}" if title else "")
    )


def _named(account: str, name: str) -> str:
    return f"{account} ({_words(name)})" if name else account


def _titled(title: str, entries: Sequence[str]) -> Iterator[str]:
    if entries:
        yield from ("", f"{title} ({len(entries):,})", *section(entries, len(entries)))


def _words(text: str) -> str:
    return clean(text, MAX_WORDS)
