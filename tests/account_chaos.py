"""Scans of accounts under bad weather: as `tests.chaos`, with a box that claims, scans and uploads.

The box is `Box`: it makes a real key pair, claims as the inlet does, opens what it finds, and may be killed
or hang before any of its steps.  Around it stand the real services; `redeem` may die at each of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from containers.inlet.account import ENVELOPE_SECONDS
from glovebox.envelopes.credentials import Credentials, decode
from glovebox.envelopes.sealing import KeyPair
from glovebox.errors import ConflictError
from glovebox.findings.canaries import planted
from glovebox.registry.model import Disabled
from glovebox.registry.store import Stored, T
from glovebox.scans.accounts import ENVELOPE_FILE, AccountTarget, claim_key
from glovebox.scans.brokering import SessionKeys, SessionOrder
from glovebox.scans.model import handoff_key, report_key
from glovebox.scans.ports import StoredVersion
from glovebox.services.redeem import Redeem
from tests.brokering import FakeSessions, settings
from tests.chaos import Task, World
from tests.fakes import FakeClaims, FakeResults
from tests.findings import small_findings
from tests.flow import Event, created, manifest_of
from tests.prowler import Json, item, report
from tests.registry import SCANNING, FakeTargets, account
from tests.small_dynamodb import SmallDynamoDB
from tests.tickets import SIGNER

KILLED = 0.06
HUNG = 0.02
"""For each step of a box."""


@dataclass
class Box:
    """One task's three containers, one step after the other."""

    world: AccountWorld
    task: Task
    step: str = "claim"
    hung: bool = False
    claimed_at: float = 0
    credentials: Credentials | None = None
    pair: KeyPair = field(default_factory=KeyPair)

    def __post_init__(self) -> None:
        self.scan_id, self.attempt = self.task.order.scan_id, self.task.order.attempt

    def go_on(self) -> None:
        steps: dict[str, Callable[[], str | None]] = {
            "claim": self.claim,
            "open": self.open,
            "report": self.report,
            "manifest": self.manifest,
            "end": lambda: None,
        }
        before, after = self.step, steps[self.step]()
        if after is None:
            self.world.end(self.task, outlet=self.world.outlet_code() if before == "end" else None)
        else:
            self.step = after

    def claim(self) -> str | None:
        if handoff_key(self.scan_id, self.attempt, "request.json") not in self.world.flow.hand_off.objects:
            return None
        key = claim_key(self.scan_id, self.attempt)
        if not self.world.flow.claims.put(key, self.pair.public.claim()):
            self.world.seen["claim taken"] += 1
            return None
        self.claimed_at = self.world.flow.clock().timestamp()
        self.world.send("redeem", created(key, "v1", bucket="claims"))
        return "open"

    def open(self) -> str | None:
        """As the inlet: looks again and again, and gives up after minutes."""
        envelope = self.world.flow.hand_off.objects.get(
            handoff_key(self.scan_id, self.attempt, ENVELOPE_FILE)
        )
        if envelope is not None:
            message = self.pair.open(envelope, scan_id=self.scan_id, attempt=self.attempt)
            self.credentials = decode(message, scan_id=self.scan_id, account=self.target.account)
            self.world.opened[self.scan_id, self.attempt] += 1
            return "report"
        if self.world.flow.clock().timestamp() - self.claimed_at > ENVELOPE_SECONDS:
            self.world.seen["no envelope"] += 1
            return None
        if self.world.calm:
            self.world.flow.clock.pass_seconds(20)
        return "open"

    def report(self) -> str:
        assert self.credentials is not None
        assert self.credentials.account == self.target.account
        items = items_of(self.target)
        if self.world.happens(0.2):
            # The scanner was killed: what it wrote ends in the middle, or is not there at all.
            self.world.seen["scanner killed"] += 1
            items = items[: self.world.random.randrange(len(items) + 1)]
            self.body, self.exit = report(items)[:-1], None
        else:
            self.body, self.exit = report(items), 0
        self.lines = len(items)
        self.world.flow.results.upload(report_key(self.scan_id, self.attempt, "account"), self.body)
        return "manifest"

    def manifest(self) -> str:
        told = manifest_of(
            self.scan_id, self.attempt, self.body, report_lines=self.lines, scanner_exit=self.exit
        )
        self.world.send("ingest", self.world.flow.announce(self.scan_id, told, self.attempt))
        return "end"

    @property
    def target(self) -> AccountTarget:
        target = self.world.flow.store.all_scans[self.scan_id].account
        assert target is not None
        return target


