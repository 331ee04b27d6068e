"""Findings in the table: what a scan changed stands whole or not at all, whoever dies or runs at once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from glovebox.adapters import dynamodb_findings, findings_items
from glovebox.adapters.aws import client
from glovebox.adapters.dynamodb import from_wire
from glovebox.adapters.dynamodb_findings import DynamoFindingStore
from glovebox.errors import ConflictError, NotFoundError, UpstreamError
from glovebox.findings import life, recording
from glovebox.findings.judging import judge
from glovebox.findings.ledger import Ledger, unpack
from glovebox.findings.life import Quality
from glovebox.findings.model import Acceptance, Observation, Severity, State
from glovebox.findings.prowler import ProwlerReport
from glovebox.findings.store import MAX_SERVICES, OTHERS, ScanRecord, chosen, tally
from tests import prowler
from tests.findings import (
    DAY,
    START,
    TABLE,
    TARGET,
    create_table,
    facts,
    judgement,
    observation,
    scan_id,
    seen,
)
from tests.small_dynamodb import SmallDynamoDB

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def salt() -> str:
    return "salt"


@pytest.fixture
def table(aws: None) -> DynamoDBClient:
    made = client("dynamodb")
    create_table(made)
    return made


@pytest.fixture
def store(table: DynamoDBClient) -> DynamoFindingStore:
    return DynamoFindingStore(table, TABLE)


def ingest(
    store: DynamoFindingStore, day: int, *observations: Observation, quality: Quality = Quality.COMPLETE
) -> ScanRecord:
    return recording.record(
        store,
        TARGET,
        judgement(*observations, quality=quality),
        scan_id=scan_id(day),
        at=START + day * DAY,
        coverage=prowler.COVERAGE,
        now=START + day * DAY + 60,
    )


def states(store: DynamoFindingStore) -> dict[str, str]:
    """Of every finding in the ledger, its state as the finding itself has it, by its bucket's number."""
    ids = list(store.ledger(TARGET).entries)
    found = store.findings(TARGET, ids)
    assert len(found) == len(ids)
    return {each.resource.rpartition("-")[2]: each.state.value for each in found}


def on(table: object) -> DynamoFindingStore:
    """A store on something that answers as DynamoDB's client does."""
    stand_in: Any = table
    return DynamoFindingStore(stand_in, TABLE, clock=lambda: 0.0, sleep=lambda _: None, at_once=1, salt=salt)


def items(table: DynamoDBClient) -> dict[str, Any]:
    pages = table.get_paginator("scan").paginate(TableName=TABLE)
    return {item["item"]["S"]: item for page in pages for item in page["Items"]}


# ---------------------------------------------------------------- from scan to scan


def test_a_finding_lives_through_its_states(store: DynamoFindingStore) -> None:
    one, other = observation(1), observation(2)
    ingest(store, 0, one, other)
    assert states(store) == {"1": "new", "2": "new"}
    ingest(store, 1, one, other)
    assert states(store) == {"1": "open", "2": "open"}
    ingest(store, 2, other)
    assert states(store) == {"1": "resolved", "2": "open"}
    ingest(store, 3, one, other)
    assert states(store) == {"1": "reopened", "2": "open"}
    [found] = store.findings(TARGET, [one.id])
    assert (found.since, found.first_seen, found.scan_id) == (START + 3 * DAY, START, scan_id(3))


def test_a_real_report_is_kept_with_its_checks_texts(store: DynamoFindingStore) -> None:
    report = ProwlerReport(prowler.BINDING).read(
        prowler.report([prowler.item(), prowler.item(status="PASS")])
    )
    verdict = judge(report, coverage=prowler.COVERAGE)
    told = recording.record(
        store,
        TARGET,
        verdict,
        scan_id=scan_id(0),
        at=START,
        coverage=prowler.COVERAGE,
        now=START,
        report=report,
    )
    [found] = store.findings(TARGET, report.observations)
    assert (found.check, found.account, found.severity) == ("s3_bucket_public_access", prowler.ACCOUNT, 4)
    assert found.text == report.checks["s3_bucket_public_access"]
    assert (told.items, told.duplicates, told.statuses) == (2, 1, {"FAIL": 1, "PASS": 1})
    assert store.ledger(TARGET).checks == {found.check: found.text.digest}


