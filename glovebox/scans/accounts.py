"""Scans of AWS accounts: what they are about, what a task is told, and where it claims its credentials."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from glovebox.envelopes.names import MAX_REGIONS, Region
from glovebox.scans.model import MAX_ATTEMPTS
from glovebox.tickets.claims import Account, Bucket

CLAIM_FILE = "claim.json"
ENVELOPE_FILE = "envelope.json"
"""In the hand-off, beside the request."""
CLAIM_TYPE = "application/json"
"""Signed into the address that a claim is put to, so both sides must say it."""
CLAIM_VARIABLE, ENVELOPE_VARIABLE = "GLOVEBOX_CLAIM_URL", "GLOVEBOX_ENVELOPE_URL"
"""Of the inlet's environment."""
MAX_BUCKETS = 40
"""A ticket holds no more names (docs/tickets.md)."""
MAX_SERVICES = 128
"""More than Prowler knows."""
Service = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9]{0,63}\Z")]
MAX_AUTHORITIES = 1 << 20
"""Characters of PEM: every root that there is, and room."""


class AccountTarget(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One account, or a shard of one."""

    account: Account
    regions: Annotated[list[Region], Meta(min_length=1, max_length=MAX_REGIONS)]
    services: Annotated[list[Service], Meta(max_length=MAX_SERVICES)] = []
    """What this shard looks at, as Prowler calls them; empty: all but `without`."""
    without: Annotated[list[Service], Meta(max_length=MAX_SERVICES)] = []
    """Services of other shards."""
    elsewhere: Annotated[list[Region], Meta(max_length=MAX_REGIONS)] = []
    """Regions of other shards.  One of them may be the partition's own, of which each report may speak."""
    buckets: Annotated[list[Bucket], Meta(max_length=MAX_BUCKETS)] | Literal["account"] = "account"
    """What S3 is asked about: buckets by name, and the gateway refuses any other; or whatever the policy of
    the gateway's S3 endpoint lets through, which are the account's own in our region."""


class AccountScanRequest(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What the inlet hands to an account's scanner as `request.json`; told from others by its `kind`."""

    kind: Literal["account"] = "account"
    scan_id: Annotated[str, Meta(max_length=64)]
    attempt: Annotated[int, Meta(ge=1, le=MAX_ATTEMPTS)]
    target: AccountTarget
    authorities: Annotated[str, Meta(min_length=1, max_length=MAX_AUTHORITIES)]
    """PEM: whom the scanner is to believe, which is the gateway's own authority."""


def claim_key(scan_id: str, attempt: int) -> str:
    return f"claims/{scan_id}/{attempt}/{CLAIM_FILE}"