def items_of(target: AccountTarget) -> list[Json]:
    """What an honest scanner says of this shard: a bucket and an instance a region, and the canary."""

    def has(service: str) -> bool:
        return service in target.services if target.services else service not in target.without

    made: list[Json] = []
    say = partial(item, account=target.account)
    for region in target.regions:
        if has("s3"):
            made.append(say(f"arn:aws:s3:::{target.account}-{region}", region=region))
        if has("ec2"):
            arn = f"arn:aws:ec2:{region}:{target.account}:instance/i-0badcafe"
            made.append(say(arn, check="ec2_instance_public_ip", region=region))
    if has("iam"):
        made += [say(each.resource, check=each.check, region="us-east-1") for each in planted(target.account)]
    return made


@dataclass
class AccountWorld(World):
    """Some accounts, cut into one shard or several."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.boxes: dict[str, Box] = {}
        self.opened = Counter[tuple[str, int]]()
        """How many boxes got credentials, by attempt."""
        self.sessions = Sessions(self)
        flow = self.flow
        flow.regions_per_scan = self.random.choice([1, 2, 3])
        flow.service_parts = self.random.choice([1, 1, 2])
        flow.targets, flow.claims, flow.results = Targets(self), Claims(self), Results(self)
        self.table = Table(self)
        flow.findings = small_findings(self.table)
        for number in range(1, 1 + self.random.randrange(1, 4)):
            flow.targets.put(account(number), revision=0)
        flow.targets.put(account(8, disabled=Disabled.BY_HAND), revision=0)
        flow.targets.put(account(int(SCANNING)), revision=0)

    def units(self) -> dict[str, Callable[[Event], object]]:
        return {**super().units(), "redeem": self.redeem.handle}

    @property
    def redeem(self) -> Redeem:
        return Redeem(
            store=self.flow.store,
            claims=self.flow.claims,
            envelopes=Envelopes(self),
            sessions=self.sessions,
            signer=self._signer,
            settings=settings(scanning_account=SCANNING),
            bucket="claims",
            clock=self.flow.clock,
            sleep=self.flow.clock.pass_seconds,
        )

    def _signer(self) -> Any:
        self.pause()
        return SIGNER

    def work(self) -> None:
        task = self.random.choice(self.running)
        box = self.boxes.setdefault(task.arn, Box(self, task))
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

    def all(self, kind: type[T]) -> Sequence[Stored[T]]:
        self.world.pause()
        return super().all(kind)


class Claims(FakeClaims):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def read(self, key: str, limit: int) -> bytes:
        self.world.pause()
        return super().read(key, limit)


class Sessions(FakeSessions):
    def __init__(self, world: World) -> None:
        super().__init__(world.flow.clock)
        self.world = world
        self.given_to = Counter[str]()
        """Sets of credentials by the session's name, which is the attempt's."""

    def assume(self, order: SessionOrder) -> SessionKeys:
        self.world.pause()
        keys = super().assume(order)
        # An answer that is lost on the way is in nobody's hands, and `redeem` may ask again.
        self.world.pause()
        self.given_to[order.name] += 1
        return keys


@dataclass
class Envelopes:
    """Into the hand-off, where tasks look and `watch` cleans up."""

    world: World

    def put_once(self, key: str, body: bytes) -> None:
        self.world.pause()
        if key in self.world.flow.hand_off.objects:
            raise ConflictError("There is an envelope already.", fix="See who wrote it.")
        self.world.flow.hand_off.objects[key] = body
        self.world.pause()


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
