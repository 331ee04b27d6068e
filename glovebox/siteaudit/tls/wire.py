"""TLS on the wire: records and handshake messages, read strictly and within bounds.

Everything here reads what a hostile server may have written.  Whatever breaks the format
raises WireError, and nothing else; nothing grows past MAX_FLIGHT_BYTES.  Sources: RFC 5246,
RFC 8446, RFC 6101 (SSL 3.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from glovebox.errors import GloveboxError
from glovebox.siteaudit.tls.groups import group_name
from glovebox.siteaudit.tls.suites import CipherSuite, Exchange

MAX_FLIGHT_BYTES = 256 << 10
"""All that one connection may send us: the longest honest flight, ten RSA-8192 certificates, has 40 KB."""
MAX_RECORD_BYTES = (1 << 14) + 2_048
"""RFC 5246, section 6.2.3."""

CHANGE_CIPHER_SPEC: Final = 20
ALERT: Final = 21
HANDSHAKE: Final = 22
APPLICATION_DATA: Final = 23
_RECORD_TYPES = frozenset({CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA})

HELLO_REQUEST: Final = 0
SERVER_HELLO: Final = 2
ENCRYPTED_EXTENSIONS: Final = 8
CERTIFICATE: Final = 11
SERVER_KEY_EXCHANGE: Final = 12
CERTIFICATE_REQUEST: Final = 13
SERVER_HELLO_DONE: Final = 14
FINISHED: Final = 20
CERTIFICATE_STATUS: Final = 22

EXT_SERVER_NAME: Final = 0
EXT_STATUS_REQUEST: Final = 5
EXT_SUPPORTED_GROUPS: Final = 10
EXT_EC_POINT_FORMATS: Final = 11
EXT_SIGNATURE_ALGORITHMS: Final = 13
EXT_ALPN: Final = 16
EXT_SCT: Final = 18
EXT_ENCRYPT_THEN_MAC: Final = 22
EXT_EXTENDED_MASTER_SECRET: Final = 23
EXT_SESSION_TICKET: Final = 35
EXT_SUPPORTED_VERSIONS: Final = 43
EXT_COOKIE: Final = 44
EXT_PSK_MODES: Final = 45
EXT_KEY_SHARE: Final = 51
EXT_RENEGOTIATION_INFO: Final = 0xFF01

# SHA-256 of "HelloRetryRequest" (RFC 8446, section 4.1.3).
RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


class WireError(GloveboxError):
    """What the server sent is not TLS, or breaks a rule of it.  `failure_class` names which."""

    def __init__(self, reason: str, *, failure_class: str = "tls_protocol_error") -> None:
        super().__init__(reason)
        self.failure_class = failure_class


class Cursor:
    """Reads numbers and vectors from the front of some bytes; raises WireError where they end early."""

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._end = len(data)

    def take(self, size: int) -> bytes:
        start = self._position
        if start + size > self._end:
            raise WireError("a message ends in the middle of a field")
        self._position = start + size
        return self._data[start : start + size]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """A field with its own length in `size` bytes before it."""
        return self.take(self.number(size))

    @property
    def empty(self) -> bool:
        return self._position == self._end

    def finish(self) -> None:
        """Raises WireError where bytes are left."""
        if not self.empty:
            raise WireError("a message is longer than its fields")


class RecordReader:
    """Cuts what arrives into records and keeps the count of bytes."""

    __slots__ = ("_buffer", "_received")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._received = 0

    def feed(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > MAX_FLIGHT_BYTES:
            raise WireError(
                f"the server sent more than {MAX_FLIGHT_BYTES} bytes of handshake",
                failure_class="tls_response_too_large",
            )
        self._buffer += data

    def next(self) -> tuple[int, bytes, bytes] | None:
        """The next whole record as (type, header, payload), or `None` where more must arrive."""
        buffer = self._buffer
        if not buffer:
            return None
        if buffer[0] not in _RECORD_TYPES or (len(buffer) > 1 and buffer[1] != 3):
            raise WireError(f"no TLS record: {describe(bytes(buffer[:64]))}")
        if len(buffer) < 5:
            return None
        length = buffer[3] << 8 | buffer[4]
        if length > MAX_RECORD_BYTES:
            raise WireError(f"a record of {length} bytes")
        end = 5 + length
        if len(buffer) < end:
            return None
        record = (buffer[0], bytes(buffer[:5]), bytes(buffer[5:end]))
        del buffer[:end]
        return record


class MessageReader:
    """Joins handshake payloads and cuts them into messages."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, payload: bytes) -> None:
        self._buffer += payload

    def next(self) -> tuple[int, bytes] | None:
        """The next whole message as (type, message with its header), or `None`."""
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        length = buffer[1] << 16 | buffer[2] << 8 | buffer[3]
        if length > MAX_FLIGHT_BYTES:
            raise WireError(f"a handshake message of {length} bytes", failure_class="tls_response_too_large")
        end = 4 + length
        if len(buffer) < end:
            return None
        message = (buffer[0], bytes(buffer[:end]))
        del buffer[:end]
        return message


_BANNERS = (
    (b"HTTP/", "plain HTTP"),
    (b"220", "SMTP or FTP"),
    (b"SSH-", "SSH"),
    (b"<", "HTML"),
    (b"+OK", "POP3"),
)


