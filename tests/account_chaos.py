"""Scans of accounts under bad weather: as `tests.chaos`, with a box that claims, scans and uploads.

The box is `Box`: it makes a real key pair, claims as the inlet does, opens what it finds, and may be killed
or hang before any of its steps.  Around it stand the real services; `redeem` may die at each of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from containers.inlet.account import ENVELOPE_SECONDS
from glovebox.envelopes.credentials import Credentials, decode
from glovebox.envelopes.sealing import KeyPair
from glovebox.errors import ConflictError
from glovebox.findings.canaries import planted
from glovebox.registry.model import Disabled
from glovebox.scans.accounts import ENVELOPE_FILE, AccountTarget, claim_key
from glovebox.scans.brokering import SessionKeys, SessionOrder
from glovebox.scans.model import handoff_key
from glovebox.services.redeem import Redeem
from tests import box_chaos
from tests.brokering import FakeSessions, settings
from tests.chaos import Task, World
from tests.fakes import FakeClaims
from tests.flow import Event, created
from tests.prowler import Json, item, report
from tests.registry import SCANNING, account
from tests.tickets import SIGNER


@dataclass
class Box(box_chaos.Box):
    """One task's three containers, one step after the other."""

    world: AccountWorld
    step: str = "claim"
    claimed_at: float = 0
    credentials: Credentials | None = None
    pair: KeyPair = field(default_factory=KeyPair)

    def steps(self) -> dict[str, Callable[[], str | None]]:
        return {"claim": self.claim, "open": self.open, **super().steps()}

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
        items = self.survived(items_of(self.target))
        body = report(items)
        return self.reported(body if self.exit == 0 else body[:-1], len(items), "account")

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
class AccountWorld(box_chaos.BoxWorld):
    """Some accounts, cut into one shard or several."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.opened = Counter[tuple[str, int]]()
        """How many boxes got credentials, by attempt."""
        self.sessions = Sessions(self)
        flow = self.flow
        flow.regions_per_scan = self.random.choice([1, 2, 3])
        flow.service_parts = self.random.choice([1, 1, 2])
        flow.claims = Claims(self)
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

    def box(self, task: Task) -> Box:
        return Box(task, self)


# ---------------------------------------------------------------- the fakes, with pauses


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
