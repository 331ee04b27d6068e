"""The least of a TLS 1.3 client that sees the server's certificate (RFC 8446, sections 4.4, 5.2 and 7.1).

It derives the handshake keys, opens the server's encrypted flight, and stops.  Where the
server asks for a client certificate it goes one step on, to learn whether one is required.
Nothing here verifies a signature or a Finished: what it shows is what the server *sent*.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from glovebox.siteaudit.tls.hello import TLS12, record
from glovebox.siteaudit.tls.wire import APPLICATION_DATA, WireError


class _Aead(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Protection:
    """What a suite protects records with."""

    digest: Callable[[bytes], hashlib._Hash]
    digest_name: str
    key_bytes: int
    aead: Callable[[bytes], _Aead]


_PROTECTIONS: Mapping[int, _Protection] = {
    0x1301: _Protection(hashlib.sha256, "sha256", 16, AESGCM),
    0x1302: _Protection(hashlib.sha384, "sha384", 32, AESGCM),
    0x1303: _Protection(hashlib.sha256, "sha256", 32, ChaCha20Poly1305),
    0x1304: _Protection(hashlib.sha256, "sha256", 16, AESCCM),
    0x1305: _Protection(hashlib.sha256, "sha256", 16, lambda key: AESCCM(key, tag_length=8)),
}
READABLE_SUITES = frozenset(_PROTECTIONS)
"""Suites whose encrypted flight we can open."""


def message_hash(suite: int, first_hello: bytes) -> bytes:
    """What stands for the first ClientHello in the transcript after a retry (section 4.4.1)."""
    digest = _PROTECTIONS[suite].digest(first_hello).digest()
    return b"\xfe" + len(digest).to_bytes(3, "big") + digest


def _expand(protection: _Protection, secret: bytes, label: bytes, context: bytes, size: int) -> bytes:
    """HKDF-Expand-Label for at most one block of the hash (section 7.1; RFC 5869)."""
    name = b"tls13 " + label
    info = struct.pack(">HB", size, len(name)) + name + bytes([len(context)]) + context
    return hmac.digest(secret, info + b"\x01", protection.digest_name)[:size]


class _Direction:
    """The keys and the record count of one side."""

    __slots__ = ("_aead", "_count", "_iv")

    def __init__(self, protection: _Protection, traffic_secret: bytes) -> None:
        self._aead = protection.aead(_expand(protection, traffic_secret, b"key", b"", protection.key_bytes))
        self._iv = int.from_bytes(_expand(protection, traffic_secret, b"iv", b"", 12), "big")
        self._count = 0

    def _nonce(self) -> bytes:
        nonce = (self._iv ^ self._count).to_bytes(12, "big")
        self._count += 1
        return nonce

    def open(self, header: bytes, payload: bytes) -> tuple[int, bytes]:
        """(type, content) of a protected record.  Raises WireError where it does not verify."""
        try:
            inner = self._aead.decrypt(self._nonce(), payload, header).rstrip(b"\x00")
        except (InvalidTag, ValueError) as error:
            raise WireError("an encrypted record that does not verify") from error
        if not inner:
            raise WireError("an encrypted record without content")
        return inner[-1], inner[:-1]

    def seal(self, kind: int, content: bytes) -> bytes:
        """One protected record; eight bytes are room enough to find out the tag's size from."""
        inner = content + bytes([kind])
        tag = len(self._aead.encrypt(bytes(12), b"", None))
        header = struct.pack(">BHH", APPLICATION_DATA, TLS12, len(inner) + tag)
        return header + self._aead.encrypt(self._nonce(), inner, header)


class HandshakeKeys:
    """Keys of both directions, from the shared secret and the transcript up to ServerHello."""

    def __init__(self, suite: int, shared: bytes, transcript: bytes) -> None:
        self._protection = protection = _PROTECTIONS[suite]
        size = protection.digest(b"").digest_size
        self._empty = protection.digest(b"").digest()
        early = self._extract(bytes(size), bytes(size))
        self._secret = self._extract(_expand(protection, early, b"derived", self._empty, size), shared)
        self._size = size
        digest = protection.digest(transcript).digest()
        self._client_secret = _expand(protection, self._secret, b"c hs traffic", digest, size)
        self.server = _Direction(protection, _expand(protection, self._secret, b"s hs traffic", digest, size))

    def _extract(self, salt: bytes, material: bytes) -> bytes:
        return hmac.digest(salt, material, self._protection.digest_name)

    def client(self) -> _Direction:
        """Made on demand: a server that asks for no certificate never hears from us again."""
        return _Direction(self._protection, self._client_secret)

    def server_application(self, transcript: bytes) -> _Direction:
        """What the server protects records with after its Finished, which ends `transcript`."""
        derived = _expand(self._protection, self._secret, b"derived", self._empty, self._size)
        master = self._extract(derived, bytes(self._size))
        digest = self._protection.digest(transcript).digest()
        return _Direction(
            self._protection, _expand(self._protection, master, b"s ap traffic", digest, self._size)
        )


def change_cipher_spec() -> bytes:
    """The dummy record that middleboxes like to see before a client's encrypted one (appendix D.4)."""
    return record(b"\x01", TLS12, kind=20)
