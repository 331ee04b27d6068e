"""From an account's report to findings: bound to its scan, recorded once, however often and however late."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from glovebox.errors import ConflictError, UpstreamError
from glovebox.findings.canaries import PlantedResource
from glovebox.findings.model import Acceptance, prowler_identity
from glovebox.findings.recording import accept
from glovebox.findings.store import Commit, FindingStore, ScanRecord
from glovebox.scans.accounts import AccountTarget
from glovebox.scans.model import LoggedErrors, Manifest, ScanState, report_key
from glovebox.scans.state import RECORDING_LOST, Scan
from glovebox.services import account_reports
from glovebox.services.recorded_reports import CONFLICT_WAITS, MAX_REASON
from glovebox.services.watch import INGEST_SECONDS
from tests.account_flow import TARGET, buckets, logged, one_scan, order, take, upload
from tests.findings import small_findings
from tests.flow import Event, Flow, manifest_of
from tests.prowler import ACCOUNT, REGION, bucket, item
from tests.small_dynamodb import SmallDynamoDB

CANARY = PlantedResource(
    account=ACCOUNT,
    check="iam_role_cross_account_readonlyaccess_policy",
    region="us-east-1",
    resource=f"arn:aws:iam::{ACCOUNT}:role/GloveboxCanary",
)
DAY = 86_400


@pytest.fixture
def flow() -> Flow:
    return Flow()


@pytest.fixture(autouse=True)
def without_canaries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is planted is the audit role's business; the tests about it plant their own."""
    monkeypatch.setattr(account_reports, "planted", lambda account: ())


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch, without_canaries: None) -> PlantedResource:
    monkeypatch.setattr(account_reports, "planted", lambda account: (CANARY,))
    return CANARY


def states(flow: Flow, target: str = TARGET) -> dict[str, int]:
    ledger, counts = flow.findings.ledger(target), dict[str, int]()
    for entry in ledger.entries.values():
        counts[ledger.shown(entry).value] = counts.get(ledger.shown(entry).value, 0) + 1
    return counts


def the_record(flow: Flow, scan: Scan) -> ScanRecord:
    found = flow.findings.scan(TARGET, scan.scan_id)
    assert found is not None
    return found


# ---------------------------------------------------------------- how a scan ends


def test_a_whole_report_completes_the_scan_and_its_counts_are_what_changed(flow: Flow) -> None:
    scan = one_scan(flow)
    after = take(flow, scan, buckets(1, 2))
    assert (after.state, after.counts, after.reason, after.failure) == (
        ScanState.COMPLETED,
        {"new": 2},
        None,
        None,
    )
    assert after.report_key == report_key(scan.scan_id, 1, "account")
    assert flow.store.run(scan.scan_id[:25]).pending == 0
    assert states(flow) == {"new": 2}
    assert the_record(flow, scan).items == 2


def test_the_next_day_what_is_gone_is_resolved(flow: Flow) -> None:
    take(flow, one_scan(flow), buckets(1, 2))
    flow.clock.pass_seconds(DAY)
    assert take(flow, one_scan(flow), buckets(2)).counts == {"resolved": 1}
    assert states(flow) == {"open": 1, "resolved": 1}


@pytest.mark.parametrize(
    ("manifest", "said", "failure"),
    [
        ({"scanner_exit": None}, "The scanner was killed.", "scanner_killed"),
        ({"scanner_exit": 137}, "The scanner ended with code 137.", "scanner_killed"),
        ({"scanner_exit": 1}, "The scanner ended with code 1.", "scanner_errors"),
        ({"reason": "cut at \x1b[31m100 MB"}, "The outlet says: cut at 100 MB.", "report_damaged"),
        (
            {"report_withheld": 2},
            "The outlet withheld 2 items that it could not read.",
            "report_damaged",
        ),
        ({"report_lines": 7}, "The manifest counts 7 items, the report has 2.", "report_damaged"),
        (
            {
                "logged_errors": [
                    LoggedErrors(what="AccessDenied:ListRoles", count=3),
                    LoggedErrors(what="AccessDenied:ListObjectsV2", count=9),
                    LoggedErrors(what="other", count=1),
                ]
            },
            "The scanner's log has errors: AccessDenied:ListRoles (3), other (1).",
            "scanner_errors",
        ),
    ],
)
def test_what_the_task_tells_against_its_report_makes_it_partial(
    flow: Flow, manifest: dict[str, object], said: str, failure: str
) -> None:
    take(flow, one_scan(flow), buckets(1))
    flow.clock.pass_seconds(DAY)
    after = take(flow, one_scan(flow), buckets(2, 3), **manifest)
    assert (after.state, after.reason) == (ScanState.PARTIAL, said)
    assert after.failure is not None
    assert after.failure.failure_class == failure
    assert after.failure.fix
    # Bad news counts, good news does not.
    assert states(flow) == {"open": 1, "new": 2}


