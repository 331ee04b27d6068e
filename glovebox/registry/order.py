"""What `launch` is asked for where accounts are to be scanned, and what it answers."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Protocol

from msgspec import Meta, Struct

MAX_ACCOUNTS: Final = 1_000
"""Named in one order: each is some tasks, and their ids together are a fraction of what Lambda takes."""
MAX_REQUESTED_BY: Final = 128

AccountId = Annotated[str, Meta(pattern=r"\A[0-9]{12}\Z")]
Accounts = Annotated[tuple[AccountId, ...], Meta(min_length=1, max_length=MAX_ACCOUNTS)] | Literal["all"]
"""By id; one that is named twice is scanned once.  Or every enabled account of the registry."""


class AccountsOrder(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`{"accounts": ["111122223333"], "requestedBy": "…"}`."""

    accounts: Accounts
    requested_by: Annotated[str, Meta(max_length=MAX_REQUESTED_BY)] = "invocation"


class Refused(Struct, frozen=True, kw_only=True):
    """An account of an order that is not scanned."""

    account: str
    reason: str


class OrderAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """What an order came to.  Further fields are read over: `launch` says more of runs of other kinds."""

    run_id: str
    accounts: int = 0
    """That are scanned."""
    scans: int
    refused: tuple[Refused, ...] = ()


class Orders(Protocol):
    """Where orders go."""

    def scan(self, order: AccountsOrder) -> OrderAnswer:
        """Start the scans.  Raises what `launch` raised, and UpstreamError."""
        ...
