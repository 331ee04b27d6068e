"""What a server's TLS is, found out by asking: the order of the questions, and what to do about silence."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable

from glovebox.siteaudit.connect import Connector, Endpoint
from glovebox.siteaudit.failures import make_failure
from glovebox.siteaudit.record import Failure
from glovebox.siteaudit.settings import AuditSettings
from glovebox.siteaudit.tls.alerts import INAPPROPRIATE_FALLBACK, PROTOCOL_VERSION, UNRECOGNIZED_NAME
from glovebox.siteaudit.tls.enumerate import Elimination, Enumeration
from glovebox.siteaudit.tls.enumerate13 import Tls13Elimination
from glovebox.siteaudit.tls.exchange import Answered, Garbled, Outcome, Refused, Silent
from glovebox.siteaudit.tls.groups import ONLY_BEFORE_TLS13, TLS12_GROUPS
from glovebox.siteaudit.tls.hello import SSL30, TLS10, TLS11, TLS12, Depth, Question, Style
from glovebox.siteaudit.tls.hunt import GroupHunt
from glovebox.siteaudit.tls.inquiry import Inquiry
from glovebox.siteaudit.tls.observation import (
    NOT_ASKED,
    TALKING,
    TlsObservation,
    Verdicts,
    build_observation,
    ssl20_report,
)
from glovebox.siteaudit.tls.suites import FALLBACK_SCSV

OLD_VERSIONS = (TLS12, TLS11, TLS10, SSL30)
"""Those that negotiate downwards: a hello names the best, and the server takes that or an older one."""
SETTLING_ROUNDS = 5
"""Two tell a server that refuses in silence from one that limits our rate; the others are for the latter."""
STRIKES = 2
"""The same question met silence so often, with an answer to another in between: it is a refusal."""
SNI_QUESTIONS_BEFORE = 16
"""The question without a name is asked where the audit can still stay within 20 connections."""


async def probe_tls(endpoint: Endpoint, *, connector: Connector, settings: AuditSettings) -> TlsObservation:
    """Finds out versions, suites, groups, extensions and chain of one endpoint.

    It ends within two thirds of `settings.site_timeout`, whatever the server does, and never
    raises for what a server does.  What could not be tested is `unknown` in the report, with a
    reason, and makes `complete` false.
    """
    probe = _Probe(Inquiry(endpoint, connector, settings))
    await probe.run()
    versions = [ssl20_report(probe.ssl20, probe.verdicts, probe.inquiry)]
    versions += [run.report() for run in reversed(probe.old.values())]
    versions.append(probe.tls13.report())
    return build_observation(probe.inquiry, versions, probe.verdicts)


async def _together(tasks: Iterable[Coroutine[None, None, None]]) -> None:
    """Runs all; the first exception ends the others and is raised as it is, from whatever depth of groups."""
    try:
        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(task)
    except BaseExceptionGroup as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


class _Probe:
    """One endpoint's audit while it runs."""

    def __init__(self, inquiry: Inquiry) -> None:
        self.inquiry = inquiry
        self.findings = inquiry.findings
        self.hunt = GroupHunt(self.findings, enabled=inquiry.settings.test_groups)
        self.tls13 = Tls13Elimination(inquiry)
        self.old = {version: self._elimination(version) for version in OLD_VERSIONS}
        self.ssl20: tuple[int, ...] | Outcome | None = NOT_ASKED
        self.verdicts = Verdicts()

    def _elimination(self, version: int, style: Style = Style.FULL) -> Elimination:
        """Only the newest old version hunts for groups; all others ask in an ordinary client's order."""
        hunts = version == TLS12 and style is Style.FULL
        hunt = self.hunt if hunts else GroupHunt(self.findings, enabled=False)
        return Elimination(self.inquiry, version, hunt, style)

    async def run(self) -> None:
        question = self.old[TLS12].first_question()
        outcome = await self.inquiry.ask(question)
        if isinstance(outcome, Garbled) or (
            isinstance(outcome, Silent) and outcome.failure_class not in TALKING
        ):
            self.verdicts.failure = self._failure(outcome)
            return
        if isinstance(outcome, Silent):
            rescued = await self._rescue(ask_tls13=True)
            question, outcome = rescued or (question, outcome)
            if rescued is None and not self.tls13.found:
                self.verdicts.failure = self._failure(outcome)
                return
        await _together((self.tls13.run(), self._ask_ssl20(), self._descend(question, outcome)))
        if not self._anything() and _may_choke(outcome):
            rescued = await self._rescue(ask_tls13=False)
            if rescued is not None:
                await _together([self._descend(*rescued)])
        if not self._anything():
            self.verdicts.failure = self._failure(outcome)
            return
        await self._settle()
        await self._ask_the_rest()

    def _anything(self) -> bool:
        return bool(self.tls13.found or isinstance(self.ssl20, tuple) or self._old_found())

    def _old_found(self) -> list[Elimination]:
        return [run for run in self.old.values() if run.found]

    def _failure(self, outcome: Outcome) -> Failure:
        where = f"https {self.inquiry.endpoint.address}"
        if isinstance(outcome, Answered):
            return make_failure("tls_protocol_error", outcome.flight.trouble, where)
        newest = self.tls13.refusal
        if isinstance(outcome, Refused) and outcome.alert == PROTOCOL_VERSION:
            if newest is not None and newest.alert != PROTOCOL_VERSION:
                return make_failure(newest.failure_class, f"{newest.detail} to TLS 1.3", where)
            return make_failure(
                "no_common_version", "every version from SSL 3.0 to TLS 1.3 was refused", where
            )
        return make_failure(outcome.failure_class, outcome.detail, where)

    # ------------------------------------------------------------ versions

    async def _rescue(self, *, ask_tls13: bool) -> tuple[Question, Outcome] | None:
        """Shorter hellos at once, for a server that chokes on a long one; the question that it answered."""
        small = self._elimination(TLS12, Style.SMALL)
        bare = self._elimination(TLS10, Style.BARE)
        answers: dict[Style, tuple[Question, Outcome]] = {}

        async def attempt(style: Style, run: Elimination) -> None:
            question = run.first_question()
            answers[style] = question, await self.inquiry.ask(question)

        attempts = [attempt(Style.SMALL, small), attempt(Style.BARE, bare)]
        await _together([*attempts, self.tls13.run()] if ask_tls13 else attempts)
        for style in (Style.SMALL, Style.BARE):
            question, outcome = answers[style]
            if isinstance(outcome, Answered):
                self.old = {version: self._elimination(version, style) for version in OLD_VERSIONS}
                return question, outcome
        return None

    async def _descend(self, question: Question, outcome: Outcome) -> None:
        """From TLS 1.2 down to SSL 3, one version after the other, while those found are enumerated.

        A server that answers with an older version has none between; one that refuses a
        version by `protocol_version`, and speaks a newer one, has no older (RFC 5246, appendix E.1).
        """
        async with asyncio.TaskGroup() as group:
            versions = [version for version in OLD_VERSIONS if version <= question.version]
            for version in OLD_VERSIONS:
                if version > question.version:
                    self.old[version].exclude()
            while versions:
                run = self.old[versions.pop(0)]
                if isinstance(outcome, Answered):
                    while outcome.flight.version < run.version and versions:
                        run.exclude()
                        run = self.old[versions.pop(0)]
                run.take(question, outcome)
                if run.doubt is None:
                    group.create_task(run.run())
                elif isinstance(outcome, Silent):
                    # Each silence costs seconds: the others are asked side by side.
                    for version in versions:
                        group.create_task(self.old[version].run())
                    return
                if await self._refuses_all_older(run, outcome):
                    for version in versions:
                        self.old[version].exclude()
                    return
                if versions:
                    question = self.old[versions[0]].next_question()
                    outcome = await self.inquiry.ask(question)

    async def _refuses_all_older(self, run: Elimination, outcome: Outcome) -> bool:
        if not isinstance(outcome, Refused) or outcome.alert != PROTOCOL_VERSION:
            return False
        if any(newer.version > run.version for newer in self._old_found()):
            return True
        await self.tls13.asked_once.wait()
        return bool(self.tls13.found)

    async def _ask_ssl20(self) -> None:
        """Always asked: SSL 2 has a hello of its own, and no refusal of a newer version speaks for it.

        In Apache 2.2 `SSLProtocol all -SSLv3` turns SSL 3 off and leaves SSL 2 on.
        """
        self.ssl20 = await self.inquiry.ask_ssl20()

    # ------------------------------------------------------------ silence

    def _runs(self) -> list[Enumeration]:
        return [self.tls13, *self.old.values()]

    async def _settle(self) -> None:
        """Tells silent refusals from a rate limit, by a question that was answered before."""
        for _ in range(SETTLING_ROUNDS):
            doubtful = [run for run in self._runs() if run.doubt is not None]
            if not doubtful or self.inquiry.spent:
                break
            if await self.inquiry.control():
                for run in doubtful:
                    if run.doubt is not None and run.strikes >= STRIKES:
                        self.inquiry.trust(run.doubt)
                        run.accept_doubt()
            elif not await self.inquiry.back_off():
                break
            else:
                for run in doubtful:
                    run.strikes = 0
            if self.inquiry.rate_limited:
                for run in doubtful:
                    await run.run()
            else:
                await _together(run.run() for run in doubtful)
        if self.inquiry.rate_limited and isinstance(self.ssl20, Silent):
            await self._ask_ssl20()

    # ------------------------------------------------------------ what is asked once all versions are known

    async def _ask_the_rest(self) -> None:
        behaves = self.inquiry.settings.test_behaviour
        fallback = [self._ask_fallback()] if behaves else []
        await _together((self._ask_groups(), self._ask_for_chain(), *fallback))
        if behaves and self.inquiry.asked < SNI_QUESTIONS_BEFORE:
            await self._ask_without_name()
        if self.inquiry.unproven and not self.inquiry.spent and not await self.inquiry.control():
            self.inquiry.rate_limited = True

    async def _ask_for_chain(self) -> None:
        """Once more for a flight that broke off; a server that breaks off again lets no browser in."""
        findings = self.findings
        if not findings.trouble or findings.chain or findings.chain_tls13:
            return
        newest = next(iter(self._old_found()), None)
        findings.trouble = ""
        await self.inquiry.ask(
            self.tls13.first_question()
            if newest is None
            else newest.question(newest.codes, depth=Depth.FLIGHT)
        )
        if findings.trouble and not (findings.chain or findings.chain_tls13):
            where = f"https {self.inquiry.endpoint.address}"
            self.verdicts.failure = make_failure(findings.trouble_class, findings.trouble, where)

    async def _ask_groups(self) -> None:
        """Groups of the older versions that the questions so far have left open."""
        if not self.inquiry.settings.test_groups:
            return
        complete = not self.tls13.found or self.tls13.groups_complete
        newest = next(iter(self._old_found()), None)
        if newest is not None:
            candidates = ONLY_BEFORE_TLS13 if self.tls13.found else TLS12_GROUPS
            proven = bool(self.tls13.found) and self.hunt.follows_client
            complete = (proven or await newest.test_groups(candidates)) and complete
        self.verdicts.groups_tested = complete

    async def _ask_fallback(self) -> None:
        """RFC 7507: claims a fallback from the newest version, with the one after it."""
        old = self._old_found()
        run = old[0] if self.tls13.found and old else old[1] if len(old) > 1 else None
        if run is None:
            return
        match await self.inquiry.ask(run.question((*run.codes, FALLBACK_SCSV), depth=Depth.HELLO)):
            case Refused(alert) if alert == INAPPROPRIATE_FALLBACK:
                self.verdicts.fallback_scsv = "yes"
            case Answered():
                self.verdicts.fallback_scsv = "no"
            case _:
                self.verdicts.fallback_scsv = "unknown"

    async def _ask_without_name(self) -> None:
        newest = next(iter(self._old_found()), None)
        if newest is None or newest.version == SSL30 or not self.findings.chain:
            return  # SSL 3 has no room for a name.
        named = newest.question(newest.codes, depth=Depth.FLIGHT)
        question = Question(
            version=named.version,
            suites=named.suites,
            groups=named.groups,
            depth=named.depth,
            style=named.style,
            server_name=False,
        )
        match await self.inquiry.ask(question):
            case Answered(flight) if flight.chain:
                self.verdicts.sni = "not_needed" if flight.chain[0] == self.findings.chain[0] else "needed"
            case Refused():
                self.verdicts.sni = "needed"
            case _:
                self.verdicts.sni = "unknown"


def _may_choke(outcome: Outcome) -> bool:
    """Whether a refusal may be about the hello's length or a part of it, not about what it offers."""
    return isinstance(outcome, Refused) and outcome.alert not in {PROTOCOL_VERSION, UNRECOGNIZED_NAME}
