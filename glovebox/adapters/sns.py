"""SNS: one topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from glovebox.adapters.aws import calling

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


MAX_BODY: Final = 250_000
"""Bytes; SNS refuses a message of more than 262,144 with its subject, and then nobody is told anything."""
_CUT: Final = "\n[The rest does not fit into one message.]\n"


class SnsTopic:
    """`glovebox.sites.ports.Topic`."""

    def __init__(self, client: SNSClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def send(self, subject: str, body: str) -> None:
        with calling("Sending a message"):
            self._client.publish(TopicArn=self._arn, Subject=subject, Message=_bounded(body))


def _bounded(body: str) -> str:
    """As much of `body` as a message holds; what is cut is said."""
    encoded = body.encode()
    if len(encoded) <= MAX_BODY:
        return body
    return encoded[: MAX_BODY - len(_CUT)].decode(errors="ignore") + _CUT
