"""What a repository uses, package by package: kept for bills of materials, beside the findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from glovebox.findings.ledger import squeeze, unsqueeze

MAX_COMPONENTS: Final = 50_000
"""Of one target.  A large monorepo's lock files name 20,000."""


class Component(Struct, frozen=True, kw_only=True, array_like=True, gc=False, order=True):
    """A package at one version.  Fields are told by their places: add at the end, change nothing."""

    type: str
    name: str
    version: str
    purl: str
    path: str
    """The first of the files that name it."""
    licenses: tuple[str, ...] = ()
    direct: bool = False

    @property
    def key(self) -> str:
        """What makes it one; two files that name it do not make it two."""
        return self.purl or f"{self.type}\0{self.name}\0{self.version}"


def reference(purl: str, name: str, version: str) -> str:
    """What tells a package at one version from others: its address, or what else is known of it."""
    return purl or f"{name}@{version}"


class Components:
    """The packages of a report, each once; of more than `MAX_COMPONENTS` the rest is counted."""

    def __init__(self) -> None:
        self._found: dict[str, Component] = {}
        self.dropped = 0

    def add(self, component: Component) -> None:
        known = self._found.get(component.key)
        if known is None and len(self._found) == MAX_COMPONENTS:
            self.dropped += 1
        elif known is None:
            self._found[component.key] = component
        elif known != component:
            self._found[component.key] = msgspec.structs.replace(
                min(known, component),
                licenses=tuple(sorted({*known.licenses, *component.licenses})),
                direct=known.direct or component.direct,
            )

    def listed(self) -> list[Component]:
        """In one order, so that the same packages make the same bytes."""
        return sorted(self._found.values())


def packed(components: Iterable[Component]) -> bytes:
    """In a form that `unpacked` reads."""
    return squeeze(list(components))


def unpacked(body: bytes) -> Sequence[Component]:
    return msgspec.msgpack.decode(unsqueeze(body), type=list[Component])
