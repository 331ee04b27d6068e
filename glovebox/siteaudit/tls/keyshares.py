"""Key shares for TLS 1.3: a private value, its public one, and the secret that both sides share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Protocol

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from glovebox.siteaudit.tls.groups import SECP256R1, SECP384R1, SECP521R1, X448, X25519, X25519MLKEM768
from glovebox.siteaudit.tls.wire import WireError

_MLKEM768_CIPHERTEXT_BYTES = 1_088


class KeyShare(Protocol):
    """One key."""

    @property
    def public(self) -> bytes:
        """What goes into the hello."""
        ...

    def secret(self, peer: bytes) -> bytes:
        """The shared secret.  Raises WireError for a share that is no point of the group."""
        ...


class _X25519:
    """The share of every first question, so its key is made once for all: nothing of ours is ever secret."""

    def __init__(self) -> None:
        self._private = x25519.X25519PrivateKey.generate()
        self.public = self._private.public_key().public_bytes_raw()

    def secret(self, peer: bytes) -> bytes:
        try:
            return self._private.exchange(x25519.X25519PublicKey.from_public_bytes(peer))
        except ValueError as error:
            raise WireError("a key share that is no X25519 key") from error


class _X448:
    def __init__(self) -> None:
        self._private = x448.X448PrivateKey.generate()
        self.public = self._private.public_key().public_bytes_raw()

    def secret(self, peer: bytes) -> bytes:
        try:
            return self._private.exchange(x448.X448PublicKey.from_public_bytes(peer))
        except ValueError as error:
            raise WireError("a key share that is no X448 key") from error


class _Curve:
    def __init__(self, curve: ec.EllipticCurve) -> None:
        self._private = ec.generate_private_key(curve)
        self.public = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def secret(self, peer: bytes) -> bytes:
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(self._private.curve, peer)
            return self._private.exchange(ec.ECDH(), point)
        except (ValueError, InvalidKey) as error:
            raise WireError("a key share that is no point of its curve") from error


class _X25519MLKEM768:
    """draft-ietf-tls-ecdhe-mlkem: ML-KEM's part comes first, in shares and in the secret."""

    def __init__(self) -> None:
        self._classic = _X25519()
        self._private = mlkem.MLKEM768PrivateKey.generate()
        self.public = self._private.public_key().public_bytes_raw() + self._classic.public

    def secret(self, peer: bytes) -> bytes:
        ciphertext, share = peer[:_MLKEM768_CIPHERTEXT_BYTES], peer[_MLKEM768_CIPHERTEXT_BYTES:]
        try:
            first = self._private.decapsulate(ciphertext)
        except ValueError as error:
            raise WireError("a key share that is no ML-KEM ciphertext") from error
        return first + self._classic.secret(share)


_MAKERS: Mapping[int, Callable[[], KeyShare]] = {
    X25519: cache(_X25519),
    X448: _X448,
    SECP256R1: lambda: _Curve(ec.SECP256R1()),
    SECP384R1: lambda: _Curve(ec.SECP384R1()),
    SECP521R1: lambda: _Curve(ec.SECP521R1()),
    X25519MLKEM768: _X25519MLKEM768,
}
SHARED_GROUPS = frozenset(_MAKERS)
"""Groups for which we can make a share."""


def make_key_share(group: int) -> KeyShare:
    """A key of one of SHARED_GROUPS."""
    return _MAKERS[group]()
