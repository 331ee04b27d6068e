"""The composition root of `notify`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache

from functions.notify.environment import Environment
from glovebox.adapters.aws import client
from glovebox.adapters.dynamodb_findings import DynamoFindingStore
from glovebox.adapters.dynamodb_scans import DynamoScanStore
from glovebox.adapters.dynamodb_sites import DynamoSiteStore
from glovebox.adapters.dynamodb_targets import DynamoTargets
from glovebox.adapters.sns import SnsTopic
from glovebox.services.notify import Notify


@cache
def bootstrap() -> Notify:
    environment = Environment.read(os.environ)
    dynamodb = client("dynamodb")
    return Notify(
        store=DynamoScanStore(dynamodb, environment.scans_table),
        sites=DynamoSiteStore(dynamodb, environment.sites_table),
        findings=DynamoFindingStore(dynamodb, environment.findings_table),
        registry=DynamoTargets(dynamodb, environment.registry_table),
        topic=SnsTopic(client("sns"), environment.topic),
        page_url=environment.page_url,
        clock=lambda: datetime.now(UTC),
    )
