"""The look-up service: pace, memory, budget, and what becomes of each failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from glovebox.dates import iso
from glovebox.siteaudit.record import Shodan
from glovebox.sites.shodan import (
    CACHE_DAYS,
    FIXES,
    ShodanError,
    ShodanFailure,
    expires,
    look_up,
)

START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
A, B, C = "8.8.8.8", "9.9.9.9", "2001:4860:4860::8888"
Script = Callable[[str], Shodan | None]


@dataclass
class FakeClock:
    elapsed: float = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.elapsed += seconds


@dataclass
class FakeShodan:
    """Answers what its script says; remembers who was asked for and when."""

    clock: FakeClock
    script: Script = lambda address: Shodan(status="found", ip_str=address)
    asked: list[tuple[str, float]] = field(default_factory=list)

    def host(self, address: str) -> Shodan | None:
        self.asked.append((address, self.clock.elapsed))
        return self.script(address)


class FakeCache(dict[str, Shodan]):
    def put(self, address: str, answer: Shodan) -> None:
        self[address] = answer


def failing(*errors: ShodanError) -> Script:
    """Each of `errors` once, then answers."""
    queue = list(errors)

    def script(address: str) -> Shodan | None:
        if queue:
            raise queue.pop(0)
        return Shodan(status="found", ip_str=address)

    return script


def run(
    *addresses: str, script: Script | None = None, cache: FakeCache | None = None, budget: float = 1_000
) -> tuple[dict[str, Shodan], FakeShodan]:
    clock = FakeClock()
    port = FakeShodan(clock, script) if script else FakeShodan(clock)
    answers = dict(look_up(addresses, port, cache if cache is not None else FakeCache(), clock, budget))
    return answers, port


def test_each_address_is_asked_once_and_one_a_second() -> None:
    answers, port = run(A, B, A, C, B)
    assert [address for address, _ in port.asked] == [A, B, C]
    assert [when for _, when in port.asked] == [0.0, 1.0, 2.0]
    assert answers[B] == Shodan(status="found", ip_str=B, looked_up="2026-03-04T05:06:08Z")


def test_an_unknown_address_is_an_answer_and_is_remembered() -> None:
    cache = FakeCache()
    answers, _ = run(A, script=lambda _: None, cache=cache)
    assert answers[A].status == "unknown_address"
    assert cache[A] == answers[A]


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "fd00::1", "2001:4860::1%../../x", "../x", ""]
)
def test_what_is_no_public_address_is_never_asked(address: str) -> None:
    answers, port = run(address)
    assert (answers[address].status, port.asked) == ("off", [])


@pytest.mark.parametrize(
    ("age", "asked"), [(timedelta(days=CACHE_DAYS, seconds=-1), 0), (timedelta(days=CACHE_DAYS), 1)]
)
def test_an_answer_is_used_for_seven_days(age: timedelta, asked: int) -> None:
    known = Shodan(status="found", ip_str=A, looked_up=iso(START - age))
    answers, port = run(A, cache=FakeCache({A: known}))
    assert len(port.asked) == asked
    assert (answers[A] == known) is (asked == 0)


@pytest.mark.parametrize("looked_up", [None, "yesterday"])
def test_a_remembered_answer_without_a_date_is_asked_again(looked_up: str | None) -> None:
    _, port = run(A, cache=FakeCache({A: Shodan(status="found", looked_up=looked_up)}))
    assert len(port.asked) == 1


@pytest.mark.parametrize(
    "kind", [ShodanFailure.RATE_LIMITED, ShodanFailure.SERVER_ERROR, ShodanFailure.TIMEOUT]
)
def test_a_passing_failure_is_tried_again_with_back_off(kind: ShodanFailure) -> None:
    answers, port = run(A, script=failing(ShodanError(kind, "x"), ShodanError(kind, "x")))
    assert answers[A].status == "found"
    assert [when for _, when in port.asked] == [0.0, 2.0, 6.0]


def test_the_wait_that_shodan_asks_for_is_kept() -> None:
    error = ShodanError(ShodanFailure.RATE_LIMITED, "slow down", retry_after=30)
    _, port = run(A, script=failing(error))
    assert [when for _, when in port.asked] == [0.0, 30.0]


def test_a_wait_beyond_a_minute_is_a_failure() -> None:
    answers, port = run(A, script=failing(ShodanError(ShodanFailure.RATE_LIMITED, "x", retry_after=3_600)))
    assert (answers[A].status, len(port.asked)) == ("failed", 1)


def test_after_four_tries_the_failure_is_the_answer_and_the_next_address_is_asked() -> None:
    errors = [ShodanError(ShodanFailure.SERVER_ERROR, "Shodan answered 503") for _ in range(4)]
    cache = FakeCache()
    answers, _ = run(A, B, script=failing(*errors), cache=cache)
    assert answers[A].reason == f"server_error: Shodan answered 503 {FIXES[ShodanFailure.SERVER_ERROR]}"
    assert (answers[B].status, list(cache)) == ("found", [B])


@pytest.mark.parametrize("kind", [ShodanFailure.BAD_KEY, ShodanFailure.FORBIDDEN])
def test_a_refused_key_ends_all_requests(kind: ShodanFailure) -> None:
    answers, port = run(A, B, C, script=failing(ShodanError(kind, "no")))
    assert len(port.asked) == 1
    assert {answer.status for answer in answers.values()} == {"failed"}
    assert answers[C].reason is not None
    assert answers[C].reason.startswith(f"{kind}: ")


@pytest.mark.parametrize("kind", [ShodanFailure.BAD_ANSWER, ShodanFailure.UNREACHABLE])
def test_a_lasting_failure_costs_one_request_and_only_its_own_address(kind: ShodanFailure) -> None:
    answers, port = run(A, B, script=failing(ShodanError(kind, "x")))
    assert [answers[A].status, answers[B].status] == ["failed", "found"]
    assert len(port.asked) == 2


def test_what_the_budget_leaves_over_is_pending() -> None:
    answers, port = run(A, B, C, budget=1.5)
    assert [answer.status for answer in answers.values()] == ["found", "found", "pending"]
    assert len(port.asked) == 2


def test_answers_come_one_by_one_so_that_addresses_may_come_from_a_queue() -> None:
    drawn: list[str] = []

    def addresses() -> Iterator[str]:
        for address in (A, B):
            drawn.append(address)
            yield address

    clock = FakeClock()
    stream = look_up(addresses(), FakeShodan(clock), FakeCache(), clock, 100)
    assert next(stream)[0] == A
    assert drawn == [A]


def test_every_failure_says_what_to_do() -> None:
    assert set(FIXES) == set(ShodanFailure)


def test_an_answer_expires_seven_days_after_its_look_up() -> None:
    assert expires(Shodan(status="found", looked_up="2026-03-04T05:06:07Z")) == START + timedelta(days=7)
