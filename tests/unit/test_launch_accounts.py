"""Orders of accounts: which are scanned, what their tasks are handed, and who is told why not."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest

from glovebox.errors import InputError, UpstreamError
from glovebox.registry.model import Disabled
from glovebox.registry.order import MAX_TARGETS, OrderAnswer
from glovebox.scans.accounts import AccountScanRequest
from glovebox.scans.model import (
    MAX_OCSF_REPORT_BYTES,
    MAX_RUN_SCANS,
    OutletOrder,
    RunState,
    ScanState,
    handoff_key,
)
from glovebox.scans.ports import NoCapacityError
from glovebox.scans.state import Run, Scan
from glovebox.services.attempts import MAX_ATTEMPT_SECONDS
from glovebox.services.authorities import AUTHORITIES_LAG, KeptAuthorities
from glovebox.services.launch import STARTING_SECONDS
from tests.fakes import FakeClock, FakeScanStore, FakeTasks
from tests.flow import Flow, stream_event
from tests.registry import SCANNING, account

A, B, C = (f"{number:012d}" for number in (1, 2, 3))
SCHEDULED = {"accounts": "all", "requestedBy": "schedule", "scheduledTime": "2026-03-04T05:00:00Z"}


@pytest.fixture
def flow() -> Flow:
    """Three accounts: two enabled, one in other regions than the deployment's, one disabled."""
    made = Flow(regions_per_scan=2)
    made.targets.put(account(1), revision=0)
    made.targets.put(account(2, regions=("eu-west-1",), external_id="external-id-of-its-own"), revision=0)
    made.targets.put(account(3, disabled=Disabled.BY_HAND), revision=0)
    return made


def order(flow: Flow, *ids: str) -> OrderAnswer:
    return flow.launch.handle({"accounts": list(ids), "requestedBy": "somebody"})


def scans_of(flow: Flow, answer: OrderAnswer) -> list[Scan]:
    return list(flow.store.scans(answer.run_id))


def hand_off_of(flow: Flow, scan_id: str, name: str, attempt: int = 1) -> str:
    return flow.hand_off.objects[handoff_key(scan_id, attempt, name)].decode()


def test_an_order_becomes_a_run_with_a_scan_for_each_shard_and_a_task_each(flow: Flow) -> None:
    answer = order(flow, B, A, B)
    run, scans = flow.store.run(answer.run_id), scans_of(flow, answer)
    assert (answer.accounts, answer.scans, answer.refused) == (2, 4, ())
    assert (run.kind, run.accounts, run.hosts, run.shards, run.pending) == ("account", 2, 0, 4, 4)
    assert (run.state, run.requested_by) == (RunState.RUNNING, "somebody")
    targets = [scan.account for scan in scans]
    assert [target.account for target in targets if target] == [A, A, A, B]
    assert [target.regions for target in targets if target] == [
        ["eu-central-1", "eu-west-1"],
        ["us-east-1"],
        ["eu-west-1"],  # its buckets
        ["eu-west-1"],
    ]
    assert {scan.state for scan in scans} == {ScanState.LAUNCHING}
    assert [task.kind for task in flow.tasks.orders] == ["account"] * 4


def test_the_task_is_told_its_account_where_to_claim_and_whom_to_believe_and_nothing_else(flow: Flow) -> None:
    [scan] = scans_of(flow, order(flow, B))
    request = msgspec.json.decode(hand_off_of(flow, scan.scan_id, "request.json"), type=AccountScanRequest)
    assert request.target == scan.account
    assert request.authorities == flow.authorities.text
    lines = dict(
        line.split("=", 1) for line in hand_off_of(flow, scan.scan_id, "inlet.env").splitlines() if line
    )
    assert set(lines) == {"GLOVEBOX_REQUEST_URL", "GLOVEBOX_CLAIM_URL", "GLOVEBOX_ENVELOPE_URL"}
    assert f"claims/{scan.scan_id}/1/claim.json" in lines["GLOVEBOX_CLAIM_URL"]
    assert f"handoff/{scan.scan_id}/1/envelope.json" in lines["GLOVEBOX_ENVELOPE_URL"]
    assert "results.invalid" not in "".join(lines.values())


