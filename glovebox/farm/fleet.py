"""The fleet in this process: binds every address, issues every certificate, and serves until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from glovebox.errors import ConfigurationError
from glovebox.farm.authority import pem_of
from glovebox.farm.connections import Accept, PlainWriter, in_clear, under_tls
from glovebox.farm.dns import Answer, NameSockets, serving_names_apart
from glovebox.farm.identities import PKI_HOST, Identities
from glovebox.farm.legacy import LegacyServer
from glovebox.farm.model import Dial, Fronted, Legacy, Plain, Relay, Service, Tls, Trait, Unanswered, Writer
from glovebox.farm.openssl import server_context
from glovebox.farm.web import Reply, site
from glovebox.siteaudit.settings import AuditSettings

NETWORK: Final = "127.77.0.0/16"
"""The fleet's own piece of loopback; Linux serves all of 127.0.0.0/8."""
_RESOLVER: Final = "127.77.0.53"
_PKI: Final = 80
_FIRST: Final = 0x0101
"""Hosts within the fleet's network: its authority's, and the first trait's."""
_IPV6: Final = "::1"
_USUAL_PORTS: Final = (8080, 8443)
_PORT_RANGE: Final = (10_000, 30_000)
"""Below what the system hands out for outgoing connections."""
_ATTEMPTS: Final = 20
_QUEUE: Final = 100
"""Connections that wait to be accepted."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What runs, and how to audit it."""

    hosts: tuple[str, ...]
    addresses: dict[str, str]
    """By host, of those that have one of their own."""
    settings: AuditSettings


@dataclass(frozen=True, slots=True)
class Home:
    """Where the fleet lives: loopback, unless a machine of the lab holds another network."""

    network: IPv4Network
    name_server: NameSockets | None = None
    """Where its name server is asked, if not at an address of its own on loopback."""

    @property
    def pki(self) -> str:
        return str(self.network[_PKI])

    @property
    def ipv6(self) -> bool:
        return self.network.is_loopback and _has_ipv6()


LOOPBACK: Final = Home(IPv4Network(NETWORK))


@asynccontextmanager
async def serving(traits: Sequence[Trait], folder: Path, home: Home = LOOPBACK) -> AsyncIterator[Serving]:
    """Serve `traits` at `home` while the block runs; keys are written to `folder`.

    Traits on IPv6 are left out where it has none.  Raises ConfigurationError where no
    pair of ports is free.
    """
    present = tuple(trait for trait in traits if not trait.ipv6 or home.ipv6)
    addresses = _addresses(present, home)
    async with AsyncExitStack() as stack:
        sockets = stack.enter_context(_bound(present, addresses, home))
        identities = Identities(sockets.http_port)
        for trait in present:
            for service, listener in sockets.of(trait):
                await _start(stack, service, listener, trait.host, identities, folder)
        published = {
            path: Reply(body, content_type="application/pkix-cert")
            for path, body in identities.publications().items()
        }
        await _start(stack, Plain(site(published)), sockets.pki, PKI_HOST, identities, folder)
        zone = _zone(present, addresses, home)
        resolver = stack.enter_context(serving_names_apart(zone, home.name_server or _RESOLVER))
        yield Serving(
            tuple(trait.host for trait in present),
            {trait.host: addresses[trait.name] for trait in present if trait.name in addresses},
            _settings(sockets, resolver, pem_of([identities.root.certificate]).decode(), home),
        )


def _settings(sockets: _Sockets, resolver: str, roots: str, home: Home) -> AuditSettings:
    """Shorter patience than for the internet: loopback answers at once or never."""
    return AuditSettings(
        http_port=sockets.http_port,
        https_port=sockets.https_port,
        resolver=resolver,
        allowed_networks=[str(home.network), *([f"{_IPV6}/128"] if home.network.is_loopback else [])],
        extra_roots=roots,
        extra_issuers=[PKI_HOST],
        connect_timeout=2.0,
        handshake_timeout=3.0,
        http_timeout=4.0,
        dns_timeout=1.5,
        site_timeout=60.0,
        concurrency=25,  # one process serves them all
    )


# ---------------------------------------------------------------- addresses and ports


def _addresses(traits: Sequence[Trait], home: Home) -> dict[str, str]:
    own = [trait for trait in traits if trait.dns is None]
    return {
        trait.name: _IPV6 if trait.ipv6 else str(home.network[_FIRST + number])
        for number, trait in enumerate(own)
    }


def _zone(traits: Sequence[Trait], addresses: dict[str, str], home: Home) -> dict[str, Answer]:
    zone = {trait.host: trait.dns or Answer(addresses=(addresses[trait.name],)) for trait in traits}
    # The other name of the loop of aliases; it is on no host list.
    aliases = [answer.alias for answer in zone.values() if answer.alias and answer.alias not in zone]
    return (
        zone
        | {alias: Answer(alias=_pointing_at(alias, zone)) for alias in aliases}
        | {PKI_HOST: Answer(addresses=(home.pki,))}
    )


