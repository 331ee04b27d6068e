"""A DynamoDB table as all of ours are: encrypted with our key, recoverable, and not deleted by accident."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct


def text(name: str) -> dynamodb.Attribute:
    """A key attribute that holds text."""
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)


class EncryptedTable(dynamodb.Table):
    """On demand, point-in-time recovery, customer-managed key, deletion protection."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        hash: str,
        range: str,
        key: kms.IKey,
        disposable: bool,
        streams: bool = False,
        expires: str | None = None,
    ) -> None:
        super().__init__(
            scope,
            id,
            partition_key=text(hash),
            sort_key=text(range),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=not disposable,
            removal_policy=cdk.RemovalPolicy.DESTROY if disposable else cdk.RemovalPolicy.RETAIN,
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES if streams else None,
            time_to_live_attribute=expires,
        )
