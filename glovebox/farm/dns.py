"""A small authoritative name server on loopback, which also fails in each way that DNS can.

It speaks UDP and TCP on one port (RFC 1035) and answers A, AAAA and CNAME from a fixed zone.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, ip_address

from glovebox.errors import ConfigurationError

_TTL = 60
_MAX_UDP = 512
"""RFC 1035, section 4.2.1: a longer answer is cut and asked again over TCP."""
_MAX_ALIASES = 8
"""How far an alias is followed within the zone; a loop ends here."""
_TCP_PATIENCE = 5.0
_PORT_TRIES = 20
_HEADER = struct.Struct(">6H")
_A, _CNAME, _SOA, _PTR, _AAAA = 1, 5, 6, 12, 28
_IN = 1


class Rcode(IntEnum):
    """RFC 1035, section 4.1.1."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    REFUSED = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says of one name.  Without addresses or alias the name exists and has no address."""

    addresses: tuple[str, ...] = ()
    """IPv4 and IPv6 addresses, given in this order."""
    alias: str | None = None
    """A CNAME; the server follows it within its zone."""
    pointer: str | None = None
    """A PTR record: whoever owns an address may name it as he likes."""
    rcode: Rcode = Rcode.NOERROR
    silent: bool = False
    """The question is swallowed, so that the asker runs into its timeout."""


class NameServer:
    """Answers from `zone`; a name that is not in it does not exist (NXDOMAIN)."""

    def __init__(self, zone: Mapping[str, Answer]) -> None:
        self._zone = {name.lower().rstrip("."): answer for name, answer in zone.items()}
        self.questions = 0
        """Asked so far, over UDP and TCP."""

    def reply(self, message: bytes, limit: int = 65_535) -> bytes | None:
        """The answer to one message, cut to its header and question where longer than `limit`.

        `None` where nothing is to be sent: the message is no question, or the name is silent.
        """
        question = question_of(message)
        if question is None:
            return None
        self.questions += 1
        name, kind, section = question
        answer = self.answer(name)
        if answer.silent:
            return None
        records = self._records(name, kind) if answer.rcode is Rcode.NOERROR else []
        authority = [] if records or answer.rcode in (Rcode.SERVFAIL, Rcode.REFUSED) else [_soa(name)]
        body = b"".join(records + authority)
        counts = (len(records), len(authority))
        cut = _HEADER.size + len(section) + len(body) > limit
        if cut:
            body, counts = b"", (0, 0)
        return _header(message, answer.rcode, counts, cut=cut) + section + body

    def answer(self, name: str) -> Answer:
        """What the zone holds for `name`, which is in lower case and without the last dot."""
        return self._zone.get(name, Answer(rcode=Rcode.NXDOMAIN))

    def _records(self, name: str, kind: int) -> list[bytes]:
        records: list[bytes] = []
        for _ in range(_MAX_ALIASES):
            answer = self.answer(name)
            if answer.alias is None:
                break
            records.append(_record(name, _CNAME, _encoded(answer.alias)))
            name = answer.alias.lower().rstrip(".")
            if kind == _CNAME:
                return records
        else:
            return records
        if answer.pointer is not None and kind == _PTR:
            records.append(_record(name, _PTR, _encoded(answer.pointer)))
        for address in map(ip_address, answer.addresses):
            wanted = _A if isinstance(address, IPv4Address) else _AAAA
            if kind == wanted:
                records.append(_record(name, kind, address.packed))
        return records


@dataclass(frozen=True, slots=True)
class NameSockets:
    """One port for both transports; inherited ones may lie on another network than the server."""

    datagrams: socket.socket
    streams: socket.socket

    @classmethod
    def bound(cls, address: str = "127.0.0.1", port: int = 0) -> NameSockets:
        """Raises ConfigurationError for an address outside loopback."""
        if not ip_address(address).is_loopback:
            raise ConfigurationError(f"The name server serves loopback only, not {address}.")
        for _ in range(_PORT_TRIES):
            streams = socket.create_server((address, port))
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                datagrams.bind(streams.getsockname())
            except OSError:  # Somebody else has this port's datagrams.
                streams.close()
                datagrams.close()
                continue
            return cls(datagrams, streams)
        raise ConfigurationError(f"No port of {address} is free for a name server.")

    @classmethod
    def inherited(cls, datagrams: int, streams: int) -> NameSockets:
        return cls(socket.socket(fileno=datagrams), socket.socket(fileno=streams))

    @property
    def descriptors(self) -> tuple[int, int]:
        return self.datagrams.fileno(), self.streams.fileno()

    def close(self) -> None:
        self.datagrams.close()
        self.streams.close()


