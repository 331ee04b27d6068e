"""What becomes of findings: bad news is taken from any report, good news only from a whole one."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from glovebox.errors import ConflictError, InputError, NotFoundError
from glovebox.findings import life
from glovebox.findings.ledger import Entry, Ledger, pack, unpack
from glovebox.findings.life import MASS_LEAST, Coverage, Outcome, Quality, Seen, Step, compare
from glovebox.findings.model import Acceptance, Observation, Severity, State, Status
from glovebox.findings.store import tally
from tests.findings import DAY, START, facts, observation, seen

NOT_COMPLETE = [Quality.PARTIAL, Quality.UNTRUSTED]
ONE, TWO = observation(1), observation(2)


def taken(ledger: Ledger, outcome: Outcome) -> Ledger:
    return Ledger(
        revision=ledger.revision + 1,
        as_of=outcome.as_of,
        entries=life.after(ledger.entries, outcome.changes),
        hold=outcome.hold,
    )


def scanned(
    ledger: Ledger, day: int, *observations: Observation, quality: Quality = Quality.COMPLETE
) -> Ledger:
    return taken(ledger, compare(ledger, seen(*observations), facts(day, quality), START + day * DAY))


def ledger_of(*observations: Observation) -> Ledger:
    return scanned(Ledger(), 0, *observations)


def many(numbers: Iterable[int]) -> list[Observation]:
    return [observation(number) for number in numbers]


def state(ledger: Ledger, one: Observation = ONE) -> State:
    return ledger.shown(ledger.entries[one.id])


# ---------------------------------------------------------------- states


def test_new_is_open_from_the_next_scan_on_and_nothing_is_written_for_it() -> None:
    ledger = ledger_of(ONE)
    assert state(ledger) is State.NEW
    outcome = compare(ledger, seen(ONE), facts(1), START + DAY)
    assert outcome.changes == {}
    assert state(taken(ledger, outcome)) is State.OPEN


def test_what_is_gone_is_resolved_and_what_comes_back_reopened() -> None:
    ledger = scanned(ledger_of(ONE, TWO), 1, TWO)
    assert state(ledger) is State.RESOLVED
    ledger = scanned(ledger, 2, ONE, TWO)
    assert state(ledger) is State.REOPENED
    assert state(scanned(ledger, 3, ONE, TWO)) is State.REOPENED
    assert ledger.entries[ONE.id].since == START + 2 * DAY


def test_what_passes_is_resolved_also_outside_of_what_was_covered() -> None:
    elsewhere = observation(1, region="us-east-1")
    ledger = scanned(ledger_of(elsewhere, TWO), 1, replace(elsewhere, status=Status.PASS), TWO)
    assert state(ledger, elsewhere) is State.RESOLVED


def test_what_a_person_has_to_judge_opens_nothing_and_resolves_nothing() -> None:
    manual = replace(ONE, status=Status.MANUAL)
    assert ledger_of(manual).entries == {}
    assert scanned(ledger_of(ONE), 1, manual).entries == ledger_of(ONE).entries


@pytest.mark.parametrize("quality", NOT_COMPLETE)
def test_nothing_resolves_because_of_a_scan_that_is_not_whole(quality: Quality) -> None:
    ledger = ledger_of(ONE, TWO)
    for report in ([], [replace(ONE, status=Status.PASS)], [TWO]):
        assert scanned(ledger, 1, *report, quality=quality).entries == ledger.entries


@pytest.mark.parametrize("quality", NOT_COMPLETE)
def test_bad_news_is_taken_from_any_report(quality: Quality) -> None:
    ledger = scanned(scanned(ledger_of(ONE), 1), 2, ONE, TWO, quality=quality)
    assert (state(ledger, ONE), state(ledger, TWO)) == (State.REOPENED, State.NEW)


@pytest.mark.parametrize("quality", NOT_COMPLETE)
def test_severity_rises_by_any_report_and_falls_by_a_whole_one(quality: Quality) -> None:
    higher, lower = replace(ONE, severity=Severity.CRITICAL), replace(ONE, severity=Severity.LOW)
    ledger = ledger_of(ONE)
    assert scanned(ledger, 1, higher, quality=quality).entries[ONE.id].severity is Severity.CRITICAL
    assert scanned(ledger, 1, lower, quality=quality).entries == ledger.entries
    assert scanned(ledger, 1, lower).entries[ONE.id].severity is Severity.LOW


def test_numbers_alone_are_no_change() -> None:
    ledger = ledger_of(replace(ONE, detail="Unused for 41 days."))
    assert not compare(ledger, seen(replace(ONE, detail="Unused for 42 days.")), facts(1), START).changes
    [change] = compare(ledger, seen(replace(ONE, detail="Never used.")), facts(1), START).changes.values()
    assert change.step is Step.CHANGED


@pytest.mark.parametrize(
    "coverage",
    [
        Coverage(regions=frozenset({"us-east-1"})),
        Coverage(regions=frozenset({"eu-west-1"}), services=frozenset({"ec2"})),
        Coverage(regions=frozenset({"eu-west-1"}), without=frozenset({"s3"})),
        Coverage(regions=frozenset({"eu-west-1"}), services=frozenset({"s3"}), without=frozenset({"s3"})),
    ],
)
def test_nothing_resolves_where_the_scan_did_not_look(coverage: Coverage) -> None:
    ledger = ledger_of(ONE)
    assert not compare(ledger, seen(), facts(1, coverage=coverage), START + DAY).changes


def test_what_a_scan_says_of_another_shards_region_is_bad_news_or_nothing() -> None:
    """Each report may speak of the partition's global region; its own shard alone has the canary."""
    theirs = replace(ONE, region="us-east-1")
    beside = Coverage(regions=frozenset({"eu-west-1"}), elsewhere=frozenset({"us-east-1"}))
    alone = replace(beside, elsewhere=frozenset())
    ledger = scanned(Ledger(), 0, theirs)
    gone, milder = seen(replace(theirs, status=Status.PASS)), seen(replace(theirs, severity=Severity.LOW))
    for good_news, step in ((gone, Step.RESOLVED), (milder, Step.CHANGED)):
        assert not compare(ledger, good_news, facts(1, coverage=beside), START).changes
        made = compare(ledger, good_news, facts(1, coverage=alone), START).changes
        assert [change.step for change in made.values()] == [step]
    found = compare(Ledger(), seen(theirs), facts(1, coverage=beside), START).changes
    assert [change.step for change in found.values()] == [Step.NEW]


