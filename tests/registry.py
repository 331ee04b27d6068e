"""A registry for tests: the store's promises over plain dictionaries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from glovebox.errors import ConflictError, NotFoundError
from glovebox.registry.importing import Member
from glovebox.registry.model import Account, Repository, Source
from glovebox.registry.registry import Registry
from glovebox.registry.store import Entry, Stored, T, name_of

SCANNING = "999999999999"


class FakeTargets:
    """`glovebox.registry.store.RegistryStore`."""

    def __init__(self) -> None:
        self.entries: dict[tuple[type, str], Stored[Entry]] = {}
        self.writes = 0

    def get(self, kind: type[T], name: str) -> Stored[T]:
        if (kind, name) not in self.entries:
            raise NotFoundError(f"no {name}")
        return self.entries[kind, name]

    def all(self, kind: type[T]) -> Sequence[Stored[T]]:
        return [each for key, each in sorted(self.entries.items(), key=lambda e: e[0][1]) if key[0] is kind]

    def put(self, entry: Entry, *, revision: int) -> None:
        self._require(entry, revision)
        self.entries[type(entry), name_of(entry)] = Stored(entry, revision + 1)
        self.writes += 1

    def remove(self, entry: Entry, *, revision: int) -> None:
        self._require(entry, revision)
        del self.entries[type(entry), name_of(entry)]

    def _require(self, entry: Entry, revision: int) -> None:
        known = self.entries.get((type(entry), name_of(entry)))
        if (known.revision if known else 0) != revision:
            raise ConflictError("changed")


@dataclass
class FakeOrganization:
    every: list[Member] = field(default_factory=list)

    def members(self) -> Iterator[Member]:
        yield from self.every


def registry() -> Registry:
    return Registry(FakeTargets(), SCANNING)


def member(number: int, *, state: str = "ACTIVE", **values: object) -> Member:
    said: dict[str, object] = {"name": f"account {number}", "ou": ("Root", "Prod"), **values}
    return Member(id=f"{number:012d}", state=state, **said)  # type: ignore[arg-type]  # of many types


def account(number: int, **values: object) -> Account:
    return Account(id=f"{number:012d}", **values)  # type: ignore[arg-type]  # of many types


def repository(name: str = "shop", **values: object) -> Repository:
    return Repository(id=f"github.com/acme/{name}", **values)  # type: ignore[arg-type]  # of many types


__all__ = [
    "SCANNING",
    "FakeOrganization",
    "FakeTargets",
    "Source",
    "account",
    "member",
    "registry",
    "repository",
]
