"""Through the egress gateway: a tunnel a connection, opened with the ticket of the host that it is for.

The gateway connects to the address before it answers 200, so that answer and its time are the site's.
What it says instead is told apart: the site's own failure (`X-Squid-Error: ERR_CONNECT_FAIL` with the error
number), a refusal (`egress_denied`), or trouble of the gateway (`proxy_error`).  A site that resets a tunnel
is seen as one that closes it, as Squid ends both alike.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from ipaddress import ip_address
from typing import Final, Generic, TypeVar, cast

from glovebox.errors import ConfigurationError
from glovebox.siteaudit.caps import Cap
from glovebox.siteaudit.connect import (
    CappedConnection,
    ConnectError,
    Endpoint,
    connect_error,
    failure_class_of,
)
from glovebox.siteaudit.settings import AuditSettings
from glovebox.text import clean
from glovebox.tickets.proxy import ProxyTicket, proxy_authorization

P = TypeVar("P", bound=asyncio.BaseProtocol)
S = TypeVar("S")

MAX_TUNNELS: Final = 192
"""At once.  Three quarters of what the gateway grants one client (`squid.settings.CLIENT_CONNECTIONS`): the
rest is for connections that we have ended and the gateway has not yet."""
GRACE_SECONDS: Final = 5.0
"""Beyond the time that a site has to accept a connection, until the gateway's silence is its own.  Squid's
`connect_timeout` is that of `AuditSettings`; it looks at its clock once a second and has helpers to ask."""
REDIAL_SECONDS: Final = (0.02, 0.1, 0.5)
"""Waits before a gateway that refuses connections is asked again: a reload closes its listener for 20 ms."""
MAX_ANSWER: Final = 8_192
"""Bytes before the blank line: Squid's own answers have 40 to 400."""
OURS: Final = frozenset({"egress_denied", "proxy_error"})

_END = b"\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")
_SITE_ERROR = re.compile(rb"\r\nX-Squid-Error: ERR_CONNECT_FAIL ([0-9]{1,5})\r\n", re.IGNORECASE)
_ERROR = re.compile(rb"\r\nX-Squid-Error: ([A-Za-z0-9_: ]{1,64})\r\n", re.IGNORECASE)
_REASON = re.compile(rb"\r\nX-Egress-Reason: ([a-z0-9_ -]{1,96})\r\n", re.IGNORECASE)
_STATUS_BYTES = 13
"""Of `HTTP/1.1 200 `: with so many it is clear whether a status line begins here."""
_SHORTAGES = frozenset({errno.EADDRNOTAVAIL, errno.ENETDOWN})
"""Of the gateway's: no port is left, or its network is down."""
_SHOWN = 60
"""Characters of a strange answer that a detail quotes."""


class GatewayConnector:
    """A `Connector` whose every connection is a tunnel of the gateway.

    `gateway` is `address:port` (IPv6 in brackets), `tickets` are `user:password` by host name; a host without
    one is never asked for.  Raises ConfigurationError for a gateway that is none.
    """

    def __init__(self, settings: AuditSettings, gateway: str, tickets: Mapping[str, str]) -> None:
        self.settings = settings
        self.address, self.port = _address_of(gateway)
        self.hosts = Cap(settings.per_host)
        self.addresses = Cap(settings.per_address)
        self.tunnels = Cap(MAX_TUNNELS)
        self.opened: Counter[str] = Counter()
        self._authorizations = {host: _authorization(ticket) for host, ticket in tickets.items() if ticket}
        self._troubles: dict[str, dict[str, str]] = {}

    def count(self, host: str) -> int:
        return self.opened[host]

    def troubles(self, host: str) -> Mapping[str, str]:
        return self._troubles.get(host, {})

    def connection(
        self, factory: Callable[[], P], endpoint: Endpoint, *, tls: ssl.SSLContext | None = None
    ) -> AbstractAsyncContextManager[tuple[asyncio.Transport, P]]:
        return _Tunnel(self, factory, endpoint, tls)

    def request(self, endpoint: Endpoint) -> bytes:
        """The CONNECT for `endpoint`; raises ConnectError where there is no ticket for its host."""
        authorization = self._authorizations.get(endpoint.host)
        if authorization is None:
            raise ConnectError("egress_denied", "there is no ticket for this host")
        host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        place = f"{host}:{endpoint.port}".encode("ascii")
        return b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (place, place, authorization)

    def remember(self, host: str, error: ConnectError) -> None:
        if error.failure_class in OURS:
            self._troubles.setdefault(host, {}).setdefault(error.failure_class, error.detail)