SERVICES = st.frozensets(st.sampled_from(["ec2", "iam", "s3", "sqs"]), min_size=1)


@given(parts=st.lists(SERVICES, max_size=3), service=st.sampled_from(["ec2", "iam", "s3", "sqs", "kms"]))
def test_shards_by_services_cover_each_service_once(parts: list[frozenset[str]], service: str) -> None:
    """As orders are cut: parts that name their services, and one without all of these."""
    named: set[str] = set()
    shards = []
    for part in parts:
        shards.append(Coverage(regions=frozenset({"eu-west-1"}), services=part - named))
        named |= part
    shards.append(Coverage(regions=frozenset({"eu-west-1"}), without=frozenset(named)))
    assert sum(shard.covers(service, "eu-west-1") for shard in shards) == 1


def test_services_without_regions_are_covered_by_any_region() -> None:
    user = observation(1, check="iam_user_mfa", region="global")
    report = seen(services=["iam"])
    outcome = compare(ledger_of(user), report, facts(1, coverage=Coverage(regions=frozenset({"x"}))), START)
    assert [change.step for change in outcome.changes.values()] == [Step.RESOLVED]


def test_a_scan_from_before_the_latest_changes_nothing() -> None:
    ledger = scanned(Ledger(), 2, ONE)
    outcome = compare(ledger, seen(TWO), facts(1), START + DAY)
    assert (outcome.stale, outcome.changes, outcome.as_of) == (True, {}, ledger.as_of)


def test_shards_of_one_run_are_no_earlier_than_each_other() -> None:
    assert scanned(ledger_of(ONE), 0, TWO).entries.keys() == {ONE.id, TWO.id}


def test_made_up_findings_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "MAX_TRACKED", 10)
    outcome = compare(ledger_of(*many(range(4))), seen(*many(range(20))), facts(1), START)
    assert (len(outcome.changes), outcome.over_limit) == (6, 10)
    assert "not followed" in outcome.reasons[-1]


def test_resolved_findings_are_forgotten_after_a_year() -> None:
    ledger = scanned(ledger_of(ONE, TWO), 1, TWO)
    late = 2 + life.RESOLVED_LIFE // DAY
    assert ONE.id in scanned(ledger, late - 2, TWO).entries
    assert ONE.id not in scanned(ledger, late, TWO).entries


# ---------------------------------------------------------------- silence and masses


