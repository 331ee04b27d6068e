"""Runs and scans in DynamoDB: conditions hold, steps are counted once, open runs are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from glovebox.adapters.dynamodb_scans import DynamoScanStore
from glovebox.errors import ConflictError, NotFoundError, UpstreamError
from glovebox.scans.model import RunState, ScanState, scan_id_of
from glovebox.scans.state import Run, Scan
from glovebox.siteaudit.notes import LineNote

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RUN_ID = "20260304T050607Z-0badcafe"
NOW = "2026-03-04T05:06:07Z"


@pytest.fixture
def store(dynamodb: DynamoDBClient) -> DynamoScanStore:
    return DynamoScanStore(dynamodb, "scans", sleep=lambda seconds: None)


def run(**changes: object) -> Run:
    made = Run(
        run_id=RUN_ID,
        state=RunState.RUNNING,
        requested_at=NOW,
        requested_by="test",
        scan_date=NOW,
        hosts=3,
        shards=2,
        pending=2,
        rejected_lines=(LineNote(line=4, text="x", reason="no name", used=False),),
        rejected_count=1,
    )
    return replace(made, **changes)


def scans() -> list[Scan]:
    return [
        Scan(
            scan_id=scan_id_of(RUN_ID, shard),
            state=ScanState.REQUESTED,
            attempt=1,
            hosts=(f"h{shard}.example.com",),
            requested_at=NOW,
            changed_at=NOW,
            attempt_since=NOW,
        )
        for shard in range(2)
    ]


def test_what_is_written_is_read_back(store: DynamoScanStore) -> None:
    store.create(run(), scans())
    assert store.run(RUN_ID) == run(revision=1)
    assert list(store.scans(RUN_ID)) == [replace(scan, revision=1) for scan in scans()]
    assert store.scan(scans()[1].scan_id) == replace(scans()[1], revision=1)
    assert list(store.open_runs()) == [RUN_ID]


def test_every_field_of_a_scan_survives(store: DynamoScanStore) -> None:
    store.create(run(), scans())
    before = store.scan(scans()[0].scan_id)
    full = replace(
        before,
        enrichment=True,
        launches=2,
        task_arn="arn:x",
        deadline=1_772_600_000,
        counts={"ok": 1, "nxdomain": 2},
        missing=(),
        rejected=("line 1: no JSON",),
        rejected_count=1,
        reason="why",
    )
    store.replace(before, full)
    assert store.scan(before.scan_id) == replace(full, revision=2)


def test_a_run_that_exists_is_not_written_again_and_its_scans_are_left_alone(store: DynamoScanStore) -> None:
    store.create(run(), scans())
    first = store.scan(scans()[0].scan_id)
    store.replace(first, replace(first, state=ScanState.LAUNCHING))
    with pytest.raises(ConflictError):
        store.create(run(requested_by="again"), scans())
    assert store.scan(first.scan_id).state is ScanState.LAUNCHING
    assert store.run(RUN_ID).requested_by == "test"


def test_of_two_runs_of_one_firing_only_the_first_is_created(store: DynamoScanStore) -> None:
    assert store.created_once("order") is None
    store.create(run(), scans(), once="order")
    other = RUN_ID[:-1] + "0"
    with pytest.raises(ConflictError):
        store.create(run(run_id=other), [], once="order")
    assert store.created_once("order") == RUN_ID
    assert list(store.open_runs()) == [RUN_ID]
    store.create(run(run_id=other), [], once="another")
    assert store.created_once("another") == other


def test_only_the_first_of_two_changes_counts(store: DynamoScanStore) -> None:
    store.create(run(), scans())
    seen = store.scan(scans()[0].scan_id)
    ended = replace(seen, state=ScanState.COMPLETED)
    store.replace(seen, ended)
    with pytest.raises(ConflictError):
        store.replace(seen, replace(seen, state=ScanState.FAILED))
    assert store.scan(seen.scan_id).state is ScanState.COMPLETED
    assert store.run(RUN_ID).pending == 1


def test_a_step_that_closes_counts_the_run_down_in_the_same_transaction(store: DynamoScanStore) -> None:
    store.create(run(pending=4), [replace(scan, enrichment=True) for scan in scans()])
    first = store.scan(scans()[0].scan_id)
    store.replace(first, replace(first, state=ScanState.COMPLETED))
    assert store.run(RUN_ID).pending == 3
    ended = store.scan(first.scan_id)
    store.replace(ended, replace(ended, enriched_at=NOW))
    assert store.run(RUN_ID).pending == 2
    second = store.scan(scans()[1].scan_id)
    store.replace(second, replace(second, state=ScanState.FAILED, enriched_at=NOW))
    assert store.run(RUN_ID).pending == 0


def test_a_run_is_closed_only_as_it_was_seen(store: DynamoScanStore) -> None:
    store.create(run(), scans())
    seen = store.run(RUN_ID)
    first = store.scan(scans()[0].scan_id)
    store.replace(first, replace(first, state=ScanState.COMPLETED))
    with pytest.raises(ConflictError):
        store.replace_run(seen, replace(seen, published_at=NOW))
    assert list(store.open_runs()) == [RUN_ID]


def test_a_published_run_is_no_longer_open(store: DynamoScanStore) -> None:
    store.create(run(), scans())
    seen = store.run(RUN_ID)
    store.replace_run(seen, replace(seen, published_at=NOW, files=("files/x.zip",)))
    assert list(store.open_runs()) == []
    assert store.run(RUN_ID).files == ("files/x.zip",)
    again = store.run(RUN_ID)
    store.replace_run(again, replace(again, notified_at=NOW))
    assert store.run(RUN_ID).revision == 3


def test_what_does_not_exist_is_said_so(store: DynamoScanStore) -> None:
    with pytest.raises(NotFoundError):
        store.run(RUN_ID)
    with pytest.raises(NotFoundError):
        store.scan(scan_id_of(RUN_ID, 0))
    assert list(store.scans(RUN_ID)) == []


def conflicting(times: int, real: Callable[..., object]) -> Callable[..., object]:
    """DynamoDB's answer while another transaction holds the run's item, so many times."""
    left = iter(range(times))

    def call(**arguments: object) -> object:
        if next(left, None) is not None:
            raise ClientError(
                {
                    "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
                    "CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}],  # type: ignore[typeddict-unknown-key]  # only this error has them
                },
                "TransactWriteItems",
            )
        return real(**arguments)

    return call


def test_a_transaction_waits_for_others(
    store: DynamoScanStore, dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create(run(), scans())
    first = store.scan(scans()[0].scan_id)
    monkeypatch.setattr(dynamodb, "transact_write_items", conflicting(3, dynamodb.transact_write_items))
    store.replace(first, replace(first, state=ScanState.COMPLETED))
    assert store.run(RUN_ID).pending == 1


def test_a_transaction_that_never_gets_its_turn_is_an_error_and_no_conflict(
    store: DynamoScanStore, dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create(run(), scans())
    first = store.scan(scans()[0].scan_id)
    monkeypatch.setattr(dynamodb, "transact_write_items", conflicting(99, dynamodb.transact_write_items))
    with pytest.raises(UpstreamError):
        store.replace(first, replace(first, state=ScanState.COMPLETED))


def test_a_table_that_is_not_there_is_an_upstream_error(dynamodb: DynamoDBClient) -> None:
    with pytest.raises(UpstreamError, match="ResourceNotFound"):
        DynamoScanStore(dynamodb, "other").run(RUN_ID)
