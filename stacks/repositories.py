"""The broker's part for repositories: `snapshot`, the secret of the GitHub App, and what wakes it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_secretsmanager as secrets
from aws_cdk import aws_sqs as sqs

from glovebox.scans.model import LAUNCHES_AT_ONCE
from glovebox_constructs.findings import accept
from glovebox_constructs.grants import objects
from glovebox_constructs.runtime_function import FunctionDefaults, RuntimeFunction
from glovebox_constructs.schedule import scheduled
from stacks.names import SNAPSHOT_ROLE
from stacks.outputs import output
from stacks.perimeter import Perimeter
from stacks.scanners import Scanners
from stacks.settings import Settings
from stacks.storage import Storage, of_kinds

SNAPSHOT_TIME = cdk.Duration.minutes(5)
"""A gigabyte at 30 MB/s takes 35 seconds, and the host may make us wait in between."""
SNAPSHOT_MEMORY = 1769
"""MB, with which comes one whole core: it unpacks, hashes and encrypts what streams through it."""
SNAPSHOTS_AT_ONCE = LAUNCHES_AT_ONCE + 1
"""One for each launch, which asks once and lets its scan wait a minute where it is refused, and one for a
sync.  No more: the host slows down who asks much at once."""
FINGERPRINT_CHARACTERS = 64
SYNC = "cron(30 0 * * ? *)"
"""Before the schedules of a night."""


class Repositories:
    """What `stack` holds for repositories, and what `launch` is told of them and may do."""

    def __init__(
        self,
        stack: cdk.Stack,
        *,
        settings: Settings,
        storage: Storage,
        scanners: Scanners,
        perimeter: Perimeter,
        defaults: FunctionDefaults,
        failures: sqs.IQueue,
    ) -> None:
        self._stack, self._settings, self._storage = stack, settings, storage
        self._scanners, self._perimeter = scanners, perimeter
        self._failures = failures
        self.github_app = self._github_app()
        self.snapshot = self._snapshot(defaults)
        self._wake("Sweep", "rate(1 hour)", {"sweep": True}, "Deletes snapshots of scans that are over")
        if settings.repositories_schedule != "off":
            self._wake("Sync", SYNC, {"sync": True}, "Puts the GitHub App's repositories on record")
        output(stack, "SnapshotFunction", self.snapshot.function.function_name)
        output(stack, "GitHubAppSecret", self.github_app.secret_arn)

    # ------------------------------------------------------------ launch

    @property
    def told(self) -> Mapping[str, str]:
        """What `launch` finds in its environment."""
        scanners = self._scanners
        return {
            "SNAPSHOT_FUNCTION": self.snapshot.function.function_name,
            "REPOSITORY_SCANNERS": ",".join(self._settings.repository_scanners),
            "TRIVY_TASK_DEFINITION": scanners.trivy.family,
            "TRUFFLEHOG_TASK_DEFINITION": scanners.trufflehog.family,
            "KINGFISHER_TASK_DEFINITION": scanners.kingfisher.family,
            "UNTICKETED_SECURITY_GROUPS": self._perimeter.groups.tasks_without_ticket.security_group_id,
        }

    def let(self, launch: RuntimeFunction) -> None:
        """It asks for snapshots and starts tasks; an archive it can only pass on."""
        launch.may("lambda:InvokeFunction", on=[self.snapshot.function.function_arn])
        for task in self._scanners.of_repositories:
            task.may_be_started_by(launch, cluster=self._scanners.cluster)

    # ------------------------------------------------------------ snapshot

    def _github_app(self) -> secrets.Secret:
        """Its key is put in by hand; the other one is made here, and stays beside it.

        Who puts in the App's key by `glovebox github-app` reads and writes back both: that person can try
        values against the fingerprints of findings, as `snapshot` can.
        """
        secret = secrets.Secret(
            self._stack,
            "GitHubApp",
            description="Glovebox: your GitHub App (put in by hand), and the key of fingerprints (JSON)",
            encryption_key=self._storage.key,
            generate_secret_string=secrets.SecretStringGenerator(
                secret_string_template=json.dumps({"appId": "", "privateKey": ""}),
                generate_string_key="fingerprintKey",
                password_length=FINGERPRINT_CHARACTERS,
                exclude_punctuation=True,
            ),
            removal_policy=cdk.RemovalPolicy.DESTROY
            if self._settings.disposable
            else cdk.RemovalPolicy.RETAIN,
        )
        accept(
            secret,
            "AwsSolutions-SMG4",
            "GitHub changes no App's key by an interface, and with another key of fingerprints each secret "
            "that is known would be a new finding.",
        )
        return secret

    def _snapshot(self, defaults: FunctionDefaults) -> RuntimeFunction:
        """The one that reaches repositories, and nothing of the box but their snapshots and their entries."""
        settings, storage = self._settings, self._storage
        snapshot = RuntimeFunction(
            self._stack,
            "Snapshot",
            unit="snapshot",
            defaults=defaults,
            role_name=SNAPSHOT_ROLE,
            environment={
                "SNAPSHOTS_BUCKET": storage.snapshots.bucket_name,
                "REGISTRY_TABLE": storage.registry.table_name,
                "GITHUB_SECRET": self.github_app.secret_arn,
                "GITHUB_HOST": settings.github_host,
                "GITHUB_API": settings.github_api,
            },
            timeout=SNAPSHOT_TIME,
            memory=SNAPSHOT_MEMORY,
            concurrency=SNAPSHOTS_AT_ONCE,
        )
        snapshot.may("secretsmanager:GetSecretValue", on=[self.github_app.secret_arn])
        snapshot.may(
            # It signs the task's own reading, so it must be allowed to read.
            *("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"),
            on=[objects(storage.snapshots, "snapshots/*")],
            because="Snapshots get their names when they are taken.",
        )
        # Without this S3 says "forbidden" of a record that is only missing.
        snapshot.may("s3:ListBucket", on=[storage.snapshots.bucket_arn])
        snapshot.may(
            *("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"),
            on=[storage.registry.table_arn],
            when=of_kinds("repository"),
        )
        snapshot.may_use_key("dynamodb", "s3", write=True)
        snapshot.may_use_key("secretsmanager")
        return snapshot

    def _wake(self, id: str, expression: str, order: Mapping[str, object], description: str) -> None:
        scheduled(
            self._stack,
            id,
            self.snapshot,
            expression=expression,
            order=order,
            description=description,
            key=self._storage.key,
            failures=self._failures,
        )
