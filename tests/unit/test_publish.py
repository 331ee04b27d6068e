"""A run's last step is done: it is closed, its files are written, and people are told once."""

from __future__ import annotations

import csv
import io
import json
import zipfile

import pytest

from glovebox.errors import InputError
from glovebox.scans.model import RunState
from glovebox.scans.state import bounded
from tests.flow import Flow, stream_event

A, B, C = "a.example.com", "b.example.com", "c.example.com"


def test_a_finished_run_is_closed_and_its_files_are_published() -> None:
    flow = Flow(shard_hosts=2)
    run_id = flow.start(A, B, C)
    flow.finish(run_id)
    flow.publish.handle(flow.stream(run_id))
    run = flow.store.run(run_id)
    assert (run.state, run.counts, run.missing_count) == (RunState.COMPLETED, {"ok": 3}, 0)
    zip_key, *plain = run.files
    assert zip_key == f"files/scan_2026-03-04_{run_id}.zip"
    assert plain == [
        f"files/scan_2026-03-04_{run_id}/{name}"
        for name in ("output.csv", "output.jsonl", "full_output.json")
    ]
    with zipfile.ZipFile(io.BytesIO(flow.publication.objects[zip_key])) as archive:
        for key in plain:
            assert archive.read(key.rpartition("/")[2]) == flow.publication.objects[key]
    rows = list(csv.DictReader(io.StringIO(flow.publication.objects[plain[0]].decode())))
    assert [row["FQDN"] for row in rows] == [A, B, C]
    assert flow.store.open_runs() == []


def test_a_run_with_open_steps_is_not_published() -> None:
    flow = Flow(shard_hosts=1)
    run_id = flow.start(A, B)
    first, _ = flow.store.scans(run_id)
    flow.ingest.handle(flow.upload(first.scan_id, flow.records(first.scan_id)))
    flow.publish.handle(flow.stream(run_id))
    assert flow.publication.objects == {}
    assert flow.store.run(run_id).published_at is None


def test_a_repeated_event_publishes_nothing_again() -> None:
    flow = Flow()
    run_id = flow.start(A)
    flow.finish(run_id)
    flow.publish.handle(stream_event((run_id, "run"), (run_id, f"{run_id}-0000"), (run_id, "run")))
    run = flow.store.run(run_id)
    flow.publication.objects.clear()
    flow.clock.pass_seconds(60)
    flow.publish.handle(flow.stream(run_id))
    assert (flow.store.run(run_id), flow.publication.objects) == (run, {})


def test_a_publication_that_was_cut_off_gives_the_same_bytes_again() -> None:
    flow = Flow()
    run_id = flow.start(A, B)
    flow.finish(run_id)
    before = flow.store.run(run_id)
    flow.publish.handle(flow.stream(run_id))
    files = dict(flow.publication.objects)
    flow.store.runs[run_id] = before
    flow.clock.pass_seconds(600)
    flow.publish.handle(flow.stream(run_id))
    assert flow.publication.objects == files


def test_a_run_with_a_lost_shard_is_partial_and_names_its_hosts() -> None:
    flow = Flow(shard_hosts=1)
    run_id = flow.start(A, B)
    flow.lose(run_id, 1)
    first = flow.store.scans(run_id)[0]
    flow.ingest.handle(flow.upload(first.scan_id, flow.records(first.scan_id)))
    flow.publish.handle(flow.stream(run_id))
    run = flow.store.run(run_id)
    assert (run.state, run.missing, run.missing_count) == (RunState.PARTIAL, (B,), 1)
    full = json.loads(flow.publication.objects[run.files[3]])
    assert (full["run"]["missing"], full["run"]["partial"]) == ([B], True)


def test_a_run_without_any_record_has_failed_and_publishes_no_files() -> None:
    flow = Flow()
    run_id = flow.start(A)
    flow.lose(run_id, 0)
    flow.publish.handle(flow.stream(run_id))
    run = flow.store.run(run_id)
    assert (run.state, run.files, flow.publication.objects) == (RunState.FAILED, (), {})
    assert run.published_at is not None


def test_two_runs_of_one_day_keep_files_of_their_own() -> None:
    flow = Flow()
    first = flow.start(A)
    flow.finish(first)
    flow.publish.handle(flow.stream(first))
    flow.clock.pass_seconds(3_600)
    second = flow.start(A)
    flow.finish(second)
    flow.publish.handle(flow.stream(second))
    assert len(flow.publication.zips()) == 2


@pytest.mark.parametrize("event", [{}, {"Records": [{"dynamodb": {}}]}, None])
def test_an_event_of_something_else_is_refused(event: object) -> None:
    with pytest.raises(InputError):
        Flow().publish.handle(event)


def test_what_only_informs_stays_within_an_item() -> None:
    names = [f"{'x' * 240}{number}" for number in range(50_000)]
    assert sum(map(len, bounded(names))) < 110_000
    assert bounded(["a", "b"]) == ("a", "b")