def test_the_same_report_again_writes_nothing_but_the_scan(
    store: DynamoFindingStore, table: DynamoDBClient
) -> None:
    everything = [observation(number) for number in range(30)]
    ingest(store, 0, *everything)
    before = items(table)
    ingest(store, 1, *everything)
    after = items(table)
    assert {name for name in after if after[name] != before.get(name)} == {
        "ledger#head",
        f"scan#{scan_id(1)}",
    }


def test_the_same_scan_again_writes_nothing(store: DynamoFindingStore, table: DynamoDBClient) -> None:
    first = ingest(store, 0, observation(1))
    before = items(table)
    again = ingest(store, 0, observation(1), observation(2))
    assert again == first
    assert items(table) == before


def test_a_late_scan_changes_nothing(store: DynamoFindingStore) -> None:
    ingest(store, 2, observation(1))
    told = ingest(store, 1, observation(2))
    assert told.stale
    assert states(store) == {"1": "new"}


def test_counts_are_kept_with_each_scan(store: DynamoFindingStore) -> None:
    ingest(store, 0, observation(1), observation(2, severity=Severity.CRITICAL))
    ingest(store, 1, observation(1), observation(3))
    latest, first = store.scans(TARGET, limit=5)
    assert first.tally.states == {"new": {"critical": 1, "high": 1}}
    assert latest.tally.states == {"new": {"high": 1}, "open": {"high": 1}, "resolved": {"critical": 1}}
    assert latest.tally.services == {"s3": {"high": 2}}
    assert latest.steps == {"new": 1, "resolved": 1}
    [summary] = store.targets()
    assert (summary.target, summary.as_of, summary.tally) == (TARGET, START + DAY, latest.tally)


def test_an_acceptance_stands_until_its_day(store: DynamoFindingStore) -> None:
    one = observation(1)
    ingest(store, 0, one)
    accepted = Acceptance(reason="A public site.", owner="web", until=START + 3 * DAY)
    recording.accept(store, TARGET, one.id, accepted, by="ann", now=START + 60)
    ingest(store, 2, one)
    [found] = store.findings(TARGET, [one.id])
    assert (found.state, found.acceptance, found.scan_id) == (State.ACCEPTED, accepted, "ann")
    recording.end_acceptances(store, TARGET, now=START + 3 * DAY)
    [found] = store.findings(TARGET, [one.id])
    assert (found.state, found.acceptance) == (State.OPEN, None)


def test_what_is_held_waits_for_a_person(store: DynamoFindingStore) -> None:
    ingest(store, 0, *(observation(number) for number in range(40)))
    ingest(store, 1, *(observation(number) for number in range(10)))
    assert Counter(states(store).values()) == {"open": 40}
    assert store.targets()[0].hold is not None
    assert store.ledger(TARGET).hold is not None
    recording.release(store, TARGET, by="ann", now=START + DAY)
    assert Counter(states(store).values()) == {"open": 10, "resolved": 30}
    assert store.targets()[0].hold is None
    with pytest.raises(ConflictError):
        recording.dismiss(store, TARGET, by="ann", now=START + DAY)


def test_a_resolved_finding_expires_and_a_reopened_one_does_not(
    store: DynamoFindingStore, table: DynamoDBClient
) -> None:
    one, other = observation(1), observation(2)
    ingest(store, 0, one, other)
    name = f"finding#{one.id.hex()}"
    assert "expires" not in items(table)[name]
    ingest(store, 1, other)
    assert items(table)[name]["expires"] == {"N": str(START + DAY + life.RESOLVED_LIFE)}
    ingest(store, 2, one, other)
    assert "expires" not in items(table)[name]


def test_targets_are_apart(store: DynamoFindingStore) -> None:
    ingest(store, 0, observation(1))
    assert store.ledger("aws:999999999999") == Ledger()
    assert store.scan("aws:999999999999", scan_id(0)) is None
    with pytest.raises(NotFoundError):
        recording.withdraw(store, "aws:999999999999", observation(1).id, by="ann", now=START)


