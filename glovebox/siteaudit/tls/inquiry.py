"""All questions to one endpoint: their number and time, what they showed, whether we are slowed down."""

from __future__ import annotations

import asyncio
from typing import Literal

from glovebox.siteaudit.connect import Connector, Endpoint
from glovebox.siteaudit.record import Answer
from glovebox.siteaudit.settings import AuditSettings
from glovebox.siteaudit.tls import wire
from glovebox.siteaudit.tls.exchange import Answered, Outcome, Refused, Silent, ask, converse
from glovebox.siteaudit.tls.flight import Flight
from glovebox.siteaudit.tls.groups import TLS12_GROUPS, TLS13_GROUPS
from glovebox.siteaudit.tls.hello import SSL30, TLS13, Depth, Question, Style
from glovebox.siteaudit.tls.sslv2 import Ssl2Reader

MAX_QUESTIONS = 800
"""A server that accepts every suite of every version answers 700; one that asks for more plays with us."""
TIME_SHARE = 2 / 3
"""Of `site_timeout`: the rest is for redirects and the page."""
BACK_OFF_SECONDS = (1.0, 2.0, 4.0)
"""Waits for a server that refuses what it granted before.  A longer block is not worth a site's time."""
FIRST_PACE_SECONDS = 0.25
"""Between questions, once a server has slowed us down; doubled each time that it does so again."""


class Findings:
    """What answers show besides suites.  A `yes` stays; a `no` gives way to a later `yes`."""

    def __init__(self) -> None:
        self.alpn: list[str] = []
        self.groups: dict[int, None] = {}
        """In the order of their discovery."""
        self.extended_master_secret: Answer = "unknown"  # noqa: S105 - no password, an extension
        self.encrypt_then_mac: Answer = "unknown"
        self.session_tickets: Answer = "unknown"
        self.secure_renegotiation: Answer = "unknown"
        self.compression: Answer = "unknown"
        self.ocsp_stapled: Answer = "unknown"
        self.client_certificate: Literal["none", "requested", "required", "unknown"] = "unknown"
        self.chain: tuple[bytes, ...] = ()
        self.chain_tls13: tuple[bytes, ...] = ()
        self.ocsp_staple: bytes | None = None
        self.sct_list: bytes | None = None
        self.trouble = ""
        self.trouble_class = ""

    def note(self, question: Question, flight: Flight) -> None:
        if flight.group is not None:
            self.groups.setdefault(flight.group)
        if flight.alpn and flight.alpn not in self.alpn:
            self.alpn.append(flight.alpn)
        if SSL30 < flight.version < TLS13 and question.style is Style.FULL:
            self._note_extensions(question, flight)
        if question.depth is Depth.FLIGHT:
            self._note_flight(flight)

    def _note_extensions(self, question: Question, flight: Flight) -> None:
        extensions = flight.hello.extensions
        self.extended_master_secret = _either(
            self.extended_master_secret, wire.EXT_EXTENDED_MASTER_SECRET in extensions
        )
        self.secure_renegotiation = _either(
            self.secure_renegotiation, wire.EXT_RENEGOTIATION_INFO in extensions
        )
        self.session_tickets = _either(self.session_tickets, wire.EXT_SESSION_TICKET in extensions)
        if flight.suite.cbc:
            self.encrypt_then_mac = _either(self.encrypt_then_mac, wire.EXT_ENCRYPT_THEN_MAC in extensions)
        if question.depth is Depth.FLIGHT:
            self.compression = _either(self.compression, flight.hello.compression != 0)

    def _note_flight(self, flight: Flight) -> None:
        if flight.trouble:
            self.trouble, self.trouble_class = flight.trouble, flight.trouble_class
        if not flight.chain:
            return
        if flight.version < TLS13:
            self.chain = self.chain or flight.chain
        else:
            self.chain_tls13 = self.chain_tls13 or flight.chain
        self.ocsp_staple = self.ocsp_staple or flight.ocsp_staple
        self.sct_list = self.sct_list or flight.sct_list
        self.ocsp_stapled = _either(self.ocsp_stapled, flight.ocsp_staple is not None)
        if self.client_certificate in {"unknown", "none"}:
            self.client_certificate = flight.client_certificate


