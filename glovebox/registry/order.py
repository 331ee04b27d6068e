"""What `launch` is asked for where accounts or repositories are to be scanned, and what it answers."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Protocol

from msgspec import Meta, Struct

from glovebox.scans.repositories import Ref, RepositoryId

MAX_TARGETS: Final = 1_000
"""Named in one order: each is some tasks, and their ids together are a fraction of what Lambda takes."""
MAX_REQUESTED_BY: Final = 128

AccountId = Annotated[str, Meta(pattern=r"\A[0-9]{12}\Z")]
Accounts = Annotated[tuple[AccountId, ...], Meta(min_length=1, max_length=MAX_TARGETS)] | Literal["all"]
"""By id; one that is named twice is scanned once.  Or every enabled account of the registry."""
Repositories = (
    Annotated[tuple[RepositoryId, ...], Meta(min_length=1, max_length=MAX_TARGETS)] | Literal["all"]
)
"""As `Accounts`."""
RequestedBy = Annotated[str, Meta(max_length=MAX_REQUESTED_BY)]


class AccountsOrder(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`{"accounts": ["111122223333"], "requestedBy": "…"}`."""

    accounts: Accounts
    requested_by: RequestedBy = "invocation"


class RepositoriesOrder(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`{"repositories": ["github.com/acme/shop"], "ref": "v1.2", "requestedBy": "…"}`."""

    repositories: Repositories
    ref: Ref = ""
    """A branch, tag or commit of each of them; empty: its default branch."""
    requested_by: RequestedBy = "invocation"


class Refused(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A target of an order that is not scanned; `account` or `repository` names it."""

    account: str = ""
    repository: str = ""
    reason: str

    @property
    def name(self) -> str:
        return self.account or self.repository


class OrderAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """What an order of accounts came to.  Further fields are read over: `launch` says more of other kinds."""

    run_id: str
    accounts: int = 0
    """That are scanned."""
    scans: int
    refused: tuple[Refused, ...] = ()


class RepositoriesAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """What an order of repositories came to."""

    run_id: str
    repositories: int = 0
    """That are scanned."""
    scans: int
    refused: tuple[Refused, ...] = ()


class Orders(Protocol):
    """Where orders go.  Raises what `launch` raised, and UpstreamError."""

    def scan(self, order: AccountsOrder) -> OrderAnswer:
        """Start scans of accounts."""
        ...

    def scan_repositories(self, order: RepositoriesOrder) -> RepositoriesAnswer:
        """Start scans of repositories."""
        ...