def test_the_external_id_is_noted_for_redeem_and_told_to_no_task(flow: Flow) -> None:
    [scan] = scans_of(flow, order(flow, B))
    assert scan.external_id == "external-id-of-its-own"
    assert b"external-id-of-its-own" not in b"".join(flow.hand_off.objects.values())


def test_the_forms_admit_an_ocsf_report_of_its_size_and_type(flow: Flow) -> None:
    [scan] = scans_of(flow, order(flow, B))
    encoded = hand_off_of(flow, scan.scan_id, "outlet.env").partition("=")[2]
    told = msgspec.json.decode(base64.b64decode(encoded), type=OutletOrder)
    assert (told.kind, told.max_report_bytes) == ("account", MAX_OCSF_REPORT_BYTES)
    assert told.report.fields["key"] == f"results/{scan.scan_id}/1/report.ocsf.json"
    assert told.report.fields["max"] == str(MAX_OCSF_REPORT_BYTES)
    assert told.report.fields["Content-Type"] == "application/json"
    assert told.manifest.fields["key"] == f"results/{scan.scan_id}/1/manifest.json"


def test_nothing_is_resolved_and_no_ticket_key_is_needed(flow: Flow) -> None:
    flow.key.key = UpstreamError("no key")
    flow.names.error = UpstreamError("no resolver")
    assert {scan.state for scan in scans_of(flow, order(flow, A))} == {ScanState.LAUNCHING}


def test_an_attempt_has_an_hour(flow: Flow) -> None:
    [scan] = scans_of(flow, order(flow, B))
    assert scan.deadline == int(flow.clock().timestamp()) + MAX_ATTEMPT_SECONDS


# ---------------------------------------------------------------- refused


def test_what_is_not_scanned_is_said_with_the_reason_and_kept_with_the_run(flow: Flow) -> None:
    flow.targets.put(account(4, regions=("eu-west-1", "sa-east-1")), revision=0)
    flow.targets.put(account(int(SCANNING)), revision=0)
    answer = order(flow, A, C, f"{4:012d}", "777777777777", SCANNING)
    refused = {each.account: each.reason for each in answer.refused}
    assert set(refused) == {C, f"{4:012d}", "777777777777", SCANNING}
    assert "is disabled: by hand" in refused[C]
    assert "does not reach sa-east-1" in refused[f"{4:012d}"]
    assert "is not on record" in refused["777777777777"]
    assert "can never be a target" in refused[SCANNING]
    run = flow.store.run(answer.run_id)
    assert {line.text: line.reason for line in run.rejected_lines} == refused
    assert run.rejected_count == 4
    assert {scan.account.account for scan in scans_of(flow, answer) if scan.account} == {A}


def test_the_scanning_account_is_refused_as_such_where_nobody_has_put_it_on_record(flow: Flow) -> None:
    [refused] = order(flow, SCANNING).refused
    assert "can never be a target" in refused.reason
    assert flow.tasks.orders == []


def test_all_are_those_that_are_enabled(flow: Flow) -> None:
    flow.targets.put(account(int(SCANNING)), revision=0)
    answer = flow.launch.handle({"accounts": "all"})
    assert {scan.account.account for scan in scans_of(flow, answer) if scan.account} == {A, B}
    assert [each.account for each in answer.refused] == [SCANNING]


@pytest.mark.parametrize("event", [SCHEDULED, {"accounts": "all"}])
def test_where_nothing_is_to_be_scanned_the_run_ends_at_once_and_has_not_failed(
    event: dict[str, object],
) -> None:
    flow = Flow()
    answer = flow.launch.handle(event)
    assert (answer.accounts, answer.scans, answer.refused) == (0, 0, ())
    assert flow.store.run(answer.run_id).pending == 0
    flow.publish.handle(stream_event((answer.run_id, "run")))
    assert flow.store.run(answer.run_id).state is RunState.COMPLETED
    assert flow.store.open_runs() == []


