"""What `launch` gets from its environment: the variables are the fields' names in capitals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from glovebox.envelopes.names import MAX_REGIONS
from glovebox.environment import Variables
from glovebox.errors import ConfigurationError
from glovebox.registry.shards import MAX_SERVICE_PARTS
from glovebox.scans.model import MAX_SHARD_HOSTS
from glovebox.scans.repositories import REPOSITORY_SCANNERS, RepositoryScanner
from glovebox.siteaudit.settings import AuditSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    scans_table: str
    lists_bucket: str
    handoff_bucket: str
    results_bucket: str
    results_key_arn: str
    cluster: str
    task_definition: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    audit_settings: AuditSettings
    shard_hosts: int
    enrichment: bool
    gateways: tuple[str, ...]
    ticket_key_secret: str
    egress_ipv6: bool
    registry_table: str
    claims_bucket: str
    scanning_account: str
    authorities_parameter: str
    prowler_task_definition: str
    regions: tuple[str, ...]
    regions_per_scan: int
    service_parts: int
    snapshot_function: str
    repository_scanners: tuple[RepositoryScanner, ...]
    trivy_task_definition: str
    trufflehog_task_definition: str
    kingfisher_task_definition: str
    unticketed_security_groups: tuple[str, ...]

    @classmethod
    def read(cls, values: Mapping[str, str]) -> Environment:
        """Raises ConfigurationError, which names the variable."""
        variables = Variables(values)
        return cls(
            scans_table=variables.text("SCANS_TABLE"),
            lists_bucket=variables.text("LISTS_BUCKET"),
            handoff_bucket=variables.text("HANDOFF_BUCKET"),
            results_bucket=variables.text("RESULTS_BUCKET"),
            results_key_arn=variables.text("RESULTS_KEY_ARN"),
            cluster=variables.text("CLUSTER"),
            task_definition=variables.text("TASK_DEFINITION"),
            subnets=variables.names("SUBNETS"),
            security_groups=variables.names("SECURITY_GROUPS"),
            audit_settings=variables.audit_settings("AUDIT_SETTINGS"),
            shard_hosts=variables.number("SHARD_HOSTS", least=1, most=MAX_SHARD_HOSTS),
            enrichment=variables.switch("ENRICHMENT"),
            gateways=variables.names_or_none("GATEWAYS"),
            ticket_key_secret=variables.text("TICKET_KEY_SECRET"),
            egress_ipv6=variables.switch("EGRESS_IPV6"),
            registry_table=variables.text("REGISTRY_TABLE"),
            claims_bucket=variables.text("CLAIMS_BUCKET"),
            scanning_account=variables.text("SCANNING_ACCOUNT"),
            authorities_parameter=variables.text("AUTHORITIES_PARAMETER"),
            prowler_task_definition=variables.text("PROWLER_TASK_DEFINITION"),
            regions=variables.names("REGIONS"),
            regions_per_scan=variables.number("REGIONS_PER_SCAN", least=1, most=MAX_REGIONS),
            service_parts=variables.number("SERVICE_PARTS", least=1, most=MAX_SERVICE_PARTS),
            snapshot_function=variables.text("SNAPSHOT_FUNCTION"),
            repository_scanners=_scanners(variables.names("REPOSITORY_SCANNERS")),
            trivy_task_definition=variables.text("TRIVY_TASK_DEFINITION"),
            trufflehog_task_definition=variables.text("TRUFFLEHOG_TASK_DEFINITION"),
            kingfisher_task_definition=variables.text("KINGFISHER_TASK_DEFINITION"),
            unticketed_security_groups=variables.names("UNTICKETED_SECURITY_GROUPS"),
        )


def _scanners(names: tuple[str, ...]) -> tuple[RepositoryScanner, ...]:
    try:
        return msgspec.convert(names, tuple[RepositoryScanner, ...])
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"The environment variable REPOSITORY_SCANNERS names what is none: {error}.",
            fix=f"There are {', '.join(REPOSITORY_SCANNERS)}.",
        ) from error
