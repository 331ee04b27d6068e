"""Servers for the tests of the TLS prober: OpenSSL's, ones in this process, and boxes that meddle."""

from __future__ import annotations

import asyncio
import re
import ssl
import struct
import subprocess
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from glovebox.farm.authority import Authority, Issued
from glovebox.farm.connections import Accept, under_tls
from glovebox.farm.model import Writer
from glovebox.farm.running import environment
from glovebox.siteaudit.connect import DirectConnector, Endpoint
from glovebox.siteaudit.record import VersionName
from glovebox.siteaudit.settings import AuditSettings
from glovebox.siteaudit.tls import wire
from glovebox.siteaudit.tls.observation import TlsObservation
from glovebox.siteaudit.tls.probe import probe_tls

HOST = "www.fleet.test"
MODERN = "ECDHE+AESGCM:ECDHE+CHACHA20"


@cache
def authority() -> Authority:
    return Authority.create()


@cache
def rsa_leaf() -> Issued:
    return authority().issue([HOST], key="rsa2048")


@cache
def ecdsa_leaf() -> Issued:
    return authority().issue([HOST], key="p256")


def server_context(
    issued: Issued,
    *,
    lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ciphers: str = MODERN,
    alpn: tuple[str, ...] = ("h2", "http/1.1"),
    server_order: bool = True,
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():  # old versions are the point
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = lowest, highest
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if not server_order:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    with TemporaryDirectory() as folder:
        context.load_cert_chain(issued.write(Path(folder) / "leaf.pem"))
    return context


async def _nothing_to_say(reader: asyncio.StreamReader, writer: Writer) -> None:
    await reader.read(1)


def tls(context: ssl.SSLContext) -> Accept:
    """A web server's handshake; what comes after does not matter here."""
    return under_tls(_nothing_to_say, context)


@dataclass
class Listening:
    """A server in this process."""

    port: int = 0
    connections: int = 0


@asynccontextmanager
async def listening(accept: Accept) -> AsyncIterator[Listening]:
    """`accept` on a free port of loopback; the block's end ends its connections too."""
    state = Listening()
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError):
                await accept(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        task = asyncio.create_task(talk(reader, writer))
        talks.add(task)
        await asyncio.wait({task})

    server = await asyncio.start_server(counted, "127.0.0.1", 0)
    try:
        state.port = server.sockets[0].getsockname()[1]
        yield state
    finally:
        server.close()
        for task in talks:
            task.cancel()
        outcomes = await asyncio.gather(*talks, return_exceptions=True)
        await asyncio.sleep(0)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


def reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    raw.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER
    writer.transport.abort()


Decide = Callable[[bytes, bytes], bytes | None]
"""(the client's first message, the server's first answer) → what goes to the client; `None` resets."""


def _unchanged(hello: bytes, answer: bytes) -> bytes:
    return answer


def before(port_for: Callable[[bytes], int], decide: Decide = _unchanged) -> Accept:
    """A box before the server whose port the first message decides; it meddles with the first answer."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.read(65_536)
        behind_reader, behind = await asyncio.open_connection("127.0.0.1", port_for(hello))
        try:
            behind.write(hello)
            answer = decide(hello, await behind_reader.read(65_536))
            if answer is None:
                reset(writer)
                return
            writer.write(answer)
            await asyncio.gather(_carry(reader, behind), _carry(behind_reader, writer))
        finally:
            behind.close()

    return accept


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()


def answering(answer: Callable[[bytes], bytes]) -> Accept:
    """Reads the first message and answers with what `answer` makes of it."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(await reader.read(65_536)))
        await writer.drain()
        await reader.read(1)

    return accept


@dataclass(frozen=True)
class ClientHello:
    """What a server sees of a question."""

    version: int
    suites: tuple[int, ...]
    extensions: dict[int, bytes]

    @property
    def groups(self) -> tuple[int, ...]:
        body = self.extensions[wire.EXT_SUPPORTED_GROUPS][2:]
        return struct.unpack(f">{len(body) // 2}H", body)

    @property
    def tls13(self) -> bool:
        return wire.EXT_SUPPORTED_VERSIONS in self.extensions


def read_client_hello(data: bytes) -> ClientHello | None:
    """`None` for a hello of SSL 2."""
    if data[:1] != b"\x16":
        return None
    cursor = wire.Cursor(data[9:])
    version = cursor.number(2)
    cursor.take(32)
    cursor.vector(1)
    suites = cursor.vector(2)
    cursor.vector(1)
    extensions = {} if cursor.empty else wire.parse_extensions(cursor.vector(2))
    return ClientHello(version, struct.unpack(f">{len(suites) // 2}H", suites), extensions)


async def probe(port: int, *, host: str = HOST, **changes: object) -> tuple[TlsObservation, int]:
    """What the prober says of loopback's `port`, and how many connections it took."""
    settings = AuditSettings(**{"handshake_timeout": 3.0, "connect_timeout": 3.0} | changes)  # type: ignore[arg-type]  # tests name the fields
    connector = DirectConnector(settings)
    observation = await probe_tls(Endpoint(host, "127.0.0.1", port), connector=connector, settings=settings)
    return observation, connector.count(host)


def suites_of(observation: TlsObservation) -> dict[VersionName, set[str]]:
    """Accepted suites of each supported version, IANA names."""
    return {
        version.version: {suite.name for suite in version.suites}
        for version in observation.report.versions
        if version.supported == "yes"
    }


@contextmanager
def openssl_server(folder: Path, *arguments: str) -> Iterator[int]:
    """`openssl s_server` with `arguments`, under the fleet's own OpenSSL configuration; gives its port."""
    process = subprocess.Popen(
        ["openssl", "s_server", "-accept", "127.0.0.1:0", "-www", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        env=environment(folder),
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            match = re.match(r"ACCEPT 127\.0\.0\.1:(\d+)", line)
            if match:
                yield int(match[1])
                return
        raise AssertionError(f"openssl s_server did not start: exit code {process.wait(5)}")
    finally:
        process.terminate()
        process.communicate(timeout=10)
