"""The composition root of `launch`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache

from functions.launch.environment import Environment
from glovebox.adapters.aws import client
from glovebox.adapters.dynamodb_scans import DynamoScanStore
from glovebox.adapters.ecs import EcsTasks
from glovebox.adapters.s3 import S3HandOff, S3Lists, S3Uploads
from glovebox.services.launch import Launch, LaunchSettings


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
        settings=LaunchSettings(
            audit=environment.audit_settings,
            lists_bucket=environment.lists_bucket,
            shard_hosts=environment.shard_hosts,
            enrichment=environment.enrichment,
        ),
        clock=lambda: datetime.now(UTC),
    )
