"""From an upload to records: what is bound, what is refused, and that everything may happen twice."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from glovebox.errors import InputError, RefusedError, UpstreamError
from glovebox.scans.model import MAX_MANIFEST_BYTES, Manifest, ScanState, manifest_key, report_key
from glovebox.scans.state import Scan
from glovebox.sites.item import SiteItem
from tests.fakes import FakeSites
from tests.flow import Flow, created
from tests.records import failed_record, good_record

A, B = "a.example.com", "b.example.com"


@pytest.fixture
def flow() -> Flow:
    return Flow(shard_hosts=2)


@pytest.fixture
def scan(flow: Flow) -> Scan:
    return flow.store.scans(flow.start(A, B))[0]


def now(flow: Flow, scan: Scan) -> Scan:
    return flow.store.scan(scan.scan_id)


def test_a_good_report_ends_the_scan_and_counts_the_run_down(flow: Flow, scan: Scan) -> None:
    flow.ingest.handle(flow.upload(scan.scan_id, flow.records(scan.scan_id)))
    after = now(flow, scan)
    assert (after.state, after.counts, after.missing) == (ScanState.COMPLETED, {"ok": 2}, ())
    assert after.report_key == report_key(scan.scan_id, 1)
    assert flow.store.run("20260304T050607Z-0badcafe").pending == 0
    assert sorted(host for host, _ in flow.sites.items) == [A, B]
    assert flow.registry.noted["site"][A].domain == "example.com"
    assert list(flow.registry.noted["domain"]) == ["example.com"]


def test_the_same_event_again_changes_nothing(flow: Flow, scan: Scan) -> None:
    event = flow.upload(scan.scan_id, flow.records(scan.scan_id))
    flow.ingest.handle(event)
    before = (now(flow, scan), flow.store.runs, flow.sites.puts)
    flow.ingest.handle(event)
    assert (now(flow, scan), flow.store.runs, flow.sites.puts) == before


def test_two_ingests_at_once_conclude_once(flow: Flow, scan: Scan) -> None:
    event = flow.upload(scan.scan_id, flow.records(scan.scan_id))

    class Racing(FakeSites):
        """Lets another ingest run to its end in the middle of ours."""

        def put(self, items: Iterable[SiteItem]) -> None:
            flow.sites = FakeSites()
            flow.ingest.handle(event)
            super().put(items)

    flow.sites = Racing()
    flow.ingest.handle(event)
    assert now(flow, scan).counts == {"ok": 2}
    assert flow.store.run("20260304T050607Z-0badcafe").pending == 0


def test_a_task_event_in_the_middle_of_an_ingest_does_not_lose_the_report(flow: Flow, scan: Scan) -> None:
    event = flow.upload(scan.scan_id, flow.records(scan.scan_id))

    class Stopping(FakeSites):
        def put(self, items: Iterable[SiteItem]) -> None:
            flow.watch.handle(flow.task_event(scan.scan_id, "STOPPED"))
            super().put(items)

    flow.sites = Stopping()
    flow.ingest.handle(event)
    assert now(flow, scan).state is ScanState.COMPLETED


def test_an_ingest_that_died_halfway_is_done_again_from_the_start(flow: Flow, scan: Scan) -> None:
    event = flow.upload(scan.scan_id, flow.records(scan.scan_id))
    flow.sites.fail = True
    with pytest.raises(UpstreamError):
        flow.ingest.handle(event)
    assert now(flow, scan).state is ScanState.INGESTING
    flow.sites.fail = False
    flow.ingest.handle(event)
    assert now(flow, scan).state is ScanState.COMPLETED


def test_an_event_that_says_no_version_is_about_the_first_one_if_there_is_no_other(
    flow: Flow, scan: Scan, capsys: pytest.CaptureFixture[str]
) -> None:
    flow.upload(scan.scan_id, flow.records(scan.scan_id))
    flow.ingest.handle(created(manifest_key(scan.scan_id, 1), ""))
    assert now(flow, scan).counts == {"ok": 2}
    flow.upload(scan.scan_id, flow.records(scan.scan_id))
    flow.ingest.handle(created(manifest_key(scan.scan_id, 1), ""))
    assert "second_upload" in capsys.readouterr().out


def test_a_second_upload_is_refused_and_the_first_counts(
    flow: Flow, scan: Scan, capsys: pytest.CaptureFixture[str]
) -> None:
    first = flow.upload(scan.scan_id, flow.records(scan.scan_id))
    second = flow.upload(scan.scan_id, [failed_record(A, "nxdomain", scan_date=scan.requested_at)])
    flow.ingest.handle(second)
    assert flow.sites.items == {}
    flow.ingest.handle(first)
    assert now(flow, scan).counts == {"ok": 2}
    said = [line for line in capsys.readouterr().out.splitlines() if '"second_upload"' in line]
    assert len(said) == 2, "one for the manifest, one for the report"


def test_a_report_about_another_host_names_it_and_asks_for_what_is_missing(flow: Flow, scan: Scan) -> None:
    records = [good_record("other.example.org", scan_date=scan.requested_at), flow.records(scan.scan_id)[1]]
    flow.ingest.handle(flow.upload(scan.scan_id, records))
    after = now(flow, scan)
    assert (after.state, after.attempt, after.open_hosts) == (ScanState.REQUESTED, 2, (A,))
    assert after.rejected_count == 1
    assert ("other.example.org", scan.requested_at) not in flow.sites.items


def test_the_second_attempt_asks_for_the_missing_hosts_alone_and_both_attempts_count(
    flow: Flow, scan: Scan
) -> None:
    flow.ingest.handle(flow.upload(scan.scan_id, flow.records(scan.scan_id)[:1], scanner_exit=None))
    assert now(flow, scan).reason == "The scanner was killed; 1 hosts have no record."
    flow.launch.handle({"retry": {"scanId": scan.scan_id, "attempt": 2}})
    assert flow.request(scan.scan_id, 2).hosts == [B]
    flow.ingest.handle(flow.upload(scan.scan_id, flow.records(scan.scan_id, 2), 2))
    after = now(flow, scan)
    assert (after.state, after.counts, after.missing) == (ScanState.COMPLETED, {"ok": 2}, ())


def test_an_event_that_names_no_version_is_believed_only_while_there_is_one(flow: Flow, scan: Scan) -> None:
    flow.upload(scan.scan_id, flow.records(scan.scan_id))
    unversioned = {
        "detail": {"bucket": {"name": "results"}, "object": {"key": manifest_key(scan.scan_id, 1)}}
    }
    flow.upload(scan.scan_id, [])
    flow.ingest.handle(unversioned)
    assert flow.sites.items == {}, "a second upload: nobody knows which one is announced"
    flow.results.objects[manifest_key(scan.scan_id, 1)].pop()
    flow.results.objects[report_key(scan.scan_id, 1)].pop()
    flow.ingest.handle(unversioned)
    assert now(flow, scan).counts == {"ok": 2}


def test_hosts_that_stay_missing_are_named_and_the_scan_is_partial(flow: Flow, scan: Scan) -> None:
    flow.ingest.handle(flow.upload(scan.scan_id, flow.records(scan.scan_id)[:1], scanner_exit=137))
    flow.launch.handle({"retry": {"scanId": scan.scan_id, "attempt": 2}})
    flow.ingest.handle(flow.upload(scan.scan_id, [b"{}"], 2, scanner_exit=137))
    after = now(flow, scan)
    assert (after.state, after.missing, after.counts) == (ScanState.PARTIAL, (B,), {"ok": 1})
    assert after.reason is not None
    assert "code 137" in after.reason
    assert flow.store.run("20260304T050607Z-0badcafe").pending == 0


def test_a_whole_report_of_an_auditor_with_a_defect_is_partial_and_says_why(flow: Flow, scan: Scan) -> None:
    flow.ingest.handle(flow.upload(scan.scan_id, flow.records(scan.scan_id), scanner_exit=1))
    after = now(flow, scan)
    assert (after.state, after.missing) == (ScanState.PARTIAL, ())
    assert after.reason == "The scanner ended with code 1."


def lost(flow: Flow, scan: Scan, event: dict[str, object]) -> str:
    """The reason for which the event ended the attempt."""
    flow.ingest.handle(event)
    after = now(flow, scan)
    assert (after.state, after.attempt, after.counts) == (ScanState.REQUESTED, 2, {})
    assert flow.sites.items == {}
    assert after.reason is not None
    return after.reason


def test_a_manifest_without_a_report_ends_the_attempt_with_its_reason(flow: Flow, scan: Scan) -> None:
    told = Manifest(
        scan_id=scan.scan_id, attempt=1, report_uploaded=False, reason="there is \x1b[31mno report"
    )
    assert (
        lost(flow, scan, flow.announce(scan.scan_id, told)) == "The task sent no report: there is no report."
    )


def test_a_digest_that_does_not_fit_ends_the_attempt(flow: Flow, scan: Scan) -> None:
    event = flow.upload(scan.scan_id, flow.records(scan.scan_id), report_sha256="0" * 64)
    assert "digest" in lost(flow, scan, event)


def test_a_size_that_does_not_fit_ends_the_attempt(flow: Flow, scan: Scan) -> None:
    assert "bytes" in lost(flow, scan, flow.upload(scan.scan_id, flow.records(scan.scan_id), report_bytes=5))


def test_a_report_that_is_not_there_ends_the_attempt(flow: Flow, scan: Scan) -> None:
    told = Manifest(scan_id=scan.scan_id, attempt=1, report_uploaded=True)
    assert "not there" in lost(flow, scan, flow.announce(scan.scan_id, told))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b'{"scanId":"x"}',
        b"\xff\xfe",
        b'{"scanId":' + b"[" * 30_000,
        b" " * (MAX_MANIFEST_BYTES + 1),
    ],
)
def test_a_manifest_that_is_none_ends_the_attempt(flow: Flow, scan: Scan, body: bytes) -> None:
    assert "manifest" in lost(flow, scan, flow.announce(scan.scan_id, body)).lower()


def test_a_manifest_of_another_scan_ends_the_attempt(flow: Flow, scan: Scan) -> None:
    event = flow.upload(scan.scan_id, flow.records(scan.scan_id), scan_id="20200101T000000Z-00000000-0000")
    assert "another scan" in lost(flow, scan, event)


def test_an_upload_of_a_former_attempt_changes_nothing(flow: Flow, scan: Scan) -> None:
    late = flow.upload(scan.scan_id, flow.records(scan.scan_id))
    flow.watch.handle(flow.task_event(scan.scan_id, "STOPPED", outlet=1))
    before = now(flow, scan)
    assert before.attempt == 2
    flow.ingest.handle(late)
    assert now(flow, scan) == before
    assert flow.sites.items == {}


def test_an_upload_of_a_scan_that_nobody_started_changes_nothing(flow: Flow) -> None:
    flow.ingest.handle(flow.upload("20200101T000000Z-00000000-0000", []))
    assert flow.store.all_scans == {}


@pytest.mark.parametrize(
    "key",
    [
        "results/../../secret/1/manifest.json",
        "results/20260304T050607Z-0badcafe-0000/3/manifest.json",
        "results/20260304T050607Z-0badcafe-0000/1/report.jsonl",
        "results/20260304T050607Z-0badcafe-0000/1/manifest.json\n",
        "other/20260304T050607Z-0badcafe-0000/1/manifest.json",
    ],
)
def test_a_key_that_no_form_allows_is_refused(flow: Flow, key: str) -> None:
    with pytest.raises(RefusedError):
        flow.ingest.handle(created(key, "v1"))


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"detail": {"bucket": {"name": "results"}, "object": {"version-id": "v1"}}},
        created(manifest_key("20260304T050607Z-0badcafe-0000", 1), "v1", bucket="other"),
    ],
)
def test_an_event_of_something_else_is_refused(flow: Flow, event: object) -> None:
    with pytest.raises(InputError):
        flow.ingest.handle(event)
