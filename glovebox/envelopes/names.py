"""Names and sizes in messages: msgspec alone, because every unit that reads a scan reads these."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

CLAIM_BYTES = 1_692
"""The length of every claim, so that the address to put it to admits no other."""
MAX_REGIONS = 64
"""More than there are."""

Region = Annotated[str, Meta(pattern=r"\A[a-z]{2}(?:-[a-z]{1,16}){1,3}-[1-9][0-9]?\Z")]
