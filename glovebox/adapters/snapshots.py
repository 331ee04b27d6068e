"""Lambda: asking `snapshot` for the archive of a commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glovebox.adapters.invoking import invoked
from glovebox.errors import GloveboxError, UpstreamError
from glovebox.scans.repositories import SnapshotAnswer, SnapshotOrder

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class LambdaSnapshots:
    """`glovebox.scans.ports.Snapshots`: waits for the answer, and asks once."""

    def __init__(self, client: LambdaClient, function: str) -> None:
        """`client` must wait longer than the function may take, and not retry (`aws.patient_client`)."""
        self._client = client
        self._function = function

    def take(self, order: SnapshotOrder) -> SnapshotAnswer:
        try:
            return invoked(
                self._client, self._function, {"snapshot": order}, SnapshotAnswer, called="snapshot"
            )
        except UpstreamError:
            raise
        except GloveboxError as error:
            # Why there is no snapshot is an answer.  Whatever it raises is its own trouble, and may pass.
            raise UpstreamError(error.reason, fix=error.fix) from error