def test_a_service_gone_without_a_word_is_held_and_the_scan_is_partial() -> None:
    user = observation(1, check="iam_user_mfa", region="global")
    ledger = ledger_of(user, *many(range(3)))
    outcome = compare(ledger, seen(*many(range(2))), facts(1), START + DAY)
    assert outcome.quality is Quality.PARTIAL
    assert outcome.reasons == ("The report says nothing about: iam.",)
    assert {key: change.step for key, change in outcome.changes.items()} == {user.id: Step.HELD}
    after = taken(ledger, outcome)
    # Until a person has looked, it stays so; then the rest resolves as well.
    assert compare(after, seen(*many(range(2))), facts(2), START).quality is Quality.PARTIAL
    released = replace(after, entries=life.after(after.entries, life.release(after, START + DAY)))
    outcome = compare(released, seen(*many(range(2))), facts(2), START)
    assert (outcome.quality, [each.step for each in outcome.changes.values()]) == (
        Quality.COMPLETE,
        [Step.RESOLVED],
    )


@pytest.mark.parametrize(
    ("before", "left", "held"),
    [(MASS_LEAST - 1, 0, False), (MASS_LEAST, 0, True), (40, 20, False), (40, 19, True), (1_000, 500, False)],
)
@pytest.mark.parametrize("passing", [False, True])
def test_more_than_half_and_at_least_twenty_wait_for_a_person(
    before: int, left: int, held: bool, passing: bool
) -> None:
    ledger = ledger_of(*many(range(before)))
    rest = many(range(left))
    if passing:
        rest += [replace(each, status=Status.PASS) for each in many(range(left, before))]
    outcome = compare(ledger, seen(*rest), facts(1), START + DAY)
    assert {change.step for change in outcome.changes.values()} == {Step.HELD if held else Step.RESOLVED}
    assert len(outcome.changes) == before - left
    assert (outcome.hold is not None) is held
    after = taken(ledger, outcome)
    assert tally(after).held == (before - left if held else 0)


def test_what_is_held_stays_so_whatever_is_made_up_beside_it() -> None:
    """A hostile scanner cannot make a mass a minority by reporting more."""
    ledger = scanned(ledger_of(*many(range(40))), 1, *many(range(5)))
    ledger = scanned(ledger, 2, *many(range(5)), *many(range(100, 1_000)))
    assert tally(ledger).held == 35
    assert state(ledger, observation(39)) is State.OPEN


def test_a_shard_cannot_empty_its_region() -> None:
    """A mass is a share of what the scan covers, not of the whole target."""
    east = [observation(number, region="us-east-1") for number in range(100)]
    ledger = ledger_of(*east, *many(range(30)))
    assert compare(ledger, seen(), facts(1), START).hold is not None


def test_accepted_findings_neither_hide_a_mass_nor_escape_one() -> None:
    ledger = ledger_of(*many(range(60)))
    accepted = Acceptance(reason="Known.", owner="web", until=START + 90 * DAY)
    for one in many(range(30)):
        ledger = replace(
            ledger, entries=life.after(ledger.entries, life.accept(ledger, one.id, accepted, START))
        )
    all_open_gone = compare(ledger, seen(*many(range(30))), facts(1), START + DAY)
    assert all_open_gone.hold is not None
    all_gone = compare(ledger, seen(), facts(1), START + DAY)
    assert {change.step for change in all_gone.changes.values()} == {Step.HELD}


def test_held_findings_that_are_seen_again_are_free() -> None:
    ledger = scanned(ledger_of(*many(range(40))), 1)
    assert tally(ledger).held == 40
    ledger = scanned(ledger, 2, *many(range(40)))
    assert (tally(ledger).held, ledger.hold) == (0, None)
    with pytest.raises(ConflictError):
        life.release(ledger, START)


def test_a_person_who_does_not_believe_it_leaves_all_open() -> None:
    ledger = scanned(ledger_of(*many(range(40))), 1)
    after = life.after(ledger.entries, life.dismiss(ledger))
    assert {(entry.state, entry.held) for entry in after.values()} == {(State.NEW, False)}


# ---------------------------------------------------------------- acceptances

ACCEPTED = Acceptance(reason="A public site.", owner="web", until=START + 10 * DAY)


def accepted() -> Ledger:
    ledger = ledger_of(ONE)
    return replace(ledger, entries=life.after(ledger.entries, life.accept(ledger, ONE.id, ACCEPTED, START)))


def test_an_acceptance_lasts_until_its_day_and_then_the_finding_is_open() -> None:
    ledger = accepted()
    assert state(scanned(ledger, 9, ONE)) is State.ACCEPTED
    after = scanned(ledger, 10, ONE)
    assert (state(after), after.entries[ONE.id].since) == (State.OPEN, ACCEPTED.until)