@asynccontextmanager
async def serving_names(
    zone: Mapping[str, Answer], where: str | NameSockets = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """Serve `zone` while the block runs; gives `address:port`, as `AuditSettings.resolver` takes it.

    Raises ConfigurationError for an address outside loopback.
    """
    sockets = NameSockets.bound(where, port) if isinstance(where, str) else where
    server = NameServer(zone)
    address, port = sockets.streams.getsockname()
    listener = await asyncio.start_server(_Stream(server).serve, sock=sockets.streams)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(server), sock=sockets.datagrams)
    try:
        async with listener:
            yield f"{address}:{port}"
    finally:
        transport.close()


@contextmanager
def serving_names_apart(zone: Mapping[str, Answer], where: str | NameSockets = "127.0.0.1") -> Iterator[str]:
    """`serving_names` in a thread of its own, so that busy servers in this process keep no name waiting."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="names", daemon=True)
    thread.start()
    server = serving_names(zone, where)
    try:
        place = asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
        try:
            yield place
        finally:
            asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # as asyncio calls it
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._server.reply(data, _MAX_UDP)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, addr)


@dataclass(frozen=True, slots=True)
class _Stream:
    server: NameServer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: messages with two bytes of length before each (RFC 1035, section 4.2.2)."""
        try:
            async with asyncio.timeout(_TCP_PATIENCE):
                while length := await reader.readexactly(2):
                    message = await reader.readexactly(int.from_bytes(length, "big"))
                    reply = self.server.reply(message)
                    if reply is not None:
                        writer.write(len(reply).to_bytes(2, "big") + reply)
                        await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            pass  # the asker has gone or has nothing more to ask: both end the connection
        finally:
            writer.close()


def question_of(message: bytes) -> tuple[str, int, bytes] | None:
    """Name in lower case, type, and the question section as it came; `None` for anything else."""
    if len(message) < _HEADER.size:
        return None
    _, flags, questions, *_ = _HEADER.unpack_from(message)
    if flags & 0x8000 or questions != 1:
        return None
    labels: list[str] = []
    place = _HEADER.size
    while place < len(message) and 0 < message[place] < 64:
        end = place + 1 + message[place]
        labels.append(message[place + 1 : end].decode("latin-1").lower())
        place = end
    if len(message) < place + 5 or message[place] != 0:
        return None
    kind, _ = struct.unpack_from(">HH", message, place + 1)
    return ".".join(labels), kind, message[_HEADER.size : place + 5]


def _header(message: bytes, rcode: Rcode, counts: tuple[int, int], *, cut: bool) -> bytes:
    number, asked = struct.unpack_from(">HH", message)
    flags = 0x8480 | (asked & 0x0100) | (0x0200 if cut else 0) | rcode
    return _HEADER.pack(number, flags, 1, *counts, 0)


def _encoded(name: str) -> bytes:
    labels = name.rstrip(".").split(".")
    return b"".join(bytes([len(label)]) + label.encode("latin-1") for label in labels) + b"\0"


def _record(name: str, kind: int, data: bytes) -> bytes:
    return _encoded(name) + struct.pack(">HHIH", kind, _IN, _TTL, len(data)) + data


def _soa(name: str) -> bytes:
    """The zone's start of authority, which tells an asker how long nothing stays nothing (RFC 2308)."""
    zone = name.rpartition(".")[2] or "test"
    data = _encoded(f"ns.{zone}") + _encoded(f"hostmaster.{zone}") + struct.pack(">5I", 1, 60, 60, 60, _TTL)
    return _record(zone, _SOA, data)
