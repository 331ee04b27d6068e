"""A deployment made of dictionaries, as commands meet it, and a way to give commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from glovebox.adapters.dynamodb_findings import DynamoFindingStore
from glovebox.cli import remote, scan
from glovebox.cli.main import main
from glovebox.registry.importing import Organization
from glovebox.registry.order import (
    AccountsOrder,
    OrderAnswer,
    Refused,
    RepositoriesAnswer,
    RepositoriesOrder,
)
from glovebox.registry.registry import Registry
from glovebox.rotation import Stage
from glovebox.scans.accounts import AccountTarget
from glovebox.scans.model import RunState, ScanState
from glovebox.scans.repositories import RepositoryTarget
from glovebox.scans.state import Run, Scan
from glovebox.services.repository_sync import Synced
from glovebox.siteaudit.notes import LineNote
from tests.fakes import FakeScanStore, snapshot_answer
from tests.findings import TABLE
from tests.prowler import ACCOUNT
from tests.registry import FakeOrganization, registry
from tests.small_dynamodb import SmallDynamoDB

RUN = "20261122T120000Z-0123abcd"
Command = Callable[..., tuple[int, str, str]]
"""Its arguments; exit code, standard output and standard error."""


@dataclass
class FakeOrders:
    """`launch`, whose scans end as `ends` says."""

    scans: FakeScanStore
    ends: list[ScanState] = field(default_factory=list)
    refused: tuple[Refused, ...] = ()
    orders: list[AccountsOrder | RepositoriesOrder] = field(default_factory=list)
    error: Exception | None = None
    enabled: tuple[str, ...] = ()
    """What `all` means."""

    def scan(self, order: AccountsOrder) -> OrderAnswer:
        if self.error:
            raise self.error
        self.orders.append(order)
        accounts = self.enabled if order.accounts == "all" else order.accounts
        start(self.scans, accounts, self.refused)
        return OrderAnswer(run_id=RUN, accounts=len(accounts), scans=len(accounts), refused=self.refused)

    def scan_repositories(self, order: RepositoriesOrder) -> RepositoriesAnswer:
        self.orders.append(order)
        named = self.enabled if order.repositories == "all" else order.repositories
        start_repositories(self.scans, named, self.refused)
        return RepositoriesAnswer(run_id=RUN, repositories=len(named), scans=len(named), refused=self.refused)

    def pass_time(self, _: float) -> None:
        """What happens while the command line sleeps: the next scan ends."""
        for scan_id, each in self.scans.all_scans.items():
            if not each.state.ended and self.ends:
                self.scans.all_scans[scan_id] = replace(each, state=self.ends.pop(0), ended_at="then")
                return


def start(store: FakeScanStore, accounts: tuple[str, ...], refused: tuple[Refused, ...] = ()) -> None:
    run = Run(
        run_id=RUN,
        state=RunState.RUNNING,
        requested_at="now",
        requested_by="me",
        scan_date="now",
        hosts=0,
        shards=len(accounts),
        pending=len(accounts),
        kind="account",
        rejected_lines=tuple(LineNote(line=0, text=each.account, reason=each.reason) for each in refused),
        rejected_count=len(refused),
    )
    scans = [
        Scan(
            scan_id=f"{RUN}-{number:04d}",
            state=ScanState.RUNNING,
            attempt=1,
            hosts=(),
            requested_at="now",
            changed_at="now",
            attempt_since="now",
            account=AccountTarget(account=each, regions=["eu-central-1"]),
        )
        for number, each in enumerate(accounts)
    ]
    store.create(run, scans)


def start_repositories(
    store: FakeScanStore, repositories: tuple[str, ...], refused: tuple[Refused, ...] = ()
) -> None:
    start(store, tuple(ACCOUNT for _ in repositories), refused)
    store.runs[RUN] = replace(
        store.runs[RUN],
        kind="repository",
        rejected_lines=tuple(LineNote(line=0, text=each.repository, reason=each.reason) for each in refused),
    )
    for each, (scan_id, made) in zip(repositories, sorted(store.all_scans.items()), strict=True):
        target = RepositoryTarget(repository=each, scanner="trivy", ref="main")
        taken = snapshot_answer(each, "main").snapshot
        store.all_scans[scan_id] = replace(made, account=None, repository=target, snapshot=taken)


@dataclass
class FakeSafe:
    """The secret as CloudFormation makes it."""

    text: str | None = json.dumps({"appId": "", "privateKey": "", "fingerprintKey": "f" * 64})

    def read(self, stage: Stage) -> str | None:
        assert stage is Stage.CURRENT
        return self.text

    def write(self, stage: Stage, text: str) -> None:
        assert stage is Stage.CURRENT
        self.text = text


@dataclass
class FakeRemote:
    registry: Registry
    findings: DynamoFindingStore
    scans: FakeScanStore
    orders: FakeOrders
    organization: FakeOrganization = field(default_factory=FakeOrganization)
    caller: str = "arn:aws:iam::999999999999:user/ana"

    github_app: FakeSafe = field(default_factory=FakeSafe)
    synced: Synced = field(default_factory=lambda: Synced([], [], [], [], 0))
    forced: list[bool] = field(default_factory=list)

    def sync_repositories(self, *, force: bool) -> Synced:
        self.forced.append(force)
        return self.synced

    def organization_of(self, profile: str | None) -> Organization:
        assert profile in (None, "management")
        return self.organization


def connected(monkeypatch: pytest.MonkeyPatch) -> FakeRemote:
    """Whatever commands connect to from now on."""
    table: Any = SmallDynamoDB()
    scans = FakeScanStore()
    made = FakeRemote(registry(), DynamoFindingStore(table, TABLE, at_once=1), scans, FakeOrders(scans))
    monkeypatch.setattr(remote, "connect", lambda args: made)
    monkeypatch.setattr(scan.time, "sleep", made.orders.pass_time)
    return made


def commands(captured: pytest.CaptureFixture[bytes]) -> Command:
    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        said = captured.readouterr()
        return code, said.out.decode(), said.err.decode()

    return command
