"""Every suite and every group that a server accepts for TLS 1.3, in the same questions.

In TLS 1.3 suite and group are chosen apart (RFC 8446, section 4.1.1), so each answer strikes
out one of both.  A refusal while both lists are open says only that one of them has come to
its end; one question with suites that are known to work tells which.  An empty key share
makes the server name both in a HelloRetryRequest, without arithmetic on either side.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

from glovebox.siteaudit.failures import make_failure
from glovebox.siteaudit.record import Failure, Suite, VersionReport
from glovebox.siteaudit.tls.alerts import PLAIN_REFUSALS
from glovebox.siteaudit.tls.enumerate import FIRST_ALPN, suite_record, version_report
from glovebox.siteaudit.tls.exchange import Answered, Garbled, Outcome, Refused, Silent
from glovebox.siteaudit.tls.flight import Flight
from glovebox.siteaudit.tls.groups import TLS13_GROUPS, X25519, group_name
from glovebox.siteaudit.tls.hello import TLS13, Depth, Question
from glovebox.siteaudit.tls.inquiry import Inquiry
from glovebox.siteaudit.tls.keyshares import SHARED_GROUPS
from glovebox.siteaudit.tls.preference import Preference, opposite_order
from glovebox.siteaudit.tls.suites import TLS13_SUITES


class Tls13Elimination:
    """TLS 1.3: the states are which of the two lists is still open."""

    def __init__(self, inquiry: Inquiry) -> None:
        self.doubt: Refused | Silent | None = None
        self.strikes = 0
        self.found: list[Suite] = []
        self.asked_once = asyncio.Event()
        """Set once it is known whether the server speaks TLS 1.3."""
        self.refusal: Refused | None = None
        """How the first question was refused."""
        self._inquiry = inquiry
        self._left = list(TLS13_SUITES)
        self._suites_open = True
        self._groups_open = inquiry.settings.test_groups
        self._isolating = False
        """The last question was refused with both lists open: ask which of them it was."""
        self._usual: int | None = None
        self._retries = False
        """The server has sent a HelloRetryRequest, so an empty key share is fine with it."""
        self._real_shares = False
        self._preference = Preference()
        self._preference_asked = False
        self._failure: Failure | None = None

    @property
    def codes(self) -> tuple[int, ...]:
        return tuple(suite.code for suite in self.found)

    @property
    def groups_complete(self) -> bool:
        """Whether every group that we know was seen or refused."""
        tested = self._inquiry.settings.test_groups and not self._groups_open
        return tested and self.doubt is None and self._failure is None

    async def run(self) -> None:
        self.doubt = None
        while self.doubt is None:
            async with self._inquiry.hunting if self._groups_open else nullcontext():
                question = self._next_question()
                if question is None:
                    return
                self._take(question, await self._inquiry.ask(question))
            self.asked_once.set()

    def _next_question(self) -> Question | None:
        if not self.found:
            return self.first_question() if self._suites_open else None
        groups = self._unseen()
        self._groups_open = self._groups_open and bool(groups)
        self._suites_open = self._suites_open and bool(self._left)
        self._isolating = self._isolating and self._groups_open
        if self._suites_open and not self._isolating:
            suites = tuple(self._left)
        elif self._groups_open or self._preference_is_open():
            suites = opposite_order(self.codes)
            self._preference_asked = self._preference_asked or not self._groups_open
        else:
            return None
        if not self._groups_open:
            groups = TLS13_GROUPS if self._usual is None or not self._real_shares else (self._usual,)
        return Question(
            version=TLS13, suites=suites, groups=groups, depth=Depth.HELLO, shares=self._shares(groups)
        )

    def first_question(self) -> Question:
        """The whole flight, with a real key share, since the certificate is encrypted."""
        return Question(
            version=TLS13,
            suites=TLS13_SUITES,
            groups=TLS13_GROUPS,
            alpn=FIRST_ALPN,
            depth=Depth.FLIGHT,
            shares=(X25519,),
        )

    def _unseen(self) -> tuple[int, ...]:
        seen = self._inquiry.findings.groups
        return tuple(group for group in TLS13_GROUPS if group not in seen)

    def _shares(self, groups: tuple[int, ...]) -> tuple[int, ...]:
        """None, except for a server that cannot ask for one."""
        return tuple(group for group in groups if group in SHARED_GROUPS) if self._real_shares else ()

    def _preference_is_open(self) -> bool:
        """Whether one question in the opposite order is still owed."""
        undecided = len(self.found) > 1 and self._preference.verdict(self.codes) == "unknown"
        return undecided and not self._preference_asked

    def _take(self, question: Question, outcome: Outcome) -> None:
        if not self.asked_once.is_set() and isinstance(outcome, Refused):
            self.refusal = outcome
        match outcome:
            case Answered(flight):
                self._accept(question, flight)
            case Refused(alert) if alert in PLAIN_REFUSALS or self._inquiry.trusts(outcome):
                self._refuse()
            case Silent() if self._inquiry.trusts(outcome):
                self._refuse()
            case Refused() | Silent():
                self.doubt = outcome
                self.strikes += 1
            case Garbled(failure_class, detail):
                self._failure = make_failure(failure_class, detail, where="TLSv1.3")
                self._left.clear()
                self._suites_open = self._groups_open = False

    def _accept(self, question: Question, flight: Flight) -> None:
        self.strikes = 0
        self._retries = self._retries or flight.retried
        self._preference.observe(question.suites, flight.suite.code)
        if self._usual is None:
            self._usual = flight.group
        if self._isolating:  # Groups are not at their end, so the suites are.
            self._suites_open = self._isolating = False
        if flight.suite.code in self._left:
            self._left.remove(flight.suite.code)
            usual = None if self._usual is None else group_name(self._usual)
            self.found.append(suite_record(flight.suite, usual))

    def _refuse(self) -> None:
        self.strikes = 0
        if not self.found:
            self._suites_open = False
        elif not self._retries and not self._real_shares:
            self._real_shares = True  # It may have been the empty key share that was refused.
        elif self._isolating:
            self._groups_open = self._isolating = False
        elif self._suites_open and self._groups_open:
            self._isolating = True
        elif self._suites_open:
            self._suites_open = False
        else:
            self._groups_open = False

    def accept_doubt(self) -> None:
        self.doubt = None
        self._refuse()

    def report(self) -> VersionReport:
        return version_report(
            TLS13,
            tested=self.asked_once.is_set(),
            found=self.found,
            preference=self._preference.verdict(self.codes),
            doubt=self.doubt,
            failure=self._failure,
        )
