"""The composition root of `launch`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache

from functions.launch.environment import Environment
from glovebox.adapters.aws import client
from glovebox.adapters.dynamodb_scans import DynamoScanStore
from glovebox.adapters.ecs import EcsTasks
from glovebox.adapters.names import DnsNames
from glovebox.adapters.s3 import S3HandOff, S3Lists, S3Uploads
from glovebox.adapters.secrets import AwsSecret
from glovebox.services.launch import Launch, LaunchSettings
from glovebox.services.site_targets import SiteTargets
from glovebox.services.ticket_key import KeptTicketKey
from glovebox.siteaudit.certificates.issuers import issuer_hosts


@cache
def bootstrap() -> Launch:
    environment = Environment.read(os.environ)
    s3 = client("s3")
    return Launch(
        store=DynamoScanStore(client("dynamodb"), environment.scans_table),
        hand_off=S3HandOff(s3, environment.handoff_bucket),
        uploads=S3Uploads(s3, environment.results_bucket, environment.results_key_arn),
        tasks=EcsTasks(
            client("ecs"),
            cluster=environment.cluster,
            task_definition=environment.task_definition,
            subnets=environment.subnets,
            security_groups=environment.security_groups,
        ),
        lists=S3Lists(s3, environment.lists_bucket),
        targets=SiteTargets(
            names=DnsNames(environment.audit_settings),
            key=KeptTicketKey(AwsSecret(client("secretsmanager"), environment.ticket_key_secret).value, _now),
            gateways=environment.gateways,
            ipv6=environment.egress_ipv6,
            issuers=issuer_hosts(),
            audit=environment.audit_settings,
        ),
        settings=LaunchSettings(
            audit=environment.audit_settings,
            lists_bucket=environment.lists_bucket,
            shard_hosts=environment.shard_hosts,
            enrichment=environment.enrichment,
        ),
        clock=_now,
    )


def _now() -> datetime:
    return datetime.now(UTC)
