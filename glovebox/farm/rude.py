"""Servers that misbehave: each is one handler that does one wrong thing.

None of them holds more than a few kilobytes or sends for longer than `_PATIENCE`, so a fleet
cannot exhaust the machine that it runs on.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections import deque
from functools import cache
from time import monotonic
from typing import Final

from glovebox.farm.model import Dial, Handler, Relay, Writer
from glovebox.farm.web import read_request

_PATIENCE: Final = 20.0
"""Longer than any auditor of ours waits, so that it is the auditor's timeout that ends the wait."""
_ALERT: Final = 21
_FATAL: Final = 2
HANDSHAKE_FAILURE: Final = 40
INTERNAL_ERROR: Final = 80
UNRECOGNIZED_NAME: Final = 112


def says(data: bytes) -> Handler:
    """Speaks first, like a mail or shell server, and hangs up after the client's first words."""

    async def handle(reader: asyncio.StreamReader, writer: Writer) -> None:
        writer.write(data)
        await writer.drain()
        await _first_bytes(reader)

    return handle


def answers(data: bytes) -> Handler:
    """Waits for the client's first bytes and answers with `data`, whatever they were."""

    async def handle(reader: asyncio.StreamReader, writer: Writer) -> None:
        if await _first_bytes(reader):
            writer.write(data)
            await writer.drain()

    return handle


def alerts(description: int) -> Handler:
    """Refuses every handshake with a fatal alert (RFC 8446, section 6)."""
    return answers(struct.pack(">BHHBB", _ALERT, 0x0303, 2, _FATAL, description))


def answers_request(data: bytes) -> Handler:
    """Reads one HTTP request and answers with `data`, then closes."""

    async def handle(reader: asyncio.StreamReader, writer: Writer) -> None:
        if await read_request(reader) is not None:
            writer.write(data)
            await writer.drain()

    return handle


def repeats(head: bytes, piece: bytes, *, pause: float = 0.0) -> Handler:
    """Answers a request with `head` and then `piece` without end."""

    async def handle(reader: asyncio.StreamReader, writer: Writer) -> None:
        if await read_request(reader) is None:
            return
        writer.write(head)
        end = monotonic() + _PATIENCE
        while monotonic() < end:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return handle


async def silent(reader: asyncio.StreamReader, writer: Writer) -> None:
    """Accepts, reads and never says a word."""
    try:
        async with asyncio.timeout(_PATIENCE):
            while await reader.read(4_096):
                pass
    except TimeoutError:
        return


async def resets(reader: asyncio.StreamReader, writer: Writer) -> None:
    """Resets the connection as soon as it stands."""
    writer.reset()


async def resets_on_hello(reader: asyncio.StreamReader, writer: Writer) -> None:
    """Resets the connection once the client has spoken."""
    await _first_bytes(reader)
    writer.reset()


async def closes_on_hello(reader: asyncio.StreamReader, writer: Writer) -> None:
    """Hangs up in good order once the client has spoken."""
    await _first_bytes(reader)


def drips(data: bytes, pause: float) -> Handler:
    """Sends a byte of `data` every `pause` seconds."""

    async def handle(reader: asyncio.StreamReader, writer: Writer) -> None:
        await _first_bytes(reader)
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(pause)

    return handle


def gzip_bomb(size: int) -> Handler:
    """Answers a request with a small gzip body that unfolds to `size` zero bytes."""

    @cache
    def answer() -> bytes:
        body = _zeros(size)
        return (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )

    async def handle(reader: asyncio.StreamReader, writer: Writer) -> None:
        if await read_request(reader) is not None:
            writer.write(answer())
            await writer.drain()

    return handle


def _zeros(size: int) -> bytes:
    """`size` zero bytes in gzip's format, made a piece at a time."""
    compress = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    pieces = [compress.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*pieces, compress.flush()])


# ---------------------------------------------------------------- boxes in front of a good server


def delays(pause: float) -> Relay:
    """Hands everything on, `pause` seconds late in each direction."""

    async def relay(reader: asyncio.StreamReader, writer: Writer, dial: Dial) -> None:
        await _join(b"", reader, writer, dial, pause)

    return relay


def refuses_long_hellos(limit: int) -> Relay:
    """Resets when the client's first message is longer than `limit` bytes, as some old middleboxes do."""

    async def relay(reader: asyncio.StreamReader, writer: Writer, dial: Dial) -> None:
        hello = await _first_bytes(reader)
        if len(hello) > limit:
            writer.reset()
        else:
            await _join(hello, reader, writer, dial)

    return relay


def limits_rate(count: int, seconds: float) -> Relay:
    """Resets each connection beyond `count` in any span of `seconds`."""
    times: deque[float] = deque()

    async def relay(reader: asyncio.StreamReader, writer: Writer, dial: Dial) -> None:
        now = monotonic()
        while times and times[0] < now - seconds:
            times.popleft()
        if len(times) >= count:
            writer.reset()
            return
        times.append(now)
        await _join(b"", reader, writer, dial)

    return relay


def cuts_after(size: int) -> Relay:
    """Resets once the server has sent `size` bytes: in the middle of its handshake."""

    async def relay(reader: asyncio.StreamReader, writer: Writer, dial: Dial) -> None:
        hello = await _first_bytes(reader)
        server_reader, server_writer = await dial()
        try:
            server_writer.write(hello)
            writer.write((await _first_bytes(server_reader))[:size])
            await writer.drain()
            await asyncio.sleep(0.05)  # so that the client reads the bytes before the reset throws them away
            writer.reset()
        finally:
            server_writer.close()

    return relay


async def _join(
    first: bytes,
    reader: asyncio.StreamReader,
    writer: Writer,
    dial: Dial,
    pause: float = 0.0,
) -> None:
    """Carries bytes both ways until one side ends."""
    server_reader, server_writer = await dial()
    try:
        server_writer.write(first)
        ways = {
            asyncio.create_task(_carry(reader, server_writer, pause)),
            asyncio.create_task(_carry(server_reader, writer, pause)),
        }
        done, rest = await asyncio.wait(ways, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        await asyncio.gather(*done, *rest, return_exceptions=True)
    finally:
        server_writer.close()


async def _carry(reader: asyncio.StreamReader, writer: Writer, pause: float) -> None:
    while data := await reader.read(65_536):
        await asyncio.sleep(pause)
        writer.write(data)
        await writer.drain()


async def _first_bytes(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await reader.read(4_096)
    except TimeoutError:
        return b""
