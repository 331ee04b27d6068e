"""What came of an attempt, by what others saw: never by the attempt's own word."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

Event = Mapping[str, object]
Outcome = Literal["blocked", "leaked"]
_SHOWN = 3
"""Sentences of evidence: the first few say it, a flood would hide it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row of the drill's result, as `glovebox drill --json` prints it."""

    line: int
    name: str
    outcome: Outcome
    traced: bool
    evidence: str

    @property
    def good(self) -> bool:
        return self.outcome == "blocked" and self.traced

    def row(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class NotTried:
    """A line, or a part of it, that the drill says nothing about yet, and why."""

    line: int
    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Permitted:
    """What may pass; everything else that the hostile side sends and that arrives is a leak."""

    hostile: Collection[str]
    """Addresses that speak for the scanner: its own, and the gateway's, which it may try to use."""
    flows: Collection[tuple[str, str, str, int | None]]
    """Source, target, protocol, port."""
    key: str
    """The access key id that requests may be signed with."""
    name_suffixes: tuple[str, ...]
    """Names that may be asked of the internet's name servers, where they hold no marker."""


@dataclass(slots=True)
class Sightings:
    """What was seen while one attempt was under way."""

    leaks: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    """Where something was refused."""
    mentions: list[str] = field(default_factory=list)
    """Where the egress ledger has the connection without a refusal: what was wrong with it did not go on."""

    def verdict(self, line: int, name: str) -> Verdict:
        found = self.leaks or self.traces or self.mentions or ["no trace of it anywhere"]
        evidence = "; ".join(list(dict.fromkeys(found))[:_SHOWN])
        traced = bool(self.traces or self.mentions)
        return Verdict(line, name, "leaked" if self.leaks else "blocked", traced, evidence)


def sort_out(events: Iterable[tuple[str, Event]], marker: str, permitted: Permitted, seen: Sightings) -> None:
    """Add what the journals' `events` say to `seen`."""
    for journal, event in events:
        leak = _leak(journal, event, marker, permitted)
        if leak is not None:
            seen.leaks.append(leak)
        if journal == "ledger" and "reason" in event:
            _read_ledger(event, seen)
        trace = _trace(journal, event, marker, permitted)
        if trace is not None:
            seen.traces.append(trace)


def _read_ledger(event: Event, seen: Sightings) -> None:
    if event.get("method") == "-" and event.get("status") == 0:
        return  # A connection that ended before anything was asked.
    refused = event.get("reason") != "allowed"
    words = (event.get(key) for key in ("status", "reason", "method", "host"))
    (seen.traces if refused else seen.mentions).append("ledger: " + " ".join(map(str, words)))


def _leak(journal: str, event: Event, marker: str, permitted: Permitted) -> str | None:
    if journal == "flows" and event.get("event") == "passed":
        flow = tuple(event.get(key) for key in ("source", "target", "protocol", "port"))
        if event.get("source") in permitted.hostile and flow not in permitted.flows:
            return "passed: " + _flow(event)
    if journal == "asked":
        name = str(event.get("name"))
        if marker in name or not name.endswith(permitted.name_suffixes):
            return f"the internet's name server was asked for {name}"
    if journal == "origin":
        return _at_origin(event, marker, permitted)
    return None


def _at_origin(event: Event, marker: str, permitted: Permitted) -> str | None:
    where = f"{event.get('where')} got "
    if event.get("event") == "bytes":
        return f"{where}bytes: {str(event.get('seen'))[:80]}" if marker in str(event.get("seen")) else None
    if event.get("event") != "request":
        return None
    if marker in str(event.get("seen")):
        return f"{where}the marker in {event.get('method')} for {event.get('host')}"
    if event.get("authorizations") != 1 or event.get("key") != permitted.key or not event.get("valid"):
        return f"{where}a request signed with {event.get('key') or 'no key'} for {event.get('host')}"
    return None


def _trace(journal: str, event: Event, marker: str, permitted: Permitted) -> str | None:
    if journal == "flows" and event.get("event") == "dropped" and event.get("source") in permitted.hostile:
        return f"flow log: {event.get('reason')}, {_flow(event)}"
    if journal == "queries" and event.get("action") != "ALLOW":
        return (
            f"query log: {event.get('action')} {event.get('name')}"
            if marker in str(event.get("name"))
            else None
        )
    return None


def _flow(event: Event) -> str:
    port = "" if event.get("port") is None else f" port {event['port']}"
    return f"{event.get('protocol')} from {event.get('source')} to {event.get('target')}{port}"


def summary(verdicts: Sequence[Verdict]) -> str:
    """One sentence of the whole."""
    leaked = sum(verdict.outcome == "leaked" for verdict in verdicts)
    untraced = sum(verdict.outcome == "blocked" and not verdict.traced for verdict in verdicts)
    return f"{len(verdicts)} attempts: {leaked} leaked, {untraced} blocked without a trace."
