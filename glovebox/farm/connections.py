"""The server's end of a connection, in clear or under TLS.

asyncio's own TLS drops a failed handshake without the alert that OpenSSL wrote for it.  Real
servers send it, and audits read it; so the handshake is driven here, through memory buffers.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from glovebox.farm.model import Handler

_HANDSHAKE_PATIENCE: Final = 20.0
"""Longer than any auditor waits, so that its timeouts are met first."""
_CHUNK: Final = 16_384

Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What `asyncio.start_server` calls."""


class PlainWriter:
    """Writes in clear."""

    def __init__(self, raw: asyncio.StreamWriter) -> None:
        self._raw = raw

    def write(self, data: bytes) -> None:
        self._raw.write(data)

    async def drain(self) -> None:
        await self._raw.drain()

    def close(self) -> None:
        self._raw.close()

    def reset(self) -> None:
        """End the connection with a TCP reset instead of a close."""
        raw: socket.socket | None = self._raw.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._raw.transport.abort()


class TlsWriter:
    """Encrypts what it writes."""

    def __init__(self, session: _Session, raw: asyncio.StreamWriter) -> None:
        self._session = session
        self._plain = PlainWriter(raw)

    def write(self, data: bytes) -> None:
        self._session.tls.write(data)
        self._plain.write(self._session.outgoing.read())

    async def drain(self) -> None:
        await self._plain.drain()

    def close(self) -> None:
        with suppress(ssl.SSLError):  # our close_notify is written before OpenSSL asks for the client's
            self._session.tls.unwrap()
        self._plain.write(self._session.outgoing.read())
        self._plain.close()

    def reset(self) -> None:
        self._plain.reset()


def in_clear(handler: Handler) -> Accept:
    """`handler`, with the connection closed afterwards; a client that leaves early is no error."""

    async def accept(reader: asyncio.StreamReader, raw: asyncio.StreamWriter) -> None:
        writer = PlainWriter(raw)
        with suppress(ConnectionError):
            await handler(reader, writer)
        writer.close()

    return accept


def under_tls(handler: Handler, context: ssl.SSLContext) -> Accept:
    """`handler` behind a TLS handshake; a handshake that fails ends with OpenSSL's alert."""

    async def accept(reader: asyncio.StreamReader, raw: asyncio.StreamWriter) -> None:
        session = _Session(context)
        writer = TlsWriter(session, raw)
        with suppress(ConnectionError, TimeoutError, ssl.SSLError):
            async with asyncio.timeout(_HANDSHAKE_PATIENCE):
                await session.handshake(reader, raw)
            plain = asyncio.StreamReader()
            pump = asyncio.create_task(session.decrypt(reader, plain))
            try:
                await handler(plain, writer)
                writer.close()
            finally:
                pump.cancel()
        raw.close()

    return accept


class _Session:
    """One TLS session between two memory buffers."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self.outgoing, server_side=True)

    async def handshake(self, reader: asyncio.StreamReader, raw: asyncio.StreamWriter) -> None:
        """Raises ssl.SSLError once the alert is on its way, and ConnectionError where the client left."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._exchange(reader, raw)
            else:
                return
            finally:
                raw.write(self.outgoing.read())
                await raw.drain()

    async def _exchange(self, reader: asyncio.StreamReader, raw: asyncio.StreamWriter) -> None:
        raw.write(self.outgoing.read())
        data = await reader.read(_CHUNK)
        if not data:
            raise ConnectionAbortedError
        self._incoming.write(data)

    async def decrypt(self, reader: asyncio.StreamReader, plain: asyncio.StreamReader) -> None:
        """Feed `plain` until the client ends."""
        with suppress(ssl.SSLError, ConnectionError):
            while True:
                try:
                    data = self.tls.read(_CHUNK)
                except ssl.SSLWantReadError:
                    received = await reader.read(_CHUNK)
                    if not received:
                        break
                    self._incoming.write(received)
                else:
                    if not data:  # the client's close_notify
                        break
                    plain.feed_data(data)
        plain.feed_eof()