def test_a_run_without_scans_whose_event_was_lost_is_closed_by_the_tick() -> None:
    flow = Flow()
    answer = flow.launch.handle(SCHEDULED)
    flow.clock.pass_seconds(3_600)
    flow.watch.handle({"tick": True})
    assert flow.store.run(answer.run_id).nudged_at is not None


def test_more_scans_than_a_run_holds_are_refused_as_a_whole() -> None:
    flow = Flow(regions_per_scan=1)
    for number in range(MAX_RUN_SCANS // 3 + 1):
        flow.targets.put(account(number), revision=0)
    with pytest.raises(InputError, match="10,000 at most"):
        flow.launch.handle({"accounts": "all"})
    assert flow.store.all_scans == {}


@pytest.mark.parametrize(
    "event",
    [
        {"accounts": []},
        {"accounts": "some"},
        {"accounts": "111122223333"},
        {"accounts": ["all"]},
        {"accounts": [A], "hosts": ["a.example.com"]},
        {"accounts": [A] * (MAX_TARGETS + 1)},
    ],
)
def test_an_order_that_makes_no_sense_starts_nothing(flow: Flow, event: dict[str, object]) -> None:
    with pytest.raises(InputError):
        flow.launch.handle(event)
    assert flow.store.runs == {}


# ---------------------------------------------------------------- once, and again


def test_a_schedule_that_fires_twice_is_one_run_with_each_task_once(flow: Flow) -> None:
    first = flow.launch.handle(SCHEDULED)
    assert flow.launch.handle(SCHEDULED) == first
    assert len(flow.store.runs) == 1
    assert len(flow.tasks.orders) == first.scans == 4


def test_a_registry_that_changed_between_two_firings_makes_no_second_run(flow: Flow) -> None:
    first = flow.launch.handle(SCHEDULED)
    flow.targets.put(account(0), revision=0)
    assert flow.launch.handle(SCHEDULED) == first
    assert flow.launch.handle({**SCHEDULED, "scheduledTime": "2026-03-04T06:00:00+01:00"}) == first
    assert [run.accounts for run in flow.store.runs.values()] == [2]
    flow.launch.handle({**SCHEDULED, "accounts": [A]})
    flow.launch.handle({**SCHEDULED, "scheduledTime": "2026-03-04T05:01:00Z"})
    assert [run.accounts for run in flow.store.runs.values()] == [2, 1, 3]


def test_two_firings_at_once_are_one_run_though_each_read_another_registry(flow: Flow) -> None:
    class Late(FakeScanStore):
        """The other one is done just before our own creation."""

        def create(self, run: Run, scans: Sequence[Scan], *, once: str = "") -> None:
            if not self.runs:
                self.create = super().create  # type: ignore[method-assign]  # once
                flow.targets.put(account(0), revision=0)
                flow.launch.handle(SCHEDULED)
            super().create(run, scans, once=once)

    flow.store = Late()
    answer = flow.launch.handle(SCHEDULED)
    [run] = flow.store.runs.values()
    assert (answer.run_id, run.accounts) == (run.run_id, 3)


def test_what_a_try_wrote_before_it_died_is_of_the_old_registry_and_in_no_run(flow: Flow) -> None:
    """Its numbers stand for other accounts."""

    class Dying(FakeScanStore):
        def create(self, run: Run, scans: Sequence[Scan], *, once: str = "") -> None:
            self.create = super().create  # type: ignore[method-assign]  # once
            self.all_scans.update({scan.scan_id: scan for scan in scans})
            raise UpstreamError("throttled")

    flow.store = Dying()
    with pytest.raises(UpstreamError):
        flow.launch.handle(SCHEDULED)
    flow.targets.put(account(0), revision=0)
    answer = flow.launch.handle(SCHEDULED)
    assert answer.accounts == 3
    assert {scan.account.account for scan in scans_of(flow, answer) if scan.account} == {f"{0:012d}", A, B}


def test_a_launch_that_died_goes_on_where_it_was(flow: Flow) -> None:
    flow.tasks.errors = [KeyboardInterrupt()]  # type: ignore[list-item]  # the function's time is over
    with pytest.raises(KeyboardInterrupt):
        flow.launch.handle(SCHEDULED)
    answer = flow.launch.handle(SCHEDULED)
    first, *others = scans_of(flow, answer)
    assert first.task_arn is None, "the first was claimed: only watch may release it"
    assert all(scan.task_arn for scan in others)


def test_a_second_attempt_is_handed_addresses_of_its_own(flow: Flow) -> None:
    [scan] = scans_of(flow, order(flow, B))
    flow.watch.handle(flow.task_event(scan.scan_id, "STOPPED", outlet=None))
    [asked] = flow.launcher.asked
    assert asked == (scan.scan_id, 2)
    flow.launch.handle({"retry": {"scanId": scan.scan_id, "attempt": 2}})
    assert f"claims/{scan.scan_id}/2/claim.json" in hand_off_of(flow, scan.scan_id, "inlet.env", 2)
    assert [task.kind for task in flow.tasks.orders] == ["account"] * 2
    assert flow.store.scan(scan.scan_id).account == scan.account


@pytest.mark.parametrize("error", [NoCapacityError("full"), UpstreamError("no parameter")])
def test_what_cannot_start_now_waits(flow: Flow, error: UpstreamError) -> None:
    if isinstance(error, NoCapacityError):
        flow.tasks.errors = [error]
    else:
        flow.authorities.error = error
    [scan] = scans_of(flow, order(flow, B))
    assert (scan.state, scan.attempt, scan.launches, scan.reason) == (
        ScanState.REQUESTED,
        1,
        1,
        error.reason,
    )


def test_what_is_not_begun_when_the_answer_is_due_is_left_to_watch(flow: Flow) -> None:
    class Slow(FakeTasks):
        def start(self, order: object) -> str:
            flow.clock.pass_seconds(STARTING_SECONDS)
            return super().start(order)  # type: ignore[arg-type]  # handed on

    flow.tasks = Slow()
    answer = order(flow, A, B)
    assert answer.scans == 4
    assert [scan.state for scan in scans_of(flow, answer)] == [
        ScanState.LAUNCHING,
        *[ScanState.REQUESTED] * 3,
    ]
    flow.watch.handle({"tick": True})
    assert len(flow.launcher.asked) == 3


def test_the_answer_is_what_the_command_line_reads(flow: Flow) -> None:
    answer = order(flow, A, C)
    assert msgspec.json.decode(json.dumps(msgspec.to_builtins(answer)), type=OrderAnswer) == answer


# ---------------------------------------------------------------- authorities


def test_authorities_are_read_once_in_minutes() -> None:
    clock, texts = FakeClock(), ["-----BEGIN CERTIFICATE-----1", "-----BEGIN CERTIFICATE-----2"]
    kept = KeptAuthorities(lambda: texts.pop(0), clock)
    assert {kept.pem() for _ in range(3)} == {"-----BEGIN CERTIFICATE-----1"}
    clock.time += AUTHORITIES_LAG - timedelta(seconds=1)
    assert kept.pem().endswith("1")
    clock.time += timedelta(seconds=1)
    assert kept.pem().endswith("2")


@pytest.mark.parametrize("text", ["", "Nothing yet.", "-----BEGIN CERTIFICATE-----" + "x" * (1 << 20)])
def test_a_parameter_without_authorities_is_read_again_next_time(text: str) -> None:
    texts = [text, "-----BEGIN CERTIFICATE-----"]
    kept = KeptAuthorities(lambda: texts.pop(0), FakeClock())
    with pytest.raises(UpstreamError, match="no authority"):
        kept.pem()
    assert kept.pem()
