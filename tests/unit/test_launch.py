"""Starting runs: what a task is given, and what happens where it cannot be started."""

from __future__ import annotations

import base64
from collections import Counter

import msgspec
import pytest

from glovebox.errors import InputError, NotFoundError, RefusedError, UpstreamError
from glovebox.scans.model import MAX_REPORT_BYTES, OutletOrder, RunState, ScanState, handoff_key
from glovebox.scans.ports import NoCapacityError
from glovebox.services.attempts import FORM_MARGIN_SECONDS, MAX_ATTEMPT_SECONDS
from glovebox.services.site_runs import attempt_seconds
from glovebox.siteaudit.settings import AuditSettings
from tests.flow import Flow

HOSTS = ("a.example.com", "b.example.com", "c.example.com")


def test_a_run_is_cut_into_shards_and_each_gets_a_task_with_its_own_hosts() -> None:
    flow = Flow(shard_hosts=2)
    answer = flow.launch.handle({"hosts": list(HOSTS), "requestedBy": "somebody"})
    run = flow.store.run(answer.run_id)
    scans = flow.store.scans(answer.run_id)
    assert (answer.scans, answer.hosts, answer.rejected) == (2, 3, 0)
    assert (run.state, run.pending, run.requested_by) == (RunState.RUNNING, 2, "somebody")
    assert [scan.hosts for scan in scans] == [HOSTS[:2], HOSTS[2:]]
    assert {scan.state for scan in scans} == {ScanState.LAUNCHING}
    assert [scan.task_arn for scan in scans] == [f"arn:aws:ecs:task/{scan.scan_id}-1-0" for scan in scans]
    assert flow.request(scans[0].scan_id).hosts == list(HOSTS[:2])
    assert flow.request(scans[0].scan_id).scan_date == run.scan_date


def test_the_outlet_alone_gets_the_forms_and_the_inlet_alone_the_request() -> None:
    flow = Flow()
    [scan] = flow.store.scans(flow.start("a.example.com"))
    [order] = flow.tasks.orders
    inlet, outlet = (
        flow.hand_off.objects[handoff_key(scan.scan_id, 1, name)].decode()
        for name in ("inlet.env", "outlet.env")
    )
    assert order.inlet_environment.endswith("/inlet.env")
    assert order.outlet_environment.endswith("/outlet.env")
    assert inlet.startswith("GLOVEBOX_REQUEST_URL=https://")
    assert "results.invalid" not in inlet
    decoded = base64.b64decode(outlet.strip().removeprefix("GLOVEBOX_ORDER="))
    told = msgspec.json.decode(decoded, type=OutletOrder)
    assert told.report.fields["key"] == f"results/{scan.scan_id}/1/report.jsonl"
    assert told.manifest.fields["key"] == f"results/{scan.scan_id}/1/manifest.json"
    assert told.report.fields["max"] == str(MAX_REPORT_BYTES)


def test_the_forms_outlive_the_deadline() -> None:
    flow = Flow()
    [scan] = flow.store.scans(flow.start("a.example.com"))
    outlet = flow.hand_off.objects[handoff_key(scan.scan_id, 1, "outlet.env")]
    told = msgspec.json.decode(base64.b64decode(outlet.partition(b"=")[2]), type=OutletOrder)
    assert scan.deadline is not None
    left = scan.deadline - flow.clock().timestamp()
    assert int(told.manifest.fields["seconds"]) == left + FORM_MARGIN_SECONDS


def test_what_starts_a_task_and_its_origin_fit_the_services_limits() -> None:
    flow = Flow()
    flow.start("a.example.com")
    [order] = flow.tasks.orders
    assert len(order.started_by) <= 36
    assert len(order.token) <= 64


@pytest.mark.parametrize("hosts", [1, 200, 500])
def test_an_attempt_never_outlives_what_credentials_allow(hosts: int) -> None:
    slow = AuditSettings(concurrency=1, site_timeout=3_600)
    assert attempt_seconds(hosts, AuditSettings()) < MAX_ATTEMPT_SECONDS
    assert attempt_seconds(hosts, slow) == MAX_ATTEMPT_SECONDS


def test_a_list_is_read_from_the_bucket_of_lists_and_its_bad_lines_are_kept() -> None:
    flow = Flow()
    flow.lists.objects["hosts.txt"] = b"a.example.com\nnot a host\n10.0.0.1\n"
    answer = flow.launch.handle({"list": {"bucket": "lists", "key": "hosts.txt"}})
    run = flow.store.run(answer.run_id)
    assert (answer.hosts, answer.rejected) == (1, 2)
    assert [line.line for line in run.rejected_lines] == [2, 3]


def test_a_list_of_another_bucket_is_refused() -> None:
    with pytest.raises(RefusedError):
        Flow().launch.handle({"list": {"bucket": "results", "key": "hosts.txt"}})