def test_the_denials_of_our_own_policy_are_no_trouble(flow: Flow) -> None:
    errors = [
        LoggedErrors(what="AccessDenied:ListObjectsV2", count=9),
        LoggedErrors(what="403:HeadBucket", count=1),
    ]
    assert take(flow, one_scan(flow), buckets(1), logged_errors=errors).state is ScanState.COMPLETED


def test_of_many_kinds_of_errors_some_are_named_and_the_reason_stays_short(flow: Flow) -> None:
    errors = [LoggedErrors(what=f"E{number}:{'x' * 100}\u202e", count=1) for number in range(100)]
    after = take(flow, one_scan(flow), buckets(1), logged_errors=errors)
    assert after.reason is not None
    assert len(after.reason) <= MAX_REASON
    assert "\u202e" not in after.reason
    record_reason = the_record(flow, one_scan_of(flow)).reasons[0]
    assert record_reason.endswith("and 90 more kinds.")


def one_scan_of(flow: Flow) -> Scan:
    [scan] = flow.store.all_scans.values()
    return scan


def test_a_canary_that_is_reported_is_no_finding(flow: Flow, canary: PlantedResource) -> None:
    planted = item(canary.resource, check=canary.check, region=canary.region)
    after = take(flow, one_scan(flow), [planted, *buckets(1)])
    assert (after.state, after.counts) == (ScanState.COMPLETED, {"new": 1})


