"""Where an event goes that could not be handled: kept for two weeks, and counted by an alarm."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from glovebox_constructs.findings import accept


class FailureQueue(sqs.Queue):
    """Encrypted with our key, TLS only, the longest retention that SQS has."""

    def __init__(self, scope: Construct, id: str, *, key: kms.IKey) -> None:
        super().__init__(
            scope,
            id,
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(14),
        )
        accept(self, "AwsSolutions-SQS3", "This queue is itself where failed events end.")
