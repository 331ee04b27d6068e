"""The drill in AWS: what logs say of the time of each attempt, and the verdict on it.

Nobody stands outside here to see what arrives, so only traces are believed: an attempt is blocked where a log
that the scanner cannot write says that it was refused.  The judge is that of the lab (`judge.py`), and its
events are made here out of AWS's own formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import IPv4Network, ip_address
from typing import TypeVar

import msgspec
from msgspec import Struct

from glovebox.drill.flow_log import (
    INTERNET_GATEWAY,
    LATE_SECONDS,
    FlowRecord,
    read_flow,
)
from glovebox.drill.judge import Event, NotTried, Permitted, Sightings, Verdict, sort_out
from glovebox.drill.report import Row
from glovebox.drill.scanner import Listed
from glovebox.errors import InputError, RefusedError
from glovebox.siteaudit.addresses import public_address
from glovebox.text import plain

HTTPS = 443
NAME_SUFFIXES = (".amazonaws.com",)
"""What Fargate and the airlock ask for while a task runs."""
SOON_SECONDS = 2
"""Query log and ledger say when something happened; the resolver in whole seconds."""
ENDPOINTS, S3 = "the endpoints", "S3"
"""Targets that a flow's address does not name: it is one of many."""
OUTSIDE = "outside of any attempt"
LOGS = "the logs are whole"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Who is who in the drill's networks."""

    scanner: str
    """The task's address, as ECS says it."""
    gateway: str
    ports: tuple[int, int]
    """The gateway's listeners: `aws-api`, `site`."""
    network: IPv4Network
    """The scan network."""

    @property
    def permitted(self) -> Permitted:
        """What may pass, written down apart from any rule that shall keep it."""
        flows: set[tuple[str, str, str, int | None]] = {
            (self.scanner, self.gateway, "tcp", port) for port in self.ports
        }
        flows |= {(self.scanner, target, "tcp", HTTPS) for target in (ENDPOINTS, S3)}
        return Permitted(
            hostile={self.scanner, self.gateway}, flows=flows, key="", name_suffixes=NAME_SUFFIXES
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """One event of a journal, as the judge reads it, and when and from which near end it came."""

    journal: str
    event: Event
    began: float
    ended: float
    socket: str = ""
    name: str = ""
    """The name that was asked for, in the query log."""


@dataclass(slots=True)
class Evidence:
    """What all logs have of a drill's time, in the order in which it is added."""

    place: Place
    seen: list[Seen] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    """Why the evidence is not whole."""

    def flows(self, lines: Iterable[str]) -> None:
        self._add(lines, self._flow)

    def queries(self, lines: Iterable[str]) -> None:
        self._add(lines, self._query)

    def ledger(self, lines: Iterable[str]) -> None:
        self._add(lines, self._decision)

    def _add(self, lines: Iterable[str], read: Callable[[str], Iterator[Seen]]) -> None:
        for line in lines:
            try:
                self.seen.extend(read(line))
            except InputError as error:
                # A record that nobody can read may be the one that matters.
                self.gaps.append(error.reason)

    def _flow(self, line: str) -> Iterator[Seen]:
        record = read_flow(line)
        if record is None or not self._matters(record):
            return
        event = {
            "event": "passed" if record.accepted else "dropped",
            "reason": "rejected",
            "source": record.source,
            "target": self._target(record),
            "protocol": record.protocol,
            "port": record.port,
        }
        yield Seen("flows", event, record.began - LATE_SECONDS, record.ended, record.socket)

    def _matters(self, record: FlowRecord) -> bool:
        """Others use the gateway as well, and it may go to any public address: the ledger says for whom."""
        if record.source == self.place.scanner:
            return True
        if record.source != self.place.gateway:
            return False
        answers = record.source_port in self.place.ports and ip_address(record.target) in self.place.network
        return not answers and not _public(record.target)

    def _target(self, record: FlowRecord) -> str:
        if record.source != self.place.scanner:
            return record.target
        if record.service == S3 and record.path != INTERNET_GATEWAY:
            return S3
        return ENDPOINTS if ip_address(record.target) in self.place.network else record.target

    def _query(self, line: str) -> Iterator[Seen]:
        """A question that the firewall did not block has gone to whoever answers for the name."""
        query = _decoded(line, _Query)
        if query.srcaddr not in (self.place.scanner, self.place.gateway):
            return
        moment, name = _moment(query.query_timestamp), query.query_name.rstrip(".").lower()
        socket = f"{query.transport.lower()}/{query.srcport}"
        if query.firewall_rule_action == "BLOCK":
            yield Seen("queries", {"name": name, "action": "BLOCK"}, moment, moment + 1, socket, name)
        elif query.srcaddr == self.place.scanner or "gbx" in name:
            # What the gateway asks for others is the names of their tickets.
            yield Seen("asked", {"name": name}, moment, moment + 1, socket, name)

    def _decision(self, line: str) -> Iterator[Seen]:
        """What was let through is a flow of the gateway's, and no attempt may have one."""
        if not line.startswith('{"time"'):
            return  # Squid's own words.
        decision = _decoded(line, _Decision)
        if decision.client != self.place.scanner:
            return
        event: Event = msgspec.json.decode(line)
        socket = f"tcp/{decision.client_port}"
        began = decision.time - decision.ms / 1_000
        yield Seen("ledger", event, began, decision.time, socket)
        if decision.reason == "allowed" and decision.upstream != "-":
            passed = {
                "event": "passed",
                "source": self.place.gateway,
                "target": plain(decision.host)[:253],
                "protocol": "tcp",
                "port": decision.port,
            }
            yield Seen("flows", passed, began, decision.time, socket)


@dataclass(frozen=True, slots=True)
class Judgement:
    verdicts: list[Verdict]
    not_tried: list[NotTried]


def judged(
    rows: Sequence[Row], controls: Sequence[Listed], attempts: Sequence[Listed], evidence: Evidence
) -> Judgement:
    """A verdict on each attempt, and on what must hold besides: controls, whole logs, silence in between.

    `rows`: of controls and attempts, in their order; those that are missing were never tried.
    """
    permitted = evidence.place.permitted
    sightings: dict[str, Sightings] = {row.name: Sightings() for row in rows}
    between = Sightings()
    names = {listed.name for listed in controls}
    for seen in evidence.seen:
        near = [row for row in rows if _while(row, seen)]
        makers = [row for row in near if _made(row, seen)]
        if makers:
            for row in makers:
                sort_out([(seen.journal, seen.event)], row.marker, permitted, sightings[row.name])
            continue
        # Nobody's by its near end: no trace of anybody, but a leak of all that were under way.
        found = Sightings()
        sort_out([(seen.journal, seen.event)], "gbx", permitted, found)
        for place in [sightings[row.name] for row in near if row.name not in names] or [between]:
            place.leaks.extend(found.leaks)
    verdicts = [_control(listed, sightings.get(listed.name)) for listed in controls]
    not_tried, tried = [], {row.name: row for row in rows}
    for listed in attempts:
        cannot = tried[listed.name].cannot if listed.name in tried else None
        if cannot is not None and listed.may_lack:
            not_tried.append(NotTried(listed.line, listed.name, plain(cannot)))
        else:
            verdicts.append(_verdict(listed, sightings.get(listed.name)))
    if between.leaks:
        verdicts.append(between.verdict(0, OUTSIDE))
    if evidence.gaps:
        verdicts.append(Verdict(0, LOGS, "blocked", False, "; ".join(dict.fromkeys(evidence.gaps))[:500]))
    return Judgement(verdicts, not_tried)


def _control(listed: Listed, seen: Sightings | None) -> Verdict:
    """It must have passed: here, what is a leak of an attempt is the sign that the gateway works."""
    worked = seen is not None and bool(seen.leaks) and bool(seen.mentions)
    said = "; ".join(dict.fromkeys(seen.mentions)) if worked and seen else "what must work did not"
    return Verdict(0, listed.name, "blocked", worked, said)


def _verdict(listed: Listed, seen: Sightings | None) -> Verdict:
    """A line that says "allowed" proves nothing where nobody sees what arrives."""
    if seen is None:
        return Verdict(listed.line, listed.name, "blocked", False, "the report does not have it")
    return replace(seen.verdict(listed.line, listed.name), traced=bool(seen.traces))


def _made(row: Row, seen: Seen) -> bool:
    return (seen.name != "" and row.marker in seen.name) or seen.socket in row.sockets


def _while(row: Row, seen: Seen) -> bool:
    return seen.began - SOON_SECONDS <= row.ended and row.started <= seen.ended + SOON_SECONDS


class _Query(Struct, frozen=True):
    """Of a Resolver query log's line, what is read (Route 53 Developer Guide, "Values that appear in …")."""

    query_timestamp: str
    query_name: str
    srcaddr: str
    srcport: str
    transport: str
    firewall_rule_action: str = "-"


class _Decision(Struct, frozen=True):
    """Of a line of the egress ledger, what is read (squid/README.md)."""

    time: float
    ms: int
    client: str
    client_port: str
    reason: str
    upstream: str
    host: str
    port: str


_Line = TypeVar("_Line", _Query, _Decision)


def _decoded(line: str, kind: type[_Line]) -> _Line:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"A log's line cannot be read: {error}.") from error


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise InputError("A query log's time cannot be read.") from error


def _public(address: str) -> bool:
    try:
        public_address(address)
    except RefusedError:
        return False
    return True
