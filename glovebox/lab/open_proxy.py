"""A gateway that lets everything through: the control for those attempts that the real one refuses.

    python -m glovebox.lab.open_proxy PORT...

It tunnels every CONNECT by name or address, passes on plain requests, and asks for no ticket.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from urllib.parse import urlsplit

from glovebox.lab.plan import EVIL_ADDRESS, ORIGIN_ADDRESS

_CHUNK = 65_536


async def serve(ports: list[int]) -> None:
    servers = [await asyncio.start_server(_client, "0.0.0.0", port) for port in ports]  # noqa: S104  a namespace
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def _client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, *_ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        host, port = _place(method, target)
        upstream, onward = await asyncio.open_connection(_address(host), port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            onward.write(head)
        await asyncio.gather(_pump(reader, onward), _pump(upstream, writer))
    except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # Whoever speaks to it is hostile; the witness writes down what got out.
    finally:
        writer.close()


def _place(method: str, target: str) -> tuple[str, int]:
    if method == "CONNECT":
        host, _, port = target.rpartition(":")
        return host.strip("[]"), int(port)
    parts = urlsplit(target)
    return parts.hostname or EVIL_ADDRESS, parts.port or 80


def _address(host: str) -> str:
    """As the lab's internet resolves it, which spares the control run a name server."""
    if host.endswith(".amazonaws.com"):
        return ORIGIN_ADDRESS
    try:
        return socket.inet_ntoa(socket.inet_aton(host))  # Decimal, octal and hexadecimal forms as well.
    except OSError:
        return EVIL_ADDRESS


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(serve([int(port) for port in sys.argv[1:]]))
