"""Orders of repositories: who is scanned by whom, what a task is handed, and what a snapshot fails of."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import msgspec
import pytest

from glovebox.errors import InputError, RefusedError, UpstreamError
from glovebox.registry.model import Disabled
from glovebox.registry.order import MAX_TARGETS, RepositoriesAnswer
from glovebox.scans.model import MAX_FOUND_BYTES, MAX_RUN_SCANS, OutletOrder, RunState, ScanState, handoff_key
from glovebox.scans.ports import NoCapacityError
from glovebox.scans.repositories import RepositoryScanRequest, SnapshotAnswer, SnapshotOrder
from glovebox.scans.state import Scan, ScanFailure
from glovebox.services.launch import STARTING_REPOSITORIES_SECONDS
from glovebox.services.repository_runs import ATTEMPT_SECONDS, SNAPSHOT_SECONDS
from glovebox.services.watch import CAPACITY_SECONDS, LAUNCHING_SECONDS
from tests.fakes import FakeSnapshots, no_snapshot, snapshot_answer
from tests.flow import Flow, stream_event
from tests.registry import repository

SHOP, TOOLS, OLD, OFF = (f"github.com/acme/{name}" for name in ("shop", "tools", "old", "off"))
SCHEDULED = {"repositories": "all", "requestedBy": "schedule", "scheduledTime": "2026-03-04T05:00:00Z"}


@pytest.fixture
def flow() -> Flow:
    """One with a scanner of its own, one that is archived, one that is disabled."""
    made = Flow()
    made.targets.put(repository("shop"), revision=0)
    made.targets.put(repository("tools", scanners=("kingfisher",)), revision=0)
    made.targets.put(repository("old", archived=True), revision=0)
    made.targets.put(repository("off", disabled=Disabled.BY_HAND), revision=0)
    return made


def order(flow: Flow, *ids: str, **said: object) -> RepositoriesAnswer:
    answer = flow.launch.handle({"repositories": list(ids), "requestedBy": "somebody", **said})
    assert isinstance(answer, RepositoriesAnswer)
    return answer


def scans_of(flow: Flow, answer: RepositoriesAnswer) -> list[Scan]:
    return list(flow.store.scans(answer.run_id))


def one_scan(flow: Flow) -> Scan:
    [scan] = scans_of(flow, order(flow, TOOLS))
    return scan


def again(flow: Flow, scan: Scan) -> Scan:
    flow.launch.handle({"retry": {"scanId": scan.scan_id, "attempt": scan.attempt}})
    return flow.store.scan(scan.scan_id)


def hand_off_of(flow: Flow, scan: Scan, name: str) -> str:
    return flow.hand_off.objects[handoff_key(scan.scan_id, scan.attempt, name)].decode()


# ---------------------------------------------------------------- what is ordered


def test_an_order_becomes_a_scan_for_each_repository_and_scanner_and_a_task_each(flow: Flow) -> None:
    answer = order(flow, TOOLS, SHOP, TOOLS)
    run, scans = flow.store.run(answer.run_id), scans_of(flow, answer)
    assert (answer.repositories, answer.scans, answer.refused) == (2, 3, ())
    assert (run.kind, run.repositories, run.accounts, run.hosts) == ("repository", 2, 0, 0)
    assert (run.shards, run.pending, run.requested_by) == (3, 3, "somebody")
    told = [(each.repository.repository, each.repository.scanner) for each in scans if each.repository]
    assert told == [(SHOP, "trivy"), (SHOP, "trufflehog"), (TOOLS, "kingfisher")]
    assert [each.kind for each in flow.tasks.orders] == ["trivy", "trufflehog", "kingfisher"]
    assert {each.state for each in scans} == {ScanState.LAUNCHING}


def test_the_scanners_of_a_repository_ask_for_one_and_the_same_snapshot(flow: Flow) -> None:
    answer = order(flow, SHOP, ref="v1.2")
    assert flow.snapshots.orders == [SnapshotOrder(run_id=answer.run_id, repository=SHOP, ref="v1.2")] * 2
    assert {each.repository.ref for each in scans_of(flow, answer) if each.repository} == {"v1.2"}


def test_the_default_branch_by_its_name_is_the_default_branch(flow: Flow) -> None:
    flow.targets.put(repository("trunk", default_branch="trunk"), revision=0)
    answer = order(flow, "github.com/acme/trunk", SHOP, ref="trunk")
    refs = {each.target for each in scans_of(flow, answer)}
    assert refs == {"repo:github.com/acme/trunk", f"repo:{SHOP}@trunk"}
    assert {each.ref for each in flow.snapshots.orders if each.repository != SHOP} == {""}


def test_the_task_is_told_what_to_unpack_and_where_it_is_and_nothing_else(flow: Flow) -> None:
    scan = one_scan(flow)
    request = msgspec.json.decode(hand_off_of(flow, scan, "request.json"), type=RepositoryScanRequest)
    snapshot = snapshot_answer(TOOLS).snapshot
    assert snapshot is not None
    assert request.target == scan.repository
    assert (request.commit, request.size, request.sha256, request.files) == (
        snapshot.commit,
        snapshot.size,
        snapshot.sha256,
        snapshot.files,
    )
    lines = dict(line.split("=", 1) for line in hand_off_of(flow, scan, "inlet.env").splitlines())
    assert lines.keys() == {"GLOVEBOX_REQUEST_URL", "GLOVEBOX_SNAPSHOT_URL"}
    assert lines["GLOVEBOX_SNAPSHOT_URL"] == f"https://snapshots.invalid/{TOOLS}?signature"


def test_the_outlet_alone_gets_the_key_for_fingerprints(flow: Flow) -> None:
    scan = one_scan(flow)
    encoded = hand_off_of(flow, scan, "outlet.env").partition("=")[2]
    told = msgspec.json.decode(base64.b64decode(encoded), type=OutletOrder)
    assert (told.kind, told.max_report_bytes) == ("kingfisher", MAX_FOUND_BYTES)
    assert told.fingerprint_key == "f" * 64
    assert told.report.fields["key"] == f"results/{scan.scan_id}/1/found.jsonl"
    others = [body for key, body in flow.hand_off.objects.items() if not key.endswith("outlet.env")]
    assert others
    assert all(b"f" * 64 not in body for body in others)


def test_what_the_task_will_look_at_is_on_record_before_it_starts(flow: Flow) -> None:
    seen: list[object] = []
    start = flow.tasks.start
    flow.tasks.start = lambda order: (  # type: ignore[method-assign]  # looked at on its way
        seen.append(flow.store.scan(order.scan_id).snapshot) or start(order)
    )
    assert one_scan(flow).snapshot == seen[0] == snapshot_answer(TOOLS).snapshot


def test_no_name_is_resolved_no_ticket_signed_and_no_authority_told(flow: Flow) -> None:
    flow.key.key = UpstreamError("no key")
    flow.names.error = UpstreamError("no resolver")
    flow.authorities.error = UpstreamError("no parameter")
    assert one_scan(flow).state is ScanState.LAUNCHING


def test_an_attempt_has_time_for_its_snapshot_its_start_and_its_scan(flow: Flow) -> None:
    scan = one_scan(flow)
    assert scan.deadline == int(flow.clock().timestamp()) + ATTEMPT_SECONDS


# ---------------------------------------------------------------- refused


def test_what_is_not_scanned_is_said_with_the_reason_and_kept_with_the_run(flow: Flow) -> None:
    stranger = "github.com/acme/none"
    answer = order(flow, OLD, OFF, stranger)
    assert {each.repository: each.reason.split(". ")[0] for each in answer.refused} == {
        stranger: f"{stranger} is not on record",
        OFF: f"{OFF} is disabled: by hand",
    }
    run = flow.store.run(answer.run_id)
    assert [line.text for line in run.rejected_lines] == [stranger, OFF]
    assert {each.repository.repository for each in scans_of(flow, answer) if each.repository} == {OLD}


def test_the_answer_names_repositories_and_can_be_read_back(flow: Flow) -> None:
    answer = order(flow, SHOP, OFF)
    told = json.loads(json.dumps(msgspec.to_builtins(answer)))
    assert told.keys() == {"runId", "repositories", "scans", "refused"}
    assert told["refused"][0].keys() == {"repository", "reason"}
    assert msgspec.convert(told, RepositoriesAnswer) == answer


def test_all_are_those_that_are_enabled(flow: Flow) -> None:
    answer = flow.launch.handle({"repositories": "all"})
    scans = flow.store.scans(answer.run_id)
    assert {each.repository.repository for each in scans if each.repository} == {SHOP, TOOLS, OLD}


def test_where_nothing_is_to_be_scanned_the_run_ends_at_once_and_has_not_failed() -> None:
    flow = Flow()
    answer = flow.launch.handle(SCHEDULED)
    flow.publish.handle(stream_event((answer.run_id, "run")))
    assert flow.store.run(answer.run_id).state is RunState.COMPLETED


def test_more_scans_than_a_run_holds_are_refused_as_a_whole() -> None:
    flow = Flow()
    for number in range(MAX_RUN_SCANS // 2 + 1):
        flow.targets.put(repository(f"r{number}"), revision=0)
    with pytest.raises(InputError, match="10,000 at most"):
        flow.launch.handle({"repositories": "all"})
    assert flow.store.all_scans == {}


@pytest.mark.parametrize(
    "event",
    [
        {"repositories": []},
        {"repositories": "some"},
        {"repositories": SHOP},
        {"repositories": ["acme/shop"]},
        {"repositories": ["github.com/Acme/Shop"]},
        {"repositories": [SHOP], "accounts": "all"},
        {"repositories": [SHOP], "ref": "--upload-pack=sh"},
        {"repositories": [SHOP], "ref": "a b"},
        {"accounts": "all", "ref": "main"},
        {"ref": "main"},
        {"repositories": [SHOP] * (MAX_TARGETS + 1)},
    ],
)
def test_an_order_that_makes_no_sense_starts_nothing(flow: Flow, event: dict[str, object]) -> None:
    with pytest.raises(InputError):
        flow.launch.handle(event)
    assert flow.store.runs == {}


# ---------------------------------------------------------------- no snapshot


def test_a_failure_for_good_ends_the_scan_with_its_class_and_what_to_do(flow: Flow) -> None:
    flow.snapshots.answers = [no_snapshot("repository_gone")]
    scan = one_scan(flow)
    assert (scan.state, scan.attempt, scan.reason) == (ScanState.FAILED, 1, "There is none.")
    assert scan.failure == ScanFailure(failure_class="repository_gone", fix="See the host.")
    assert flow.tasks.orders == []
    assert not any("inlet" in key for key in flow.hand_off.objects)


def test_one_repository_without_a_snapshot_keeps_no_other_from_its_scan(flow: Flow) -> None:
    flow.snapshots.answers = [no_snapshot()]
    states = [each.state for each in scans_of(flow, order(flow, SHOP, TOOLS))]
    assert states == [ScanState.FAILED, ScanState.LAUNCHING, ScanState.LAUNCHING]


def test_a_failure_that_may_pass_waits_and_is_forgotten_when_it_has_passed(flow: Flow) -> None:
    flow.snapshots.answers = [no_snapshot("rate_limited", again=True)]
    scan = one_scan(flow)
    assert (scan.state, scan.attempt, scan.launches) == (ScanState.REQUESTED, 1, 1)
    assert scan.failure is not None
    flow.tasks.errors = [NoCapacityError("full")]
    full = again(flow, scan)
    assert (full.state, full.reason, full.failure) == (ScanState.REQUESTED, "full", None)
    assert again(flow, full).state is ScanState.LAUNCHING


def test_a_scan_that_got_its_snapshot_at_last_tells_no_more_of_what_kept_it(flow: Flow) -> None:
    flow.snapshots.answers = [no_snapshot("rate_limited", again=True)]
    started = again(flow, one_scan(flow))
    assert (started.state, started.reason, started.failure) == (ScanState.LAUNCHING, None, None)
    flow.watch.handle(flow.task_event(started.scan_id, "STOPPED", outlet=None))
    second = again(flow, flow.store.scan(started.scan_id))
    assert "ended without a report" in (second.reason or "")


def test_what_never_passes_ends_with_the_class_of_the_failure_when_patience_is_over(flow: Flow) -> None:
    flow.snapshots.answers = [no_snapshot("host_unavailable", again=True)]
    scan = one_scan(flow)
    flow.clock.pass_seconds(CAPACITY_SECONDS + 1)
    flow.watch.handle({"tick": True})
    ended = flow.store.scan(scan.scan_id)
    assert (ended.state, ended.reason) == (ScanState.FAILED, "There is none.")
    assert ended.failure == ScanFailure(failure_class="host_unavailable", fix="See the host.")


HALF: list[Callable[[], SnapshotAnswer | Exception]] = [
    lambda: UpstreamError("snapshot failed: out of memory"),
    SnapshotAnswer,
    lambda: msgspec.structs.replace(snapshot_answer(TOOLS), url=""),
    lambda: msgspec.structs.replace(snapshot_answer(TOOLS), url="https://a\nGLOVEBOX_REQUEST_URL=https://b"),
    lambda: msgspec.structs.replace(snapshot_answer(TOOLS), fingerprint_key=""),
    lambda: snapshot_answer(SHOP),
    lambda: snapshot_answer(TOOLS, "another"),
]


@pytest.mark.parametrize("answer", HALF)
def test_half_an_answer_and_one_about_something_else_are_none(
    flow: Flow, answer: Callable[[], SnapshotAnswer | Exception]
) -> None:
    flow.snapshots.answers = [answer()]
    scan = one_scan(flow)
    assert (scan.state, scan.failure) == (ScanState.REQUESTED, None)
    assert flow.tasks.orders == []


def test_what_can_never_start_ends_the_scan(flow: Flow) -> None:
    flow.tasks.errors = [RefusedError("no promoted image")]
    assert one_scan(flow).state is ScanState.FAILED


# ---------------------------------------------------------------- overtaken


def overtaken(flow: Flow, *, seconds: float, tick: bool = True, relaunch: bool = False) -> None:
    """The next snapshot takes so long that watch sees the launch, or another one comes."""

    class Slow(FakeSnapshots):
        def take(self, order: SnapshotOrder) -> SnapshotAnswer:
            flow.snapshots = FakeSnapshots(orders=self.orders)
            flow.clock.pass_seconds(seconds)
            if tick:
                flow.watch.handle({"tick": True})
            if relaunch:
                asked, flow.launcher.asked = flow.launcher.asked, []
                for scan_id, attempt in asked:
                    flow.launch.handle({"retry": {"scanId": scan_id, "attempt": attempt}})
            return super().take(order)

    flow.snapshots = Slow(orders=flow.snapshots.orders)


def test_a_launch_that_was_taken_for_lost_starts_no_task_and_stops_no_other(flow: Flow) -> None:
    overtaken(flow, seconds=LAUNCHING_SECONDS + 1)
    first, *_ = scans = scans_of(flow, order(flow, SHOP))
    assert (first.state, first.launches, first.snapshot) == (ScanState.REQUESTED, 1, None)
    assert first.scan_id not in {each.scan_id for each in flow.tasks.orders}
    assert len(scans) == 2
    flow.watch.handle({"tick": True})
    assert flow.launcher.asked


def test_of_two_launches_of_one_attempt_only_the_later_starts_a_task(flow: Flow) -> None:
    overtaken(flow, seconds=LAUNCHING_SECONDS + 1, relaunch=True)
    scan = one_scan(flow)
    assert (scan.state, scan.launches) == (ScanState.LAUNCHING, 1)
    [task] = flow.tasks.orders
    assert task.token == f"{scan.scan_id}-1-1"
    assert scan.task_arn is not None


def test_a_snapshot_as_slow_as_it_may_be_is_no_lost_launch(flow: Flow) -> None:
    overtaken(flow, seconds=SNAPSHOT_SECONDS)
    assert one_scan(flow).task_arn is not None


def test_what_is_not_begun_in_seconds_is_left_to_watch_because_a_snapshot_may_take_minutes(
    flow: Flow,
) -> None:
    overtaken(flow, seconds=STARTING_REPOSITORIES_SECONDS, tick=False)
    states = [each.state for each in scans_of(flow, order(flow, SHOP, TOOLS))]
    assert states == [ScanState.LAUNCHING, ScanState.REQUESTED, ScanState.REQUESTED]


# ---------------------------------------------------------------- once, and again


def test_a_schedule_that_fires_twice_is_one_run_with_each_task_once(flow: Flow) -> None:
    first = flow.launch.handle(SCHEDULED)
    assert flow.launch.handle(SCHEDULED) == first
    assert len(flow.store.runs) == 1
    assert len(flow.tasks.orders) == first.scans == 5


def test_another_ref_at_the_same_time_is_another_run(flow: Flow) -> None:
    flow.launch.handle(SCHEDULED)
    flow.launch.handle({**SCHEDULED, "ref": "next"})
    assert len(flow.store.runs) == 2


def test_a_second_attempt_gets_an_address_of_its_own_and_a_task_of_its_kind(flow: Flow) -> None:
    scan = one_scan(flow)
    flow.watch.handle(flow.task_event(scan.scan_id, "STOPPED", outlet=None))
    second = again(flow, flow.store.scan(scan.scan_id))
    assert (second.state, second.attempt) == (ScanState.LAUNCHING, 2)
    assert "GLOVEBOX_SNAPSHOT_URL=" in hand_off_of(flow, second, "inlet.env")
    assert [each.kind for each in flow.tasks.orders] == ["kingfisher"] * 2
    assert len(flow.snapshots.orders) == 2


def test_a_task_past_its_deadline_is_stopped_and_tried_once_more(flow: Flow) -> None:
    scan = one_scan(flow)
    flow.watch.handle(flow.task_event(scan.scan_id, "RUNNING"))
    flow.clock.pass_seconds(ATTEMPT_SECONDS + 1)
    flow.watch.handle({"tick": True})
    assert flow.tasks.stopped == [scan.task_arn]
    assert flow.store.scan(scan.scan_id).attempt == 2
