"""Hosts whose port 443 does something else than a clean TLS handshake."""

from __future__ import annotations

from glovebox.farm.identities import good
from glovebox.farm.model import Expected, Fronted, Handler, Plain, Tls, Trait
from glovebox.farm.pages import front
from glovebox.farm.rude import (
    HANDSHAKE_FAILURE,
    INTERNAL_ERROR,
    UNRECOGNIZED_NAME,
    alerts,
    answers,
    closes_on_hello,
    cuts_after,
    delays,
    drips,
    limits_rate,
    refuses_long_hellos,
    resets_on_hello,
    says,
    silent,
)
from glovebox.farm.traits.common import ECDSA, SLOW, USUAL, VALID, Suites, secure, to_https
from glovebox.farm.web import site

_GARBAGE = bytes((number * 73 + 41) % 256 for number in range(512))
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_ENDLESS_RECORD = b"\x16\x03\x03\x40\x00" + b"\x02\x00\x3f\xfc" + bytes(2_000)
"""The head of a 16 KB handshake record whose body comes a byte at a time."""


def _broken(name: str, shows: str, failure: str, handler: Handler, *, slow: bool = False) -> Trait:
    """A page on http, and `handler` on 443."""
    title = f"Marlow Bridge {name.replace('-', ' ').title()}"
    return Trait(
        name=name,
        shows=shows,
        http=Plain(site(front(title, headers=()))),
        https=Plain(handler),
        tags=SLOW if slow else frozenset(),
        expects=Expected(failure=failure, https=False, suites={}, title=title),
    )


def _meddled(
    name: str, shows: str, service: Fronted, title: str, *, rate_limited: bool | None = None
) -> Trait:
    """A good site behind a box that gets in the way; the audit must not be fooled."""
    suites: Suites = USUAL if service.behind.versions[1] == "TLSv1.3" else {"TLSv1.2": ECDSA}
    return Trait(
        name=name,
        shows=shows,
        http=to_https(name),
        https=service,
        expects=Expected(
            https=True,
            redirects_to_https=True,
            suites=suites,
            reasons=VALID,
            title=title,
            rate_limited=rate_limited,
        ),
    )


TRAITS: tuple[Trait, ...] = (
    _broken("plain-on-443", "Plain HTTP on port 443", "tls_protocol_error", answers(_BAD_REQUEST)),
    _broken(
        "smtp-on-443",
        "A mail server on port 443",
        "tls_protocol_error",
        says(b"220 mail.fleet.test ESMTP\r\n"),
    ),
    _broken(
        "ssh-on-443", "A shell server on port 443", "tls_protocol_error", says(b"SSH-2.0-OpenSSH_9.6\r\n")
    ),
    _broken("garbage", "Bytes without a meaning on port 443", "tls_protocol_error", answers(_GARBAGE)),
    _broken("alert", "Every handshake is refused", "tls_alert:handshake_failure", alerts(HANDSHAKE_FAILURE)),
    _broken(
        "unknown-name",
        "The server knows no such name",
        "tls_alert:unrecognized_name",
        alerts(UNRECOGNIZED_NAME),
    ),
    _broken(
        "internal-alert", "A TLS server that is broken", "tls_alert:internal_error", alerts(INTERNAL_ERROR)
    ),
    _broken("silent", "Port 443 accepts and says nothing", "tls_timeout", silent, slow=True),
    _broken("drip", "A handshake of a byte a second", "tls_timeout", drips(_ENDLESS_RECORD, 1.0), slow=True),
    _broken("reset-on-hello", "Port 443 resets at the first message", "connection_reset", resets_on_hello),
    _broken(
        "close-on-hello", "Port 443 hangs up at the first message", "tls_connection_closed", closes_on_hello
    ),
    Trait(
        name="reset-in-handshake",
        shows="Port 443 resets in the middle of its answer",
        http=Plain(site(front("Marlow Bridge Archive", headers=()))),
        https=Fronted(secure("Never seen"), cuts_after(40)),
        expects=Expected(failure="connection_reset", https=False, title="Marlow Bridge Archive"),
    ),
    _meddled(
        "slow-handshake",
        "A good site far away: every message takes its time",
        Fronted(secure("Marlow Bridge Observatory"), delays(0.1)),
        "Marlow Bridge Observatory",
    ),
    _meddled(
        "rate-limited",
        "A good site that resets more than six connections a second",
        Fronted(secure("Marlow Bridge Tax Office"), limits_rate(6, 1.0)),
        "Marlow Bridge Tax Office",
        rate_limited=True,
    ),
    _meddled(
        "long-hello",
        "A box in front that resets first messages of more than 600 bytes",
        Fronted(
            Tls(site(front("Marlow Bridge Land Registry")), good, versions=("TLSv1.2", "TLSv1.2")),
            refuses_long_hellos(600),
        ),
        "Marlow Bridge Land Registry",
    ),
    Trait(
        name="client-certificate",
        shows="Visitors need a certificate",
        http=to_https("client-certificate"),
        https=Tls(site(front("Never seen")), good, client_certificate="required"),
        expects=Expected(
            failure="client_certificate_required",
            suites=USUAL,
            reasons=VALID,
            client_certificate="required",
        ),
    ),
    Trait(
        name="client-certificate-tls12",
        shows="Visitors need a certificate, and TLS 1.2 says so in the handshake",
        http=to_https("client-certificate-tls12"),
        https=Tls(
            site(front("Never seen")), good, versions=("TLSv1.2", "TLSv1.2"), client_certificate="required"
        ),
        expects=Expected(
            failure="client_certificate_required",
            suites={"TLSv1.2": ECDSA},
            reasons=VALID,
            client_certificate="required",
        ),
    ),
    Trait(
        name="client-certificate-optional",
        shows="Visitors may show a certificate",
        http=to_https("client-certificate-optional"),
        https=Tls(site(front("Marlow Bridge Staff Portal")), good, client_certificate="requested"),
        expects=Expected(
            suites=USUAL, reasons=VALID, client_certificate="requested", title="Marlow Bridge Staff Portal"
        ),
    ),
    Trait(
        name="needs-name",
        shows="Refuses handshakes without its name",
        http=to_https("needs-name"),
        https=Tls(site(front("Marlow Bridge Hosting")), good, needs_name=True),
        expects=Expected(https=True, suites=USUAL, reasons=VALID, title="Marlow Bridge Hosting"),
    ),
)