# ---------------------------------------------------------------- pages and logs


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages, parts and logs so small that a few findings make many."""
    monkeypatch.setattr(findings_items, "PAGE_ENTRIES", 4)
    monkeypatch.setattr(dynamodb_findings, "FOLD_AFTER", 2)
    monkeypatch.setattr(dynamodb_findings, "FOLD_BYTES", 250)
    monkeypatch.setattr(findings_items, "PART_BYTES", 20_100)


def test_pages_and_logs_give_the_ledger_that_was_committed(small: None) -> None:
    table = SmallDynamoDB()
    store = on(table)
    chance = random.Random(7)  # noqa: S311 - repeatable is what it is for
    expected = Ledger()
    for day in range(40):
        batch = [observation(number) for number in range(60) if chance.random() < min(0.1 + day / 40, 0.9)]
        ingest(store, day, *batch)
        outcome = life.compare(expected, seen(*batch), facts(day), START + day * DAY + 60)
        expected = Ledger(
            as_of=outcome.as_of, entries=life.after(expected.entries, outcome.changes), hold=outcome.hold
        )
        found = store.ledger(TARGET)
        assert (found.entries, found.as_of, found.hold) == (expected.entries, expected.as_of, expected.hold)
    names = Counter(name.split("#")[1] for name in table.partitions[TARGET] if name.startswith("ledger#"))
    assert names["page"] == 16
    assert names["log"] < 30


def test_the_small_table_is_what_moto_makes(small: None, table: DynamoDBClient) -> None:
    """Or storms and figures on the small one would say nothing."""
    little = SmallDynamoDB()
    for store in (DynamoFindingStore(table, TABLE, clock=lambda: 0.0, salt=salt), on(little)):
        for day, numbers in enumerate(([1, 2, 3], [2, 3], [1, 2, 3, 4], [], range(30), range(5))):
            ingest(store, day, *(observation(number) for number in numbers))
        recording.release(store, TARGET, by="ann", now=START + 9 * DAY)
    theirs, ours = items(table), little.partitions[TARGET]
    assert theirs.keys() == ours.keys()
    for name, item in theirs.items():
        assert from_wire(item) == from_wire(ours[name]), name


def test_a_long_list_is_written_and_read_in_parts(small: None, store: DynamoFindingStore) -> None:
    many = [observation(number, detail=f"{number} " * 100) for number in range(30)]
    ingest(store, 0, *many)
    assert {each.detail for each in store.findings(TARGET, [one.id for one in many])} == {
        each.detail for each in many
    }


class Torn(SmallDynamoDB):
    """Between the head and the rest of a ledger, somebody commits and settles."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] | None = None

    def query(self, **call: Any) -> list[dict[str, Any]]:
        found, meanwhile, self.meanwhile = super().query(**call), self.meanwhile, None
        if meanwhile is None:
            return found
        meanwhile()
        head, *_ = found
        return [head, *(item for item in super().query(**call) if item["item"] != head["item"])]


def test_a_ledger_that_changes_while_it_is_read_is_one_that_was(small: None) -> None:
    table = Torn()
    store = on(table)
    were: dict[int, Ledger] = {}

    def commit(day: int) -> None:
        ingest(store, day, *(observation(number) for number in range(day * 3 + 3)))
        were[day + 1] = store.ledger(TARGET)

    for day in range(20):
        commit(day)
    revisions = []
    for day in range(20, 60):
        table.meanwhile = partial(commit, day)
        found = store.ledger(TARGET)
        assert found == were[found.revision]
        revisions.append(found.revision - day)
    # Some reads were torn so that they had to be repeated, others only saw what had been.
    assert set(revisions) == {0, 1}


