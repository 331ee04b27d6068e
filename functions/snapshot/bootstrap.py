"""The composition root of `snapshot`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache

from functions.snapshot.environment import Environment
from glovebox.adapters.aws import client
from glovebox.adapters.dynamodb_targets import DynamoTargets
from glovebox.adapters.github import GitHub
from glovebox.adapters.github_secret import GitHubSecret
from glovebox.adapters.s3_snapshots import S3Snapshots
from glovebox.adapters.secrets import AwsSecret
from glovebox.services.snapshot import SnapshotService


@cache
def bootstrap() -> SnapshotService:
    environment = Environment.read(os.environ)
    secret = GitHubSecret(AwsSecret(client("secretsmanager"), environment.github_secret).value)
    return SnapshotService(
        host=GitHub(secret.app, host=environment.github_host, api=environment.github_api),
        store=S3Snapshots(client("s3"), environment.snapshots_bucket),
        registry=DynamoTargets(client("dynamodb"), environment.registry_table),
        fingerprint_key=secret.fingerprint_key,
        clock=lambda: datetime.now(UTC),
    )