def describe(data: bytes) -> str:
    """What `data` looks like, in printable ASCII, for the person who repairs the server."""
    text = data.decode("latin-1")
    text = "".join(letter if " " <= letter <= "~" else "." for letter in text)
    for banner, name in _BANNERS:
        if data.startswith(banner):
            return f"{name} answers: {text}"
    return f"received {text}"


@dataclass(frozen=True, slots=True)
class ServerHello:
    """RFC 8446, section 4.1.3; `version` is the one that counts, from the extension where there is one."""

    version: int
    suite: int
    compression: int
    extensions: Mapping[int, bytes]
    retry: bool
    """A HelloRetryRequest."""


def parse_extensions(data: bytes) -> dict[int, bytes]:
    """Raises WireError where one comes twice."""
    cursor = Cursor(data)
    extensions: dict[int, bytes] = {}
    while not cursor.empty:
        kind = cursor.number(2)
        if kind in extensions:
            raise WireError(f"extension {kind} twice")
        extensions[kind] = cursor.vector(2)
    return extensions


def parse_server_hello(message: bytes) -> ServerHello:
    cursor = Cursor(message)
    cursor.take(4)
    version = cursor.number(2)
    random = cursor.take(32)
    cursor.vector(1)
    suite = cursor.number(2)
    compression = cursor.number(1)
    extensions = {} if cursor.empty else parse_extensions(cursor.vector(2))
    cursor.finish()
    supported = extensions.get(EXT_SUPPORTED_VERSIONS)
    if supported is not None:
        if len(supported) != 2:
            raise WireError("supported_versions of a wrong size")
        version = int.from_bytes(supported, "big")
    return ServerHello(version, suite, compression, extensions, retry=random == RETRY_RANDOM)


def parse_key_share(data: bytes, *, retry: bool) -> tuple[int, bytes]:
    """(group, the server's share); a HelloRetryRequest names the group alone (RFC 8446, section 4.2.8)."""
    cursor = Cursor(data)
    group = cursor.number(2)
    share = b"" if retry else cursor.vector(2)
    cursor.finish()
    return group, share


def parse_certificates(message: bytes) -> tuple[bytes, ...]:
    """TLS 1.2 and older: the chain as sent, DER."""
    cursor = Cursor(message)
    cursor.take(4)
    entries = Cursor(cursor.vector(3))
    cursor.finish()
    chain: list[bytes] = []
    while not entries.empty:
        chain.append(entries.vector(3))
    return tuple(chain)


def parse_certificates_tls13(message: bytes) -> tuple[tuple[bytes, ...], dict[int, bytes]]:
    """TLS 1.3: the chain as sent, DER, and the extensions of the site's own certificate."""
    cursor = Cursor(message)
    cursor.take(4)
    cursor.vector(1)
    entries = Cursor(cursor.vector(3))
    cursor.finish()
    chain: list[bytes] = []
    leaf_extensions: dict[int, bytes] = {}
    while not entries.empty:
        certificate = entries.vector(3)
        extensions = parse_extensions(entries.vector(2))
        leaf_extensions = leaf_extensions if chain else extensions
        chain.append(certificate)
    return tuple(chain), leaf_extensions


def parse_ocsp_status(data: bytes) -> bytes:
    """The DER of a CertificateStatus body, or of the TLS 1.3 extension (RFC 6066, section 8)."""
    cursor = Cursor(data)
    kind = cursor.number(1)
    response = cursor.vector(3)
    cursor.finish()
    if kind != 1 or not response:
        raise WireError("a certificate status that is no OCSP response")
    return response


def parse_alpn(data: bytes) -> str:
    """The one protocol that the server chose (RFC 7301)."""
    cursor = Cursor(data)
    names = Cursor(cursor.vector(2))
    cursor.finish()
    name = names.vector(1)
    names.finish()
    return name.decode("ascii", "backslashreplace")


_EXPLICIT_CURVES = {1: "explicit prime curve", 2: "explicit char2 curve"}
_NAMED_CURVE = 3


def parse_key_exchange(message: bytes, suite: CipherSuite) -> tuple[str | None, int | None]:
    """What a ServerKeyExchange says of the key's size, as (text, code of the named curve).

    `DH 2048` is the length of the prime (RFC 5246, section 7.4.3; RFC 8422, section 5.4).
    """
    cursor = Cursor(message)
    cursor.take(4)
    if suite.psk:
        cursor.vector(2)
    if suite.exchange is Exchange.DHE:
        prime = int.from_bytes(cursor.vector(2), "big")
        return f"DH {prime.bit_length()}", None
    if suite.exchange is Exchange.ECDHE:
        kind = cursor.number(1)
        if kind == _NAMED_CURVE:
            code = cursor.number(2)
            return group_name(code), code
        if kind in _EXPLICIT_CURVES:
            return _EXPLICIT_CURVES[kind], None
        raise WireError(f"an unknown kind of curve, {kind}")
    if suite.exchange is Exchange.RSA and not suite.psk:
        modulus = int.from_bytes(cursor.vector(2), "big")
        return f"RSA {modulus.bit_length()}", None
    return None, None