class _Tunnel(CappedConnection[P]):
    """Through the gateway to the endpoint."""

    __slots__ = ("_connector", "_endpoint", "_factory", "_tls")

    def __init__(
        self,
        connector: GatewayConnector,
        factory: Callable[[], P],
        endpoint: Endpoint,
        tls: ssl.SSLContext | None,
    ) -> None:
        super().__init__(
            (connector.hosts, endpoint.host),
            (connector.addresses, endpoint.address),
            (connector.tunnels, ""),
        )
        self._connector = connector
        self._factory = factory
        self._endpoint = endpoint
        self._tls = tls

    async def _open(self) -> tuple[asyncio.Transport, P]:
        connector, host = self._connector, self._endpoint.host
        patience = connector.settings.connect_timeout + GRACE_SECONDS
        try:
            request = connector.request(self._endpoint)
            connector.opened[host] += 1
            async with asyncio.timeout(patience):
                if self._tls is None:
                    return await self._handed_over(request)
                stream = await self._dug(request)
        except ConnectError as error:
            connector.remember(host, error)
            raise
        except TimeoutError as error:
            late = ConnectError("proxy_error", f"the gateway said nothing within {patience:g} s")
            connector.remember(host, late)
            raise late from error
        return await self._secured(stream, self._tls)

    async def _handed_over(self, request: bytes) -> tuple[asyncio.Transport, P]:
        """A protocol of ours reads the gateway's answer and gives way to the caller's: the fast way."""
        loop, connector = asyncio.get_running_loop(), self._connector
        opening: _Opening[P] = _Opening(request, self._factory)

        async def dial() -> asyncio.Transport:
            return (await loop.create_connection(lambda: opening, connector.address, connector.port))[0]

        transport = await _dialled(dial)
        try:
            outcome = await opening.answered
        except BaseException:
            transport.abort()
            raise
        if isinstance(outcome, ConnectError):
            transport.abort()
            raise outcome
        return transport, outcome

    async def _dug(self, request: bytes) -> socket.socket:
        """A tunnel as a socket from which nothing behind the answer was taken: there TLS begins.

        `start_tls` has no place for what a server sends unasked and what may have come with the answer.
        """
        loop, connector = asyncio.get_running_loop(), self._connector

        async def dial() -> socket.socket:
            family = socket.AF_INET6 if ":" in connector.address else socket.AF_INET
            stream = socket.socket(family, socket.SOCK_STREAM)
            try:
                stream.setblocking(False)
                await loop.sock_connect(stream, (connector.address, connector.port))
            except BaseException:
                stream.close()
                raise
            return stream

        stream = await _dialled(dial)
        try:
            await loop.sock_sendall(stream, request)
            await _answered(stream)
        except OSError as error:
            stream.close()
            if isinstance(error, TimeoutError):
                raise
            raise ConnectError("proxy_error", f"the gateway ended the connection: {error}") from error
        except BaseException:
            stream.close()
            raise
        return stream

    async def _secured(self, stream: socket.socket, tls: ssl.SSLContext) -> tuple[asyncio.Transport, P]:
        """TLS with the site; from here on the stream is the loop's."""
        patience = self._connector.settings.handshake_timeout
        try:
            return await asyncio.get_running_loop().create_connection(
                self._factory,
                sock=stream,
                ssl=tls,
                server_hostname=self._endpoint.host,
                ssl_handshake_timeout=patience,
            )
        except ssl.SSLError:
            raise
        except OSError as error:
            failure = connect_error(error, tls=True)
            if failure is None:
                raise
            raise failure from error


class _Opening(asyncio.Protocol, Generic[P]):
    """Asks for a tunnel and hands it to a protocol of `factory`'s, with whatever came behind the answer.

    `answered` gives that protocol, or why there is none, as a value: an exception that comes in the same turn
    as a timeout would be logged as never retrieved.
    """

    def __init__(self, request: bytes, factory: Callable[[], P]) -> None:
        self.answered: asyncio.Future[P | ConnectError] = asyncio.get_running_loop().create_future()
        self._request = request
        self._factory = factory
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A stream's transport can write; uvloop's is no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self.answered.done():
            return
        self._answer += data
        try:
            behind = behind_answer(self._answer)
        except ConnectError as error:
            self.answered.set_result(error)
            return
        if behind is not None:
            self._hand_over(behind)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answered.done():
            self.answered.set_result(_ended(exc))

    def _hand_over(self, behind: bytes) -> None:
        protocol = self._factory()
        self.answered.set_result(protocol)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if behind:
            cast(asyncio.Protocol, protocol).data_received(behind)