class Late(SmallDynamoDB):
    """Somebody is about to write a page, and is held up until others have gone on for days."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] | None = None

    def put_item(self, **call: Any) -> dict[str, Any]:
        if self.meanwhile is not None and call["Item"]["item"]["S"].startswith("ledger#page#"):
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return super().put_item(**call)


def test_a_page_that_is_written_late_takes_nothing_back(small: None) -> None:
    table = Late()
    store = on(table)
    for day in range(6):
        ingest(store, day, *(observation(number) for number in range(day * 5 + 5)))

    def days() -> None:
        for day in range(7, 27):
            ingest(store, day, *(observation(number) for number in range(day, 40)))

    table.meanwhile = days
    ingest(store, 6, *(observation(number) for number in range(35)))
    assert table.meanwhile is None
    store.settle(TARGET)
    ledger = store.ledger(TARGET)
    gone = {observation(number).id for number in range(26)}
    assert {key for key, entry in ledger.entries.items() if entry.state is State.RESOLVED} == gone
    assert Counter(states(store).values()) == {"resolved": 26, "open": 14}


def test_pages_cannot_be_filled_by_choice_of_names(small: None) -> None:
    """Identities can be ground to begin alike; where they go depends on a salt of the table."""
    table = SmallDynamoDB()
    alike = [replace(observation(number), id=bytes(18) + bytes([7, number])) for number in range(64)]
    for day in range(3):
        ingest(on(table), day, *alike[: 32 + day * 16])
    sizes = [
        len(list(unpack(item["body"]["B"])))
        for name, item in table.partitions[TARGET].items()
        if name.startswith("ledger#page#")
    ]
    assert len(sizes) >= 8
    assert max(sizes) <= 16


def test_made_up_services_do_not_fill_the_head() -> None:
    made_up = [observation(0, check=f"service{number}_check") for number in range(300)]
    found = tally(life_of(made_up))
    assert len(found.services) == MAX_SERVICES + 1
    assert found.services[OTHERS] == {"high": 100}


def life_of(observations: list[Observation]) -> Ledger:
    changes = life.compare(Ledger(), seen(*observations), facts(0), START).changes
    return Ledger(entries=life.after({}, changes))


def test_made_up_checks_leave_no_texts_beyond_a_limit(
    store: DynamoFindingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProwlerReport, "max_checks", 5)
    for day in range(3):
        checks = [f"s3_made_up_{number}" for number in range(day * 4, day * 4 + 4)]
        report = ProwlerReport(prowler.BINDING).read(
            prowler.report(prowler.item(check=check) for check in checks)
        )
        verdict = judge(report, coverage=prowler.COVERAGE)
        recording.record(
            store,
            TARGET,
            verdict,
            scan_id=scan_id(day),
            at=START + day * DAY,
            coverage=prowler.COVERAGE,
            now=START,
            report=report,
        )
    assert len(store.ledger(TARGET).checks) == 5
    assert len(store.ledger(TARGET).entries) == 12


def test_a_lost_to_do_list_is_told(store: DynamoFindingStore, table: DynamoDBClient) -> None:
    before = store.ledger(TARGET)
    changes = life.compare(before, seen(observation(1)), facts(0), START).changes
    commit = recording.Commit(changes=changes, as_of=START, hold=None, at=START, by="x", tally=tally(before))
    store.commit(TARGET, before, commit)
    [name] = [name for name in items(table) if name.startswith("todo#")]
    table.delete_item(TableName=TABLE, Key={"target": {"S": TARGET}, "item": {"S": name}})
    with pytest.raises(UpstreamError, match="to-do list"):
        store.settle(TARGET)


def test_findings_are_chosen_by_state_severity_and_service(store: DynamoFindingStore) -> None:
    iam = observation(1, check="iam_user_mfa", severity=Severity.MEDIUM)
    grave = observation(2, severity=Severity.CRITICAL)
    ingest(store, 0, iam, grave, observation(3))
    ingest(store, 1, iam, grave)
    ledger = store.ledger(TARGET)
    assert chosen(ledger) == [grave.id, iam.id]
    assert chosen(ledger, severity=Severity.HIGH) == [grave.id]
    assert chosen(ledger, services=["iam"]) == [iam.id]
    assert chosen(ledger, states=[State.RESOLVED]) == [observation(3).id]
    assert chosen(ledger, held=True) == []


# ---------------------------------------------------------------- bad weather

STORMS = 300
SCANS = 6


class CrashError(Exception):
    """The function's time is over, or its memory."""


