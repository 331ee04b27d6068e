"""Lambda: asking `launch` for the next attempt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from glovebox.adapters.aws import calling

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class LambdaLauncher:
    """`glovebox.scans.ports.Launcher`."""

    def __init__(self, client: LambdaClient, function: str) -> None:
        self._client = client
        self._function = function

    def retry(self, scan_id: str, attempt: int) -> None:
        event = {"retry": {"scanId": scan_id, "attempt": attempt}}
        with calling("Invoking launch"):
            self._client.invoke(
                FunctionName=self._function, InvocationType="Event", Payload=json.dumps(event).encode()
            )
