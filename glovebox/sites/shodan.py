"""Shodan look-ups: one a public address, one a second, remembered for a week, each failure named.

The service asks through a `ShodanPort` and remembers through a `ShodanCache`, so the
command line and the `enrich` function share it.  It never runs inside the scanner.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from msgspec.structs import replace

from glovebox.dates import iso
from glovebox.errors import RefusedError, UpstreamError
from glovebox.siteaudit.addresses import public_address
from glovebox.siteaudit.record import Shodan

CACHE_DAYS = 7
"""Shodan itself visits an address about once a week."""
SECONDS_BETWEEN_REQUESTS = 1.0
"""Shodan's limit for every plan: one request a second."""
BACK_OFF = (2.0, 4.0, 8.0)
"""Seconds before each further try of a request that may succeed later."""
MAX_RETRY_AFTER = 60.0
"""A longer wait than Shodan may ask of us is a failure."""


class ShodanFailure(StrEnum):
    """Why there is no answer."""

    NO_KEY = "no_key"
    BAD_KEY = "bad_key"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    BAD_ANSWER = "bad_answer"


FIXES = {
    ShodanFailure.NO_KEY: "Give a key: --shodan-key-file on the command line, the secret's value in AWS.",
    ShodanFailure.BAD_KEY: "Copy the key again from account.shodan.io.",
    ShodanFailure.FORBIDDEN: "Check that the key's plan allows host look-ups and that nothing filters them.",
    ShodanFailure.RATE_LIMITED: "Let no other program use the key at the same time, and look up again later.",
    ShodanFailure.SERVER_ERROR: "Look up again later: the fault is Shodan's.",
    ShodanFailure.TIMEOUT: "Look up again later, or see what slows the way to api.shodan.io.",
    ShodanFailure.UNREACHABLE: "Allow connections to api.shodan.io, port 443.",
    ShodanFailure.BAD_ANSWER: "See what answers for api.shodan.io: it does not speak Shodan's format.",
}

HOPELESS = frozenset({ShodanFailure.NO_KEY, ShodanFailure.BAD_KEY, ShodanFailure.FORBIDDEN})
"""Every further request would fail in the same way, so none is sent."""
PASSING = frozenset({ShodanFailure.RATE_LIMITED, ShodanFailure.SERVER_ERROR, ShodanFailure.TIMEOUT})
"""Worth another try after a wait."""


class ShodanError(UpstreamError):
    """A look-up failed; `kind` says why, `retry_after` (seconds) when Shodan said so."""

    def __init__(self, kind: ShodanFailure, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{kind}: {detail}", fix=FIXES[kind])
        self.kind = kind
        self.retry_after = retry_after


class ShodanPort(Protocol):
    """Asks Shodan one question, at once and without waiting between questions."""

    def host(self, address: str) -> Shodan | None:
        """What Shodan knows (`found`), or `None` for an address it does not know; raises ShodanError."""
        ...


class ShodanCache(Protocol):
    """Remembers answers by address; it need not know when they grow old."""

    def get(self, address: str) -> Shodan | None: ...

    def put(self, address: str, answer: Shodan) -> None: ...


class Clock(Protocol):
    def now(self) -> datetime:
        """The time, with UTC as its zone."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never backwards."""
        ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def look_up(
    addresses: Iterable[str], port: ShodanPort, cache: ShodanCache, clock: Clock, budget: float
) -> Iterator[tuple[str, Shodan]]:
    """Give each distinct address of `addresses` its answer, as soon as it is there.

    `budget` is the time in seconds after which nothing more is asked: what is left is
    `pending`, for a later run. Addresses are drawn one by one, so they may come from a queue.
    Every failure is an answer (`failed`, with class, sentence and fix); none is raised.
    """
    asker = _Asker(port, clock, deadline=clock.monotonic() + budget)
    seen: set[str] = set()
    for address in addresses:
        if address in seen:
            continue
        seen.add(address)
        if not _is_public(address):
            yield address, Shodan(status="off", reason="Not a public address: not asked.")
            continue
        answer = _remembered(cache.get(address), clock.now())
        if answer is None:
            answer = asker.ask(address)
            if answer.status in {"found", "unknown_address"}:
                cache.put(address, answer)
        yield address, answer


def expires(answer: Shodan) -> datetime:
    """When an answer is too old to be used again; raises ValueError for one without a date."""
    return datetime.fromisoformat(answer.looked_up or "").astimezone(UTC) + timedelta(days=CACHE_DAYS)


def _remembered(answer: Shodan | None, now: datetime) -> Shodan | None:
    """A cached answer that is still good. One without a proper date counts as too old."""
    try:
        return answer if answer and expires(answer) > now else None
    except ValueError:
        return None


def _is_public(address: str) -> bool:
    """False also for what is no address: a hostile scanner may have written the record."""
    try:
        public_address(address)
    except RefusedError:
        return False
    return True


@dataclass(slots=True)
class _Asker:
    """Sends requests at Shodan's pace, and none once that has no use."""

    port: ShodanPort
    clock: Clock
    deadline: float
    hopeless: ShodanError | None = None
    next_request: float = field(default=float("-inf"))

    def ask(self, address: str) -> Shodan:
        if self.hopeless:
            return _failed(self.hopeless)
        for wait in (*BACK_OFF, None):
            if not self._wait_for_turn():
                return Shodan(status="pending", reason="The time for look-ups was used up: look up again.")
            try:
                return self._answer(address)
            except ShodanError as error:
                if error.kind in HOPELESS:
                    self.hopeless = error
                retry_after = error.retry_after or 0.0
                if error.kind not in PASSING or wait is None or retry_after > MAX_RETRY_AFTER:
                    return _failed(error)
                self.next_request = self.clock.monotonic() + max(wait, retry_after)
        raise AssertionError("the last try answers or returns its failure")

    def _answer(self, address: str) -> Shodan:
        found = self.port.host(address)
        looked_up = iso(self.clock.now())
        if found is None:
            return Shodan(status="unknown_address", ip_str=address, looked_up=looked_up)
        return replace(found, looked_up=looked_up)

    def _wait_for_turn(self) -> bool:
        """False where the turn would come after the deadline."""
        now = self.clock.monotonic()
        turn = max(now, self.next_request)
        if turn >= self.deadline:
            return False
        if turn > now:
            self.clock.sleep(turn - now)
        # Asked again, because a sleep may be cut short when nobody wants the answers any more.
        self.next_request = self.clock.monotonic() + SECONDS_BETWEEN_REQUESTS
        return self.clock.monotonic() < self.deadline


def _failed(error: ShodanError) -> Shodan:
    return Shodan(status="failed", reason=str(error))
