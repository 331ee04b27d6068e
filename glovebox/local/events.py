"""Events of AWS services that the emulator does not send, delivered as EventBridge would.

Nobody may put events of `aws.*` sources on a bus, neither here nor in AWS.  So the rules are asked
which of them match, and their Lambda targets are invoked with the event.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from glovebox.dates import iso
from glovebox.errors import ConfigurationError
from glovebox.local.aws import ACCOUNT, REGION

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient

    from glovebox.local.adaptations import Object
    from glovebox.local.aws import LocalAws


@dataclass(frozen=True, slots=True)
class EventSender:
    """Finds the rules of the default bus anew for each event, so that a changed rule counts at once."""

    events: EventBridgeClient
    functions: LambdaClient

    @classmethod
    def on(cls, aws: LocalAws) -> EventSender:
        return cls(aws.client("events"), aws.client("lambda"))

    def send(self, source: str, detail_type: str, resources: Sequence[str], detail: Object) -> int:
        """Deliver one event; answers to how many targets.

        Raises:
            ConfigurationError: a matching rule has a target that is not a function.
        """
        event = json.dumps(
            {
                "version": "0",
                "id": str(uuid.uuid4()),
                "detail-type": detail_type,
                "source": source,
                "account": ACCOUNT,
                "time": iso(datetime.now(UTC)),
                "region": REGION,
                "resources": list(resources),
                "detail": detail,
            }
        )
        targets = [arn for name in self._matching(event) for arn in self._targets(name)]
        for arn in targets:
            self.functions.invoke(FunctionName=arn, InvocationType="Event", Payload=event.encode())
        return len(targets)

    def _matching(self, event: str) -> list[str]:
        rules = [
            rule for page in self.events.get_paginator("list_rules").paginate() for rule in page["Rules"]
        ]
        return [
            rule.get("Name", "")
            for rule in rules
            if rule.get("State") == "ENABLED"
            and "EventPattern" in rule
            and self.events.test_event_pattern(EventPattern=rule["EventPattern"], Event=event)["Result"]
        ]

    def _targets(self, rule: str) -> list[str]:
        arns = [target["Arn"] for target in self.events.list_targets_by_rule(Rule=rule)["Targets"]]
        for arn in arns:
            if ":lambda:" not in arn:
                raise ConfigurationError(
                    f"The rule {rule} has the target {arn}, which the local cloud cannot reach."
                )
        return arns
