"""The composition root of `ingest`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache

from functions.ingest.environment import Environment
from glovebox.adapters.aws import client
from glovebox.adapters.dynamodb_registry import DynamoRegistry
from glovebox.adapters.dynamodb_scans import DynamoScanStore
from glovebox.adapters.dynamodb_sites import DynamoSiteStore
from glovebox.adapters.s3 import S3Results
from glovebox.services.ingest import Ingest


@cache
def bootstrap() -> Ingest:
    environment = Environment.read(os.environ)
    dynamodb = client("dynamodb")
    return Ingest(
        store=DynamoScanStore(dynamodb, environment.scans_table),
        sites=DynamoSiteStore(dynamodb, environment.sites_table),
        registry=DynamoRegistry(dynamodb, environment.registry_table),
        results=S3Results(client("s3"), environment.results_bucket),
        bucket=environment.results_bucket,
        clock=lambda: datetime.now(UTC),
    )
