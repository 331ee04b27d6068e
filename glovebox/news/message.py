"""The mail about accounts or repositories: what needs somebody first, then what is new and whose it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from glovebox.findings.model import Finding, Severity, arguments_of, name_of
from glovebox.news.arrivals import Arrivals, Held, News, Owners
from glovebox.scans.model import RunKind, ScanState
from glovebox.scans.state import Run, Scan
from glovebox.sites.message import MAX_SUBJECT, section
from glovebox.text import clean

MAX_WORDS: Final = 300
NOBODY: Final = "nobody"
COMMIT_SHOWN: Final = 12
_TITLES: Final[dict[RunKind, tuple[str, str]]] = {
    "account": ("Account scans", "accounts"),
    "repository": ("Repository scans", "repositories"),
}
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
    title, targets = _TITLES[run.kind]
    text = f"{title} {run.scan_date[:10]}: {run.state.value}, {_counted(new)} new"
    if run.untrusted:
        text += f", {len(run.untrusted):,} not believed"
    if news.held:
        text += f", {len(news.held):,} {targets} wait for you"
    return clean(text, MAX_SUBJECT).encode("ascii", "replace").decode()


def body(run: Run, scans: Sequence[Scan], news: News, owners: Owners) -> str:
    """Every string that is not ours goes through `clean`: a mail program is a terminal of a kind."""
    return "\n".join(_lines(run, scans, news, owners)) + "\n"


def _lines(run: Run, scans: Sequence[Scan], news: News, owners: Owners) -> Iterator[str]:
    yield f"Run {run.run_id} of {run.scan_date} is {run.state.value}."
    states = Counter(scan.state for scan in scans)
    told = ", ".join(f"{states[state]:,} {state.value}" for state in ScanState if states[state])
    targets = f"{run.accounts or run.repositories:,} {_TITLES[run.kind][1]}"
    yield f"{len(scans):,} scans of {targets}: {told or 'none'}."
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
    """By team, in the order of the gravest target of each."""
    yield from ("", f"New and reopened: {_all(news.arrivals)}")
    teams: dict[str, list[Arrivals]] = {}
    for one in news.arrivals:
        teams.setdefault(one.team, []).append(one)
    lines: list[str] = []
    for team, brought in teams.items():
        lines.append(f"{_words(team) or NOBODY}: {_all(brought)}")
        lines += [f"  {_words(each.name)}: {_all([each])}" for each in brought]
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
    team = _words(owners.team(scan.target)) or NOBODY
    where = _words(", ".join(_looked_at(scan)))
    return f"{_words(owners.named(scan.target))}, {team}, {where}: {reason}{fix} [{scan.scan_id}]"


def _looked_at(scan: Scan) -> Iterator[str]:
    """What of its target: regions, or a scanner and the commit where there was one."""
    if scan.account is not None:
        yield from scan.account.regions
    if scan.repository is not None:
        yield scan.repository.scanner
    if scan.snapshot is not None:
        yield scan.snapshot.commit[:COMMIT_SHOWN]


def _held(one: Held, owners: Owners) -> str:
    target = _words(arguments_of(one.target))
    return (
        f"{_words(owners.named(one.target))}: {one.count:,} findings. {_words(one.hold.reason)} "
        f"To decide: glovebox findings release {target}, or dismiss {target}."
    )


def _finding(one: Finding) -> str:
    title = _words(one.text.title) if one.text else ""
    where = f"{one.account}, {one.region}" if one.account else _words(name_of(one.target))
    found = f"{one.severity.name.lower()} {one.state.value}: {one.check}, {_words(one.resource)} ({where})"
    return f"{found}: {title}" if title else found


def _titled(title: str, entries: Sequence[str]) -> Iterator[str]:
    if entries:
        yield from ("", f"{title} ({len(entries):,})", *section(entries, len(entries)))


def _words(text: str) -> str:
    return clean(text, MAX_WORDS)
