"""Every suite that a server accepts for one version up to TLS 1.2, by elimination.

Ask with all suites; strike out the one that was chosen; ask again, until refused: one
connection for each accepted suite and one more (RFC 5246, section 7.4.1.3: the server picks
one from the list).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Protocol

from glovebox.siteaudit.failures import make_failure
from glovebox.siteaudit.record import Answer, Failure, Suite, VersionName, VersionReport
from glovebox.siteaudit.tls.alerts import NO_APPLICATION_PROTOCOL, PLAIN_REFUSALS
from glovebox.siteaudit.tls.exchange import Answered, Garbled, Outcome, Refused, Silent
from glovebox.siteaudit.tls.flight import Flight
from glovebox.siteaudit.tls.groups import SMALL_GROUPS
from glovebox.siteaudit.tls.hello import SSL30, TLS10, TLS11, TLS12, TLS13, Depth, Question, Style
from glovebox.siteaudit.tls.hunt import GroupHunt
from glovebox.siteaudit.tls.inquiry import Inquiry
from glovebox.siteaudit.tls.preference import Preference, opposite_order
from glovebox.siteaudit.tls.suites import (
    COMMON_SUITES,
    LIKELY_FIRST,
    SUITES,
    CipherSuite,
    Exchange,
    suites_of,
)

VERSION_NAMES: Mapping[int, VersionName] = {
    SSL30: "SSLv3",
    TLS10: "TLSv1.0",
    TLS11: "TLSv1.1",
    TLS12: "TLSv1.2",
    TLS13: "TLSv1.3",
}
SHORT_LIST = 40
"""Suites in one question to a server that chokes on long hellos: a hello of some 250 bytes."""
FIRST_ALPN = ("h2", "http/1.1")


class Enumeration(Protocol):
    """The state of one version's questions: it can stop at a doubt and go on later."""

    doubt: Refused | Silent | None
    """A silence, or an odd alert, that may be a refusal or a rate limit."""
    strikes: int
    """How often in a row the same question ended in a doubt."""

    async def run(self) -> None:
        """Asks until everything is known, or a doubt arises."""
        ...

    def accept_doubt(self) -> None:
        """The doubt was a refusal."""
        ...

    def report(self) -> VersionReport: ...


def suite_record(suite: CipherSuite, key_exchange: str | None) -> Suite:
    return Suite(name=suite.name, openssl_name=suite.openssl_name, code=suite.code, key_exchange=key_exchange)


def version_report(
    version: int,
    *,
    tested: bool,
    found: list[Suite],
    preference: Answer,
    doubt: Refused | Silent | None,
    failure: Failure | None,
) -> VersionReport:
    """What is known of a version; what stayed in doubt is `unknown`, with the reason."""
    if failure is None and doubt is not None:
        failure = make_failure(doubt.failure_class, doubt.detail, where=VERSION_NAMES[version])
    supported: Answer = "yes" if found else "no" if tested and failure is None else "unknown"
    return VersionReport(
        version=VERSION_NAMES[version],
        supported=supported,
        suites=found,
        server_preference=preference,
        failure=failure,
    )


