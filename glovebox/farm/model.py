"""What a host of the fleet is: a trait, the services that show it, and the answers it must get."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from glovebox.farm.authority import Issued
from glovebox.farm.dns import Answer
from glovebox.siteaudit.record import MozillaProfile, RedirectType, VersionName

if TYPE_CHECKING:
    from glovebox.farm.identities import Identities

DOMAIN = "fleet.test"
"""`.test` is nobody's (RFC 6761), so no name of the fleet can reach a real site."""


class Writer(Protocol):
    """The way back to a client, in clear or encrypted."""

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...

    def close(self) -> None: ...

    def reset(self) -> None:
        """End the connection with a TCP reset instead of a close."""
        ...


Handler: TypeAlias = Callable[[asyncio.StreamReader, Writer], Awaitable[None]]
"""Talks on one accepted connection; whoever called it closes the connection afterwards."""
Dial: TypeAlias = Callable[[], Awaitable[tuple[asyncio.StreamReader, Writer]]]
"""Opens a connection to the server behind."""
Relay: TypeAlias = Callable[[asyncio.StreamReader, Writer, Dial], Awaitable[None]]
Identity: TypeAlias = "Callable[[Identities, str], Issued]"
"""Makes the certificate that a host of this name sends."""


@dataclass(frozen=True, slots=True)
class Plain:
    """Talks without TLS."""

    handler: Handler


@dataclass(frozen=True, slots=True)
class Tls:
    """A TLS server by OpenSSL, set up like a web server's administrator would."""

    handler: Handler
    identity: Identity
    versions: tuple[VersionName, VersionName] = ("TLSv1.2", "TLSv1.3")
    """Lowest and highest."""
    ciphers: str = "ECDHE+AESGCM:ECDHE+CHACHA20"
    """OpenSSL's cipher string for TLS 1.2 and below."""
    client_certificate: Literal["none", "requested", "required"] = "none"
    group: str | None = None
    """The only key-exchange group; else X25519, P-256 and P-384."""
    dh_prime: int | None = None
    """The prime of finite-field Diffie-Hellman, where the cipher string has it."""
    server_order: bool = True
    needs_name: bool = False
    """Refuses a handshake without the server name indication."""


@dataclass(frozen=True, slots=True)
class Legacy:
    """A TLS server by tlslite-ng, for what OpenSSL no longer speaks."""

    page: bytes
    """The whole HTTP answer, whatever is asked."""
    identity: Identity
    versions: tuple[VersionName, VersionName]
    ciphers: tuple[str, ...]
    """tlslite-ng's names: `rc4`, `3des`, `aes128`."""
    macs: tuple[str, ...] = ("sha", "sha256", "aead")
    key_exchanges: tuple[str, ...] = ("rsa",)


@dataclass(frozen=True, slots=True)
class Fronted:
    """A TLS server behind a box that meddles: `relay` gets the client's streams and opens the server's."""

    behind: Tls
    relay: Relay


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The port neither accepts nor refuses, like a firewall that drops packets."""


Service: TypeAlias = Plain | Tls | Legacy | Fronted | Unanswered


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The right answers, written by hand from how the host is set up.

    `None`: this host does not prove it (except for `failure`).
    """

    failure: str | None = None
    """The record's failure class, `None` for a host that has nothing wrong with it."""
    also: frozenset[str] = frozenset()
    """Failure classes that must be among the record's, beside `failure`."""
    suites: Mapping[VersionName, frozenset[str]] | None = None
    """Accepted suites a version, IANA names; its keys are exactly the supported versions."""
    profile: MozillaProfile | None = None
    reasons: frozenset[str] | None = None
    """What is wrong with the certificate or its chain; empty for one without fault."""
    valid: bool | None = None
    """Whether browsers accept it; where not said, they do if there is no reason against it."""
    title: str | None = None
    form_fields: int | None = None
    https: bool | None = None
    """Whether there is a site on https at all."""
    redirects_to_https: bool | None = None
    redirect_type: RedirectType | None = None
    client_certificate: Literal["none", "requested", "required"] | None = None
    groups: frozenset[str] | None = None
    key_exchanges: frozenset[str] | None = None
    """As the suites name them: `DH 1024`."""
    server_preference: Literal["yes", "no"] | None = None
    score: range | None = None
    """Where the header score lies."""
    rate_limited: bool | None = None
    warning: str | None = None
    """A word of one of the certificate's warnings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """One host: what it shows, how it is served, and what an audit must say of it."""

    name: str
    shows: str
    """One line for people."""
    expects: Expected
    http: Service | None = None
    """`None`: the port is closed."""
    https: Service | None = None
    dns: Answer | None = None
    """`None`: an address of its own."""
    ipv6: bool = False
    """Served on ::1 alone."""
    tags: frozenset[str] = field(default=frozenset())
    """`slow` for hosts that make an audit wait for its timeouts."""

    @property
    def host(self) -> str:
        return f"{self.name}.{DOMAIN}"
