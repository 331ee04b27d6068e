"""Five hundred repositories ordered at once, where there is room for a few and their host is in a mood."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, field

from glovebox.errors import UpstreamError
from glovebox.scans.repositories import SnapshotAnswer, SnapshotOrder
from glovebox.scans.state import Scan
from tests.fakes import FakeClock, FakeSnapshots, no_snapshot
from tests.flow import Event, Flow
from tests.region import Region, a_minute
from tests.registry import repository
from tests.repository_flow import planted_lines, secret, upload

REPOSITORIES = 500
SCANNERS = 2
ROOM = 36
SCAN_MINUTES = 4
SNAPSHOT_SECONDS, KNOWN_SECONDS = 10, 1
FAILING = 0.1


@dataclass
class Host(FakeSnapshots):
    """Takes its time where it has no snapshot yet, and fails now and then; some repositories are gone."""

    clock: FakeClock = field(default_factory=FakeClock)
    random: random.Random = field(default_factory=lambda: random.Random(5))  # noqa: S311 - repeatable
    gone: frozenset[str] = frozenset()
    given: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Snapshots that were answered, by run and repository."""
    ready: dict[tuple[str, str], float] = field(default_factory=dict)
    """When the first of them was."""
    failed: Counter[str] = field(default_factory=Counter)

    def take(self, order: SnapshotOrder) -> SnapshotAnswer:
        taken = self.ready.get((order.run_id, order.repository), math.inf) <= self.clock().timestamp()
        self.clock.pass_seconds(KNOWN_SECONDS if taken else SNAPSHOT_SECONDS)
        if order.repository in self.gone:
            return no_snapshot("repository_gone")
        if self.random.random() < FAILING:
            how = self.random.choice(["rate_limited", "host_unavailable", "crashed"])
            self.failed[how] += 1
            if how == "crashed":
                raise UpstreamError("snapshot failed: out of memory")
            return no_snapshot(how, again=True)
        self.given[order.run_id, order.repository] += 1
        self.ready.setdefault((order.run_id, order.repository), self.clock().timestamp())
        return super().take(order)


def report(flow: Flow, scan: Scan, attempt: int) -> Event:
    assert scan.repository is not None
    lines = planted_lines(scan.repository.scanner)
    return upload(flow, scan, [*lines, secret()], attempt)


@dataclass(frozen=True)
class Queue:
    """An order of all of them, with everything that came of it."""

    flow: Flow
    region: Region
    host: Host
    run_id: str
    gone: frozenset[str]


def queued() -> Queue:
    """Ordered, and followed minute by minute until no scan is open any more."""
    flow = Flow()
    gone = frozenset(f"github.com/acme/r{number}" for number in range(0, REPOSITORIES, 100))
    flow.tasks = region = Region(clock=flow.clock, room=ROOM, scan_minutes=SCAN_MINUTES)
    flow.snapshots = host = Host(clock=flow.clock, gone=gone)
    for number in range(REPOSITORIES):
        flow.targets.put(repository(f"r{number}"), revision=0)
    run_id = flow.launch.handle({"repositories": "all"}).run_id
    while flow.store.run(run_id).pending:
        a_minute(flow, region, report)
    return Queue(flow, region, host, run_id, gone)
