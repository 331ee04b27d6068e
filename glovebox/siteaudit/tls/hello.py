"""One question to a server: what a ClientHello offers, and its bytes."""

from __future__ import annotations

import ipaddress
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

from glovebox.siteaudit.tls import wire
from glovebox.siteaudit.tls.suites import EMPTY_RENEGOTIATION_INFO_SCSV

SSL30: Final = 0x0300
TLS10: Final = 0x0301
TLS11: Final = 0x0302
TLS12: Final = 0x0303
TLS13: Final = 0x0304

MAX_HOST_BYTES = 253
"""A longer name is no DNS name, and is not sent."""

_DEFLATE_AND_NULL = b"\x02\x01\x00"
_NULL = b"\x01\x00"


class Style(Enum):
    """How much a hello says."""

    FULL = "full"
    SMALL = "small"
    """Few extensions, for a server that chokes on many."""
    BARE = "bare"
    """No extensions at all."""


class Depth(Enum):
    """How far into the server's flight the question reads on."""

    HELLO = 1
    KEY_EXCHANGE = 2
    FLIGHT = 3
    """Everything that comes before the client's turn: chain, staple, request for a certificate."""


@dataclass(frozen=True, slots=True)
class Question:
    """What one ClientHello offers.  Suites and groups are codes, in the client's order."""

    version: int
    suites: tuple[int, ...]
    groups: tuple[int, ...] = ()
    alpn: tuple[str, ...] = ()
    depth: Depth = Depth.KEY_EXCHANGE
    style: Style = Style.FULL
    server_name: bool = True
    shares: tuple[int, ...] = ()
    """TLS 1.3: groups with a real key share; none draws a HelloRetryRequest, which needs no arithmetic."""
    cookie: bytes = b""
    """TLS 1.3: the body of the cookie extension that a retry asked to have back."""


def _extension(kind: int, body: bytes = b"") -> bytes:
    return struct.pack(">HH", kind, len(body)) + body


def _vector(size: int, body: bytes) -> bytes:
    return len(body).to_bytes(size, "big") + body


def _numbers(values: tuple[int, ...]) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


# Every scheme that certificates are signed with, modern ones first; SHA-1, SHA-224 and DSA
# stay in, because a server whose certificate we cannot accept would hide its suites.
_SIGNATURES = _extension(
    wire.EXT_SIGNATURE_ALGORITHMS,
    _vector(
        2,
        _numbers(
            (
                *(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0603, 0x0806, 0x0601, 0x0807, 0x0808),
                *(0x0809, 0x080A, 0x080B, 0x081A, 0x081B, 0x081C, 0x0303, 0x0301, 0x0203, 0x0201),
                *(0x0402, 0x0502, 0x0602, 0x0302, 0x0202),
            )
        ),
    ),
)
_RENEGOTIATION_INFO = _extension(wire.EXT_RENEGOTIATION_INFO, b"\x00")
_POINT_FORMATS = _extension(wire.EXT_EC_POINT_FORMATS, b"\x01\x00")
_BEFORE_TLS13 = (
    _RENEGOTIATION_INFO
    + _extension(wire.EXT_EXTENDED_MASTER_SECRET)
    + _extension(wire.EXT_ENCRYPT_THEN_MAC)
    + _extension(wire.EXT_SESSION_TICKET)
    + _POINT_FORMATS
)
_FULL_FLIGHT = _extension(wire.EXT_STATUS_REQUEST, b"\x01\x00\x00\x00\x00") + _extension(wire.EXT_SCT)
_TLS13_ONLY = _extension(wire.EXT_SUPPORTED_VERSIONS, b"\x02\x03\x04") + _extension(
    wire.EXT_PSK_MODES, b"\x01\x01"
)


