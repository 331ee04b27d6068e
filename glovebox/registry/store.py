"""What the registry needs of a table; the adapter and the tests' fake give it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from glovebox.registry.model import Account, Repository, Team
from glovebox.registry.owners import OwnerRule

Entry = Account | Repository | Team | OwnerRule
T = TypeVar("T", Account, Repository, Team, OwnerRule)


class Stored(Struct, Generic[T], frozen=True):
    """An entry as it was read; `revision` is 0 for one that is not on record yet."""

    entry: T
    revision: int = 0


class RegistryStore(Protocol):
    """Entries by kind and name: an account's or repository's id, a team's name, a rule's name."""

    def get(self, kind: type[T], name: str) -> Stored[T]:
        """Raises NotFoundError."""
        ...

    def all(self, kind: type[T]) -> Sequence[Stored[T]]:
        """In alphabetical order of the names."""
        ...

    def put(self, entry: Entry, *, revision: int) -> None:
        """Write it if the one that was read still stands, or if there was none and still is none.

        Raises ConflictError, and then nothing was written.
        """
        ...

    def remove(self, entry: Entry, *, revision: int) -> None:
        """As `put`."""
        ...


def name_of(entry: Entry) -> str:
    """Under which an entry stands among those of its kind."""
    return entry.id if isinstance(entry, Account | Repository) else entry.name
