"""CloudWatch Logs, as the drill's judge reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from glovebox.adapters.aws import calling
from glovebox.errors import UpstreamError

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

MAX_LINES = 200_000
"""The gateway's flows of an hour in which a long list is audited; 100 MB at most."""


class CloudWatchLogs:
    """`glovebox.drill.ports.Logs`."""

    def __init__(self, client: CloudWatchLogsClient) -> None:
        self._client = client

    def lines(self, group: str, began: datetime, ended: datetime, terms: Sequence[str]) -> Iterator[str]:
        # `?"a" ?"b"`: a line with one of these words, and `"a"` for one alone (CloudWatch Logs, "Filter
        # pattern syntax").
        one_of = "?" if len(terms) > 1 else ""
        pattern = " ".join(f'{one_of}"{term}"' for term in terms)
        count = 0
        with calling("Reading a log"):
            pages = self._client.get_paginator("filter_log_events").paginate(
                logGroupName=group,
                startTime=int(began.timestamp() * 1_000),
                endTime=int(ended.timestamp() * 1_000),
                filterPattern=pattern,
            )
            for page in pages:
                for event in page["events"]:
                    count += 1
                    if count > MAX_LINES:
                        raise UpstreamError(
                            f"The log has more than {MAX_LINES:,} lines of the drill's time.",
                            fix="Let the drill run when no long list is audited.",
                        )
                    yield event.get("message", "")
