"""How the auditor reaches a server: one port, so that politeness is kept in one place.

Every connection of the engine is opened through a `Connector`.  It holds the caps per name
and per address, counts connections, and turns what the operating system says into failure
classes.  `gateway.GatewayConnector` goes through the egress gateway instead.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar
from weakref import WeakValueDictionary

from glovebox.errors import GloveboxError
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
        self._settings = settings
        self._hosts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._addresses: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._opened: Counter[str] = Counter()

    def count(self, host: str) -> int:
        return self._opened[host]

    def troubles(self, host: str) -> Mapping[str, str]:
        return {}

    @asynccontextmanager
    async def connection(
        self, factory: Callable[[], P], endpoint: Endpoint, *, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[tuple[asyncio.Transport, P]]:
        host = _semaphore(self._hosts, endpoint.host, self._settings.per_host)
        address = _semaphore(self._addresses, endpoint.address, self._settings.per_address)
        async with host, address:
            transport, protocol = await self._open(factory, endpoint, tls)
            try:
                yield transport, protocol
            finally:
                transport.abort()

    async def _open(
        self, factory: Callable[[], P], endpoint: Endpoint, tls: ssl.SSLContext | None
    ) -> tuple[asyncio.Transport, P]:
        self._opened[endpoint.host] += 1
        handshake = self._settings.handshake_timeout if tls else None
        patience = self._settings.connect_timeout + (handshake or 0)
        try:
            async with asyncio.timeout(patience):
                return await asyncio.get_running_loop().create_connection(
                    factory,
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


def _semaphore(pool: WeakValueDictionary[str, asyncio.Semaphore], key: str, limit: int) -> asyncio.Semaphore:
    """The semaphore of `key`, forgotten once nobody waits for it."""
    semaphore = pool.get(key)
    if semaphore is None:
        semaphore = pool[key] = asyncio.Semaphore(limit)
    return semaphore