# ---------------------------------------------------------------- what the gateway says


def behind_answer(answer: bytes) -> bytes | None:
    """What came behind the answer that opens the tunnel; `None` while that is not whole.

    Raises ConnectError for every other answer: with the site's failure, `egress_denied` or `proxy_error`.
    """
    head, end, behind = answer.partition(_END)
    status = _STATUS.match(answer)
    if (status is None and len(answer) >= _STATUS_BYTES) or len(head) > MAX_ANSWER:
        shown = clean(answer[:_SHOWN].decode("latin-1"), _SHOWN)
        raise ConnectError("proxy_error", f"the gateway's answer begins with {shown!r}")
    if status is None or not end:
        return None
    if status[1] == b"200":
        return behind
    raise _refusal(status[1].decode(), head + b"\r\n")


def _refusal(status: str, head: bytes) -> ConnectError:
    site = _SITE_ERROR.search(head)
    if site is not None:
        return _of_site(int(site[1]))
    reason, error = _REASON.search(head), _ERROR.search(head)
    because = next((found[1].decode() for found in (reason, error) if found is not None), "no reason given")
    denied = status in ("403", "407")
    return ConnectError("egress_denied" if denied else "proxy_error", f"the gateway says {status}: {because}")


def _of_site(number: int) -> ConnectError:
    """What the system told the gateway: as it would have told us, but for the gateway's own shortages."""
    words = f"[Errno {number}] {os.strerror(number)}"
    failure_class = None if number in _SHORTAGES else failure_class_of(OSError(number, os.strerror(number)))
    if failure_class is None:
        return ConnectError("proxy_error", f"the gateway could not connect: {words}")
    return ConnectError(failure_class, words)


def _ended(error: BaseException | None) -> ConnectError:
    how = f": {error}" if error is not None else " without an answer"
    return ConnectError("proxy_error", f"the gateway ended the connection{how}")


async def _answered(stream: socket.socket) -> None:
    """Reads the answer that opens the tunnel, and nothing behind it.  Raises as `behind_answer` does."""
    answer = b""
    while True:
        await _readable(stream)
        try:
            seen = stream.recv(MAX_ANSWER, socket.MSG_PEEK)
        except BlockingIOError:
            continue
        if not seen:
            raise _ended(None)
        answer += seen
        behind = behind_answer(answer)
        stream.recv(len(seen) - len(behind or b""))
        if behind is not None:
            return


async def _readable(stream: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(stream, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(stream)


async def _dialled(dial: Callable[[], Awaitable[S]]) -> S:
    """A connection to the gateway, asked for again while it may be reloading."""
    for pause in (*REDIAL_SECONDS, None):
        try:
            return await dial()
        except TimeoutError:
            raise
        except OSError as error:
            if failure_class_of(error) is None:
                raise
            if pause is None or not isinstance(error, ConnectionRefusedError):
                raise ConnectError("proxy_error", f"the gateway cannot be reached: {error}") from error
            await asyncio.sleep(pause)
    raise AssertionError("the last pause is none")


def _address_of(gateway: str) -> tuple[str, int]:
    address, _, port = gateway.rpartition(":")
    try:
        parsed = ip_address(address.strip("[]"))
        number = int(port)
    except ValueError as error:
        raise _no_gateway(gateway) from error
    if not 0 < number < 65_536:
        raise _no_gateway(gateway)
    return str(parsed), number


def _no_gateway(gateway: str) -> ConfigurationError:
    return ConfigurationError(
        f"{gateway[:64]!r} is no gateway.", fix="Write it as 10.43.0.10:3129 or [fd00::10]:3129."
    )


def _authorization(ticket: str) -> bytes:
    user, _, password = ticket.partition(":")
    return f"Proxy-Authorization: {proxy_authorization(ProxyTicket(user, password))}\r\n".encode("ascii")
