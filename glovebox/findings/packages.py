"""What a repository uses, package by package: kept for bills of materials, beside the findings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from glovebox.findings.ledger import squeeze, unsqueeze

MAX_COMPONENTS: Final = 50_000
"""Of one target.  A large monorepo's lock files name 20,000."""
_PURL: Final = re.compile(r"pkg:[a-z][a-z0-9.+-]*/[A-Za-z0-9._~%!$&'()*+,;=:/-]+(?:@[^\s@?#/]+)?")
_QUALIFIERS: Final = frozenset({"arch", "classifier", "distro", "epoch", "type"})
"""Those of the package-url types that cannot hold an address, and with it a password."""


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


def safe_purl(text: str) -> str:
    """`text` as a package URL without what may hold addresses; empty where it is none.

    Of its qualifiers those stay that name an architecture, a distribution, an epoch or a kind of file.
    """
    base, _, rest = text.partition("#")[0].partition("?")
    if _PURL.fullmatch(base) is None:
        return ""
    kept = [each for each in rest.split("&") if each.partition("=")[0] in _QUALIFIERS]
    plain = [each for each in kept if re.fullmatch(r"[a-z]+=[A-Za-z0-9._%+-]+", each)]
    return base + ("?" + "&".join(plain) if plain else "")


def without_version(purl: str) -> str:
    """A package URL's type, namespace and name: what stays when the package is updated."""
    base = purl.partition("?")[0]
    name, at, _ = base.rpartition("@")
    return name if at else base
