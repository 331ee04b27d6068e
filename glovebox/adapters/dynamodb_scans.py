"""The `scans` table: hash `runId`, range `scanId`; a run's own item stands under `run`.

Beside them one small item an unpublished run (hash `open`, range the run's id), so that
a tick finds what is under way without an index and without reading history, and one for each order of a
schedule (hash `once`), so that a schedule which fires twice finds the run that it made.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import ClientError
from msgspec.structs import replace

from glovebox.adapters.aws import calling, error_code
from glovebox.adapters.dynamodb import Item, Sleep, from_wire, to_wire
from glovebox.adapters.dynamodb_values import Wire
from glovebox.errors import ConflictError, NotFoundError, UpstreamError
from glovebox.scans.model import RUN_SORT_KEY, run_id_of
from glovebox.scans.state import Run, Scan

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

OPEN = "open"
ONCE = "once"
"""No run's ids: those begin with a date."""
_TRANSACTION_TRIES = 8
"""Shards that end in the same second all count one run down; each collision passes within milliseconds."""


class DynamoScanStore:
    """`glovebox.scans.ports.ScanStore` on DynamoDB."""

    def __init__(self, client: DynamoDBClient, table: str, *, sleep: Sleep = time.sleep) -> None:
        self._client = client
        self._table = table
        self._sleep = sleep

    def create(self, run: Run, scans: Sequence[Scan], *, once: str = "") -> None:
        for scan in scans:
            self._put_new(_scan_item(replace(scan, revision=1)))
        opened: Item = {"runId": OPEN, "scanId": run.run_id}
        new = "attribute_not_exists(runId)"
        marker: Item = {"runId": ONCE, "scanId": once, "run": run.run_id}
        marked: list[Wire] = [{"Put": {**self._put(marker), "ConditionExpression": new}}] if once else []
        self._transact(
            [
                {"Put": {**self._put(_run_item(replace(run, revision=1))), "ConditionExpression": new}},
                {"Put": self._put(opened)},
                *marked,
            ],
            f"Run {run.run_id} exists already.",
        )

    def created_once(self, once: str) -> str | None:
        try:
            return str(self._get(ONCE, once)["run"])
        except NotFoundError:
            return None

    def run(self, run_id: str) -> Run:
        return msgspec.convert(self._get(run_id, RUN_SORT_KEY), Run)

    def scan(self, scan_id: str) -> Scan:
        return msgspec.convert(self._get(run_id_of(scan_id), scan_id), Scan)

    def scans(self, run_id: str) -> Sequence[Scan]:
        items = self._query(run_id)
        return [msgspec.convert(item, Scan) for item in items if item["scanId"] != RUN_SORT_KEY]

    def open_runs(self) -> Sequence[str]:
        return [str(item["scanId"]) for item in self._query(OPEN)]

    def replace(self, before: Scan, after: Scan) -> None:
        after = replace(after, revision=before.revision + 1)
        put = {"Put": {**self._put(_scan_item(after)), **_stands(before.revision)}}
        conflict = f"Scan {before.scan_id} was changed by somebody else."
        steps = before.open_steps - after.open_steps
        count: list[Wire] = []
        if steps:
            key: Item = {"runId": run_id_of(before.scan_id), "scanId": RUN_SORT_KEY}
            update = {
                "TableName": self._table,
                "Key": to_wire(key),
                "UpdateExpression": "ADD pending :steps",
                "ConditionExpression": "attribute_exists(runId)",
                "ExpressionAttributeValues": to_wire({":steps": -steps}),
            }
            count.append({"Update": update})
        self._transact([put, *count], conflict)

    def replace_run(self, before: Run, after: Run) -> None:
        after = replace(after, revision=before.revision + 1)
        condition = _stands(before.revision, before.pending)
        writes: list[Wire] = [{"Put": {**self._put(_run_item(after)), **condition}}]
        if after.published_at is not None:
            key: Item = {"runId": OPEN, "scanId": after.run_id}
            writes.append({"Delete": {"TableName": self._table, "Key": to_wire(key)}})
        self._transact(writes, f"Run {before.run_id} was changed by somebody else.")

    # ------------------------------------------------------------ the calls

    def _put(self, item: Item) -> Wire:
        return {"TableName": self._table, "Item": to_wire(item)}

    def _put_new(self, item: Item) -> None:
        with calling("Writing a scan"):
            try:
                self._client.put_item(**self._put(item), ConditionExpression="attribute_not_exists(runId)")
            except ClientError as error:
                # It stands since an earlier try, and may have gone on since.
                if error_code(error) != "ConditionalCheckFailedException":
                    raise

    def _get(self, run_id: str, sort_key: str) -> dict[str, object]:
        key: Item = {"runId": run_id, "scanId": sort_key}
        with calling("Reading a scan"):
            answer = self._client.get_item(TableName=self._table, Key=to_wire(key), ConsistentRead=True)
        if "Item" not in answer:
            raise NotFoundError(f"There is no item {sort_key} of run {run_id}.")
        return from_wire(answer["Item"])

    def _query(self, run_id: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        with calling("Reading the scans of a run"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="runId = :run",
                ExpressionAttributeValues=to_wire({":run": run_id}),
                ConsistentRead=True,
            )
            for page in pages:
                found.extend(from_wire(item) for item in page["Items"])
        return found

    def _transact(self, writes: Sequence[Wire], conflict: str) -> None:
        """All or nothing.  Raises ConflictError where a condition does not hold."""
        # The stubs want each operation's own dictionary type.
        items: Any = writes
        for turn in range(_TRANSACTION_TRIES):
            try:
                with calling("Writing a transaction"):
                    self._client.transact_write_items(TransactItems=items)
            except UpstreamError as error:
                reasons = _cancellation(error)
                if "ConditionalCheckFailed" in reasons:
                    raise ConflictError(conflict) from error
                if "TransactionConflict" not in reasons:
                    raise
            else:
                return
            self._sleep(0.02 * 2**turn * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load only
        raise UpstreamError("DynamoDB refuses a transaction for other ones.", fix="Try again later.")


def _run_item(run: Run) -> Item:
    return {**msgspec.to_builtins(run), "scanId": RUN_SORT_KEY}


def _scan_item(scan: Scan) -> Item:
    return {**msgspec.to_builtins(scan), "runId": run_id_of(scan.scan_id)}


def _stands(revision: int, pending: int | None = None) -> Wire:
    """The condition that an item is the one that was read."""
    values: dict[str, object] = {":revision": revision}
    condition = "revision = :revision"
    if pending is not None:
        values[":pending"] = pending
        condition += " AND pending = :pending"
    return {"ConditionExpression": condition, "ExpressionAttributeValues": to_wire(values)}


def _cancellation(error: UpstreamError) -> set[str]:
    """Why a transaction was cancelled, item by item; empty where it failed in another way."""
    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return set()
    # The stubs know no response of this one error.
    response: Any = cause.response
    return {reason.get("Code", "") for reason in response.get("CancellationReasons", [])}
