"""`redeem` on fakes: a bucket of claims, a bucket of envelopes, an STS that counts what it gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from glovebox.errors import ConflictError
from glovebox.scans.accounts import AccountTarget, claim_key
from glovebox.scans.brokering import SessionKeys, SessionOrder
from glovebox.scans.model import RunState, ScanState
from glovebox.scans.state import Run, Scan
from glovebox.services.redeem import Redeem, RedeemSettings
from glovebox.tickets.signer import Signer
from tests.envelopes import ACCOUNT, GATEWAY, OTHER_ACCOUNT, OTHER_SCAN, SCAN
from tests.fakes import FakeClaims, FakeClock, FakeScanStore
from tests.tickets import SIGNER

RUN = SCAN[:-5]
DATE = "2026-03-04T05:06:07Z"
SCANNING_ACCOUNT = "999900001111"


def account_run() -> Run:
    return Run(
        run_id=RUN,
        state=RunState.RUNNING,
        requested_at=DATE,
        requested_by="test",
        scan_date=DATE,
        hosts=0,
        shards=2,
        pending=2,
        kind="account",
    )


def account_scan(scan_id: str = SCAN, account: str = ACCOUNT, **changes: object) -> Scan:
    made = Scan(
        scan_id=scan_id,
        state=ScanState.LAUNCHING,
        attempt=1,
        hosts=(),
        requested_at=DATE,
        changed_at=DATE,
        attempt_since=DATE,
        deadline=int(FakeClock().time.timestamp()) + 1_800,
        account=AccountTarget(account=account, regions=["eu-west-1", "us-east-1"], buckets=["examined"]),
    )
    return replace(made, **changes)


def event(key: str, bucket: str = "claims") -> dict[str, object]:
    return {"detail": {"bucket": {"name": bucket}, "object": {"key": key}}}


@dataclass
class FakeEnvelopes:
    objects: dict[str, bytes] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)

    def put_once(self, key: str, body: bytes) -> None:
        if self.errors:
            raise self.errors.pop(0)
        if key in self.objects:
            raise ConflictError("There is an envelope already.", fix="See who wrote it.")
        self.objects[key] = body


@dataclass
class FakeSessions:
    """`errors` are raised one by one before anything is given."""

    clock: FakeClock
    errors: list[BaseException] = field(default_factory=list)
    orders: list[SessionOrder] = field(default_factory=list)
    given: list[SessionKeys] = field(default_factory=list)

    def assume(self, order: SessionOrder) -> SessionKeys:
        self.orders.append(order)
        if self.errors:
            raise self.errors.pop(0)
        keys = SessionKeys(
            access_key_id=f"ASIA{len(self.given):016}",
            secret_access_key="S3CR3T" + "s" * 34,
            session_token="T0K3N" + "t" * 300,
            expires=int(self.clock().timestamp()) + order.seconds,
        )
        self.given.append(keys)
        return keys


@dataclass
class Broker:
    """`redeem` around fakes, with two scans of two accounts that wait for their claims."""

    clock: FakeClock = field(default_factory=FakeClock)
    store: FakeScanStore = field(default_factory=FakeScanStore)
    claims: FakeClaims = field(default_factory=FakeClaims)
    envelopes: FakeEnvelopes = field(default_factory=FakeEnvelopes)
    signer: Callable[[], Signer] = lambda: SIGNER
    slept: list[float] = field(default_factory=list)
    gateways: tuple[str, ...] = (GATEWAY, "10.43.0.26:3128")

    def __post_init__(self) -> None:
        self.sessions = FakeSessions(self.clock)
        self.store.create(account_run(), [account_scan(), account_scan(OTHER_SCAN, OTHER_ACCOUNT)])

    @property
    def redeem(self) -> Redeem:
        return Redeem(
            store=self.store,
            claims=self.claims,
            envelopes=self.envelopes,
            sessions=self.sessions,
            signer=self.signer,
            settings=settings(gateways=self.gateways),
            bucket="claims",
            clock=self.clock,
            sleep=self.slept.append,
        )

    def claim(self, body: bytes, scan_id: str = SCAN, attempt: int = 1) -> None:
        """Put a claim if there is none, and let its event come."""
        key = claim_key(scan_id, attempt)
        self.claims.put(key, body)
        self.redeem.handle(event(key))

    def change(self, **changes: object) -> None:
        self.store.all_scans[SCAN] = replace(self.store.all_scans[SCAN], **changes)


def settings(**changes: object) -> RedeemSettings:
    values: dict[str, object] = {
        "scanning_account": SCANNING_ACCOUNT,
        "audit_role": "arn:aws:iam::${Target}:role/GloveboxAudit",
        "external_id": "external-id-of-sixteen",
        "session_policy": '{"Version":"2012-10-17","Statement":[],"Id":"${Target}"}',
        "managed_policies": ("arn:aws:iam::aws:policy/SecurityAudit",),
        "gateways": (GATEWAY, "10.43.0.26:3128"),
    }
    return RedeemSettings(**{**values, **changes})  # type: ignore[arg-type]  # made up by name
