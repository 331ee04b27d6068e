"""Buckets: nothing public, TLS only, encrypted with our key, and who reads them is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from glovebox_constructs.findings import accept
from glovebox_constructs.policies import statements

STALE_UPLOAD = cdk.Duration.days(1)
"""Parts of an upload that never ended cost money and are seen by nobody."""


class PrivateBucket(s3.Bucket):
    """Encrypted with `key`, access logged to `logs`; `policies` adds files of `policies/` to its policy.

    `forget_after` deletes current objects, `forget_old_versions_after` those that were overwritten.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        key: kms.IKey,
        logs: s3.IBucket,
        disposable: bool,
        versioned: bool = False,
        forget_after: cdk.Duration | None = None,
        forget_old_versions_after: cdk.Duration | None = None,
        events: bool = False,
        policies: Sequence[str] = (),
        places: Mapping[str, str] = {},
    ) -> None:
        super().__init__(
            scope,
            id,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=versioned,
            server_access_logs_bucket=logs,
            server_access_logs_prefix=f"buckets/{id.lower()}/",
            removal_policy=_removal(disposable),
            lifecycle_rules=[
                s3.LifecycleRule(
                    abort_incomplete_multipart_upload_after=STALE_UPLOAD,
                    expiration=forget_after,
                    noncurrent_version_expiration=forget_old_versions_after,
                )
            ],
        )
        add_policy(self, "bucket_policy")
        for name in policies:
            add_policy(self, name, **places)
        if events:
            # Not `event_bridge_enabled`, which brings a function that may change any bucket's notifications.
            bucket = self.node.default_child
            if not isinstance(bucket, s3.CfnBucket):
                raise TypeError("a bucket's default child is the bucket itself")
            bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
                event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(
                    event_bridge_enabled=True
                )
            )


class UploadOnlyBucket(PrivateBucket):
    """Takes presigned forms below `results/`, encrypted with `key`, and keeps every version of an object."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        key: kms.IKey,
        logs: s3.IBucket,
        disposable: bool,
        forget_after: cdk.Duration,
    ) -> None:
        super().__init__(
            scope,
            id,
            key=key,
            logs=logs,
            disposable=disposable,
            versioned=True,
            forget_after=forget_after,
            forget_old_versions_after=forget_after,
            events=True,
            policies=("results_bucket_policy",),
            places={"Key": key.key_arn},
        )


class LogBucket(s3.Bucket):
    """Where S3 and CloudFront write who read what."""

    def __init__(self, scope: Construct, id: str, *, disposable: bool, forget_after: cdk.Duration) -> None:
        super().__init__(
            scope,
            id,
            # S3 delivers its access logs only to buckets with its own kind of encryption.
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            # CloudFront's standard logs are written with an access control list.
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_PREFERRED,
            versioned=True,
            removal_policy=_removal(disposable),
            lifecycle_rules=[
                s3.LifecycleRule(
                    abort_incomplete_multipart_upload_after=STALE_UPLOAD,
                    expiration=forget_after,
                    noncurrent_version_expiration=forget_after,
                )
            ],
        )
        add_policy(self, "bucket_policy")
        accept(
            self, "AwsSolutions-S1", "This is the bucket for access logs; logging it into itself never ends."
        )


def add_policy(bucket: s3.Bucket, name: str, **places: str) -> None:
    """Adds the statements of `policies/<name>.json`, where `${Bucket}` is the bucket's ARN."""
    for statement in statements(name, {"Bucket": bucket.bucket_arn, **places}):
        bucket.add_to_resource_policy(statement)


def _removal(disposable: bool) -> cdk.RemovalPolicy:
    return cdk.RemovalPolicy.DESTROY if disposable else cdk.RemovalPolicy.RETAIN
