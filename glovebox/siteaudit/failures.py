"""Why a site could not be audited, or what is wrong with it: one class a cause.

Knowing why something fails is worth more than a run without failures, so there is no
class "other". An exception that maps to nothing here is recorded as `internal_error` with
its type, and makes the run's exit code non-zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from glovebox.siteaudit.record import MAX_TEXT, MAX_WORD, Failure


class Fault(StrEnum):
    """Who has to act."""

    THEIRS = "theirs"
    OURS = "ours"
    ABSENT = "absent"
    """Nobody: there is no site of that name."""


class Stage(StrEnum):
    """Where on the way to a page it happened."""

    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    CERTIFICATE = "certificate"
    HTTP = "http"
    US = "us"


class FailureKind(NamedTuple):
    """What is always true of a failure class."""

    stage: Stage
    fault: Fault
    fix: str


FAILURES: Mapping[str, FailureKind] = {
    # DNS
    "nxdomain": FailureKind(
        Stage.DNS, Fault.ABSENT, "Remove the name from the list, or register or publish it in DNS."
    ),
    "no_address": FailureKind(
        Stage.DNS, Fault.ABSENT, "Publish an A or AAAA record, or remove the name from the list."
    ),
    "servfail": FailureKind(
        Stage.DNS,
        Fault.THEIRS,
        "Repair the zone: its name servers fail or its DNSSEC signatures do not verify.",
    ),
    "dns_refused": FailureKind(
        Stage.DNS,
        Fault.THEIRS,
        "Let the zone's name servers answer for this name, or remove the stale delegation.",
    ),
    "dns_timeout": FailureKind(
        Stage.DNS, Fault.THEIRS, "Check that the zone's name servers are up and reachable from the internet."
    ),
    "private_address": FailureKind(
        Stage.DNS, Fault.THEIRS, "Take the private, loopback or link-local address out of public DNS."
    ),
    # TCP
    "connection_refused": FailureKind(
        Stage.TCP, Fault.THEIRS, "Start the web server, or open the port; or remove the name from the list."
    ),
    "connection_reset": FailureKind(
        Stage.TCP,
        Fault.THEIRS,
        "Find out what resets connections: a crashed worker, a load balancer or a filter.",
    ),
    "connect_timeout": FailureKind(
        Stage.TCP,
        Fault.THEIRS,
        "A firewall drops packets or the host is down: allow the port or refuse it openly.",
    ),
    "host_unreachable": FailureKind(
        Stage.TCP, Fault.THEIRS, "Repair the route to the address that DNS gives."
    ),
    # TLS
    "tls_alert": FailureKind(
        Stage.TLS,
        Fault.THEIRS,
        "The server refused the handshake with this alert: check its names, versions and suites.",
    ),
    "tls_timeout": FailureKind(
        Stage.TLS,
        Fault.THEIRS,
        "The port accepts connections and answers no handshake: check what listens there.",
    ),
    "tls_protocol_error": FailureKind(
        Stage.TLS,
        Fault.THEIRS,
        "What answers on this port does not speak TLS: serve TLS there, or close the port.",
    ),
    "tls_connection_closed": FailureKind(
        Stage.TLS,
        Fault.THEIRS,
        "The server hangs up on a TLS hello without a word: find out what listens on the port.",
    ),
    "tls_response_too_large": FailureKind(
        Stage.TLS,
        Fault.THEIRS,
        "The server's handshake has no end: send the certificate and its intermediates only.",
    ),
    "no_common_version": FailureKind(
        Stage.TLS, Fault.THEIRS, "Enable TLS 1.2 and 1.3 with suites of Mozilla's intermediate profile."
    ),
    "client_certificate_required": FailureKind(
        Stage.TLS,
        Fault.THEIRS,
        "The site asks visitors for a certificate: take it off the list if that is intended.",
    ),
    # Certificate
    "expired": FailureKind(
        Stage.CERTIFICATE, Fault.THEIRS, "Renew the certificate, and automate its renewal."
    ),
    "not_yet_valid": FailureKind(
        Stage.CERTIFICATE,
        Fault.THEIRS,
        "Serve the former certificate until this one's first day, or reissue it.",
    ),
    "name_mismatch": FailureKind(
        Stage.CERTIFICATE, Fault.THEIRS, "Issue a certificate whose subject alternative names hold this name."
    ),
    "self_signed": FailureKind(
        Stage.CERTIFICATE, Fault.THEIRS, "Replace the self-signed certificate with one of a public authority."
    ),
    "untrusted_root": FailureKind(
        Stage.CERTIFICATE,
        Fault.THEIRS,
        "Use an authority that browsers trust, or serve this name inside only.",
    ),
    "incomplete_chain": FailureKind(
        Stage.CERTIFICATE, Fault.THEIRS, "Serve the intermediate certificates together with the site's own."
    ),
    "invalid_chain": FailureKind(
        Stage.CERTIFICATE,
        Fault.THEIRS,
        "Reissue the certificate: a link of its chain breaks a rule of RFC 5280.",
    ),
    "weak_key": FailureKind(
        Stage.CERTIFICATE,
        Fault.THEIRS,
        "Reissue with a key of RSA 2048 bits or more, or ECDSA P-256 or better.",
    ),
    "unsupported_key": FailureKind(
        Stage.CERTIFICATE,
        Fault.THEIRS,
        "Reissue with RSA or with ECDSA on P-256 or P-384: browsers take no other kind of key.",
    ),
    "weak_signature": FailureKind(
        Stage.CERTIFICATE, Fault.THEIRS, "Reissue with a SHA-256 signature or better."
    ),
    "revoked": FailureKind(
        Stage.CERTIFICATE, Fault.THEIRS, "Replace the revoked certificate and its key at once."
    ),
    # HTTP
    "http_timeout": FailureKind(
        Stage.HTTP,
        Fault.THEIRS,
        "The server accepts a request and does not finish its answer: check the application.",
    ),
    "http_connection_closed": FailureKind(
        Stage.HTTP,
        Fault.THEIRS,
        "The server ends the connection in the middle of its answer: check the application.",
    ),
    "too_many_redirects": FailureKind(
        Stage.HTTP, Fault.THEIRS, "Shorten the chain of redirects; one from http to https is enough."
    ),
    "redirect_off_list": FailureKind(
        Stage.HTTP,
        Fault.THEIRS,
        "The site sends visitors to a name outside the list: add that name, or the redirect goes.",
    ),
    "redirect_loop": FailureKind(
        Stage.HTTP, Fault.THEIRS, "Break the loop: two rules redirect to each other."
    ),
    "bad_redirect": FailureKind(
        Stage.HTTP, Fault.THEIRS, "Send a Location that is a valid http or https address."
    ),
    "response_too_large": FailureKind(
        Stage.HTTP, Fault.THEIRS, "Bound the headers and the size of the front page."
    ),
    "http_protocol_error": FailureKind(
        Stage.HTTP,
        Fault.THEIRS,
        "What answers on this port does not speak HTTP/1.1: check what listens there.",
    ),
    # All of it
    "site_timeout": FailureKind(
        Stage.HTTP,
        Fault.THEIRS,
        "The site answers so slowly that its audit was ended: find out what holds answers back.",
    ),
    # Ours
    "egress_denied": FailureKind(
        Stage.US, Fault.OURS, "The gateway refused the connection: see the egress ledger of this scan."
    ),
    "proxy_error": FailureKind(Stage.US, Fault.OURS, "The gateway failed: see its health and its log."),
    "ipv6_only": FailureKind(
        Stage.US,
        Fault.OURS,
        "This audit has a way out over IPv4 alone: audit the site from a network that has IPv6.",
    ),
    "resolver_unreachable": FailureKind(
        Stage.US, Fault.OURS, "Our own name server does not answer: check the resolver that this audit uses."
    ),
    "internal_error": FailureKind(
        Stage.US, Fault.OURS, "A defect of Glovebox: report it with the exception's type."
    ),
}


def kind_of(failure_class: str) -> FailureKind:
    """What is always true of `failure_class`; `tls_alert:handshake_failure` is of the class `tls_alert`.

    Raises KeyError for a class that does not exist, which is a defect of the caller.
    """
    return FAILURES[failure_class.partition(":")[0]]


def make_failure(failure_class: str, detail: str = "", where: str = "") -> Failure:
    """The record's entry for `failure_class`, with what was seen (`detail`) and at which endpoint (`where`).

    Raises KeyError for a class that does not exist, which is a defect of the caller.
    """
    kind = kind_of(failure_class)
    return Failure(
        failure_class=failure_class,
        stage=kind.stage,
        fault=kind.fault,
        fix=kind.fix,
        detail=detail[:MAX_TEXT],
        where=where[:MAX_WORD],
    )
