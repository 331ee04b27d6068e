"""The composition root of `audit_api`."""

from __future__ import annotations

import os
from functools import cache

from functions.audit_api.environment import Environment
from glovebox.adapters.aws import client
from glovebox.adapters.dynamodb_registry import DynamoRegistry
from glovebox.adapters.dynamodb_sites import DynamoSiteStore
from glovebox.adapters.s3_publication import S3Publication
from glovebox.services.audit_api import AuditApi


@cache
def bootstrap() -> AuditApi:
    environment = Environment.read(os.environ)
    dynamodb = client("dynamodb")
    return AuditApi(
        sites=DynamoSiteStore(dynamodb, environment.sites_table),
        registry=DynamoRegistry(dynamodb, environment.registry_table),
        publication=S3Publication(client("s3"), environment.publication_bucket),
    )
