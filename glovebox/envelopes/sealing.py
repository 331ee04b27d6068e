"""Sealing to a task's key with HPKE (RFC 9180, base mode, one message a key).

There is one suite and nothing to negotiate, so there is nothing to talk anybody down to: a hybrid of
ML-KEM-768 and X25519 (draft-connolly-cfrg-xwing-kem; HPKE's KEM 0x647a), HKDF-SHA256, AES-256-GCM.

`info` binds purpose, scan and attempt: an envelope of another scan does not open, even with the right key.
Base mode does not say who sealed: that only `redeem` may write envelopes is the bucket's business.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from msgspec import Meta, Struct

from glovebox.envelopes.errors import (
    EnvelopeError,
    ForeignEnvelopeError,
    KeyUsedError,
    MalformedClaimError,
    MalformedEnvelopeError,
    MessageTooLongError,
)
from glovebox.envelopes.names import CLAIM_BYTES

PURPOSE: Final = "glovebox envelope v1"
SUITE_NAME: Final = "MLKEM768-X25519, HKDF-SHA256, AES-256-GCM"
MLKEM_KEY_BYTES: Final = 1_184
"""FIPS 203, table 3: ML-KEM-768's encapsulation key."""
KEY_BYTES: Final = MLKEM_KEY_BYTES + 32
ENC_BYTES: Final = 1_120
"""1,088 of ML-KEM-768's ciphertext, 32 of X25519's key."""
TAG_BYTES: Final = 16
MAX_MESSAGE: Final = 16_384
"""Bytes: a session token is at most a few thousand characters, a ticket 1,600."""
MAX_ENVELOPE_BYTES: Final = 24_576
"""A third more than the longest message, in base64, and the rest."""

_SUITE: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class _Claim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    v: Literal[1] = 1
    suite: Literal["MLKEM768-X25519, HKDF-SHA256, AES-256-GCM"] = SUITE_NAME
    key: Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]


class _Envelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    v: Literal[1] = 1
    enc: Annotated[bytes, Meta(min_length=ENC_BYTES, max_length=ENC_BYTES)]
    ciphertext: Annotated[bytes, Meta(min_length=TAG_BYTES, max_length=MAX_MESSAGE + TAG_BYTES)]


_M = TypeVar("_M", _Claim, _Envelope)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What `seal` seals to."""

    raw: bytes
    """ML-KEM's encapsulation key, then X25519's: `KEY_BYTES`."""

    @classmethod
    def of_claim(cls, claim: bytes) -> PublicKey:
        """The key that a claim shows.  Raises MalformedClaimError."""
        key = cls(_decoded(claim, _Claim, CLAIM_BYTES, MalformedClaimError()).key)
        key.loaded()
        return key

    def claim(self) -> bytes:
        """The JSON that the inlet puts: always `CLAIM_BYTES` long."""
        return msgspec.json.encode(_Claim(key=self.raw))

    def loaded(self) -> MLKEM768X25519PublicKey:
        """Raises MalformedClaimError where ML-KEM's half is no point of its own (FIPS 203, 7.2)."""
        try:
            return MLKEM768X25519PublicKey(
                MLKEM768PublicKey.from_public_bytes(self.raw[:MLKEM_KEY_BYTES]),
                X25519PublicKey.from_public_bytes(self.raw[MLKEM_KEY_BYTES:]),
            )
        except ValueError as error:
            raise MalformedClaimError from error


class KeyPair:
    """A task's key: made in memory, never written, and forgotten once it has opened its one envelope.

    Forgetting is all that a Python program can do: OpenSSL wipes a key when the last name for it goes.
    """

    __slots__ = ("_private", "public")

    def __init__(self) -> None:
        mlkem, x25519 = MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()
        self._private: MLKEM768X25519PrivateKey | None = MLKEM768X25519PrivateKey(mlkem, x25519)
        raw = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        self.public = PublicKey(raw)

    def open(self, envelope: bytes, *, scan_id: str, attempt: int) -> bytes:
        """What was sealed to this key for this attempt.

        Raises MalformedEnvelopeError, ForeignEnvelopeError; KeyUsedError after it has succeeded once.
        """
        if self._private is None:
            raise KeyUsedError
        found = _decoded(envelope, _Envelope, MAX_ENVELOPE_BYTES, MalformedEnvelopeError())
        try:
            message = _SUITE.decrypt(
                found.enc + found.ciphertext, self._private, info=_info(scan_id, attempt)
            )
        except (InvalidTag, ValueError) as error:
            raise ForeignEnvelopeError from error
        self._private = None
        return message


def seal(key: PublicKey, message: bytes, *, scan_id: str, attempt: int) -> bytes:
    """The envelope, as JSON, that only the holder of `key` can open, and for this attempt alone.

    Raises MessageTooLongError; MalformedClaimError for a key with which nothing can be agreed on.
    """
    if len(message) > MAX_MESSAGE:
        raise MessageTooLongError
    public = key.loaded()
    try:
        sealed = _SUITE.encrypt(message, public, info=_info(scan_id, attempt))
    except ValueError as error:
        # X25519 with a point of small order (RFC 7748, 6.1): the secret would be known to everybody.
        raise MalformedClaimError from error
    return msgspec.json.encode(_Envelope(enc=sealed[:ENC_BYTES], ciphertext=sealed[ENC_BYTES:]))


def claim_digest(claim: bytes) -> str:
    """By which a repeated event is told from a second claim: the SHA-256 of its bytes, in hex."""
    return hashlib.sha256(claim).hexdigest()


def _info(scan_id: str, attempt: int) -> bytes:
    # As a JSON array, so that no two pairs of scan and attempt give the same bytes.
    return msgspec.json.encode([PURPOSE, scan_id, attempt])


def _decoded(data: bytes, kind: type[_M], most: int, refusal: EnvelopeError) -> _M:
    """One spelling: what would not be written again byte for byte is refused."""
    if len(data) > most:
        raise refusal
    try:
        found = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refusal from error
    if msgspec.json.encode(found) != data:
        raise refusal
    return found
