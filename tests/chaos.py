"""A run under bad weather: events repeat, overtake each other and get lost; functions die between two writes.

Seeded, so that a storm that breaks something can be had again.  What a service calls is the usual fakes;
before and after each of their writes another event may be handled from start to end (two functions at
once), or the function may die (a crash, a throttled table).  Losses are those that the platform admits:
events of buckets and tasks, stream records after their last retry, and what a dead function was about to do.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Generic, Self, TypeVar

from msgspec.structs import replace

from glovebox.errors import ConflictError, UpstreamError
from glovebox.scans.model import RUN_SORT_KEY, run_id_of
from glovebox.scans.ports import NoCapacityError, TaskOrder
from glovebox.scans.state import Run, Scan
from glovebox.services.enrich import Enrich
from glovebox.siteaudit.record import Shodan, SiteRecord
from glovebox.sites.item import SiteItem
from tests.fakes import (
    FakeHandOff,
    FakePublication,
    FakeScanStore,
    FakeSites,
    FakeTasks,
    FakeTopic,
)
from tests.flow import Event, Flow, stream_event
from tests.records import good_record

FUNCTION_TRIES = 3
"""Lambda's own: an asynchronous event is handled up to three times."""
STREAM_TRIES = 6
DEEPEST = 2
"""Functions that run inside another one's pause: three at once find what two do not."""
TICK: Event = {"tick": True}


class CrashError(Exception):
    """The function's time is over, or its memory."""


@dataclass
class Delivery:
    unit: str
    event: Event
    tries: int


@dataclass
class Task:
    order: TaskOrder
    arn: str
    announced: bool = False


@dataclass
class Weather:
    """How likely each misfortune is."""

    crash: float = 0.03
    race: float = 0.15
    loss: float = 0.1
    repeat: float = 0.25


