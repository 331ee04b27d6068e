"""What an envelope holds: an hour's keys for one account, and the ticket that lets them out of the box."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from glovebox.envelopes.errors import MalformedCredentialsError
from glovebox.envelopes.names import MAX_REGIONS, Region
from glovebox.tickets.claims import AccessKeyId, Account, AwsApiClaims, Seconds, from_base64url
from glovebox.tickets.claims import decode as decode_claims
from glovebox.tickets.errors import TicketError
from glovebox.tickets.keys import SIGNATURE_CHARACTERS
from glovebox.tickets.proxy import ProxyTicket

MAX_TOKEN = 8_192
"""Characters: AWS names no limit for session tokens; those seen have under 2,000."""

Gateway = Annotated[
    str, Meta(max_length=64, pattern=r"\A(?:(?:[0-9.]{7,15}|\[[0-9a-f:]{2,39}\]):[1-9][0-9]{0,4})?\Z")
]
"""`address:port`, IPv6 in brackets; empty where tasks go straight out (a local cloud without a perimeter)."""
# Printable and without blanks: these stand in a file of lines, where a break would begin another setting.
_Secret = Annotated[str, Meta(pattern=r"\A[!-~]{16,256}\Z")]
_Token = Annotated[str, Meta(max_length=MAX_TOKEN, pattern=r"\A[!-~]{16,}\Z")]


class Credentials(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Good for one account and one scan.  Neither `repr` nor rich shows what opens anything."""

    access_key_id: AccessKeyId
    secret_access_key: _Secret
    session_token: _Token
    expires: Seconds
    """When AWS stops to believe them."""
    account: Account
    regions: Annotated[list[Region], Meta(min_length=1, max_length=MAX_REGIONS)]
    """What is to be scanned; the first is where a program that names none asks."""
    ticket: ProxyTicket
    """`aws-api`, pinned to `access_key_id`."""
    gateway: Gateway

    def __repr__(self) -> str:
        return f"Credentials(account={self.account!r}, access_key_id={self.access_key_id!r}, …)"

    # The type is msgspec's, which has a method of this name that shows everything.
    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("account", self.account), ("access_key_id", self.access_key_id)]


def encode(credentials: Credentials) -> bytes:
    return msgspec.json.encode(credentials)


def decode(message: bytes, *, scan_id: str, account: str) -> Credentials:
    """The credentials that were sealed, if they fit each other and are for this scan of this account.

    Raises MalformedCredentialsError, which quotes nothing of them.
    """
    try:
        found = msgspec.json.decode(message, type=Credentials)
        claims = decode_claims(found.ticket.user)
        from_base64url(found.ticket.password)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TicketError):
        # Without its cause: what a decoder says of a secret may show it.
        raise MalformedCredentialsError from None
    if len(found.ticket.password) != SIGNATURE_CHARACTERS or not isinstance(claims, AwsApiClaims):
        raise MalformedCredentialsError("The ticket in the envelope is none for AWS.")
    if (claims.scan, claims.account, claims.key) != (scan_id, account, found.access_key_id):
        raise MalformedCredentialsError("The ticket in the envelope is for another scan, account or key.")
    if found.account != account or claims.exp > found.expires:
        raise MalformedCredentialsError("Credentials and ticket do not fit each other.")
    return found
