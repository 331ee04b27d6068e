"""The broker's side: signing claims with the one private key."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from glovebox.errors import ConfigurationError
from glovebox.tickets.claims import AwsApiClaims, SiteClaims, encode, to_base64url
from glovebox.tickets.keys import key_id
from glovebox.tickets.proxy import ProxyTicket

C = TypeVar("C", AwsApiClaims, SiteClaims)


class Signer:
    """Signs tickets with an Ed25519 private key (RFC 8032)."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.kid = key_id(key.public_key())

    @classmethod
    def from_pem(cls, data: bytes) -> Signer:
        """Raises ConfigurationError for anything but one unencrypted Ed25519 private key."""
        fix = "Store the broker's signing key as PEM (PKCS #8, Ed25519, not encrypted)."
        try:
            key = load_pem_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigurationError("The signing key cannot be read.", fix=fix) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigurationError("The signing key is of another kind than Ed25519.", fix=fix)
        return cls(key)

    @property
    def public_key(self) -> Ed25519PublicKey:
        return self._key.public_key()

    def sign(self, claims: C) -> ProxyTicket:
        """The ticket that says `claims`, whose `kid` is set to this key's.

        Raises the TicketError with which the gateway would refuse it: what cannot be used is not issued.
        """
        user = encode(msgspec.structs.replace(claims, kid=self.kid))
        return ProxyTicket(user, to_base64url(self._key.sign(user.encode("ascii"))))