@dataclass
class World:
    seed: int
    weather: Weather = field(default_factory=Weather)
    enrichment: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - repeatable is what it is for
        self.depth = 0
        self.calm = False
        self.queue: list[Delivery] = []
        self.running: list[Task] = []
        self.seen = Counter[str]()
        """What happened, so that a test can tell a storm from a calm."""
        self.published = Counter[str]()
        """How often each run was marked as published."""
        self.flow = Flow(
            shard_hosts=self.random.choice([1, 2, 3]),
            enrichment=self.enrichment,
            store=Store(self),
            hand_off=HandOff(self),
            tasks=Tasks(self),
            sites=Sites(self),
            publication=Publication(self),
            topic=Topic(self),
        )

    # ------------------------------------------------------------ misfortunes

    def pause(self) -> None:
        """A moment inside a function, in which others go on or it ends."""
        if self.calm:
            return
        if self.happens(self.weather.crash):
            self.seen["crash"] += 1
            raise self.random.choice([CrashError("dead"), UpstreamError("throttled")])
        if self.depth < DEEPEST and self.queue and self.happens(self.weather.race):
            self.seen["race"] += 1
            self.deliver()

    def happens(self, chance: float) -> bool:
        return not self.calm and self.random.random() < chance

    def send(self, unit: str, event: Event, *, tries: int = FUNCTION_TRIES) -> None:
        """Put an event on its way, perhaps twice, perhaps nowhere."""
        if self.happens(self.weather.loss):
            self.seen[f"{unit} event lost"] += 1
            return
        for _ in range(1 + self.happens(self.weather.repeat)):
            self.queue.append(Delivery(unit, event, tries))

    # ------------------------------------------------------------ time goes on

    def step(self) -> None:
        """One thing happens: an event arrives, a task does something, time passes."""
        moves: list[Callable[[], None]] = [self.tick, self.wait]
        moves += [self.deliver] * (4 if self.queue else 0)
        moves += [self.work] * (2 if self.running else 0)
        self.random.choice(moves)()

    def wait(self) -> None:
        self.flow.clock.pass_seconds(self.random.choice([1, 5, 20, 60, 61, 300, 900, 1_900]))

    def tick(self) -> None:
        self._handle(Delivery("watch", TICK, 1))

    def deliver(self) -> None:
        """Any event that is under way; never in their order."""
        if self.queue:
            self._handle(self.queue.pop(self.random.randrange(len(self.queue))))

    def units(self) -> dict[str, Callable[[Event], object]]:
        return {
            "launch": self.flow.launch.handle,
            "watch": self.flow.watch.handle,
            "ingest": self.flow.ingest.handle,
            "publish": self.flow.publish.handle,
            "notify": self.flow.notify.handle,
            "enrich": self._enrich,
        }

    def _handle(self, delivery: Delivery) -> None:
        self.depth += 1
        try:
            self.units()[delivery.unit](delivery.event)
        except (CrashError, UpstreamError, ConflictError):
            if delivery.tries > 1:
                self.queue.append(Delivery(delivery.unit, delivery.event, delivery.tries - 1))
            else:
                self.seen[f"{delivery.unit} event given up"] += 1
        finally:
            self.depth -= 1
            while self.flow.launcher.asked:
                scan_id, attempt = self.flow.launcher.asked.pop()
                self.send("launch", {"retry": {"scanId": scan_id, "attempt": attempt}})

    def _enrich(self, event: Event) -> None:
        flow, quick = self.flow, Quick()
        Enrich(
            store=flow.store, sites=flow.sites, port=quick, cache=quick, pace=Pace(flow), clock=flow.clock
        ).handle(event, 900.0)

    # ------------------------------------------------------------ tasks

    def work(self) -> None:
        """A task is announced, or does its work well or badly, or dies, or hangs."""
        task = self.random.choice(self.running)
        scan_id, attempt = task.order.scan_id, task.order.attempt
        if not task.announced:
            task.announced = True
            self.send("watch", self.flow.task_event(scan_id, "RUNNING", attempt, arn=task.arn))
            return
        if self.happens(0.2):
            self.seen["hung"] += 1
            return
        if self.happens(0.2):
            self.end(task, outlet=None)
            return
        lines = self._report(scan_id, attempt)
        uploaded = self.flow.upload(scan_id, lines, attempt, scanner_exit=self._one_of(0, 0, 1, None))
        self.send("ingest", uploaded)
        self.end(task, outlet=self._one_of(0, 0, 0, 1))

    def end(self, task: Task, *, outlet: int | None) -> None:
        self.running.remove(task)
        order = task.order
        self.send(
            "watch",
            self.flow.task_event(order.scan_id, "STOPPED", order.attempt, outlet=outlet, arn=task.arn),
        )

    def _report(self, scan_id: str, attempt: int) -> Sequence[bytes | SiteRecord]:
        # Not from the request, which is gone where another task of the same attempt has ended.
        scan = self.flow.store.all_scans[scan_id]
        date = self.flow.store.runs[run_id_of(scan_id)].scan_date
        records: list[bytes | SiteRecord] = [good_record(host, scan_date=date) for host in scan.open_hosts]
        if self.happens(0.3):
            records = records[: self.random.randrange(len(records) + 1)]
        if self.happens(0.2):
            records += [b"{}", good_record("evil.example.org", scan_date=date), *records[:1]]
        self.random.shuffle(records)
        return records or [b"not a record"]

    def _one_of(self, *choices: int | None) -> int | None:
        return choices[0] if self.calm else self.random.choice(choices)

    # ------------------------------------------------------------ a storm

    def storm(self, order: Event, *, steps: int, hours: int) -> None:
        """Order a run, twice, and let so many things happen; then calm, until the run is over."""
        for _ in range(2):
            self.send("launch", order)
        for _ in range(steps):
            self.step()
        self._launch_at_last(order)
        self.clear_up(hours)

    def _launch_at_last(self, order: Event) -> None:
        """What nobody took in all of its tries waits in the failure queue until a person sends it on."""
        try:
            self.flow.launch.handle(order)
        except (CrashError, UpstreamError, ConflictError):
            self.calm = True
            self.flow.launch.handle(order)

    # ------------------------------------------------------------ the end

    def clear_up(self, hours: int) -> None:
        """From now on nothing goes wrong: ticks come every minute, and what is under way arrives."""
        self.calm = True
        for _ in range(hours * 60):
            self.flow.clock.pass_seconds(61)
            self.tick()
            while self.running or self.queue:
                while self.queue:
                    self.deliver()
                if self.running:
                    self.work()
            if not self.flow.store.open_runs():
                return


