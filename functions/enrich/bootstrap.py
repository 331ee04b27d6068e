"""The composition root of `enrich`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache

from functions.enrich.environment import Environment
from glovebox.adapters.aws import client
from glovebox.adapters.dynamodb_registry import DynamoShodanCache
from glovebox.adapters.dynamodb_scans import DynamoScanStore
from glovebox.adapters.dynamodb_sites import DynamoSiteStore
from glovebox.adapters.secrets import AwsSecret
from glovebox.adapters.shodan import ShodanClient
from glovebox.services.enrich import Enrich
from glovebox.siteaudit.record import Shodan
from glovebox.sites.shodan import SystemClock


@cache
def bootstrap() -> Enrich:
    environment = Environment.read(os.environ)
    dynamodb = client("dynamodb")
    return Enrich(
        store=DynamoScanStore(dynamodb, environment.scans_table),
        sites=DynamoSiteStore(dynamodb, environment.sites_table),
        port=_ShodanWithSecret(AwsSecret(client("secretsmanager"), environment.shodan_secret)),
        cache=DynamoShodanCache(dynamodb, environment.registry_table),
        pace=SystemClock(),
        clock=lambda: datetime.now(UTC),
    )


class _ShodanWithSecret:
    """Reads the key at the first question: addresses that are remembered need none."""

    def __init__(self, secret: AwsSecret) -> None:
        self._secret = secret
        self._client: ShodanClient | None = None

    def host(self, address: str) -> Shodan | None:
        if self._client is None:
            self._client = ShodanClient(self._secret.value())
        return self._client.host(address)