def _either(before: Answer, now: bool) -> Answer:
    return "yes" if now or before == "yes" else "no"


class Inquiry:
    """Asks one endpoint, within bounds, and remembers what all questions have in common."""

    def __init__(self, endpoint: Endpoint, connector: Connector, settings: AuditSettings) -> None:
        self.endpoint = endpoint
        self.settings = settings
        self.findings = Findings()
        self.asked = 0
        self.rate_limited = False
        self.unproven = False
        """A silence was taken for a refusal since the last answer."""
        self.hunting = asyncio.Lock()
        """Held by a question that also hunts for groups, so that no two look for the same."""
        self._connector = connector
        self._clock = asyncio.get_running_loop().time
        self._deadline = self._clock() + settings.site_timeout * TIME_SHARE
        self._pace = 0.0
        self._control: Question | None = None
        self._trusted: set[str] = set()

    async def ask(self, question: Question) -> Outcome:
        spent = await self._turn()
        if spent is not None:
            return spent
        outcome = await ask(self._connector, self.endpoint, question, self._patience())
        if isinstance(outcome, Answered):
            self.unproven = False
            if question.server_name:
                self._note(question, outcome.flight)
        return outcome

    async def ask_ssl20(self) -> tuple[int, ...] | Outcome | None:
        """The suites of SSL 2, `None` for a refusal in SSL 2 or TLS, or why there is no answer."""
        spent = await self._turn()
        if spent is not None:
            return spent
        reader = Ssl2Reader()
        ending = await converse(self._connector, self.endpoint, reader, self._patience())
        return reader.suites if ending is None else ending

    @property
    def spent(self) -> bool:
        """No further question will be asked."""
        return self._clock() >= self._deadline or self.asked >= MAX_QUESTIONS

    async def _turn(self) -> Silent | None:
        """Waits for this question's turn; says why there is none."""
        if self._pace:
            await asyncio.sleep(min(self._pace, max(0.0, self._deadline - self._clock())))
        if self._clock() >= self._deadline:
            return Silent("site_timeout", "the time for this site had run out")
        if self.asked >= MAX_QUESTIONS:
            return Silent("tls_protocol_error", f"no end after {MAX_QUESTIONS} questions")
        self.asked += 1
        return None

    def _patience(self) -> float:
        return min(self.settings.handshake_timeout, max(0.001, self._deadline - self._clock()))

    def _note(self, question: Question, flight: Flight) -> None:
        self.findings.note(question, flight)
        if self._control is None:
            self._control = Question(
                version=flight.version,
                suites=(flight.suite.code,),
                groups=TLS13_GROUPS if flight.version >= TLS13 else TLS12_GROUPS,
                depth=Depth.HELLO,
                style=question.style,
                shares=question.shares,
            )

    # ------------------------------------------------------------ rate limits

    def trusts(self, outcome: Refused | Silent) -> bool:
        """Whether this kind of silence is known to be how the server refuses."""
        if outcome.failure_class not in self._trusted:
            return False
        self.unproven = True
        return True

    def trust(self, outcome: Refused | Silent) -> None:
        self._trusted.add(outcome.failure_class)

    async def control(self) -> bool:
        """Asks what was granted before; `False` says that now nothing is."""
        return self._control is not None and isinstance(await self.ask(self._control), Answered)

    async def back_off(self) -> bool:
        """Waits until the server grants again what it granted; `False` where it does not in time."""
        self.rate_limited = True
        for seconds in BACK_OFF_SECONDS:
            self._pace = self._pace * 2 or FIRST_PACE_SECONDS
            await asyncio.sleep(min(seconds, max(0.0, self._deadline - self._clock())))
            if await self.control():
                return True
        return False
