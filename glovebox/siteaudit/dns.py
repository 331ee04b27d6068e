"""Resolving a site's name: which addresses it has, and which of DNS's failures it has instead.

c-ares tells apart what `getaddrinfo` merges: no such name, no address, a zone that fails,
a refusal, silence.  Both address families are asked at once, and one may fail alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

import aiodns
import pycares
from aiodns import error as ares

from glovebox.errors import RefusedError
from glovebox.siteaudit.addresses import public_address
from glovebox.siteaudit.failures import make_failure
from glovebox.siteaudit.record import Answer, Dns, Failure
from glovebox.siteaudit.resolution import Resolution
from glovebox.siteaudit.settings import AuditSettings

MAX_ADDRESSES = 16
"""A family: more are load balancing that an audit of one site does not need."""
MAX_CNAMES = 32
"""What the record holds; resolvers give up at about 16 themselves."""
_TRIES = 2
"""A lost datagram is asked for again once; c-ares doubles its patience, so that both fit the time limit."""
_GRACE = 1.0
"""Seconds beyond c-ares' own limit before we stop waiting for its answer."""
_CLASSES = {
    ares.ARES_ENOTFOUND: "nxdomain",
    ares.ARES_EBADNAME: "nxdomain",
    ares.ARES_ENODATA: "no_address",
    ares.ARES_ESERVFAIL: "servfail",
    ares.ARES_EFORMERR: "servfail",
    ares.ARES_ENOTIMP: "servfail",
    ares.ARES_EBADRESP: "servfail",
    ares.ARES_EREFUSED: "dns_refused",
    ares.ARES_ETIMEOUT: "dns_timeout",
    ares.ARES_ECONNREFUSED: "resolver_unreachable",
}
_ABSENT = ("nxdomain", "no_address")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The answer to one question: addresses, or the class of failure and c-ares' words."""

    addresses: tuple[str, ...] = ()
    cnames: tuple[str, ...] = ()
    failure_class: str | None = None
    detail: str = ""


class Resolver:
    """Asks the system's name servers, or the one of `settings.resolver` (`address:port`).

    Make it where an event loop runs and close it there: it is an asynchronous context manager.
    """

    def __init__(self, settings: AuditSettings) -> None:
        self._settings = settings
        self._resolver = aiodns.DNSResolver(
            nameservers=[settings.resolver] if settings.resolver else None,
            timeout=settings.dns_timeout / (2**_TRIES - 1),
            tries=_TRIES,
        )

    async def __aenter__(self) -> Resolver:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Questions under way end as cancelled."""
        await self._resolver.close()

    async def resolve(self, fqdn: str) -> Resolution:
        """The addresses of `fqdn` that an audit may reach, IPv4 first, within `dns_timeout`.

        Raises aiodns.error.DNSError for what c-ares reports of itself (no memory, closed), which is
        no fact about the name.
        """
        ipv4, ipv6 = await asyncio.gather(self._ask(fqdn, "A"), self._ask(fqdn, "AAAA"))
        return _combined(ipv4, ipv6, self._settings.allowed_networks)

    async def _ask(self, fqdn: str, kind: Literal["A", "AAAA"]) -> _Outcome:
        try:
            async with asyncio.timeout(self._settings.dns_timeout + _GRACE):
                result = await self._resolver.query_dns(fqdn, kind)
        except TimeoutError:
            return _Outcome(failure_class="dns_timeout", detail=f"{kind}: no answer")
        except aiodns.error.DNSError as error:
            number, words = error.args[0], str(error.args[1])
            if number not in _CLASSES:
                raise
            return _Outcome(failure_class=_CLASSES[number], detail=f"{kind}: {words}")
        return _outcome_of(result, kind)


def _outcome_of(result: pycares.DNSResult, kind: str) -> _Outcome:
    addresses: dict[str, None] = {}
    cnames: dict[str, None] = {}
    for record in result.answer:
        data = record.data
        if isinstance(data, pycares.ARecordData | pycares.AAAARecordData):
            addresses[data.addr] = None
        elif isinstance(data, pycares.CNAMERecordData):
            cnames[data.cname.rstrip(".").lower()[:255]] = None
    kept, aliases = tuple(addresses)[:MAX_ADDRESSES], tuple(cnames)[:MAX_CNAMES]
    if kept:
        return _Outcome(kept, aliases)
    detail = f"{kind}: only aliases ({' → '.join(aliases)})" if aliases else f"{kind}: an empty answer"
    return _Outcome((), aliases, "no_address", detail[:512])


def _combined(ipv4: _Outcome, ipv6: _Outcome, allowed: list[str]) -> Resolution:
    public: list[str] = []
    private: list[str] = []
    for address in (*ipv4.addresses, *ipv6.addresses):
        try:
            public.append(str(public_address(address, allowed)))
        except RefusedError as error:
            private.append(error.reason)
    dns = Dns(
        addresses=public,
        cnames=list(ipv4.cnames or ipv6.cnames),
        ipv4=_usable(ipv4, public),
        ipv6=_usable(ipv6, public),
    )
    refused = (make_failure("private_address", " ".join(private), "dns"),) if private else ()
    if public:
        return Resolution(dns=dns, warnings=refused)
    if refused:
        return Resolution(dns=dns, failure=refused[0])
    return Resolution(dns=dns, failure=_failure_of(ipv4, ipv6))


def _usable(outcome: _Outcome, public: list[str]) -> Answer:
    """Whether the family can be audited: a family of private addresses cannot."""
    if outcome.addresses:
        return "yes" if set(outcome.addresses) & set(public) else "no"
    return "no" if outcome.failure_class in _ABSENT else "unknown"


def _failure_of(ipv4: _Outcome, ipv6: _Outcome) -> Failure:
    """Why there is no address: a question that failed says more than one that was answered with nothing."""
    outcomes = (ipv4, ipv6)
    detail = "; ".join(outcome.detail for outcome in outcomes)
    classes = [outcome.failure_class or "no_address" for outcome in outcomes]
    broken = next((name for name in classes if name not in _ABSENT), None)
    nowhere = "nxdomain" if classes == ["nxdomain", "nxdomain"] else "no_address"
    return make_failure(broken or nowhere, detail, "dns")
