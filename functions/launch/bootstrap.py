"""The composition root of `launch`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache

from functions.launch.environment import Environment
from glovebox.adapters.aws import client, patient_client
from glovebox.adapters.dynamodb_scans import DynamoScanStore
from glovebox.adapters.dynamodb_targets import DynamoTargets
from glovebox.adapters.ecs import EcsTasks
from glovebox.adapters.names import DnsNames
from glovebox.adapters.parameters import SsmBoard
from glovebox.adapters.s3 import S3HandOff, S3Lists, S3Uploads
from glovebox.adapters.s3_claims import S3Claims
from glovebox.adapters.secrets import AwsSecret
from glovebox.adapters.snapshots import LambdaSnapshots
from glovebox.registry.shards import Shards
from glovebox.services.account_runs import AccountRuns
from glovebox.services.attempts import Attempts
from glovebox.services.authorities import KeptAuthorities
from glovebox.services.launch import Launch
from glovebox.services.repository_runs import RepositoryRuns
from glovebox.services.site_runs import SiteRuns, SiteSettings
from glovebox.services.site_targets import SiteTargets
from glovebox.services.ticket_key import KeptTicketKey
from glovebox.siteaudit.certificates.issuers import issuer_hosts


@cache
def bootstrap() -> Launch:
    environment = Environment.read(os.environ)
    s3, dynamodb = client("s3"), client("dynamodb")
    store = DynamoScanStore(dynamodb, environment.scans_table)
    hand_off = S3HandOff(s3, environment.handoff_bucket)
    sites = SiteRuns(
        lists=S3Lists(s3, environment.lists_bucket),
        targets=SiteTargets(
            names=DnsNames(environment.audit_settings),
            key=KeptTicketKey(AwsSecret(client("secretsmanager"), environment.ticket_key_secret).value, _now),
            gateways=environment.gateways,
            ipv6=environment.egress_ipv6,
            issuers=issuer_hosts(),
            audit=environment.audit_settings,
        ),
        settings=SiteSettings(
            audit=environment.audit_settings,
            lists_bucket=environment.lists_bucket,
            shard_hosts=environment.shard_hosts,
            enrichment=environment.enrichment,
        ),
        clock=_now,
    )
    registry = DynamoTargets(dynamodb, environment.registry_table)
    accounts = AccountRuns(
        registry=registry,
        scanning_account=environment.scanning_account,
        shards=Shards(
            regions=environment.regions,
            own_region=s3.meta.region_name,
            regions_per_scan=environment.regions_per_scan,
            service_parts=environment.service_parts,
        ),
        claims=S3Claims(s3, environment.claims_bucket),
        hand_off=hand_off,
        authorities=KeptAuthorities(SsmBoard(client("ssm"), environment.authorities_parameter).read, _now),
    )
    repositories = RepositoryRuns(
        registry=registry,
        scanners=environment.repository_scanners,
        snapshots=LambdaSnapshots(patient_client("lambda"), environment.snapshot_function),
    )
    attempts = Attempts(
        store=store,
        hand_off=hand_off,
        uploads=S3Uploads(s3, environment.results_bucket, environment.results_key_arn),
        tasks=EcsTasks(
            client("ecs"),
            cluster=environment.cluster,
            task_definition=environment.task_definition,
            other_task_definitions={
                "account": environment.prowler_task_definition,
                "trivy": environment.trivy_task_definition,
                "trufflehog": environment.trufflehog_task_definition,
                "kingfisher": environment.kingfisher_task_definition,
            },
            subnets=environment.subnets,
            security_groups=environment.security_groups,
            unticketed_security_groups=environment.unticketed_security_groups,
        ),
        kinds={"site": sites, "account": accounts, "repository": repositories},
        clock=_now,
    )
    return Launch(
        store=store, sites=sites, accounts=accounts, repositories=repositories, attempts=attempts, clock=_now
    )


def _now() -> datetime:
    return datetime.now(UTC)