# ---------------------------------------------------------------- the fakes, with pauses


W = TypeVar("W", bound=World)


@dataclass(frozen=True)
class Storm(Generic[W]):
    """A world after its storm and the calm behind it."""

    seed: int
    world: W

    @classmethod
    def over(cls, world: W, order: Event, *, steps: int, hours: int) -> Self:
        """What `World.storm` leaves."""
        world.storm(order, steps=steps, hours=hours)
        return cls(world.seed, world)

    @property
    def run(self) -> Run:
        [run] = self.world.flow.store.runs.values()
        return run

    @property
    def scans(self) -> list[Scan]:
        return list(self.world.flow.store.scans(self.run.run_id))


class Store(FakeScanStore):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def create(self, run: Run, scans: Sequence[Scan], *, once: str = "") -> None:
        for scan in scans:
            self.all_scans.setdefault(scan.scan_id, replace(scan, revision=1))
            self.world.pause()
        super().create(run, [], once=once)
        self.world.pause()

    def scan(self, scan_id: str) -> Scan:
        found = super().scan(scan_id)
        self.world.pause()
        return found

    def run(self, run_id: str) -> Run:
        found = super().run(run_id)
        self.world.pause()
        return found

    def replace(self, before: Scan, after: Scan) -> None:
        self.world.pause()
        super().replace(before, after)
        self._stream(run_id_of(after.scan_id), after.scan_id)
        self.world.pause()

    def replace_run(self, before: Run, after: Run) -> None:
        self.world.pause()
        super().replace_run(before, after)
        if before.published_at is None and after.published_at is not None:
            self.world.published[after.run_id] += 1
        self._stream(after.run_id, RUN_SORT_KEY)
        self.world.pause()

    def _stream(self, run_id: str, scan_id: str) -> None:
        """The table's stream, as the functions' filters let it through."""
        run = self.runs[run_id]
        send = self.world.send
        if run.pending == 0 and run.published_at is None:
            send("publish", stream_event((run_id, RUN_SORT_KEY)), tries=STREAM_TRIES)
        if run.published_at is not None and run.notified_at is None:
            send("notify", stream_event((run_id, RUN_SORT_KEY)), tries=STREAM_TRIES)
        scan = self.all_scans.get(scan_id)
        if scan is not None and scan.ended_at is not None and scan.enriched_at is None and scan.enrichment:
            send("enrich", stream_event((run_id, scan_id)), tries=STREAM_TRIES)


class HandOff(FakeHandOff):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def put(self, key: str, body: bytes, content_type: str) -> None:
        super().put(key, body, content_type)
        self.world.pause()


class Tasks(FakeTasks):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def start(self, order: TaskOrder) -> str:
        self.world.pause()
        if self.world.happens(0.15):
            raise NoCapacityError("full")
        arn = f"arn:aws:ecs:task/{order.token}"
        if all(task.arn != arn for task in self.world.running):
            self.orders.append(order)
            self.world.running.append(Task(order, arn))
        self.world.pause()
        return arn

    def stop(self, task_arn: str, reason: str) -> None:
        super().stop(task_arn, reason)
        for task in [task for task in self.world.running if task.arn == task_arn]:
            self.world.end(task, outlet=None)
        self.world.pause()


class Sites(FakeSites):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def put(self, items: Iterable[SiteItem]) -> None:
        for item in items:
            super().put([item])
            self.world.pause()


class Publication(FakePublication):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def put(self, key: str, body: IO[bytes], content_type: str) -> None:
        self.world.pause()
        super().put(key, body, content_type)


class Topic(FakeTopic):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def send(self, subject: str, body: str) -> None:
        self.world.pause()
        super().send(subject, body)
        self.world.pause()


class Quick(dict[str, Shodan]):
    """Shodan and its cache at once: knows every address."""

    def host(self, address: str) -> Shodan | None:
        return Shodan(status="found", ip_str=address)

    def put(self, address: str, answer: Shodan) -> None:
        self[address] = answer


@dataclass
class Pace:
    flow: Flow

    def now(self) -> datetime:
        return self.flow.clock()

    def monotonic(self) -> float:
        return self.flow.clock().timestamp()

    def sleep(self, seconds: float) -> None:
        self.flow.clock.pass_seconds(seconds)