def _pointing_at(alias: str, zone: dict[str, Answer]) -> str:
    return next(name for name, answer in zone.items() if answer.alias == alias)


@dataclass(frozen=True, slots=True)
class _Sockets:
    """Bound and not yet listening."""

    http_port: int
    https_port: int
    pki: socket.socket
    listeners: dict[tuple[str, str], socket.socket]

    def of(self, trait: Trait) -> list[tuple[Service, socket.socket]]:
        both = (("http", trait.http), ("https", trait.https))
        return [
            (service, self.listeners[trait.name, scheme]) for scheme, service in both if service is not None
        ]


@contextlib.contextmanager
def _bound(traits: Sequence[Trait], addresses: dict[str, str], home: Home) -> Iterator[_Sockets]:
    """Bind all under one pair of ports.

    Addresses of closed ports stay unbound: whoever had such a port on every address would have
    refused us the others.
    """
    for http_port, https_port in _candidate_ports():
        with contextlib.ExitStack() as stack:
            try:
                pki = stack.enter_context(_bind(home.pki, http_port))
                listeners = {
                    (trait.name, scheme): stack.enter_context(_bind(addresses[trait.name], port))
                    for trait in traits
                    if trait.dns is None
                    for scheme, service, port in (
                        ("http", trait.http, http_port),
                        ("https", trait.https, https_port),
                    )
                    if service is not None
                }
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise ConfigurationError(
                        f"The fleet cannot bind its addresses in {home.network}: {error}.",
                        fix="Run it on Linux, where all of 127.0.0.0/8 is loopback.",
                    ) from error
                continue
            yield _Sockets(http_port, https_port, pki, listeners)
            return
    raise ConfigurationError(
        f"No two ports were free on all addresses of {home.network}.",
        fix="End another fleet on this machine.",
    )


def _candidate_ports() -> Iterator[tuple[int, int]]:
    yield _USUAL_PORTS
    for _ in range(_ATTEMPTS):
        first = random.randrange(*_PORT_RANGE)  # noqa: S311  a port number is no secret
        yield first, first + 1


def _bind(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)  # from here on the port is ours; asyncio asks for a longer queue
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _has_ipv6() -> bool:
    try:
        _bind(_IPV6, 0).close()
    except OSError:
        return False
    return True


# ---------------------------------------------------------------- services


async def _start(
    stack: AsyncExitStack,
    service: Service,
    listener: socket.socket,
    host: str,
    identities: Identities,
    folder: Path,
) -> None:
    """Serve until `stack` unwinds."""
    match service:
        case Plain(handler):
            await _listen(stack, listener, in_clear(handler))
        case Tls(handler):
            await _listen(stack, listener, under_tls(handler, _context(service, host, identities, folder)))
        case Fronted(behind, relay):
            context = _context(behind, host, identities, folder)
            dial = partial(_dial, under_tls(behind.handler, context))
            await _listen(stack, listener, in_clear(partial(_relayed, relay, dial)))
        case Legacy():
            legacy = LegacyServer(service, service.identity(identities, host))
            listener.listen(_QUEUE)
            task = asyncio.create_task(legacy.accept(listener))
            stack.callback(task.cancel)
        case Unanswered():
            _fill(stack, listener)


async def _listen(stack: AsyncExitStack, listener: socket.socket, accept: Accept) -> None:
    server = await asyncio.start_server(accept, sock=listener, backlog=_QUEUE)
    stack.callback(server.close)


def _context(tls: Tls, host: str, identities: Identities, folder: Path) -> ssl.SSLContext:
    return server_context(tls, tls.identity(identities, host), host, folder, identities.root)


async def _relayed(relay: Relay, dial: Dial, reader: asyncio.StreamReader, writer: Writer) -> None:
    await relay(reader, writer, dial)


async def _dial(accept: Accept) -> tuple[asyncio.StreamReader, PlainWriter]:
    """Connect to a server that has no port of its own."""
    near, far = socket.socketpair()
    await asyncio.get_running_loop().connect_accepted_socket(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader(), accept), far
    )
    reader, writer = await asyncio.open_connection(sock=near)
    return reader, PlainWriter(writer)


def _fill(stack: AsyncExitStack, listener: socket.socket) -> None:
    """Fill the queue of connections, so that the kernel drops every further SYN."""
    listener.listen(0)
    client = stack.enter_context(socket.socket(listener.family, socket.SOCK_STREAM))
    client.setblocking(False)
    client.connect_ex(listener.getsockname())
