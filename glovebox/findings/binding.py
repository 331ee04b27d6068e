"""Whether an observation is about what its scan was asked to look at.

A hostile scanner may name another team's account, to close its findings or to plant some.  Findings are kept
by the target of the *request*, so neither can happen; this says that it was tried.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from msgspec import Struct

from glovebox.errors import ConfigurationError
from glovebox.findings.model import GLOBAL_SERVICES, asked

ACCOUNT: Final = re.compile(r"[0-9]{12}")
_ARN: Final = re.compile(r"arn:([a-z-]+):([a-z0-9-]+):([a-z0-9-]*):([0-9]{12}|aws|):(.+)")
GLOBAL_REGIONS: Final = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
"""Where each partition keeps what has no region; Prowler reports such things there whatever it was
asked for."""
SHARED_SERVICES: Final = frozenset({"cloudtrail", "organizations"})
"""Services that show a member account what its organization's management account owns: trails of the
organization, and the organization itself."""


class Foreign(StrEnum):
    """In what an observation leaves its request."""

    ACCOUNT = "another account"
    REGION = "another region"
    SERVICE = "a service of another shard"
    RESOURCE = "a resource of another account"
    PARTITION = "another partition"
    PLACE = "a place outside the snapshot"
    KIND = "something that its scanner does not look for"


def well_formed(resource: str) -> bool:
    """Whether what begins like an ARN is one; any other name will do."""
    return not resource.lower().startswith("arn:") or _ARN.fullmatch(resource) is not None


class Binding(Struct, frozen=True, kw_only=True):
    """What a scan's request allows its report to speak of.

    `services` (`None`: all) but those in `without` are this shard's: a verdict on another one's service would
    resolve what that one is to judge.  `owners`: further accounts whose resources the target uses, such as
    those shared by AWS Resource Access Manager.

    Raises ConfigurationError for an account that is none.
    """

    account: str
    regions: frozenset[str]
    services: frozenset[str] | None = None
    without: frozenset[str] = frozenset()
    partition: str = "aws"
    owners: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if ACCOUNT.fullmatch(self.account) is None or self.partition not in GLOBAL_REGIONS:
            raise ConfigurationError(f"{self.partition}:{self.account} is no AWS account.")

    def foreign(self, *, account: str, region: str, service: str, resource: str) -> Foreign | None:
        """What is foreign in it; `None` where nothing is."""
        if account != self.account:
            return Foreign.ACCOUNT
        if not asked(service, self.services, self.without):
            return Foreign.SERVICE
        if service not in GLOBAL_SERVICES and not self._in_reach(region):
            return Foreign.REGION
        match = _ARN.fullmatch(resource)
        return None if match is None else self._foreign_arn(match)

    def _foreign_arn(self, arn: re.Match[str]) -> Foreign | None:
        partition, service, region, owner = arn.group(1, 2, 3, 4)
        if partition != self.partition:
            return Foreign.PARTITION
        # `aws` owns the managed policies, and S3's and Route 53's ARNs name nobody.
        at_home = owner in ("", "aws", self.account) or owner in self.owners or service in SHARED_SERVICES
        if not at_home:
            return Foreign.RESOURCE
        free = not region or service in GLOBAL_SERVICES or self._in_reach(region)
        return None if free else Foreign.REGION

    def _in_reach(self, region: str) -> bool:
        return region in self.regions or region == GLOBAL_REGIONS[self.partition]
