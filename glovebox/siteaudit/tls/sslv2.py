"""SSL 2.0, which has a hello of its own ("The SSL Protocol", Netscape 1995; RFC 6176 forbids it)."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping

from glovebox.siteaudit.record import Suite
from glovebox.siteaudit.tls.wire import Cursor, WireError, describe

SSL20_SUITES: Mapping[int, tuple[str, str]] = {
    0x010080: ("SSL_CK_RC4_128_WITH_MD5", "RC4-MD5"),
    0x020080: ("SSL_CK_RC4_128_EXPORT40_WITH_MD5", "EXP-RC4-MD5"),
    0x030080: ("SSL_CK_RC2_128_CBC_WITH_MD5", "RC2-CBC-MD5"),
    0x040080: ("SSL_CK_RC2_128_CBC_EXPORT40_WITH_MD5", "EXP-RC2-CBC-MD5"),
    0x050080: ("SSL_CK_IDEA_128_CBC_WITH_MD5", "IDEA-CBC-MD5"),
    0x060040: ("SSL_CK_DES_64_CBC_WITH_MD5", "DES-CBC-MD5"),
    0x0700C0: ("SSL_CK_DES_192_EDE3_CBC_WITH_MD5", "DES-CBC3-MD5"),
}
_CLIENT_HELLO = 1
_SERVER_HELLO = 4
_VERSION = 0x0002
_CHALLENGE_BYTES = 16
_MAX_BYTES = 1 << 15
"""A record of SSL 2 has 15 bits of length."""


class Ssl2Reader:
    """Asks in SSL 2 and reads a SERVER-HELLO, which lists all that the server accepts at once.

    After `finished`: `suites` holds codes where the server speaks SSL 2, `None` where it
    answered in TLS, which is a refusal.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.finished = False
        self.suites: tuple[int, ...] | None = None

    def first_bytes(self) -> bytes:
        suites = b"".join(code.to_bytes(3, "big") for code in SSL20_SUITES)
        body = (
            struct.pack(">BHHHH", _CLIENT_HELLO, _VERSION, len(suites), 0, _CHALLENGE_BYTES)
            + suites
            + os.urandom(_CHALLENGE_BYTES)
        )
        return struct.pack(">H", 0x8000 | len(body)) + body

    def feed(self, data: bytes) -> bytes:
        """Raises WireError for what is neither SSL 2 nor a TLS record."""
        buffer = self._buffer
        buffer += data
        if len(buffer) > _MAX_BYTES:
            raise WireError("more than one SSL 2 record", failure_class="tls_response_too_large")
        if len(buffer) < 3:
            return b""
        if buffer[0] in {21, 22} and buffer[1] == 3:
            self.finished = True
        elif not buffer[0] & 0x80 or buffer[2] not in {0, _SERVER_HELLO}:
            raise WireError(f"no SSL 2 record: {describe(bytes(buffer[:64]))}")
        else:
            end = 2 + ((buffer[0] & 0x7F) << 8 | buffer[1])
            if len(buffer) >= end:
                self.finished = True
                self.suites = _server_hello(bytes(buffer[2:end]))
        return b""


def _server_hello(message: bytes) -> tuple[int, ...] | None:
    """The suites on offer; `None` for an ERROR message."""
    cursor = Cursor(message)
    if cursor.number(1) != _SERVER_HELLO:
        return None
    cursor.take(2)
    if cursor.number(2) != _VERSION:
        raise WireError("an SSL 2 hello for another version")
    certificate, suites, connection_id = (cursor.number(2) for _ in range(3))
    cursor.take(certificate)
    specs = Cursor(cursor.take(suites))
    cursor.take(connection_id)
    codes: list[int] = []
    while not specs.empty:
        codes.append(specs.number(3))
    return tuple(dict.fromkeys(code for code in codes if code in SSL20_SUITES))


def ssl20_suite(code: int) -> Suite:
    name, openssl_name = SSL20_SUITES[code]
    return Suite(name=name, openssl_name=openssl_name, code=code, key_exchange="RSA")