@lru_cache(maxsize=1_024)
def _server_name(host: str) -> bytes:
    """RFC 6066, section 3: a DNS name, never an address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        name = host.rstrip(".").encode("ascii", "ignore")[:MAX_HOST_BYTES]
        return _extension(wire.EXT_SERVER_NAME, _vector(2, b"\x00" + _vector(2, name))) if name else b""
    return b""


def _alpn(protocols: tuple[str, ...]) -> bytes:
    if not protocols:
        return b""
    return _extension(
        wire.EXT_ALPN, _vector(2, b"".join(_vector(1, name.encode("ascii")) for name in protocols))
    )


def _extensions(question: Question) -> bytes:
    """All but the name, which comes before them, and the key share, which comes after.

    Groups and key shares come last: old servers stumble over an empty extension at the end.
    """
    signatures = _SIGNATURES if question.version >= TLS12 else b""
    offered = _extension(wire.EXT_SUPPORTED_GROUPS, _vector(2, _numbers(question.groups)))
    groups = offered if question.groups else b""
    if question.style is Style.SMALL and question.version < TLS13:
        return _RENEGOTIATION_INFO + _POINT_FORMATS + signatures + groups
    extra = _FULL_FLIGHT if question.depth is Depth.FLIGHT else b""
    if question.cookie:
        extra += _extension(wire.EXT_COOKIE, question.cookie)
    general = _TLS13_ONLY if question.version >= TLS13 else _BEFORE_TLS13
    return general + extra + _alpn(question.alpn) + signatures + groups


def _fixed(question: Question) -> tuple[bytes, bytes | None]:
    """What is the same in every hello of `question`: suites and compression, and extensions or `None`."""
    extended = question.style is not Style.BARE and question.version != SSL30
    suites = question.suites if extended else (*question.suites, EMPTY_RENEGOTIATION_INFO_SCSV)
    asks_all = question.depth is Depth.FLIGHT and question.style is Style.FULL
    compression = _DEFLATE_AND_NULL if asks_all and question.version < TLS13 else _NULL
    return _vector(2, _numbers(suites)) + compression, _extensions(question) if extended else None


# Servers of one make are asked the same questions, so most hellos are put together from parts.
_remembered = lru_cache(maxsize=1_024)(_fixed)


def _key_share(question: Question, shares: Mapping[int, bytes]) -> bytes:
    offered = b"".join(struct.pack(">H", group) + _vector(2, shares[group]) for group in question.shares)
    return _extension(wire.EXT_KEY_SHARE, _vector(2, offered))


@dataclass(frozen=True, slots=True)
class Hello:
    """The two random fields of a ClientHello, which stay when it is sent again after a retry."""

    random: bytes
    session_id: bytes

    @classmethod
    def fresh(cls, version: int) -> Hello:
        """TLS 1.3 sends a session id for the sake of middleboxes (RFC 8446, appendix D.4)."""
        entropy = os.urandom(64 if version >= TLS13 else 32)
        return cls(entropy[:32], entropy[32:])

    def message(self, question: Question, host: str, shares: Mapping[int, bytes]) -> bytes:
        """The handshake message.  `shares` holds a public value for each of `question.shares`."""
        # A cookie is the server's: as long as it likes, and never seen again.
        suites, extensions = _fixed(question) if question.cookie else _remembered(question)
        if extensions is not None:
            name = _server_name(host) if question.server_name else b""
            share = _key_share(question, shares) if question.version >= TLS13 else b""
            extensions = _vector(2, name + extensions + share)
        body = b"".join(
            (
                min(question.version, TLS12).to_bytes(2, "big"),
                self.random,
                _vector(1, self.session_id),
                suites,
                extensions or b"",
            )
        )
        return b"\x01" + _vector(3, body)


def record(payload: bytes, version: int, kind: int = wire.HANDSHAKE) -> bytes:
    """`payload` as one record; a first hello names an old version there (RFC 8446, section 5.1)."""
    return struct.pack(">BHH", kind, version, len(payload)) + payload


def first_record(message: bytes, version: int) -> bytes:
    """A ClientHello as it goes out."""
    return record(message, SSL30 if version == SSL30 else TLS10)
