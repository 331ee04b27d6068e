"""Hosts that fail, or nearly, on the way to a connection: DNS and TCP."""

from __future__ import annotations

from glovebox.farm.dns import Answer, Rcode
from glovebox.farm.model import DOMAIN, Expected, Plain, Trait, Unanswered
from glovebox.farm.pages import front
from glovebox.farm.rude import resets
from glovebox.farm.traits.common import SLOW, USUAL, VALID, secure, to_https
from glovebox.farm.web import site


def _unresolved(name: str, shows: str, failure: str, dns: Answer, *, slow: bool = False) -> Trait:
    expects = Expected(failure=failure, https=False, redirects_to_https=False)
    return Trait(name=name, shows=shows, expects=expects, dns=dns, tags=SLOW if slow else frozenset())


TRAITS: tuple[Trait, ...] = (
    Trait(
        name="alias",
        shows="A CNAME to another host, as content networks have it",
        dns=Answer(alias=f"good.{DOMAIN}"),
        expects=Expected(https=True, suites=USUAL, reasons=VALID, title="Town of Marlow Bridge"),
    ),
    _unresolved("nxdomain", "A name that is not in DNS", "nxdomain", Answer(rcode=Rcode.NXDOMAIN)),
    _unresolved("no-address", "A name with neither A nor AAAA", "no_address", Answer()),
    _unresolved("servfail", "A zone whose name servers fail", "servfail", Answer(rcode=Rcode.SERVFAIL)),
    _unresolved("dns-refused", "A stale delegation", "dns_refused", Answer(rcode=Rcode.REFUSED)),
    _unresolved(
        "dns-timeout", "Name servers that never answer", "dns_timeout", Answer(silent=True), slow=True
    ),
    _unresolved(
        "cname-loop", "Two aliases of each other", "no_address", Answer(alias=f"cname-loop-back.{DOMAIN}")
    ),
    _unresolved(
        "private-address", "A private address in public DNS", "private_address", Answer(("10.20.30.40",))
    ),
    _unresolved(
        "loopback-address", "A name of the auditor itself", "private_address", Answer(("127.0.0.1",))
    ),
    _unresolved(
        "metadata-address",
        "A name of the cloud's metadata service",
        "private_address",
        Answer(("169.254.169.254",)),
    ),
    Trait(
        name="refused",
        shows="Both ports closed",
        expects=Expected(failure="connection_refused", https=False, redirects_to_https=False),
    ),
    Trait(
        name="no-https",
        shows="A page on http, and port 443 closed",
        http=Plain(site(front("Marlow Bridge Allotment Society", headers=()))),
        expects=Expected(
            failure="connection_refused",
            https=False,
            redirects_to_https=False,
            title="Marlow Bridge Allotment Society",
        ),
    ),
    Trait(
        name="https-only",
        shows="Port 80 closed, which is a choice and no fault",
        https=secure("Marlow Bridge Court Registry"),
        expects=Expected(
            https=True,
            redirects_to_https=False,
            suites=USUAL,
            reasons=VALID,
            title="Marlow Bridge Court Registry",
        ),
    ),
    Trait(
        name="unanswered",
        shows="A firewall that drops packets to both ports",
        http=Unanswered(),
        https=Unanswered(),
        tags=SLOW,
        expects=Expected(failure="connect_timeout", https=False, redirects_to_https=False),
    ),
    Trait(
        name="https-unanswered",
        shows="A page on http, and a firewall that drops packets to 443",
        http=Plain(site(front("Marlow Bridge Bus Timetable", headers=()))),
        https=Unanswered(),
        tags=SLOW,
        expects=Expected(failure="connect_timeout", https=False, title="Marlow Bridge Bus Timetable"),
    ),
    Trait(
        name="reset-on-accept",
        shows="Both ports reset every connection",
        http=Plain(resets),
        https=Plain(resets),
        expects=Expected(failure="connection_reset", https=False, redirects_to_https=False),
    ),
    Trait(
        name="ipv6-only",
        shows="A good site that has no IPv4 address",
        ipv6=True,
        http=to_https("ipv6-only"),
        https=secure("Marlow Bridge Broadband Co-operative"),
        expects=Expected(
            https=True,
            redirects_to_https=True,
            suites=USUAL,
            reasons=VALID,
            title="Marlow Bridge Broadband Co-operative",
        ),
    ),
)
