"""How the auditor reaches a server: one port, so that politeness is kept in one place.

Every connection of the engine is opened through a `Connector`.  It holds the caps per name
and per address, counts connections, and turns what the operating system says into failure
classes.  `gateway.GatewayConnector` goes through the egress gateway instead.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from glovebox.errors import GloveboxError
from glovebox.siteaudit.caps import Cap
from glovebox.siteaudit.settings import AuditSettings

P = TypeVar("P", bound=asyncio.BaseProtocol)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A name at one address and port.  `host` is what SNI and the Host header say."""

    host: str
    address: str
    port: int


class ConnectError(GloveboxError):
    """No TCP connection (or, with `tls`, no TLS session on it)."""

    def __init__(self, failure_class: str, detail: str) -> None:
        super().__init__(f"{failure_class}: {detail}")
        self.failure_class = failure_class
        self.detail = detail


class Connector(Protocol):
    """Opens connections for the engine."""

    def connection(
        self, factory: Callable[[], P], endpoint: Endpoint, *, tls: ssl.SSLContext | None = None
    ) -> AbstractAsyncContextManager[tuple[asyncio.Transport, P]]:
        """A connection that is aborted when the block ends.

        Raises ConnectError, and with `tls` also ssl.SSLError from the handshake.
        """
        ...

    def count(self, host: str) -> int:
        """Connections opened for this name so far."""
        ...

    def troubles(self, host: str) -> Mapping[str, str]:
        """Failures of our own making that connections to this name met: class and detail."""
        ...


_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.EHOSTDOWN}


def failure_class_of(error: OSError) -> str | None:
    """The failure class of what the operating system said, or `None` where it says nothing of the site."""
    if isinstance(error, ConnectionRefusedError):
        return "connection_refused"
    if isinstance(error, ConnectionResetError | ConnectionAbortedError | BrokenPipeError):
        return "connection_reset"
    if isinstance(error, TimeoutError):
        return "connect_timeout"
    if error.errno in _UNREACHABLE:
        return "host_unreachable"
    return None


def connect_error(error: OSError, *, tls: bool) -> ConnectError | None:
    """What `create_connection` raised, as a failure of the site; `None` where it says nothing of the site."""
    if isinstance(error, ConnectionAbortedError):
        # What asyncio and uvloop raise for `ssl_handshake_timeout`, with nothing but words to know it by.
        handshake_late = tls and "handshake is taking longer" in str(error)
        return ConnectError("tls_timeout" if handshake_late else "connection_reset", str(error))
    failure_class = failure_class_of(error)
    return None if failure_class is None else ConnectError(failure_class, str(error) or type(error).__name__)


class DirectConnector:
    """Straight out, with at most `per_host` connections to a name and `per_address` to an address."""

    def __init__(self, settings: AuditSettings) -> None:
        self.settings = settings
        self.hosts = Cap(settings.per_host)
        self.addresses = Cap(settings.per_address)
        self.opened: Counter[str] = Counter()

    def count(self, host: str) -> int:
        return self.opened[host]

    def troubles(self, host: str) -> Mapping[str, str]:
        return {}

    def connection(
        self, factory: Callable[[], P], endpoint: Endpoint, *, tls: ssl.SSLContext | None = None
    ) -> AbstractAsyncContextManager[tuple[asyncio.Transport, P]]:
        return _Connection(self, factory, endpoint, tls)


class CappedConnection(AbstractAsyncContextManager[tuple[asyncio.Transport, P]]):
    """One connection, opened by `_open` when every cap has a place for its key, and aborted at the end.

    A class, as a generator made into a context manager takes four times as long, a dozen times a host.
    """

    __slots__ = ("_caps", "_transport")

    def __init__(self, *caps: tuple[Cap, str]) -> None:
        self._caps = caps

    async def __aenter__(self) -> tuple[asyncio.Transport, P]:
        entered = 0
        try:
            for cap, key in self._caps:
                await cap.enter(key)
                entered += 1
            self._transport, protocol = await self._open()
        except BaseException:
            self._leave(entered)
            raise
        return self._transport, protocol

    async def __aexit__(self, *raised: object) -> None:
        self._transport.abort()
        self._leave(len(self._caps))

    def _leave(self, entered: int) -> None:
        for cap, key in self._caps[:entered]:
            cap.leave(key)

    @abstractmethod
    async def _open(self) -> tuple[asyncio.Transport, P]: ...


class _Connection(CappedConnection[P]):
    """Straight to the endpoint."""

    __slots__ = ("_connector", "_endpoint", "_factory", "_tls")

    def __init__(
        self,
        connector: DirectConnector,
        factory: Callable[[], P],
        endpoint: Endpoint,
        tls: ssl.SSLContext | None,
    ) -> None:
        super().__init__((connector.hosts, endpoint.host), (connector.addresses, endpoint.address))
        self._connector = connector
        self._factory = factory
        self._endpoint = endpoint
        self._tls = tls

    async def _open(self) -> tuple[asyncio.Transport, P]:
        endpoint, tls, settings = self._endpoint, self._tls, self._connector.settings
        self._connector.opened[endpoint.host] += 1
        handshake = settings.handshake_timeout if tls else None
        patience = settings.connect_timeout + (handshake or 0)
        try:
            async with asyncio.timeout(patience):
                return await asyncio.get_running_loop().create_connection(
                    self._factory,
                    endpoint.address,
                    endpoint.port,
                    ssl=tls,
                    server_hostname=endpoint.host if tls else None,
                    ssl_handshake_timeout=handshake,
                )
        except ssl.SSLError:
            raise
        except OSError as error:
            failure = connect_error(error, tls=tls is not None)
            if failure is None:
                raise
            raise failure from error
