"""The composition root of `publish`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache

from functions.publish.environment import Environment
from glovebox.adapters.aws import client
from glovebox.adapters.dynamodb_scans import DynamoScanStore
from glovebox.adapters.dynamodb_sites import DynamoSiteStore
from glovebox.adapters.s3_publication import S3Publication
from glovebox.services.publish import Publish


@cache
def bootstrap() -> Publish:
    environment = Environment.read(os.environ)
    dynamodb = client("dynamodb")
    return Publish(
        store=DynamoScanStore(dynamodb, environment.scans_table),
        sites=DynamoSiteStore(dynamodb, environment.sites_table),
        publication=S3Publication(client("s3"), environment.publication_bucket),
        clock=lambda: datetime.now(UTC),
    )
