"""What a ticket says, and the one way in which it is written.

The proxy's user name is the unpadded base64url (RFC 4648, 5) of the claims as compact JSON.  There is
exactly one such text for given claims: whatever would not be written again byte for byte is refused, so that
padding, stray bits, blanks, escapes, other orders and repeated members need no rule of their own.
"""

from __future__ import annotations

import base64
import binascii
import re
from ipaddress import ip_address
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from glovebox.tickets.errors import (
    ExpiredTicketError,
    LifetimeTooLongError,
    MalformedTicketError,
    NotYetValidError,
    TooLongTicketError,
)

MAX_USER = 1_500
"""Characters of a user name: what Squid was seen to pass whole through authentication, log and helpers."""
MAX_SKEW = 30
"""Seconds that clocks may differ: broker and gateway follow the same time service to milliseconds, and an
instance that has just started is off by seconds at most.  A ticket outlives its end by this, and no more."""
MAX_ACCOUNT_LIFETIME = 3_600
"""Seconds: the credentials that an `aws-api` ticket is pinned to live an hour at most (role chaining)."""
MAX_SITE_LIFETIME = 3_600
"""Seconds: a site scan's deadline is an hour at most, and its tickets are signed when it is launched."""
MAX_ADDRESSES = 16
"""A browser tries a handful; of a name with more addresses, sixteen are enough to audit it."""
MAX_PORTS = 4
"""80 and 443, and two that a test network may use instead."""

Seconds = Annotated[int, Meta(ge=0, le=1 << 40)]
"""Seconds of the Unix epoch."""
Word = Annotated[str, Meta(pattern=r"\A[0-9A-Za-z][0-9A-Za-z-]{0,63}\Z")]
"""A scan's id.  Its form is the broker's business; here it must only be safe in every log."""
KeyId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{8}\Z")]
AccessKeyId = Annotated[str, Meta(pattern=r"\A[A-Z0-9]{16,128}\Z")]
"""IAM's `accessKeyIdType`, in the letters that AWS issues."""
Account = Annotated[str, Meta(pattern=r"\A[0-9]{12}\Z")]
Bucket = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")]
"""S3's general rules for bucket names."""
Buckets = list[Bucket] | Literal["account"]
"""By name, each once, empty for none; or "account": any, at the S3 of the gateway's own region alone, where
the policy of its S3 endpoint says whose bucket it must be."""
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
HostName = Annotated[str, Meta(max_length=253, pattern=rf"\A{_LABEL}(?:\.{_LABEL})*\Z")]
Address = Annotated[str, Meta(max_length=39)]
Port = Annotated[int, Meta(ge=1, le=65_535)]

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


class _Common(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="profile"):
    v: Literal[1] = 1
    kid: KeyId = ""
    """The first 8 hex digits of the public key's SHA-256; the signer fills it in."""
    scan: Word
    iat: Seconds
    """Issued at."""
    nbf: Seconds
    """The first second in which it is valid."""
    exp: Seconds
    """The second from which on it is not."""


class AwsApiClaims(_Common, frozen=True, kw_only=True, tag="aws-api"):
    """May call AWS's interfaces, signed with one key."""

    key: AccessKeyId
    """The access key id of the credentials that were brokered for this scan."""
    account: Account
    buckets: Buckets
    """What S3 may be asked about."""


class SiteClaims(_Common, frozen=True, kw_only=True, tag="site"):
    """May open tunnels to the addresses that the broker resolved for one host."""

    host: HostName
    addresses: Annotated[list[Address], Meta(min_length=1, max_length=MAX_ADDRESSES)]
    """In canonical text (RFC 5952 for IPv6), each once."""
    ports: Annotated[list[Port], Meta(min_length=1, max_length=MAX_PORTS)]


Claims = AwsApiClaims | SiteClaims

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Claims] = msgspec.json.Decoder(Claims)


def encode(claims: Claims) -> str:
    """The user name that says `claims`; raises TicketError where `decode` would refuse it."""
    user = to_base64url(_ENCODER.encode(claims))
    decode(user)
    return user


def decode(user: str) -> Claims:
    """What `user` says.  Nothing is known yet of who says it, nor of the time.

    Raises TooLongTicketError, MalformedTicketError, LifetimeTooLongError.
    """
    if len(user) > MAX_USER:
        raise TooLongTicketError
    data = from_base64url(user)
    try:
        claims = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedTicketError("The ticket's claims are none of ours.") from error
    if _ENCODER.encode(claims) != data:
        raise MalformedTicketError("The ticket's claims are not written in their one canonical form.")
    _check_lists(claims)
    _check_order(claims)
    return claims


def check_time(claims: Claims, now: float) -> None:
    """Raises NotYetValidError or ExpiredTicketError where `now` (epoch seconds) is not in its time."""
    if now < claims.nbf - MAX_SKEW:
        raise NotYetValidError
    if now >= claims.exp + MAX_SKEW:
        raise ExpiredTicketError


def to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """The bytes that `text` writes.

    Raises MalformedTicketError for padding, for other alphabets, and for a last character with stray bits.
    """
    if not _BASE64URL.fullmatch(text):
        raise MalformedTicketError("The ticket holds a character that tickets do not.")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise MalformedTicketError("The ticket is cut.") from error
    if to_base64url(data) != text:
        raise MalformedTicketError("The ticket's last character has stray bits.")
    return data


def _check_lists(claims: Claims) -> None:
    if isinstance(claims, AwsApiClaims):
        if claims.buckets != "account":
            _check_unique(claims.buckets)
        return
    _check_unique(claims.addresses)
    _check_unique(claims.ports)
    for address in claims.addresses:
        try:
            parsed = ip_address(address)
        except ValueError as error:
            raise MalformedTicketError("The ticket names something that is no address.") from error
        # A mapped address is IPv4 in disguise, and Python versions write it in different ways.
        if str(parsed) != address or "%" in address or getattr(parsed, "ipv4_mapped", None) is not None:
            raise MalformedTicketError("The ticket writes an address otherwise than canonically.")


def _check_unique(values: list[str] | list[int]) -> None:
    if len(set(values)) != len(values):
        raise MalformedTicketError("The ticket names something twice.")


def _check_order(claims: Claims) -> None:
    if not claims.iat <= claims.nbf < claims.exp:
        raise MalformedTicketError("The ticket's times are in no order.")
    longest = MAX_ACCOUNT_LIFETIME if isinstance(claims, AwsApiClaims) else MAX_SITE_LIFETIME
    if claims.exp - claims.iat > longest:
        raise LifetimeTooLongError
