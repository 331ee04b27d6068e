"""The deployment that a command works on: found by the outputs of its stacks, in AWS or on this machine."""

from __future__ import annotations

import argparse
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from glovebox.adapters.session import Clients, Deployed
    from glovebox.findings.store import FindingStore
    from glovebox.registry.importing import Organization
    from glovebox.registry.order import Orders
    from glovebox.registry.registry import Registry
    from glovebox.rotation import Safe
    from glovebox.scans.ports import ScanStore
    from glovebox.services.repository_sync import Synced


class Remote(Protocol):
    """What commands need of a deployment."""

    @property
    def registry(self) -> Registry: ...

    @property
    def findings(self) -> FindingStore: ...

    @property
    def scans(self) -> ScanStore: ...

    @property
    def orders(self) -> Orders: ...

    @property
    def github_app(self) -> Safe:
        """The secret of the App that repositories are read through."""
        ...

    def sync_repositories(self, *, force: bool) -> Synced:
        """Have the App's repositories put on record, and wait.

        Raises RefusedError for a large loss, unless it is forced, and UpstreamError.
        """
        ...

    def organization_of(self, profile: str | None) -> Organization:
        """As this AWS profile sees it; `None` is that of the deployment."""
        ...

    @property
    def caller(self) -> str:
        """Who runs the command, as AWS knows him."""
        ...


def add_connection_options(parser: argparse.ArgumentParser, *, inherits: bool = False) -> None:
    """Where the deployment is; with `inherits`, no default overwrites what the command above was told."""
    absent = argparse.SUPPRESS if inherits else None
    group = parser.add_argument_group("where the deployment is")
    group.add_argument(
        "--profile", metavar="NAME", default=absent, help="AWS profile of the scanning account"
    )
    group.add_argument("--region", metavar="REGION", default=absent, help="AWS region of the deployment")
    group.add_argument(
        "--local",
        action="store_true",
        default=argparse.SUPPRESS if inherits else False,
        help="the cloud of `glovebox up` on this machine",
    )


def connect(args: argparse.Namespace) -> Remote:
    """The deployment that the options name; nothing is asked before something is needed of it.

    Raises ConfigurationError where the options name none.
    """
    from glovebox.adapters.session import AwsClients
    from glovebox.errors import InputError
    from glovebox.local.connection import LocalClients, running

    if not args.local:
        return DeployedRemote(AwsClients(args.profile, args.region))
    if args.profile or args.region:
        raise InputError("--local has neither profile nor region.", fix="Leave these options out.")
    return DeployedRemote(LocalClients(running(local_runs())))


def local_runs() -> Path:
    """Where `glovebox up` keeps its runs."""
    from glovebox.local.cloud import CHECKOUT

    return CHECKOUT / ".glovebox" / "runs"


class DeployedRemote:
    """`Remote` by the outputs of the stacks."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @property
    def registry(self) -> Registry:
        from glovebox.adapters.dynamodb_targets import DynamoTargets
        from glovebox.registry.registry import Registry

        store = DynamoTargets(self._dynamodb, self._deployed.output("RegistryTable"))
        return Registry(store, self._deployed.account)

    @property
    def findings(self) -> FindingStore:
        from glovebox.adapters.dynamodb_findings import DynamoFindingStore

        return DynamoFindingStore(self._dynamodb, self._deployed.output("FindingsTable"))

    @property
    def scans(self) -> ScanStore:
        from glovebox.adapters.dynamodb_scans import DynamoScanStore

        return DynamoScanStore(self._dynamodb, self._deployed.output("ScansTable"))

    @property
    def orders(self) -> Orders:
        from glovebox.adapters.orders import LambdaOrders

        return LambdaOrders(self._clients.functions(), self._deployed.output("LaunchFunction"))

    @property
    def github_app(self) -> Safe:
        from glovebox.adapters.secrets import AwsSafe

        return AwsSafe(self._clients.secrets(), self._deployed.output("GitHubAppSecret"))

    def sync_repositories(self, *, force: bool) -> Synced:
        from glovebox.adapters.invoking import TURNS_OF_PEOPLE, invoked
        from glovebox.services.repository_sync import Synced

        function, event = self._deployed.output("SnapshotFunction"), {"sync": True, "force": force}
        return invoked(
            self._clients.functions(), function, event, Synced, called="snapshot", turns=TURNS_OF_PEOPLE
        )

    def organization_of(self, profile: str | None) -> Organization:
        from glovebox.adapters.organizations import AwsOrganization
        from glovebox.adapters.session import AwsClients

        # Organizations answers the same in every region.
        clients = self._clients if profile is None else AwsClients(profile, "us-east-1")
        return AwsOrganization(clients.organizations())

    @property
    def caller(self) -> str:
        from glovebox.adapters.aws import calling
        from glovebox.registry.order import MAX_REQUESTED_BY

        with calling("Asking who we are"):
            return self._clients.sts().get_caller_identity()["Arn"][-MAX_REQUESTED_BY:]

    @cached_property
    def _deployed(self) -> Deployed:
        from glovebox.adapters.session import deployed

        return deployed(self._clients.cloudformation())

    @cached_property
    def _dynamodb(self) -> DynamoDBClient:
        return self._clients.dynamodb()
