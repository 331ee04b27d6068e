"""Cutting an account into scans, so that each of them fits the hour that its credentials live."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from glovebox.errors import ConfigurationError, RefusedError
from glovebox.findings.model import GLOBAL_SERVICES
from glovebox.registry.model import Account
from glovebox.scans.accounts import AccountTarget

MAX_SERVICE_PARTS: Final = 8
BY_LOAD: Final = (
    *("ec2", "iam", "s3", "awslambda", "cloudwatch", "rds", "kms", "ecr"),
    *("vpc", "ssm", "dynamodb", "sns", "sqs", "ecs", "elbv2", "secretsmanager"),
    *("cloudformation", "apigateway", "glue", "backup", "sagemaker", "codebuild", "stepfunctions"),
)
"""Prowler's services that ask about each of many resources, the heaviest first: dealt out to the parts."""
BUCKETS: Final = "s3"
LOOK_AT_BUCKETS: Final = ("bedrock", "cloudtrail", "macie")
"""Services with checks that want to know of the buckets, so their shard asks S3 as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shards:
    """How accounts are cut.  Raises ConfigurationError for numbers that make no shards."""

    regions: tuple[str, ...]
    """The only ones that the gateway reaches, and those of accounts that name none."""
    own_region: str
    """Where the gateway is: about buckets of any other region it lets nobody ask."""
    regions_per_scan: int
    service_parts: int

    def __post_init__(self) -> None:
        if not self.regions or self.regions_per_scan < 1:
            raise ConfigurationError(
                "Accounts have no regions to be scanned in.", fix="Set glovebox:regions."
            )
        if not 1 <= self.service_parts <= MAX_SERVICE_PARTS:
            raise ConfigurationError(
                f"Services are cut into 1 to {MAX_SERVICE_PARTS} parts.", fix="Set glovebox:serviceParts."
            )

    def of(self, account: Account) -> list[AccountTarget]:
        """What each scan of the account is about; all of them together are the account, and no two overlap.

        Raises RefusedError where a region of the account is none that the gateway reaches.
        """
        beyond = [region for region in account.regions if region not in self.regions]
        if beyond:
            raise RefusedError(
                f"The gateway does not reach {', '.join(beyond)}.",
                fix=f"Add it to glovebox:regions, or: glovebox targets set {account.id} --scan-region …",
            )
        return list(self._targets(account))

    def _targets(self, account: Account) -> Iterator[AccountTarget]:
        regions = list(account.regions or self.regions)
        absent = self._without_buckets(regions)
        for start in range(0, len(regions), self.regions_per_scan):
            group = regions[start : start + self.regions_per_scan]
            # Services without regions would say the same in each group.
            elsewhere = absent | (GLOBAL_SERVICES if start else frozenset[str]())
            for services, without in self._parts(elsewhere):
                yield _target(account, regions, group, services, without)
        if absent and self.own_region in regions:
            yield _target(account, regions, [self.own_region], [BUCKETS], [])

    def _without_buckets(self, regions: list[str]) -> frozenset[str]:
        """S3, where some regions are not the gateway's own: Prowler would ask about their buckets, too, be
        refused, and judge by what it takes for granted."""
        return frozenset() if regions == [self.own_region] else frozenset({BUCKETS})

    def _parts(self, elsewhere: frozenset[str]) -> Iterator[tuple[list[str], list[str]]]:
        """`services` and `without` of each part; the last one has whatever the others do not name."""
        parts = self.service_parts
        dealt = [
            [service for service in BY_LOAD[part::parts] if service not in elsewhere]
            for part in range(parts - 1)
        ]
        named = [[*each, *(LOOK_AT_BUCKETS if BUCKETS in each else ())] for each in dealt]
        for services in named:
            yield services, []
        yield [], sorted({*elsewhere, *(service for services in named for service in services)})


def _target(
    account: Account, regions: list[str], group: list[str], services: list[str], without: list[str]
) -> AccountTarget:
    return AccountTarget(
        account=account.id,
        regions=group,
        services=services,
        without=without,
        elsewhere=[region for region in regions if region not in group],
    )
