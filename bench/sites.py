"""The bench's ordinary sites: what a long list of hosts on the internet mostly looks like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

import msgspec

from glovebox.farm.authority import Issued, KeyKind
from glovebox.farm.identities import CRL_PATH, Identities
from glovebox.farm.model import DOMAIN
from glovebox.farm.traits.common import ECDSA, RSA, TLS13, Suites
from glovebox.siteaudit.record import VersionName
from glovebox.siteaudit.settings import AuditSettings

SITES_PER_ADDRESS: Final = 20
"""Shared hosting: one address, one certificate with all its names."""
_FIRST: Final = IPv4Address("127.77.1.1")
_OLD: Final = frozenset({"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_AES_128_CBC_SHA"})


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to set up a server."""

    name: str
    versions: tuple[VersionName, VersionName]
    ciphers: str
    key: KeyKind
    suites: Suites
    """What an audit must find."""


_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_INTERMEDIATE: Final = Kind(
    "intermediate, ECDSA", ("TLSv1.2", "TLSv1.3"), _CIPHERS, "p256", {"TLSv1.2": ECDSA, "TLSv1.3": TLS13}
)
_RSA: Final = Kind(
    "intermediate, RSA",
    ("TLSv1.2", "TLSv1.3"),
    _CIPHERS,
    "rsa2048",
    {"TLSv1.2": RSA, "TLSv1.3": TLS13},
)
_OLD_KIND: Final = Kind(
    "old, RSA",
    ("TLSv1.0", "TLSv1.3"),
    f"{_CIPHERS}:ECDHE-RSA-AES128-SHA:AES128-SHA",
    "rsa2048",
    {"TLSv1.0": _OLD, "TLSv1.1": _OLD, "TLSv1.2": RSA | _OLD, "TLSv1.3": TLS13},
)
_MODERN: Final = Kind("modern", ("TLSv1.3", "TLSv1.3"), _CIPHERS, "p256", {"TLSv1.3": TLS13})
MIX: Final = (
    _INTERMEDIATE,
    _RSA,
    _INTERMEDIATE,
    _OLD_KIND,
    _INTERMEDIATE,
    _RSA,
    _MODERN,
    _INTERMEDIATE,
    _RSA,
    _INTERMEDIATE,
)
"""Ten addresses in a row: half of them ECDSA, three RSA, one old, one modern."""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """One name at one address."""

    host: str
    address: str
    kind: int
    """Its place in `MIX`."""


class BenchFarm(msgspec.Struct, frozen=True, kw_only=True):
    """What runs, as the farm's process announces it."""

    server: str
    """The program that serves."""
    sites: list[Site]
    settings: AuditSettings
    status_socket: str | None
    """Where nginx says how many connections it has accepted."""


def sites(count: int, per_address: int = SITES_PER_ADDRESS) -> list[Site]:
    """`count` names; kinds change from address to address."""
    return [_site(number, number // per_address) for number in range(count)]


def certificate(kind: Kind, names: list[str], identities: Identities) -> Issued:
    """One certificate for all names of an address."""
    url = identities.url(CRL_PATH)
    return identities.issuing.issue(names, key=kind.key, crl_url=url, scts=2)


def spread(chosen: list[Site], count: int) -> list[Site]:
    """`count` of them, as far apart as the list allows, so that each kind is met."""
    step = max(1, len(chosen) // count)
    return chosen[::step][:count]


def addresses(chosen: list[Site]) -> Iterator[tuple[str, Kind, list[str]]]:
    """Each address with its kind and its names."""
    names: dict[str, list[Site]] = {}
    for site in chosen:
        names.setdefault(site.address, []).append(site)
    for address, here in names.items():
        yield address, MIX[here[0].kind], [site.host for site in here]


def _site(number: int, place: int) -> Site:
    return Site(host=f"site{number:04}.{DOMAIN}", address=str(_FIRST + place), kind=place % len(MIX))