@pytest.mark.parametrize("quality", NOT_COMPLETE)
def test_an_acceptance_ends_whatever_the_scan_was(quality: Quality) -> None:
    assert state(scanned(accepted(), 10, quality=quality)) is State.OPEN


def test_what_was_accepted_is_resolved_like_the_rest_and_comes_back_reopened() -> None:
    ledger = scanned(accepted(), 1)
    assert state(ledger) is State.RESOLVED
    assert state(scanned(ledger, 2, ONE)) is State.REOPENED


def test_an_acceptance_can_be_taken_back() -> None:
    ledger = accepted()
    entries = life.after(ledger.entries, life.withdraw(ledger, ONE.id, START + DAY))
    assert (entries[ONE.id].state, entries[ONE.id].until) == (State.OPEN, 0)
    with pytest.raises(ConflictError):
        life.withdraw(replace(ledger, entries=entries), ONE.id, START)


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": " "},
        {"reason": "x" * 1_001},
        {"owner": ""},
        {"owner": "x" * 201},
        {"until": START},
        {"until": START + 367 * DAY},
    ],
)
def test_an_acceptance_needs_a_reason_an_owner_and_a_day(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        life.accept(ledger_of(ONE), ONE.id, replace(ACCEPTED, **wrong), START)


def test_only_what_is_there_and_unresolved_can_be_accepted() -> None:
    with pytest.raises(NotFoundError):
        life.accept(ledger_of(ONE), TWO.id, ACCEPTED, START)
    with pytest.raises(ConflictError):
        life.accept(scanned(ledger_of(ONE), 1), ONE.id, ACCEPTED, START)


# ---------------------------------------------------------------- whatever happens

REPORTS = st.lists(
    st.tuples(
        st.sets(st.integers(0, 45)),
        st.sets(st.integers(0, 45)),
        st.sampled_from([Quality.COMPLETE, Quality.COMPLETE, *NOT_COMPLETE]),
    ),
    max_size=8,
)


def _report(failing: set[int], passing: set[int]) -> Seen:
    passed = [replace(each, status=Status.PASS) for each in many(passing - failing)]
    return seen(*many(failing), *passed)


@given(REPORTS)
def test_the_same_report_again_changes_nothing(reports: list[tuple[set[int], set[int], Quality]]) -> None:
    ledger = Ledger()
    for day, (failing, passing, quality) in enumerate(reports):
        report = _report(failing, passing)
        ledger = taken(ledger, compare(ledger, report, facts(day, quality), START + day * DAY))
        again = compare(ledger, report, facts(day, quality), START + day * DAY)
        assert (again.changes, again.hold) == ({}, ledger.hold)


@given(REPORTS)
def test_only_a_whole_report_makes_fewer_live_findings(
    reports: list[tuple[set[int], set[int], Quality]],
) -> None:
    ledger = Ledger()
    for day, (failing, passing, quality) in enumerate(reports):
        before = {key for key, entry in ledger.entries.items() if entry.state.live}
        outcome = compare(ledger, _report(failing, passing), facts(day, quality), START + day * DAY)
        ledger = taken(ledger, outcome)
        live = {key for key, entry in ledger.entries.items() if entry.state.live}
        lost = before - live
        assert not lost or outcome.quality is Quality.COMPLETE
        assert len(lost) < MASS_LEAST or len(lost) <= len(before) / 2
        assert {each.id for each in many(failing)} <= live
        assert (ledger.hold is not None) == any(entry.held for entry in ledger.entries.values())


# ---------------------------------------------------------------- packing

ENTRIES = st.builds(
    Entry,
    st.sampled_from(State),
    st.sampled_from(Severity),
    st.text(max_size=9),
    st.text(max_size=9),
    st.binary(min_size=4, max_size=4),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)


@given(st.dictionaries(st.binary(min_size=20, max_size=20), st.none() | ENTRIES))
def test_entries_come_out_of_their_package_as_they_went_in(entries: dict[bytes, Entry | None]) -> None:
    assert list(unpack(pack(entries))) == list(entries.items())


def test_an_entry_takes_some_thirty_bytes() -> None:
    entries = dict(ledger_of(*many(range(1_000))).entries)
    assert len(pack(entries)) < 32 * len(entries)


def test_a_package_that_swells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    body = pack(dict(ledger_of(*many(range(100))).entries))
    monkeypatch.setattr("glovebox.findings.ledger.MAX_UNPACKED", 1_000)
    with pytest.raises(ValueError, match="more than any ledger"):
        list(unpack(body))