def test_a_canary_that_is_not_reported_makes_the_scan_untrusted_and_raises_the_alarm(
    flow: Flow, canary: PlantedResource, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = one_scan(flow)
    after = take(flow, scan, buckets(1))
    assert (after.state, after.counts) == (ScanState.UNTRUSTED, {"new": 1})
    assert after.reason is not None
    assert canary.resource in after.reason
    assert after.failure is not None
    assert after.failure.failure_class == "canary_missed"
    [alarm] = logged(capsys, "scan untrusted")
    assert (alarm["level"], alarm["scanId"], alarm["target"]) == ("ERROR", scan.scan_id, TARGET)


def test_a_canary_of_services_that_another_shard_looks_at_is_not_expected(
    flow: Flow, canary: PlantedResource
) -> None:
    scan = shard(flow, without=["iam"])
    assert take(flow, scan, buckets(1)).state is ScanState.COMPLETED


def shard(flow: Flow, **target: Any) -> Scan:
    """The scan, made one of a part of the account."""
    scan = one_scan(flow)
    assert scan.account is not None
    part = AccountTarget(**{"account": ACCOUNT, "regions": [REGION], **target})
    flow.store.all_scans[scan.scan_id] = replace(scan, account=part)
    return flow.store.scan(scan.scan_id)


def test_each_shard_resolves_what_it_looked_at_and_nothing_else(flow: Flow) -> None:
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue"
    first = [*buckets(1, 2), item(queue, check="sqs_queues_not_publicly_accessible")]
    take(flow, one_scan(flow), first)
    flow.clock.pass_seconds(DAY)
    take(flow, shard(flow, services=["s3"]), buckets(1))
    assert states(flow) == {"open": 2, "resolved": 1}
    flow.clock.pass_seconds(DAY)
    other = item(f"{queue}-2", check="sqs_queues_not_publicly_accessible")
    take(flow, shard(flow, without=["s3"]), [other])
    assert states(flow) == {"open": 1, "resolved": 2, "new": 1}


@pytest.mark.parametrize("part", [{"services": ["sqs"]}, {"without": ["s3"]}])
def test_a_shard_that_speaks_of_another_ones_services_is_untrusted_and_resolves_nothing(
    flow: Flow, part: dict[str, list[str]]
) -> None:
    take(flow, one_scan(flow), buckets(1))
    flow.clock.pass_seconds(DAY)
    after = take(flow, shard(flow, **part), buckets(1, status="PASS"))
    assert after.state is ScanState.UNTRUSTED
    assert after.reason is not None
    assert after.reason.startswith("The report speaks of a service of another shard, 1 times.")
    assert states(flow) == {"open": 1}


def test_a_service_that_falls_silent_is_held_and_says_what_to_do(flow: Flow) -> None:
    take(flow, one_scan(flow), buckets(1))
    flow.clock.pass_seconds(DAY)
    quiet = item(f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue", check="sqs_queues_not_publicly_accessible")
    after = take(flow, one_scan(flow), [quiet])
    assert (after.state, after.counts) == (ScanState.PARTIAL, {"held": 1, "new": 1})
    assert after.failure is not None
    assert after.failure.failure_class == "findings_held"


def test_a_scan_that_a_later_one_overtook_changes_nothing_and_says_so(flow: Flow) -> None:
    early = one_scan(flow)
    flow.clock.pass_seconds(DAY)
    take(flow, one_scan_after(flow, early), buckets(1))
    after = take(flow, early, buckets(2))
    assert (after.state, after.counts) == (ScanState.COMPLETED, {})
    assert after.reason == "A later scan was ingested before."
    assert states(flow) == {"new": 1}


def one_scan_after(flow: Flow, early: Scan) -> Scan:
    [scan] = [each for each in flow.store.scans(order(flow)) if each.scan_id != early.scan_id]
    return scan


# ---------------------------------------------------------------- attempts


def test_a_scanner_that_left_no_report_is_tried_once_more(flow: Flow) -> None:
    scan = one_scan(flow)
    told = Manifest(scan_id=scan.scan_id, attempt=1, report_uploaded=False, reason="the report is empty")
    flow.ingest.handle(flow.announce(scan.scan_id, told))
    again = flow.store.scan(scan.scan_id)
    assert (again.state, again.attempt) == (ScanState.REQUESTED, 2)
    flow.launch.handle({"retry": {"scanId": scan.scan_id, "attempt": 2}})
    after = take(flow, again, buckets(1), 2)
    assert (after.state, after.counts) == (ScanState.COMPLETED, {"new": 1})


def test_two_attempts_without_a_report_fail_the_scan(flow: Flow) -> None:
    scan = one_scan(flow)
    for attempt in (1, 2):
        told = Manifest(scan_id=scan.scan_id, attempt=attempt, report_uploaded=False, reason="none")
        flow.ingest.handle(flow.announce(scan.scan_id, told, attempt))
    after = flow.store.scan(scan.scan_id)
    assert (after.state, after.reason) == (ScanState.FAILED, "The task sent no report: none.")
    assert flow.findings.ledger(TARGET).revision == 0


def test_a_killed_scanner_that_said_nothing_is_tried_once_more_and_then_partial(flow: Flow) -> None:
    scan = one_scan(flow)
    again = take(flow, scan, b"[", scanner_exit=None)
    assert (again.state, again.attempt) == (ScanState.REQUESTED, 2)
    assert again.reason == "The report is cut off. The scanner was killed."
    after = take(flow, scan, b"[", 2, scanner_exit=None)
    assert after.state is ScanState.PARTIAL


def test_what_a_killed_scanner_did_say_counts_at_once(flow: Flow) -> None:
    after = take(flow, one_scan(flow), buckets(1), scanner_exit=None)
    assert (after.state, after.counts) == (ScanState.PARTIAL, {"new": 1})


# ---------------------------------------------------------------- again, at once, in between


def test_the_same_event_again_changes_nothing(flow: Flow) -> None:
    scan = one_scan(flow)
    event = upload(flow, scan, buckets(1))
    flow.ingest.handle(event)
    before = (flow.store.scan(scan.scan_id), flow.findings.ledger(TARGET))
    flow.ingest.handle(event)
    assert (flow.store.scan(scan.scan_id), flow.findings.ledger(TARGET)) == before


def test_a_second_upload_is_refused_and_the_first_counts(
    flow: Flow, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = one_scan(flow)
    first = upload(flow, scan, buckets(1))
    second = upload(flow, scan, buckets(2, 3))
    flow.ingest.handle(second)
    assert flow.findings.ledger(TARGET).revision == 0
    flow.ingest.handle(first)
    assert [each.resource for each in all_findings(flow)] == [bucket(1)]
    assert [line["object"] for line in logged(capsys, "second_upload")] == [
        "manifest.json",
        "report.ocsf.json",
    ]


def all_findings(flow: Flow) -> list[Any]:
    return list(flow.findings.findings(TARGET, flow.findings.ledger(TARGET).entries))


class Disturbed:
    """The store, with something happening before or instead of a commit."""

    def __init__(self, store: FindingStore) -> None:
        self.store = store
        self.conflicts = 0
        self.before: list[Event] = []
        self.flow: Flow | None = None
        self.dies_after = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def commit(self, target: str, before: Any, commit: Commit) -> None:
        if self.conflicts:
            self.conflicts -= 1
            raise ConflictError("another shard")
        if self.before and self.flow:
            self.flow.ingest.handle(self.before.pop())
        self.store.commit(target, before, commit)
        if self.dies_after:
            self.dies_after = False
            raise UpstreamError("the function's time is over")


@pytest.fixture
def disturbed(flow: Flow) -> Disturbed:
    made = Disturbed(flow.findings)
    stand_in: Any = made
    flow.findings, made.flow = stand_in, flow
    return made


def test_two_ingests_at_once_record_and_conclude_once(flow: Flow, disturbed: Disturbed) -> None:
    scan = one_scan(flow)
    event = upload(flow, scan, buckets(1))
    disturbed.before = [event]
    flow.ingest.handle(event)
    assert flow.store.scan(scan.scan_id).counts == {"new": 1}
    assert flow.findings.ledger(TARGET).revision == 1
    assert flow.store.run(scan.scan_id[:25]).pending == 0


def test_a_crash_after_the_commit_is_settled_and_concluded_by_the_next_try(
    flow: Flow, disturbed: Disturbed
) -> None:
    scan = one_scan(flow)
    event = upload(flow, scan, buckets(1))
    disturbed.dies_after = True
    with pytest.raises(UpstreamError):
        flow.ingest.handle(event)
    assert flow.store.scan(scan.scan_id).state is ScanState.INGESTING
    assert all_findings(flow) == []
    # The report need not even be read again: the record says what it came to.
    flow.results.objects[report_key(scan.scan_id, 1, "account")] = [b"gone"]
    flow.ingest.handle(event)
    after = flow.store.scan(scan.scan_id)
    assert (after.state, after.counts) == (ScanState.COMPLETED, {"new": 1})
    assert len(all_findings(flow)) == 1


def test_what_a_lost_ingest_had_recorded_counts_though_the_next_attempt_brings_no_report(
    flow: Flow, disturbed: Disturbed
) -> None:
    scan = one_scan(flow)
    event = upload(flow, scan, buckets(1))
    disturbed.dies_after = True
    with pytest.raises(UpstreamError):
        flow.ingest.handle(event)
    flow.clock.pass_seconds(INGEST_SECONDS + 1)
    flow.watch.handle({"tick": True})
    assert flow.store.scan(scan.scan_id).attempt == 2
    told = Manifest(scan_id=scan.scan_id, attempt=2, report_uploaded=False, reason="none", scanner_exit=0)
    flow.ingest.handle(flow.announce(scan.scan_id, told, 2))
    after = flow.store.scan(scan.scan_id)
    assert (after.state, after.counts) == (ScanState.COMPLETED, {"new": 1})


@pytest.mark.parametrize("manifest", [True, False])
def test_a_scan_of_which_findings_stand_has_not_failed_though_its_last_attempt_did(
    flow: Flow, disturbed: Disturbed, manifest: bool
) -> None:
    """The last attempt's report is announced and is not there, or its task just dies."""
    scan = one_scan(flow)
    event = upload(flow, scan, buckets(1))
    disturbed.dies_after = True
    with pytest.raises(UpstreamError):
        flow.ingest.handle(event)
    flow.clock.pass_seconds(INGEST_SECONDS + 1)
    flow.watch.handle({"tick": True})
    if manifest:
        flow.ingest.handle(flow.announce(scan.scan_id, manifest_of(scan.scan_id, 2, b"[]"), 2))
    else:
        flow.launch.handle({"retry": {"scanId": scan.scan_id, "attempt": 2}})
        flow.clock.pass_seconds(2 * 3_600)
        flow.watch.handle({"tick": True})
    after = flow.store.scan(scan.scan_id)
    assert (after.state, after.attempt) == (ScanState.PARTIAL, 2)
    assert (after.reason or "").endswith(RECORDING_LOST)


def test_shards_that_commit_at_once_are_waited_for(flow: Flow, disturbed: Disturbed) -> None:
    disturbed.conflicts = 8 * len(CONFLICT_WAITS)
    began = flow.clock()
    assert take(flow, one_scan(flow), buckets(1)).state is ScanState.COMPLETED
    waited = (flow.clock() - began).total_seconds()
    assert sum(CONFLICT_WAITS) / 2 <= waited <= sum(CONFLICT_WAITS) * 1.5


def test_after_the_last_wait_the_event_is_left_to_be_sent_again(flow: Flow, disturbed: Disturbed) -> None:
    scan = one_scan(flow)
    event = upload(flow, scan, buckets(1))
    disturbed.conflicts = 8 * (len(CONFLICT_WAITS) + 1)
    with pytest.raises(ConflictError):
        flow.ingest.handle(event)
    assert flow.store.scan(scan.scan_id).state is ScanState.INGESTING
    flow.ingest.handle(event)
    assert flow.store.scan(scan.scan_id).state is ScanState.COMPLETED


def test_the_same_report_of_the_next_scan_writes_nothing_but_the_scan() -> None:
    table = SmallDynamoDB()
    flow = Flow(findings=small_findings(table))
    take(flow, one_scan(flow), buckets(*range(50)))
    flow.clock.pass_seconds(DAY)
    before = dict(table.partitions[TARGET])
    scan = one_scan(flow)
    take(flow, scan, buckets(*range(50)))
    after = table.partitions[TARGET]
    assert sorted(name for name in after if after[name] is not before.get(name)) == [
        "ledger#head",
        f"scan#{scan.scan_id}",
    ]


# ---------------------------------------------------------------- a new day


def accepted(flow: Flow, account: str, *, days: int) -> None:
    """An account with one finding that is accepted for so long."""
    [scan] = flow.store.scans(order(flow, account))
    arn = f"arn:aws:s3:::bucket-of-{account}"
    take(flow, scan, [item(arn, account=account)])
    now = int(flow.clock().timestamp())
    key = prowler_identity("s3_bucket_public_access", account, REGION, arn)
    acceptance = Acceptance(reason="for now", owner="Ada", until=now + days * DAY)
    accept(flow.findings, f"aws:{account}", key, acceptance, by="ada", now=now)


def test_each_day_acceptances_end_in_every_target(flow: Flow) -> None:
    for account, days in (("111111111111", 1), ("222222222222", 1), ("333333333333", 9)):
        accepted(flow, account, days=days)
        flow.clock.pass_seconds(1)
    flow.ingest.handle({"daily": True})
    assert states(flow, "aws:111111111111") == {"accepted": 1}
    flow.clock.pass_seconds(DAY)
    for _ in range(2):
        flow.ingest.handle({"daily": True})
    assert states(flow, "aws:111111111111") == states(flow, "aws:222222222222") == {"open": 1}
    assert states(flow, "aws:333333333333") == {"accepted": 1}


def test_a_target_that_fails_is_named_and_costs_no_other(
    flow: Flow, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for account in ("111111111111", "222222222222"):
        accepted(flow, account, days=1)
        flow.clock.pass_seconds(1)
    flow.clock.pass_seconds(DAY)
    honest = flow.findings.ledger

    def broken(target: str) -> Any:
        if target == "aws:111111111111":
            raise UpstreamError("throttled")
        return honest(target)

    monkeypatch.setattr(flow.findings, "ledger", broken)
    with pytest.raises(UpstreamError, match=r"1 targets were not ended: aws:111111111111\."):
        flow.ingest.handle({"daily": True})
    assert states(flow, "aws:222222222222") == {"open": 1}
    [line] = logged(capsys, "acceptances not ended")
    assert (line["target"], line["level"]) == ("aws:111111111111", "ERROR")
    monkeypatch.undo()
    flow.ingest.handle({"daily": True})
    assert states(flow, "aws:111111111111") == {"open": 1}


def test_targets_without_acceptances_are_not_even_read(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    take(flow, one_scan(flow), buckets(1))

    def never(target: str) -> None:
        raise AssertionError(target)

    monkeypatch.setattr(flow.findings, "ledger", never)
    flow.ingest.handle({"daily": True})