class Weather:
    """Before and after each call the function may die, or another one may run from start to end."""

    def __init__(self, seed: int, real: SmallDynamoDB) -> None:
        self.random = random.Random(seed)  # noqa: S311 - repeatable is what it is for
        self.real = real
        self.queue: list[int] = []
        self.run: Callable[[int], None] = lambda _: None
        self.calm = False
        self.depth = 0
        self.seen: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.real, name)
        if name == "get_paginator":
            return call

        def stormy(**arguments: Any) -> Any:
            self.pause()
            answer = call(**arguments)
            self.pause()
            return answer

        return stormy

    def pause(self) -> None:
        if self.calm:
            return
        if self.random.random() < 0.03:
            self.seen["crash"] += 1
            raise self.random.choice([CrashError("dead"), UpstreamError("throttled")])
        if self.depth < 2 and self.queue and self.random.random() < 0.06:
            self.seen["race"] += 1
            self.deliver()

    def deliver(self) -> None:
        """One event, of any scan; it comes again where its function dies."""
        day = self.queue.pop(self.random.randrange(len(self.queue)))
        self.depth += 1
        try:
            self.run(day)
        except (CrashError, UpstreamError, ConflictError):
            self.queue.append(day)
        finally:
            self.depth -= 1


def storm(seed: int) -> Counter[str]:
    table = SmallDynamoDB()
    weather = Weather(seed, table)
    store = on(weather)
    chance = random.Random(seed)  # noqa: S311 - repeatable is what it is for
    reports = [
        [
            observation(number, detail=chance.choice(["Public.", "Public to all."]))
            for number in range(24)
            if chance.random() < 0.7
        ]
        for _ in range(SCANS)
    ]
    qualities = [chance.choice([Quality.COMPLETE] * 3 + [Quality.PARTIAL]) for _ in range(SCANS)]
    weather.run = lambda day: _ignore(ingest(store, day, *reports[day], quality=qualities[day]))
    weather.queue = [day for day in range(SCANS) for _ in range(chance.randrange(1, 4))]
    for _ in range(200):
        if weather.queue:
            weather.deliver()
    weather.calm = True
    while weather.queue:
        weather.deliver()
    calm = on(table)
    calm.settle(TARGET)
    _check(calm, reports, qualities)
    kept = sum(name.startswith("finding#") for name in table.partitions[TARGET])
    assert kept == len(calm.ledger(TARGET).entries)
    return weather.seen


def test_whatever_crashes_repeats_or_overlaps_no_change_is_lost_or_made_twice(small: None) -> None:
    seen: Counter[str] = Counter()
    for seed in range(STORMS):
        try:
            seen += storm(seed)
        except AssertionError as error:
            error.add_note(f"storm {seed}")
            raise
    # Storms they were, or the test would say nothing.
    assert seen["crash"] > 5 * STORMS
    assert seen["race"] > 2 * STORMS


def _ignore(_: object) -> None:
    return None


def _check(store: DynamoFindingStore, reports: list[list[Observation]], qualities: list[Quality]) -> None:
    """The table is what the scans make of an empty one, in the order in which they were committed."""
    records = sorted(store.scans(TARGET, limit=100), key=lambda record: record.revision)
    assert [record.revision for record in records] == list(range(1, SCANS + 1))
    expected, details = Ledger(), dict[bytes, str]()
    for record in records:
        day = (record.at - START) // DAY
        outcome = life.compare(expected, seen(*reports[day]), facts(day, qualities[day]), record.at + 60)
        expected = Ledger(
            as_of=outcome.as_of, entries=life.after(expected.entries, outcome.changes), hold=outcome.hold
        )
        assert record.tally == tally(expected)
        assert record.steps == Counter(change.step.value for change in outcome.changes.values())
        for key, change in outcome.changes.items():
            if change.observation is not None:
                details[key] = change.observation.detail
    found = store.ledger(TARGET)
    assert (found.entries, found.as_of, found.hold) == (expected.entries, expected.as_of, expected.hold)
    kept = store.findings(TARGET, expected.entries)
    assert {bytes.fromhex(each.id): (each.state, each.since, each.severity) for each in kept} == {
        key: (expected.shown(entry), entry.since, entry.severity) for key, entry in expected.entries.items()
    }
    assert {bytes.fromhex(each.id): each.detail for each in kept} == details
