"""The public keys that a gateway believes: usually one, two while a key is changed.

The file is PEM, one `PUBLIC KEY` block (RFC 8410) after another.  It holds nothing secret.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from glovebox.errors import ConfigurationError
from glovebox.tickets.claims import MAX_USER, Claims, check_time, decode, from_base64url
from glovebox.tickets.errors import (
    BadSignatureError,
    MalformedTicketError,
    TooLongTicketError,
    UnknownKeyError,
)

MAX_KEYS = 3
"""Former, current and next; more means that nobody takes old keys away."""
MAX_KEYS_FILE = 4_096
"""Bytes: three PEM blocks of 113 bytes and comments."""
SIGNATURE_CHARACTERS = 86
"""Ed25519's 64 bytes (RFC 8032, 5.1.6) in unpadded base64url."""

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_FIX = "Give the gateway a PEM file with the broker's Ed25519 public keys, and no other key."


def key_id(key: Ed25519PublicKey) -> str:
    """The claim `kid`: the first 8 hex digits of the SHA-256 over the 32 bytes of `key`."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class KeySet:
    """Public keys by their key id; at least one, at most `MAX_KEYS`."""

    keys: Mapping[str, Ed25519PublicKey]

    def __post_init__(self) -> None:
        if not 0 < len(self.keys) <= MAX_KEYS:
            raise ConfigurationError(
                f"A gateway believes one to {MAX_KEYS} keys, not {len(self.keys)}.", fix=_FIX
            )

    @classmethod
    def of(cls, keys: Iterable[Ed25519PublicKey]) -> KeySet:
        """Raises ConfigurationError for no key, more than `MAX_KEYS`, and a key id that comes twice."""
        by_id: dict[str, Ed25519PublicKey] = {}
        for key in keys:
            if key_id(key) in by_id:
                raise ConfigurationError(f"The key {key_id(key)} is there twice.", fix="Take one away.")
            by_id[key_id(key)] = key
        return cls(MappingProxyType(by_id))

    @classmethod
    def from_pem(cls, data: bytes) -> KeySet:
        """The keys of a public keys file.

        Raises ConfigurationError as `of` does, and for anything but Ed25519 public keys in it: a private key
        has no business on a gateway.
        """
        if len(data) > MAX_KEYS_FILE:
            raise ConfigurationError("The public keys file is too large.", fix=_FIX)
        blocks = list(_BLOCK.finditer(data))
        if data.count(b"-----BEGIN ") != len(blocks):
            raise ConfigurationError("The public keys file holds half a key.", fix=_FIX)
        return cls.of(_public_key(block) for block in blocks)

    def pem(self) -> bytes:
        """The public keys file of these keys."""
        return b"".join(
            key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for key in self.keys.values()
        )

    def verify(self, user: str, password: str, now: float) -> Claims:
        """The claims of a ticket that is good at `now` (epoch seconds).

        Raises the TicketError that names what is wrong with it.
        """
        if len(user) > MAX_USER or len(password) > SIGNATURE_CHARACTERS:
            raise TooLongTicketError
        signature = from_base64url(password)
        if len(password) != SIGNATURE_CHARACTERS:
            raise MalformedTicketError("The ticket's signature is cut.")
        claims = decode(user)
        key = self.keys.get(claims.kid)
        if key is None:
            raise UnknownKeyError
        try:
            key.verify(signature, user.encode("ascii"))
        except InvalidSignature as error:
            raise BadSignatureError from error
        check_time(claims, now)
        return claims


def _public_key(block: re.Match[bytes]) -> Ed25519PublicKey:
    if block[1] != b"PUBLIC KEY":
        raise ConfigurationError("The public keys file holds something else than public keys.", fix=_FIX)
    try:
        key = load_pem_public_key(block[0])
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError("The public keys file holds a broken key.", fix=_FIX) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError("The public keys file holds a key of another kind than Ed25519.", fix=_FIX)
    return key
