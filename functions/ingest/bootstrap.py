"""The composition root of `ingest`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache

from functions.ingest.environment import Environment
from glovebox.adapters.aws import client
from glovebox.adapters.dynamodb_findings import DynamoFindingStore
from glovebox.adapters.dynamodb_registry import DynamoRegistry
from glovebox.adapters.dynamodb_scans import DynamoScanStore
from glovebox.adapters.dynamodb_sites import DynamoSiteStore
from glovebox.adapters.s3 import S3Results
from glovebox.services.ingest import Ingest
from glovebox.services.recorded_reports import RecordedReports
from glovebox.services.site_reports import SiteReports


@cache
def bootstrap() -> Ingest:
    environment = Environment.read(os.environ)
    dynamodb = client("dynamodb")
    store = DynamoScanStore(dynamodb, environment.scans_table)
    results = S3Results(client("s3"), environment.results_bucket)
    return Ingest(
        store=store,
        results=results,
        bucket=environment.results_bucket,
        sites=SiteReports(
            store=store,
            sites=DynamoSiteStore(dynamodb, environment.sites_table),
            registry=DynamoRegistry(dynamodb, environment.registry_table),
            results=results,
            clock=_now,
        ),
        findings=RecordedReports(
            store=store,
            findings=DynamoFindingStore(dynamodb, environment.findings_table),
            results=results,
            clock=_now,
        ),
        clock=_now,
    )


def _now() -> datetime:
    return datetime.now(UTC)
