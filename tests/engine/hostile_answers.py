"""HTTP answers of a malicious server: broken, endless, round in circles, damaged at random."""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import Mapping
from itertools import count
from typing import Final

from glovebox.farm.model import Handler, Writer
from glovebox.farm.web import page, read_request

DRIP_SECONDS: Final = 0.02
GOOD: Final = page("<title>Good</title><form><input name=a></form>")
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n"


def _says(answer: bytes) -> Handler:
    """One fixed answer to each request."""

    async def handler(reader: asyncio.StreamReader, writer: Writer) -> None:
        if await read_request(reader) is not None:
            writer.write(answer)
            await writer.drain()

    return handler


def goes_on(first: bytes, rest: bytes, *, every: float = 0.0) -> Handler:
    """`first`, and then `rest` for ever."""

    async def handler(reader: asyncio.StreamReader, writer: Writer) -> None:
        if await read_request(reader) is None:
            return
        writer.write(first)
        while True:
            writer.write(rest)
            await writer.drain()
            await asyncio.sleep(every)

    return handler


async def _resets(reader: asyncio.StreamReader, writer: Writer) -> None:
    await read_request(reader)
    writer.reset()


async def _says_nothing(reader: asyncio.StreamReader, writer: Writer) -> None:
    await read_request(reader)
    await reader.read()


def _bomb() -> bytes:
    """64 MB of zeros in gzip, in chunks of a hundred bytes."""
    squeezed = zlib.compressobj(9, wbits=31)
    data = b"".join([squeezed.compress(bytes(1 << 20)) for _ in range(64)]) + squeezed.flush()
    pieces = [data[start : start + 100] for start in range(0, len(data), 100)]
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return _CHUNKED + b"Content-Encoding: gzip\r\n\r\n" + body + b"0\r\n\r\n"


_COOKIES = b"".join(b"Set-Cookie: c%d=%d\r\n" % (n, n) for n in range(3_000))
RAW = "\x1b]0;owned\x07\x1b[2J\u202eevil\u200b\x00"
MISBEHAVIOURS: Mapping[str, Handler] = {
    "resets": _resets,
    "closes": _says(b""),
    "mute": _says_nothing,
    "noise": _says(random.Random(1).randbytes(30_000)),  # noqa: S311 - noise, no secret
    "nul-header": _says(_HEAD + b"X\0Y: 1\r\nX-\xff: \x00\r\n\r\n<title>x</title>"),
    "nul-value": _says(_HEAD + b"X: a\x00b\x1b[2J\r\n\r\n<title>x</title>"),
    "cookies": _says(_HEAD + _COOKIES + b"\r\n<title>x</title>"),
    "endless-headers": goes_on(_HEAD, b"X-More: " + b"x" * 200 + b"\r\n"),
    "endless-header": goes_on(_HEAD + b"X: ", b"x" * 4_096),
    "endless-interim": goes_on(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    "endless-body": goes_on(_HEAD + b"\r\n<title>x</title>", b"<a href=/x>" * 400),
    "endless-chunks": goes_on(_CHUNKED + b"\r\n", b"1\r\nx\r\n" * 500),
    "endless-size": goes_on(_CHUNKED + b"\r\n", b"0" * 4_096),
    "endless-trailers": goes_on(_CHUNKED + b"\r\n1\r\nx\r\n0\r\n", b"X: y\r\n" * 500),
    "bomb": _says(_bomb()),
    "two-lengths": _says(_HEAD + b"Content-Length: 1\r\nContent-Length: 900\r\n\r\nx"),
    "length-and-chunks": _says(_CHUNKED + b"Content-Length: 3\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
    "negative": _says(_HEAD + b"Content-Length: -1\r\n\r\nx"),
    "huge-length": _says(_HEAD + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\nx"),
    "status-0": _says(b"HTTP/1.1 000 \r\n\r\n"),
    "status-999": _says(b"HTTP/1.1 999 \xff\x00\r\nContent-Length: 0\r\n\r\n"),
    "switching": _says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" + bytes(500)),
    "control-title": _says(_HEAD + f"\r\n<title>{RAW * 99}</title><a href='{RAW}'>".encode()),
    "odd-charset": _says(_HEAD.replace(b"html", b"html; charset=utf-7") + b"\r\n\xff\xfe+ADw-title+AD4-"),
    "bad-location": _says(
        b"HTTP/1.1 302 x\r\nLocation: http://[::ffff:127.0.0.1]:99999/\xff\xfe\r\nLocation: //\r\n\r\n"
    ),
    "long-location": _says(b"HTTP/1.1 302 x\r\nLocation: /" + b"%" * 60_000 + b"\r\n\r\n"),
    "inner-location": _says(b"HTTP/1.1 302 x\r\nLocation: http://169.254.169.254/latest/\r\n\r\n"),
    "many-headers": _says(_HEAD + b"".join(b"H%d: v\r\n" % n for n in range(4_000)) + b"\r\n"),
    "policies": _says(
        _HEAD
        + b"Content-Security-Policy: default-src "
        + b"a " * 20_000
        + b"\r\nStrict-Transport-Security: max-age="
        + b"9" * 5_000
        + b"\r\n\r\n"
        + b"<meta http-equiv=content-security-policy content='script-src %zz \xff'>" * 99
    ),
}


def circles(number: int, names: int) -> Handler:
    """Always on to another name of the maze, with another path and another cookie."""
    turns = count()

    async def handler(reader: asyncio.StreamReader, writer: Writer) -> None:
        if await read_request(reader) is None:
            return
        turn = next(turns)
        scheme = "https" if turn % 3 else "http"
        there = f"{scheme}://maze-{(number * 7 + turn) % names}.fleet.test/{number}-{turn}"
        body = page(
            f"<meta http-equiv=refresh content='0;{there}'>" + "x" * 100_000,
            headers=(("Set-Cookie", f"t{turn}={turn}"),),
        )
        moved = f"HTTP/1.1 302 x\r\nLocation: {there}\r\nSet-Cookie: t={turn}\r\n\r\n".encode()
        writer.write(body.encoded() if turn % 2 else moved)
        await writer.drain()

    return handler


def mutant_pages(seed: int) -> Handler:
    """An ordinary answer, damaged; another damage each time."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, no secret
    templates = [
        GOOD.encoded(),
        _CHUNKED + b"\r\n5\r\n<titl\r\n8\r\ne>x</tit\r\n0\r\nA: b\r\n\r\n",
        _bomb()[:900],
    ]

    async def handler(reader: asyncio.StreamReader, writer: Writer) -> None:
        if await read_request(reader) is not None:
            writer.write(damaged(dice.choice(templates), dice))
            await writer.drain()

    return handler


def damaged(data: bytes, dice: random.Random) -> bytes:
    """`data` with one thing wrong: a bit, a gap, a repetition, noise, an early end; sometimes nothing."""
    if not data:
        return data
    place = dice.randrange(len(data))
    end = min(len(data), place + dice.randrange(1, 40))
    match dice.randrange(7):
        case 0:
            return data
        case 1:
            return data[:place] + bytes([data[place] ^ 1 << dice.randrange(8)]) + data[place + 1 :]
        case 2:
            return data[:place] + data[end:]
        case 3:
            return data[:end] + data[place:]
        case 4:
            return data[:place] + dice.randbytes(end - place) + data[end:]
        case 5:
            return data[:place] + dice.randbytes(dice.randrange(3_000))
        case _:
            return data[:place]
