"""A region with room for so many tasks at once, and what happens there minute by minute."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from glovebox.scans.model import LAUNCHES_AT_ONCE, ScanState
from glovebox.scans.ports import NoCapacityError, TaskOrder
from glovebox.scans.state import Scan
from tests.fakes import FakeClock, FakeTasks
from tests.flow import Event, Flow

RUN_TASK_SECONDS = 1.0
"""What a launch takes, nearly all of it AWS's answer to RunTask."""

Report = Callable[[Flow, Scan, int], Event]
"""What an honest outlet uploads of this attempt; the event that follows."""


@dataclass
class Region(FakeTasks):
    """So many tasks at once, and for everybody else there is no room."""

    clock: FakeClock = field(default_factory=FakeClock)
    room: int = 1_000
    scan_minutes: int = 20
    running: dict[str, tuple[TaskOrder, float]] = field(default_factory=dict)
    """By ARN, with the time at which each began."""
    refused: int = 0
    launches: list[float] = field(default_factory=lambda: [0.0] * LAUNCHES_AT_ONCE)
    """When each place of `launch` is free, which are a heap."""
    queue: deque[tuple[str, int]] = field(default_factory=deque)
    """Launches that were asked for and have no place yet."""
    behind: int = 0
    """Of those, the most that were left at the end of a minute, and would be asked for again."""

    def start(self, order: TaskOrder) -> str:
        self.clock.pass_seconds(RUN_TASK_SECONDS)
        if len(self.running) >= self.room:
            self.refused += 1
            raise NoCapacityError("You've reached the limit on the number of vCPUs.")
        arn = super().start(order)
        self.running[arn] = order, self.clock().timestamp()
        return arn

    def launch(self, flow: Flow, *, until: float) -> None:
        """As many at once as have a place, which each takes for as long as it lasts."""
        began = self.clock().timestamp()
        while self.queue and max(self.launches[0], began) < until:
            free = max(heapq.heappop(self.launches), began)
            self.clock.pass_seconds(free - self.clock().timestamp())
            scan_id, attempt = self.queue.popleft()
            flow.launch.handle({"retry": {"scanId": scan_id, "attempt": attempt}})
            heapq.heappush(self.launches, self.clock().timestamp())
        self.behind = max(self.behind, len(self.queue))


def a_minute(flow: Flow, region: Region, report: Report) -> None:
    """What happens in it: tasks that are done end, the tick comes, and `launch` does what it is asked."""
    begun = flow.clock().timestamp()
    for arn, (order, since) in list(region.running.items()):
        if begun - since >= region.scan_minutes * 60:
            del region.running[arn]
            flow.ingest.handle(report(flow, flow.store.all_scans[order.scan_id], order.attempt))
            flow.watch.handle(flow.task_event(order.scan_id, "STOPPED", order.attempt, arn=arn))
    flow.watch.handle({"tick": True})
    for arn, (order, _) in region.running.items():
        if flow.store.all_scans[order.scan_id].state is ScanState.LAUNCHING:
            flow.watch.handle(flow.task_event(order.scan_id, "RUNNING", order.attempt, arn=arn))
    region.queue.extend(flow.launcher.asked)
    flow.launcher.asked.clear()
    region.launch(flow, until=begun + 60)
    flow.clock.pass_seconds(begun + 60 - flow.clock().timestamp())
