"""A run over accounts is closed by what its scans came to, and its people are told once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from glovebox.registry.model import Account
from glovebox.registry.owners import By, OwnerRule
from glovebox.scans.model import Manifest, RunState, ScanState
from glovebox.scans.state import Scan
from glovebox.services import account_reports
from glovebox.services.watch import PUBLISH_SECONDS
from tests.account_flow import order, planted_item, take, upload
from tests.flow import Flow
from tests.prowler import ACCOUNT, REGION, Json, bucket, item

SHOP, BANK, LAB = ACCOUNT, "222222222222", "333333333333"
DAY = 86_400


@pytest.fixture
def flow(monkeypatch: pytest.MonkeyPatch) -> Flow:
    monkeypatch.setattr(account_reports, "planted", lambda account: ())
    return Flow()


def ordered(flow: Flow, *accounts: str) -> tuple[str, dict[str, Scan]]:
    """A run, and the one scan of each of its accounts."""
    run_id = order(flow, *accounts)
    scans = flow.store.scans(run_id)
    return run_id, {scan.account.account: scan for scan in scans if scan.account}


def found(account: str, *numbers: object, severity: int = 4, **said: object) -> list[Json]:
    return [
        item(f"{bucket(number)}-{account}", account=account, severity=severity, **said)  # type: ignore[arg-type]
        for number in numbers
    ]


def lose(flow: Flow, scan: Scan) -> None:
    for attempt in (1, 2):
        told = Manifest(scan_id=scan.scan_id, attempt=attempt, report_uploaded=False, reason="out of memory")
        flow.ingest.handle(flow.announce(scan.scan_id, told, attempt))


def closed(flow: Flow, run_id: str) -> str:
    """Publish and notify; the mail."""
    for _ in range(2):
        flow.publish.handle(flow.stream(run_id))
        flow.notify.handle(flow.stream(run_id))
    return flow.topic.messages[-1][1]


# ---------------------------------------------------------------- closing


def test_a_run_whose_scans_are_whole_is_completed_with_their_counts_and_has_no_files(flow: Flow) -> None:
    run_id, scans = ordered(flow, SHOP, BANK)
    take(flow, scans[SHOP], found(SHOP, 1, 2))
    flow.publish.handle(flow.stream(run_id))
    assert flow.store.run(run_id).published_at is None
    take(flow, scans[BANK], found(BANK, 1))
    flow.publish.handle(flow.stream(run_id))
    run = flow.store.run(run_id)
    assert (run.state, run.counts, run.missing, run.files) == (RunState.COMPLETED, {"new": 3}, (), ())
    assert (flow.publication.objects, flow.store.open_runs()) == ({}, [])


def test_a_run_without_any_change_is_completed_too(flow: Flow) -> None:
    run_id, scans = ordered(flow, SHOP)
    take(flow, scans[SHOP], found(SHOP, 1, status="PASS"))
    flow.publish.handle(flow.stream(run_id))
    assert (flow.store.run(run_id).state, flow.store.run(run_id).counts) == (RunState.COMPLETED, {})


@pytest.mark.parametrize("end", [ScanState.PARTIAL, ScanState.UNTRUSTED, ScanState.FAILED])
def test_one_scan_that_is_not_whole_makes_the_run_partial_and_is_named(flow: Flow, end: ScanState) -> None:
    run_id, scans = ordered(flow, SHOP, BANK)
    take(flow, scans[SHOP], found(SHOP, 1))
    if end is ScanState.FAILED:
        lose(flow, scans[BANK])
    else:
        said = found(BANK, 1) if end is ScanState.PARTIAL else found(LAB, 1)
        take(flow, scans[BANK], said, scanner_exit=1 if end is ScanState.PARTIAL else 0)
    assert flow.store.scan(scans[BANK].scan_id).state is end
    flow.publish.handle(flow.stream(run_id))
    run = flow.store.run(run_id)
    assert run.state is RunState.PARTIAL
    assert run.missing == ((BANK,) if end is ScanState.FAILED else ())
    assert run.untrusted == ((scans[BANK].scan_id,) if end is ScanState.UNTRUSTED else ())


def test_a_run_of_which_no_scan_has_a_report_has_failed(flow: Flow) -> None:
    run_id, scans = ordered(flow, SHOP)
    lose(flow, scans[SHOP])
    flow.publish.handle(flow.stream(run_id))
    run = flow.store.run(run_id)
    assert (run.state, run.missing, run.missing_count) == (RunState.FAILED, (SHOP,), 1)


def test_a_publication_that_was_lost_is_nudged(flow: Flow) -> None:
    run_id, scans = ordered(flow, SHOP)
    take(flow, scans[SHOP], found(SHOP, 1))
    flow.clock.pass_seconds(PUBLISH_SECONDS + 1)
    flow.watch.handle({"tick": True})
    assert flow.store.run(run_id).nudged_at is not None
    flow.publish.handle(flow.stream(run_id))
    assert flow.store.run(run_id).state is RunState.COMPLETED


# ---------------------------------------------------------------- telling


def own(flow: Flow) -> None:
    """Payments owns the shop by its tag; the bank has a team of its own; nobody owns the lab."""
    accounts = (
        Account(id=SHOP, name="Shop", regions=(REGION,), tags={"env": "prod"}),
        Account(id=BANK, name="Bank", regions=(REGION,), team="treasury"),
        Account(id=LAB, name="Lab", regions=(REGION,)),
    )
    for account in accounts:
        flow.targets.put(account, revision=0)
    flow.targets.put(OwnerRule(by=By.TAG, value="env=prod", team="payments"), revision=0)


def test_people_are_told_once_what_is_new_by_owner_and_severity(flow: Flow) -> None:
    own(flow)
    run_id, scans = ordered(flow, SHOP, BANK, LAB)
    take(flow, scans[SHOP], [*found(SHOP, 1, severity=5), *found(SHOP, 2, 3)])
    take(flow, scans[BANK], found(BANK, 1, severity=2))
    take(flow, scans[LAB], found(LAB, 1, severity=3))
    body = closed(flow, run_id)
    [(subject, _)] = flow.topic.messages
    assert subject == "Account scans 2026-03-04: completed, 5 (1 critical, 2 high, 1 medium, 1 low) new"
    assert f"Run {run_id} of 2026-03-04T05:06:07Z is completed." in body
    assert "3 scans of 3 accounts: 3 completed." in body
    lines = body.splitlines()
    start = lines.index("New and reopened: 5 (1 critical, 2 high, 1 medium, 1 low) new")
    assert lines[start + 1 : start + 7] == [
        "  payments: 3 (1 critical, 2 high) new",
        f"    {SHOP} (Shop): 3 (1 critical, 2 high) new",
        "  nobody: 1 (1 medium) new",
        f"    {LAB} (Lab): 1 (1 medium) new",
        "  treasury: 1 (1 low) new",
        f"    {BANK} (Bank): 1 (1 low) new",
    ]
    gravest = lines[lines.index("The gravest of them (5)") + 1]
    name = f"{bucket(1)}-{SHOP} ({SHOP}, {REGION})"
    assert gravest == f"  critical new: s3_bucket_public_access, {name}: Bucket is not public"
    assert flow.store.run(run_id).notified_at is not None


def test_what_is_there_since_an_earlier_run_is_no_news_and_what_came_back_is(flow: Flow) -> None:
    own(flow)
    for day, numbers in enumerate(([1, 2], [2], [1, 2])):
        run_id, scans = ordered(flow, SHOP)
        take(flow, scans[SHOP], found(SHOP, *numbers))
        body = closed(flow, run_id)
        flow.clock.pass_seconds(DAY)
        assert ("New and reopened: 0 new" in body) is (day == 1)
    assert "payments: 1 (1 high) reopened" in body
    assert "high reopened: s3_bucket_public_access" in body
    assert flow.topic.messages[-1][0].endswith("completed, 0 new")


def test_scans_that_are_not_whole_are_told_first_with_reason_owner_and_fix(flow: Flow) -> None:
    own(flow)
    run_id, scans = ordered(flow, SHOP, BANK, LAB)
    lose(flow, scans[SHOP])
    take(flow, scans[BANK], found(LAB, 1))
    take(flow, scans[LAB], found(LAB, 1), scanner_exit=None)
    body = closed(flow, run_id)
    assert flow.topic.messages[-1][0].endswith("partial, 1 (1 high) new, 1 not believed")
    assert "1 partial, 1 failed, 1 untrusted." in body
    titles = ["Not believed (1)", "Failed (1)", "Not whole (1)", "New and reopened"]
    places = [body.index(title) for title in titles]
    assert places == sorted(places)
    assert f"{BANK} (Bank), treasury, {REGION}: The report speaks of another account, 1 times." in body
    assert account_reports.FIXES["report_foreign"] in body
    assert f"{SHOP} (Shop), payments, {REGION}: The task sent no report: out of memory." in body
    assert f"{LAB} (Lab), nobody, {REGION}: The scanner was killed." in body
    assert account_reports.FIXES["scanner_killed"] in body


def test_what_is_held_is_told_with_what_to_do_and_reminded_of(flow: Flow) -> None:
    own(flow)
    for numbers in (range(40), range(5), range(5)):
        run_id, scans = ordered(flow, SHOP)
        take(flow, scans[SHOP], found(SHOP, *numbers))
        body = closed(flow, run_id)
        flow.clock.pass_seconds(DAY)
    assert "Held until somebody decides (1)" in body
    assert f"{SHOP} (Shop): 35 findings. 35 of 40 open findings would be resolved at once." in body
    assert f"glovebox findings release {SHOP}, or dismiss {SHOP}." in body
    assert flow.topic.messages[-1][0].endswith("1 accounts wait for you")


def test_accounts_that_were_not_scanned_are_named_with_the_reason(flow: Flow) -> None:
    own(flow)
    known = flow.targets.get(Account, SHOP)
    run_id = flow.launch.handle({"accounts": [SHOP, "444444444444"]}).run_id
    [scan] = flow.store.scans(run_id)
    take(flow, scan, found(known.entry.id, 1))
    body = closed(flow, run_id)
    assert "Not scanned (1)" in body
    assert "444444444444: " in body


def test_an_account_that_left_the_registry_still_has_an_owner_by_its_id(flow: Flow) -> None:
    own(flow)
    flow.targets.put(OwnerRule(by=By.ACCOUNT, value=LAB, team="science"), revision=0)
    run_id, scans = ordered(flow, LAB)
    take(flow, scans[LAB], found(LAB, 1))
    flow.targets.remove(flow.targets.get(Account, LAB).entry, revision=1)
    body = closed(flow, run_id)
    assert "science: 1 (1 high) new" in body
    assert f"    {LAB}: 1 (1 high) new" in body


def test_a_message_stays_short_and_plain_whatever_happened(flow: Flow) -> None:
    accounts = [f"{number:012d}" for number in range(1, 121)]
    run_id, scans = ordered(flow, *accounts)
    for account, scan in scans.items():
        said: Sequence[Json] = found(account, *range(3), detail="x\u202e" * 500)
        flow.ingest.handle(upload(flow, scan, said, reason="\x1b[31m" + "why " * 100, scanner_exit=1))
    body = closed(flow, run_id)
    subject, _ = flow.topic.messages[-1]
    assert "and 70 more" in body
    assert len(body) < 100_000
    assert all(line.isprintable() for line in body.splitlines())
    assert (len(subject) <= 100, subject.isascii()) == (True, True)


def test_the_planted_resource_is_no_news(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    run_id, scans = ordered(flow, SHOP)
    assert take(flow, scans[SHOP], [planted_item(), *found(SHOP, 1)]).state is ScanState.COMPLETED
    body = closed(flow, run_id)
    assert "New and reopened: 1 (1 high) new" in body
    assert "GloveboxCanary" not in body
