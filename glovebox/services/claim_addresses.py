"""What `launch` tells the inlet of an account's scan beside its request: where to claim, where to look."""

from __future__ import annotations

from glovebox.scans.accounts import CLAIM_VARIABLE, ENVELOPE_FILE, ENVELOPE_VARIABLE, claim_key
from glovebox.scans.brokering import Claims
from glovebox.scans.model import handoff_key
from glovebox.scans.ports import HandOff

ADDRESS_SECONDS = 900
"""A task starts within ten minutes and claims first of all; the buckets' policies refuse older addresses."""


def claim_addresses(claims: Claims, hand_off: HandOff, *, scan_id: str, attempt: int) -> str:
    """Lines of the inlet's environment file; both addresses are for this attempt alone."""
    put = claims.writable_url(claim_key(scan_id, attempt), ADDRESS_SECONDS)
    get = hand_off.readable_url(handoff_key(scan_id, attempt, ENVELOPE_FILE), ADDRESS_SECONDS)
    return f"{CLAIM_VARIABLE}={put}\n{ENVELOPE_VARIABLE}={get}\n"
