"""Cipher suites: names, key exchange, and which of them a question for a version offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from glovebox.siteaudit.tls.suite_table import TABLE

EMPTY_RENEGOTIATION_INFO_SCSV = 0x00FF
"""RFC 5746: says in a hello without extensions what `renegotiation_info` says in one with them."""
FALLBACK_SCSV = 0x5600
"""RFC 7507: the client claims that a better version failed before."""


class Exchange(StrEnum):
    """What decides the session's secret, as far as it shows in the server's messages."""

    ECDHE = "ECDHE"
    DHE = "DHE"
    RSA = "RSA"
    STATIC = "static"
    """A Diffie-Hellman key in the certificate."""
    OTHER = "other"
    """Kerberos, SRP, GOST, plain PSK: nothing in the flight measures it."""
    TLS13 = "TLS 1.3"
    """The group is negotiated apart from the suite."""


@dataclass(frozen=True, slots=True)
class CipherSuite:
    """One line of the table."""

    code: int
    name: str
    openssl_name: str | None
    exchange: Exchange
    psk: bool
    """The ServerKeyExchange starts with an identity hint (RFC 4279, RFC 5489)."""
    ecdsa: bool
    cbc: bool
    """Encrypt-then-MAC (RFC 7366) means something for these only."""
    since_tls12: bool
    """Defined for TLS 1.2: not to be negotiated in an older version (RFC 5246, 5288, 6655, 7905)."""


def _exchange(name: str) -> Exchange:
    head, separator, _ = name.partition("_WITH_")
    if not separator:
        return Exchange.TLS13
    head = head.partition("_")[2]
    if head.startswith("ECDHE_") or head == "ECDH_anon":
        return Exchange.ECDHE
    if head.startswith(("DHE_", "DH_anon")) or head == "PSK_DHE":
        return Exchange.DHE
    if head.startswith("RSA"):
        return Exchange.RSA
    return Exchange.STATIC if head.startswith(("ECDH_", "DH_")) else Exchange.OTHER


# These have no `_WITH_` in their names; four of GOST's are for TLS 1.3 too (RFC 9367).
_TLS13_GOST = range(0xC103, 0xC107)


def _parse(line: str) -> CipherSuite:
    code_text, name, *rest = line.split(" ")
    code = int(code_text, 16)
    openssl_name = rest[0] if rest else None
    exchange = Exchange.TLS13 if code in _TLS13_GOST else _exchange(name)
    cbc = "_CBC" in name
    return CipherSuite(
        code=code,
        name=name,
        openssl_name=name if openssl_name == "=" else openssl_name,
        exchange=exchange,
        psk="PSK" in name,
        ecdsa="_ECDSA_" in name,
        cbc=cbc,
        since_tls12=exchange is not Exchange.TLS13
        and name.endswith(("_SHA256", "_SHA384", "_CCM", "_CCM_8", "_POLY1305_SHA256_OLD")),
    )


SUITES: Mapping[int, CipherSuite] = {suite.code: suite for suite in map(_parse, TABLE.splitlines())}


def _rank(suite: CipherSuite) -> tuple[bool, bool, bool, int]:
    """A modern client's order, so that the first answer is what such a client would get."""
    signed = suite.ecdsa or "_RSA_" in suite.name
    ephemeral = suite.exchange in {Exchange.ECDHE, Exchange.DHE}
    return (
        not (signed and suite.exchange is Exchange.ECDHE),
        not (signed and ephemeral),
        suite.cbc or not suite.since_tls12,
        suite.code,
    )


TLS13_SUITES: tuple[int, ...] = tuple(
    sorted(
        (code for code, suite in SUITES.items() if suite.exchange is Exchange.TLS13),
        key=lambda code: (code >> 8 != 0x13, code),
    )
)
TLS12_SUITES: tuple[int, ...] = tuple(
    suite.code for suite in sorted(SUITES.values(), key=_rank) if suite.exchange is not Exchange.TLS13
)
LEGACY_SUITES: tuple[int, ...] = tuple(code for code in TLS12_SUITES if not SUITES[code].since_tls12)
"""For TLS 1.1 and older."""
COMMON_SUITES: tuple[int, ...] = (
    *(0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC009, 0xC013, 0xC00A, 0xC014),
    *(0x009E, 0x009F, 0x0033, 0x0039, 0x009C, 0x009D, 0x002F, 0x0035, 0x000A, 0x0005),
)
"""What a server that chokes on a long hello is most likely to accept."""
LIKELY_FIRST = frozenset({0xC02B, 0xC02F, 0xC009, 0xC013})
"""The foremost of a version's questions that servers commonly accept."""
CHACHA20_SUITES = frozenset(code for code, suite in SUITES.items() if "CHACHA20" in suite.name)


def suites_of(version: int) -> tuple[int, ...]:
    """Every suite that a question for `version` (0x0300 to 0x0304) offers, in our order."""
    if version >= 0x0304:
        return TLS13_SUITES
    return TLS12_SUITES if version == 0x0303 else LEGACY_SUITES
