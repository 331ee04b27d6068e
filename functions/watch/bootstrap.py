"""The composition root of `watch`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache

from functions.watch.environment import Environment
from glovebox.adapters.aws import client
from glovebox.adapters.dynamodb_scans import DynamoScanStore
from glovebox.adapters.ecs import EcsStopper
from glovebox.adapters.functions import LambdaLauncher
from glovebox.adapters.s3 import S3HandOff
from glovebox.services.watch import Watch


@cache
def bootstrap() -> Watch:
    environment = Environment.read(os.environ)
    return Watch(
        store=DynamoScanStore(client("dynamodb"), environment.scans_table),
        hand_off=S3HandOff(client("s3"), environment.handoff_bucket),
        tasks=EcsStopper(client("ecs"), environment.cluster),
        launcher=LambdaLauncher(client("lambda"), environment.launch_function),
        clock=lambda: datetime.now(UTC),
    )