def test_a_list_that_is_not_there_is_said_so() -> None:
    with pytest.raises(NotFoundError):
        Flow().launch.handle({"list": {"key": "missing.txt"}})


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"hosts": []},
        {"hosts": "a.example.com"},
        {"hosts": ["a.example.com"], "list": {"key": "x"}},
        {"hosts": ["a.example.com"], "settings": {"perHost": 16}},
        {"list": {"key": ""}},
        {"retry": {"scanId": "x", "attempt": 1}},
        {"retry": {"scanId": "20260304T050607Z-0badcafe-0000", "attempt": 3}},
        {"hosts": ["a.example.com"], "scheduledTime": "yesterday"},
        {"hosts": ["a.example.com"], "scheduledTime": "1970-01-01T00:00:00Z"},
        {"hosts": ["a.example.com"], "scheduledTime": "0001-01-01T00:00:00+14:00"},
        {"hosts": ["a.example.com"], "scheduledTime": "2026-03-05T05:00:00Z"},
        [],
        None,
    ],
)
def test_an_event_that_makes_no_sense_is_refused_and_nothing_starts(event: object) -> None:
    flow = Flow()
    with pytest.raises(InputError):
        flow.launch.handle(event)
    assert flow.store.runs == {}
    assert flow.tasks.orders == []


def test_a_list_of_a_lab_is_used_only_where_the_settings_allow_its_network() -> None:
    with pytest.raises(InputError):
        Flow().start("good.fleet.test")


def test_a_schedule_that_fires_twice_starts_one_run() -> None:
    flow = Flow()
    flow.lists.objects["hosts.txt"] = b"a.example.com\nb.example.com\nc.example.com"
    event = {"list": {"key": "hosts.txt"}, "scheduledTime": "2026-03-04T05:00:00Z"}
    first = flow.launch.handle(event)
    assert flow.launch.handle(event) == first
    assert len(flow.store.runs) == 1
    assert Counter(order.scan_id for order in flow.tasks.orders).most_common(1)[0][1] == 1


def test_a_list_that_changed_between_two_firings_makes_no_second_run() -> None:
    flow = Flow(shard_hosts=1)
    event = {"list": {"key": "hosts.txt"}, "scheduledTime": "2026-03-04T05:00:00Z"}
    for body in (b"a.example.com\nb.example.com\nc.example.com", b"d.example.com"):
        flow.lists.objects["hosts.txt"] = body
        flow.launch.handle(event)
    assert [run.pending for run in flow.store.runs.values()] == [3]


def test_a_repeated_launch_starts_what_a_crash_left_out() -> None:
    flow = Flow(shard_hosts=1)
    flow.lists.objects["hosts.txt"] = b"a.example.com\nb.example.com"
    event = {"list": {"key": "hosts.txt"}, "scheduledTime": "2026-03-04T05:00:00Z"}
    flow.tasks.errors = [KeyboardInterrupt()]  # type: ignore[list-item]  # the function's time is over
    with pytest.raises(KeyboardInterrupt):
        flow.launch.handle(event)
    flow.launch.handle(event)
    [first, second] = flow.store.scans(next(iter(flow.store.runs)))
    assert first.state is ScanState.LAUNCHING
    assert first.task_arn is None, "the first was claimed: only watch may release it"
    assert second.task_arn is not None


@pytest.mark.parametrize("error", [NoCapacityError("full"), UpstreamError("S3 is down")])
def test_a_scan_that_cannot_start_now_waits_and_the_others_start(error: UpstreamError) -> None:
    flow = Flow(shard_hosts=1)
    flow.tasks.errors = [error]
    first, second = flow.store.scans(flow.start("a.example.com", "b.example.com"))
    assert (first.state, first.attempt, first.launches) == (ScanState.REQUESTED, 1, 1)
    assert first.reason == error.reason
    assert second.state is ScanState.LAUNCHING


def test_a_scan_that_can_never_start_fails_at_once_and_counts_down() -> None:
    flow = Flow()
    flow.tasks.errors = [RefusedError("no image was promoted")]
    run_id = flow.start("a.example.com")
    [scan] = flow.store.scans(run_id)
    assert (scan.state, scan.missing, scan.reason) == (
        ScanState.FAILED,
        ("a.example.com",),
        "no image was promoted",
    )
    assert flow.store.run(run_id).pending == 0


def test_a_retry_starts_the_attempt_once_under_a_new_token() -> None:
    flow = Flow()
    flow.tasks.errors = [NoCapacityError("full")]
    [scan] = flow.store.scans(flow.start("a.example.com"))
    event = {"retry": {"scanId": scan.scan_id, "attempt": 1}}
    flow.launch.handle(event)
    flow.launch.handle(event)
    assert [order.token for order in flow.tasks.orders] == [f"{scan.scan_id}-1-1"]


def test_a_retry_of_an_attempt_that_is_over_starts_nothing() -> None:
    flow = Flow()
    [scan] = flow.store.scans(flow.start("a.example.com"))
    flow.launch.handle({"retry": {"scanId": scan.scan_id, "attempt": 2}})
    flow.launch.handle({"retry": {"scanId": scan.scan_id, "attempt": 1}})
    assert len(flow.tasks.orders) == 1


def test_with_enrichment_each_scan_has_two_steps() -> None:
    flow = Flow(enrichment=True, shard_hosts=2)
    assert flow.store.run(flow.start(*HOSTS)).pending == 4
