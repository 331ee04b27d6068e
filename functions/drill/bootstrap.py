"""The composition root of `drill`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache
from ipaddress import IPv4Network

from functions.drill.environment import Environment
from glovebox.adapters.aws import client
from glovebox.adapters.ecs import EcsTaskAddresses, EcsTasks
from glovebox.adapters.logs import CloudWatchLogs
from glovebox.adapters.s3 import S3HandOff, S3Results, S3Uploads
from glovebox.adapters.s3_drills import S3Drills
from glovebox.adapters.secrets import AwsSecret
from glovebox.adapters.system_names import ipv4_addresses
from glovebox.services.drill import Drill, DrillSettings
from glovebox.services.ticket_key import KeptTicketKey


@cache
def bootstrap() -> Drill:
    environment = Environment.read(os.environ)
    s3, ecs = client("s3"), client("ecs")
    return Drill(
        hand_off=S3HandOff(s3, environment.handoff_bucket),
        uploads=S3Uploads(s3, environment.results_bucket, environment.results_key_arn),
        tasks=EcsTasks(
            ecs,
            cluster=environment.cluster,
            task_definition=environment.task_definition,
            subnets=environment.subnets,
            security_groups=environment.security_groups,
        ),
        task_addresses=EcsTaskAddresses(ecs, environment.cluster),
        results=S3Results(s3, environment.results_bucket),
        drills=S3Drills(s3, environment.drills_bucket),
        logs=CloudWatchLogs(client("logs")),
        key=KeptTicketKey(AwsSecret(client("secretsmanager"), environment.ticket_key_secret).value, _now),
        addresses=ipv4_addresses,
        settings=_settings(environment),
        clock=_now,
    )


def _settings(environment: Environment) -> DrillSettings:
    return DrillSettings(
        region=environment.audited_region,
        own_region=environment.region,
        account=environment.account,
        bucket=environment.drills_bucket,
        foreign_bucket=environment.results_bucket,
        results_bucket=environment.results_bucket,
        gateways=environment.gateways,
        aws_port=environment.api_port,
        scan_network=IPv4Network(environment.scan_network),
        egress_network=IPv4Network(environment.egress_network),
        flow_logs=environment.flow_logs,
        query_log=environment.query_log,
        ledger=environment.ledger,
    )


def _now() -> datetime:
    return datetime.now(UTC)
