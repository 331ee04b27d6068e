"""SNS: one topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glovebox.adapters.aws import calling

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


class SnsTopic:
    """`glovebox.sites.ports.Topic`."""

    def __init__(self, client: SNSClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def send(self, subject: str, body: str) -> None:
        with calling("Sending a message"):
            self._client.publish(TopicArn=self._arn, Subject=subject, Message=body)