class Elimination:
    """One version from SSL 3 to TLS 1.2."""

    def __init__(self, inquiry: Inquiry, version: int, hunt: GroupHunt, style: Style = Style.FULL) -> None:
        self.version = version
        self.doubt: Refused | Silent | None = None
        self.strikes = 0
        self.found: list[Suite] = []
        self._inquiry = inquiry
        self._hunt = hunt
        self._style = style
        self._left = list(suites_of(version))
        self._limit = len(self._left)
        if style is not Style.FULL:
            self._left.sort(key=_common_first)
            self._limit = SHORT_LIST
        self._preference = Preference()
        self._preference_asked = False
        self._opposite_open = False
        self._failure: Failure | None = None
        self._alpn_open = False
        self._offers_alpn = True
        self._tested = False

    @property
    def codes(self) -> tuple[int, ...]:
        return tuple(suite.code for suite in self.found)

    def first_question(self) -> Question:
        """The first of all questions to a host: it reads the whole flight."""
        self._alpn_open = True
        return self.question(self._offered(), depth=Depth.FLIGHT, alpn=FIRST_ALPN)

    def next_question(self) -> Question:
        return self.question(self._offered(), alpn=self._alpn())

    def question(
        self, suites: tuple[int, ...], *, depth: Depth = Depth.KEY_EXCHANGE, alpn: tuple[str, ...] = ()
    ) -> Question:
        return Question(
            version=self.version,
            suites=suites,
            groups=self._hunt.offer() if self._style is Style.FULL else SMALL_GROUPS,
            alpn=alpn if self._style is Style.FULL and self._offers_alpn else (),
            depth=depth,
            style=self._style,
        )

    def _offered(self) -> tuple[int, ...]:
        """What is left; once, backwards and with what was chosen before at the end.

        Where the first choice was the first of our list, that tells at no cost whether the
        server follows our order.
        """
        offered = tuple(self._left[: self._limit])
        if len(self.found) == 1 and self._opposite_open:
            self._opposite_open = False
            return (*offered[::-1], *self.codes)
        return offered

    def _alpn(self) -> tuple[str, ...]:
        """Whether HTTP/1.1 is on offer too rides on the second question about suites."""
        return ("http/1.1",) if self._alpn_open and self._inquiry.findings.alpn == ["h2"] else ()

    def exclude(self) -> None:
        """The version is refused as a whole."""
        self._tested = True
        self._left.clear()

    async def run(self) -> None:
        self.doubt = None
        while self._left and self.doubt is None:
            async with self._inquiry.hunting if self._hunt.enabled else nullcontext():
                question = self.next_question()
                self.take(question, await self._inquiry.ask(question))
        if self.doubt is None and not self._preference_asked:
            await self._settle_preference()

    def take(self, question: Question, outcome: Outcome) -> None:
        """What `outcome` proves about this version."""
        self._tested = True
        self._alpn_open = self._alpn_open and question.alpn != ("http/1.1",)
        match outcome:
            case Answered(flight) if flight.version == self.version:
                self._accept(question, flight)
            case Answered():
                self._refuse()  # A server that falls back to an older version has nothing left for this one.
            case Refused(alert) if alert == NO_APPLICATION_PROTOCOL and question.alpn:
                self._offers_alpn = self._alpn_open = False  # The same suites are asked for without it.
            case Refused(alert) if alert in PLAIN_REFUSALS or self._inquiry.trusts(outcome):
                self._refuse()
            case Silent() if self._inquiry.trusts(outcome):
                self._refuse()
            case Refused() | Silent():
                self.doubt = outcome
                self.strikes += 1
            case Garbled(failure_class, detail):
                self._failure = make_failure(failure_class, detail, where=VERSION_NAMES[self.version])
                self._left.clear()

    def _accept(self, question: Question, flight: Flight) -> None:
        self.strikes = 0
        self._preference.observe(question.suites, flight.suite.code)
        if not self.found:
            self._opposite_open = flight.suite.code in LIKELY_FIRST
        self._hunt.note(question.groups, flight)
        if flight.suite.code in self._left:
            self._left.remove(flight.suite.code)
            key_exchange = flight.key_exchange
            if flight.suite.exchange is Exchange.ECDHE and flight.group is not None:
                key_exchange = self._hunt.usual_name
            self.found.append(suite_record(flight.suite, key_exchange))

    def _refuse(self) -> None:
        self.strikes = 0
        del self._left[: self._limit]

    def accept_doubt(self) -> None:
        self.doubt = None
        self._refuse()

    async def _settle_preference(self) -> None:
        """One question in the opposite order, where the choices so far fit both readings."""
        self._preference_asked = True
        if len(self.found) > 1 and self._preference.verdict(self.codes) == "unknown":
            question = self.question(opposite_order(self.codes))
            outcome = await self._inquiry.ask(question)
            if isinstance(outcome, Answered):
                self._accept(question, outcome.flight)

    def report(self) -> VersionReport:
        preference = self._preference.verdict(self.codes)
        order = suites_of(self.version)
        return version_report(
            self.version,
            tested=self._tested,
            found=self.found
            if preference == "yes"
            else sorted(self.found, key=lambda suite: order.index(suite.code)),
            preference=preference,
            doubt=self.doubt,
            failure=self._failure,
        )

    # ------------------------------------------------------------ groups

    async def test_groups(self, candidates: tuple[int, ...]) -> bool:
        """Asks for `candidates` that nobody has seen, until refused; whether that came to an end.

        The answers land in the inquiry's findings.
        """
        suites = tuple(code for code in self.codes if SUITES[code].exchange is Exchange.ECDHE)
        if self._style is Style.BARE or self.version == SSL30:
            return not suites  # Without extensions there is no way to ask.
        plain = tuple(code for code in suites if not SUITES[code].ecdsa)
        while suites and (unseen := self._hunt.unseen(candidates)):
            # An ECDSA key is usable only where its curve is among the groups (RFC 8422, section 5.1).
            curve = None if plain else self._hunt.key_curve()
            groups = unseen if curve is None else (*unseen, curve)
            outcome = await self._inquiry.ask(
                Question(version=self.version, suites=plain or suites, groups=groups, style=self._style)
            )
            if isinstance(outcome, Silent | Garbled):
                return isinstance(outcome, Silent) and self._inquiry.trusts(outcome)
            if isinstance(outcome, Refused) or outcome.flight.group not in unseen:
                return True
        return True


def _common_first(code: int) -> tuple[bool, int]:
    try:
        return False, COMMON_SUITES.index(code)
    except ValueError:
        return True, code
