"""Scans that bring findings, under bad weather: as `tests.chaos`, with tasks that go on step by step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from glovebox.registry.store import Stored
from glovebox.registry.store import T as Kept
from glovebox.scans.model import ReportKind, ScanState, report_key
from glovebox.scans.ports import StoredVersion
from tests.chaos import Task, World
from tests.fakes import FakeResults
from tests.findings import small_findings
from tests.flow import manifest_of
from tests.registry import FakeTargets
from tests.small_dynamodb import SmallDynamoDB

T = TypeVar("T")
STEPS = 160
"""Enough for two attempts of a few scans, and for everything about them to go wrong."""
HOURS = 12
WITH_REPORT = {ScanState.COMPLETED, ScanState.PARTIAL, ScanState.UNTRUSTED}
KILLED = 0.06
HUNG = 0.02
"""For each step of a box."""


@dataclass
class Box(ABC):
    """One task's three containers, one step after the other; it may be killed or hang before any of them."""

    task: Task
    world: BoxWorld
    step: str = "report"
    hung: bool = False
    exit: int | None = 0

    def __post_init__(self) -> None:
        self.scan_id, self.attempt = self.task.order.scan_id, self.task.order.attempt

    def steps(self) -> dict[str, Callable[[], str | None]]:
        """Each answers the next one's name; `None` for the end."""
        return {"report": self.report, "manifest": self.manifest, "end": lambda: None}

    def go_on(self) -> None:
        before, after = self.step, self.steps()[self.step]()
        if after is None:
            self.world.end(self.task, outlet=self.world.outlet_code() if before == "end" else None)
        else:
            self.step = after

    @abstractmethod
    def report(self) -> str:
        """Scan, and upload what was found."""

    def survived(self, items: Sequence[T]) -> Sequence[T]:
        """What a scanner wrote before it was killed, where it was."""
        if self.world.happens(0.2):
            self.world.seen["scanner killed"] += 1
            self.exit = None
            return items[: self.world.random.randrange(len(items) + 1)]
        return items

    def reported(self, body: bytes, lines: int, kind: ReportKind) -> str:
        self.body, self.lines = body, lines
        self.world.flow.results.upload(report_key(self.scan_id, self.attempt, kind), body)
        return "manifest"

    def manifest(self) -> str:
        told = manifest_of(
            self.scan_id,
            self.attempt,
            self.body,
            report_lines=self.lines,
            scanner_exit=self.exit,
            **self.said,
        )
        self.world.send("ingest", self.world.flow.announce(self.scan_id, told, self.attempt))
        return "end"

    @property
    def said(self) -> dict[str, object]:
        """What the manifest says besides."""
        return {}


@dataclass
class BoxWorld(World, ABC):
    """Tasks are boxes, and what they report becomes findings."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.boxes: dict[str, Box] = {}
        self.flow.targets, self.flow.results = Targets(self), Results(self)
        self.table = Table(self)
        self.flow.findings = small_findings(self.table)

    @abstractmethod
    def box(self, task: Task) -> Box: ...

    def work(self) -> None:
        task = self.random.choice(self.running)
        box = self.boxes.get(task.arn) or self.boxes.setdefault(task.arn, self.box(task))
        if not task.announced and self.random.random() < 0.5:
            task.announced = True
            self.send("watch", self.flow.task_event(box.scan_id, "RUNNING", box.attempt, arn=task.arn))
        elif box.hung:
            return
        elif self.happens(KILLED):
            self.seen[f"killed before {box.step}"] += 1
            self.end(task, outlet=None)
        elif self.happens(HUNG):
            self.seen["hung"] += 1
            box.hung = True
        else:
            box.go_on()

    def outlet_code(self) -> int | None:
        return self._one_of(0, 0, 0, 1)

    def clear_up(self, hours: int) -> None:
        """As above; what hangs goes on hanging until somebody stops it."""
        self.calm = True
        for _ in range(hours * 60):
            self.flow.clock.pass_seconds(61)
            self.tick()
            while self.queue or any(not self._hangs(task) for task in self.running):
                while self.queue:
                    self.deliver()
                if self.running:
                    self.work()
            if not self.flow.store.open_runs() and not self.running:
                return

    def _hangs(self, task: Task) -> bool:
        return task.announced and task.arn in self.boxes and self.boxes[task.arn].hung


# ---------------------------------------------------------------- the fakes, with pauses


class Targets(FakeTargets):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def all(self, kind: type[Kept]) -> Sequence[Stored[Kept]]:
        self.world.pause()
        return super().all(kind)


class Results(FakeResults):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def versions(self, key: str) -> Sequence[StoredVersion]:
        self.world.pause()
        return super().versions(key)

    def read(self, key: str, version: StoredVersion) -> AbstractContextManager[Iterator[bytes]]:
        self.world.pause()
        return super().read(key, version)


class Table(SmallDynamoDB):
    """The table of findings, throttled at times; the writer may die before and after each write."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def put_item(self, **call: Any) -> dict[str, Any]:
        return self._around(super().put_item, call)

    def update_item(self, **call: Any) -> dict[str, Any]:
        return self._around(super().update_item, call)

    def transact_write_items(self, **call: Any) -> dict[str, Any]:
        return self._around(super().transact_write_items, call)

    def _around(self, write: Callable[..., dict[str, Any]], call: dict[str, Any]) -> dict[str, Any]:
        self.world.pause()
        if self.world.happens(0.01):
            self.world.seen["throttled"] += 1
            code = "ProvisionedThroughputExceededException"
            raise ClientError({"Error": {"Code": code, "Message": "Slow down."}}, "Write")
        answer = write(**call)
        self.world.pause()
        return answer
