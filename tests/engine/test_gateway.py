"""Tunnels through a gateway that does as a test tells it: whose failure is which, and no byte is lost."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from glovebox.errors import ConfigurationError
from glovebox.farm.authority import Authority
from glovebox.siteaudit import gateway as gateway_module
from glovebox.siteaudit.certificates.documents import UnlistedDocumentError
from glovebox.siteaudit.connect import ConnectError, Endpoint
from glovebox.siteaudit.engine import audit_sites
from glovebox.siteaudit.gateway import MAX_ANSWER, MAX_TUNNELS, GatewayConnector, behind_answer
from glovebox.siteaudit.network import NotGivenError, given_network
from glovebox.siteaudit.record import Dns
from glovebox.siteaudit.resolution import Resolution
from glovebox.siteaudit.settings import AuditSettings
from glovebox.siteaudit.web.documents import HttpDocuments
from squid.settings import CLIENT_CONNECTIONS, CONNECT_SECONDS

pytestmark = pytest.mark.engine

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"
SITE = Endpoint("www.site.test", "192.0.2.1", 443)
TICKETS = {"www.site.test": "user:password", "six.site.test": "user:password"}
QUICK = AuditSettings(connect_timeout=0.2, handshake_timeout=1, http_timeout=1)


class Listener(asyncio.Protocol):
    """Keeps what came, in order, and how it ended."""

    def __init__(self) -> None:
        self.heard = b""
        self.ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, object)
        transport.write(b"hello")  # type: ignore[attr-defined]  # a stream's

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(exc)


@asynccontextmanager
async def gateway(behave: Behaviour, settings: AuditSettings = QUICK) -> AsyncIterator[GatewayConnector]:
    """`behave` gets each connection once its CONNECT has come."""

    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            await reader.readuntil(b"\r\n\r\n")
            await behave(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the auditor hung up
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield GatewayConnector(settings, f"127.0.0.1:{port}", TICKETS)
        await asyncio.gather(*filter(None, serving))  # every client has hung up


def saying(*pieces: bytes, pause: float = 0.0) -> Behaviour:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return behave


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def failure(connector: GatewayConnector, *, tls: bool = False) -> ConnectError:
    context = ssl.create_default_context() if tls else None
    with pytest.raises(ConnectError) as raised:
        async with connector.connection(Listener, SITE, tls=context):
            pass
    return raised.value


BOTH_WAYS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


def head(status: str, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "Server: squid", *lines, "", ""]).encode()


# ---------------------------------------------------------------- opened


async def test_what_the_site_says_at_once_behind_the_answer_is_heard() -> None:
    async with (
        gateway(saying(OPEN + b"220 a banner\r\n")) as connector,
        connector.connection(Listener, SITE) as (_, listener),
    ):
        await listener.ended
        assert listener.heard == b"220 a banner\r\n"


async def test_an_answer_in_single_bytes_is_read() -> None:
    pieces = [bytes([byte]) for byte in OPEN + b"tail"]
    async with (
        gateway(saying(*pieces, pause=0.001), AuditSettings()) as connector,
        connector.connection(Listener, SITE) as (_, listener),
    ):
        await listener.ended
        assert listener.heard == b"tail"


async def test_the_callers_protocol_speaks_on_the_tunnel() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OPEN)
        writer.write(await reader.readexactly(5))

    async with gateway(echo) as connector, connector.connection(Listener, SITE) as (_, listener):
        await listener.ended
        assert listener.heard == b"hello"
        assert connector.count("www.site.test") == 1
        assert connector.troubles("www.site.test") == {}


async def test_a_reset_behind_the_answer_is_seen_as_one_by_the_callers_protocol() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OPEN)
        await reader.readexactly(5)
        stream = writer.get_extra_info("socket")
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with gateway(reset) as connector, connector.connection(Listener, SITE) as (_, listener):
        assert isinstance(await listener.ended, ConnectionResetError)


async def test_the_request_names_the_address_and_bears_the_ticket() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OPEN)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        connector = GatewayConnector(QUICK, f"127.0.0.1:{port}", TICKETS)
        for endpoint in (SITE, Endpoint("six.site.test", "2001:db8::1", 80)):
            async with connector.connection(Listener, endpoint):
                pass
    basic = "Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA=="
    assert asked == [
        f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{basic}\r\n\r\n".encode()
        for place in ("192.0.2.1:443", "[2001:db8::1]:80")
    ]


# ---------------------------------------------------------------- opened, with TLS inside


@asynccontextmanager
async def secured(
    tmp_path: Path, before: bytes = b""
) -> AsyncIterator[tuple[GatewayConnector, ssl.SSLContext]]:
    """A gateway to a TLS server that echoes; `before` is what it says unasked, with the gateway's answer."""
    authority = Authority.create()
    issued = authority.issue(["www.site.test"])
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inside.load_cert_chain(issued.write(tmp_path / "site.pem"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        await writer.drain()
        writer.close()

    site = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=inside)
    port = site.sockets[0].getsockname()[1]

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        site_reader, site_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(OPEN + before)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65_536):
                    sink.write(data)
            sink.close()

        await asyncio.gather(copy(reader, site_writer), copy(site_reader, writer))

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with site, gateway(tunnel) as connector:
        yield connector, context


async def test_tls_begins_behind_the_answer(tmp_path: Path) -> None:
    async with (
        secured(tmp_path) as (connector, context),
        connector.connection(Listener, SITE, tls=context) as (transport, listener),
    ):
        await listener.ended
        assert listener.heard == b"hello"
        assert transport.get_extra_info("ssl_object").server_hostname == "www.site.test"


@pytest.mark.parametrize("before", [b"220 a banner that is no TLS\r\n", b"\x15\x03\x03\x00\x02\x02\x28"])
async def test_what_a_server_says_before_the_handshake_reaches_the_handshake(
    tmp_path: Path, before: bytes
) -> None:
    """As on a connection straight out: no TLS, and an alert."""
    async with secured(tmp_path, before) as (connector, context):
        with pytest.raises(ssl.SSLError, match=r"(?i)wrong.version|handshake.failure|record"):
            async with connector.connection(Listener, SITE, tls=context):
                pass


async def test_a_handshake_without_an_end_is_the_sites() -> None:
    async def opens(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OPEN)
        await reader.read()

    async with gateway(opens, AuditSettings(handshake_timeout=0.2)) as connector:
        error = await failure(connector, tls=True)
        assert (error.failure_class, connector.troubles("www.site.test")) == ("tls_timeout", {})


# ---------------------------------------------------------------- refused


ANSWERS = [
    (head("503 No", "X-Squid-Error: ERR_CONNECT_FAIL 111"), "connection_refused"),
    (head("503 No", "X-Squid-Error: ERR_CONNECT_FAIL 110"), "connect_timeout"),
    (head("503 No", "X-Squid-Error: ERR_CONNECT_FAIL 104"), "connection_reset"),
    (head("503 No", "X-Squid-Error: ERR_CONNECT_FAIL 113"), "host_unreachable"),
    (head("503 No", "X-Squid-Error: ERR_CONNECT_FAIL 101"), "host_unreachable"),
    (head("503 No", "X-Squid-Error: ERR_CONNECT_FAIL 99"), "proxy_error"),
    (head("503 No", "X-Squid-Error: ERR_CONNECT_FAIL 24"), "proxy_error"),
    (head("503 No", "X-Squid-Error: ERR_CONNECT_FAIL 0"), "proxy_error"),
    (head("503 No", "X-Squid-Error: ERR_SHUTTING_DOWN 0"), "proxy_error"),
    (head("503 No"), "proxy_error"),
    (head("403 No", "X-Squid-Error: 403:ERR_EGRESS_DENIED 0"), "egress_denied"),
    (head("407 No", "X-Egress-Reason: ticket ticket_expired"), "egress_denied"),
    (head("400 Bad Request"), "proxy_error"),
    (head("204 No Content"), "proxy_error"),
    (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "proxy_error"),
    (b"HTTP/2 200\r\n\r\n", "proxy_error"),
    (b"\x00" * 13, "proxy_error"),
    (b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_ANSWER * 2, "proxy_error"),
]


@pytest.mark.parametrize(("answer", "failure_class"), ANSWERS)
def test_the_gateways_answer_says_whose_failure_it_is(answer: bytes, failure_class: str) -> None:
    with pytest.raises(ConnectError) as raised:
        behind_answer(answer)
    assert raised.value.failure_class == failure_class


@BOTH_WAYS
@pytest.mark.parametrize(
    ("answer", "failure_class"),
    [
        *(ANSWERS[place] for place in (0, 10, 14, 17)),
        (b"HTTP/1.1 200 Connection established\r\n", "proxy_error"),
        (b"", "proxy_error"),
    ],
    ids=["refused", "denied", "no HTTP", "no end", "half", "nothing"],
)
async def test_a_tunnel_that_is_not_opened_is_remembered_where_that_is_ours(
    answer: bytes, failure_class: str, tls: bool
) -> None:
    async with gateway(saying(answer)) as connector:
        error = await failure(connector, tls=tls)
        assert error.failure_class == failure_class
        ours = failure_class in ("egress_denied", "proxy_error")
        assert connector.troubles("www.site.test") == ({failure_class: error.detail} if ours else {})


@BOTH_WAYS
async def test_a_gateway_that_says_nothing_is_at_fault(monkeypatch: pytest.MonkeyPatch, tls: bool) -> None:
    monkeypatch.setattr(gateway_module, "GRACE_SECONDS", 0.1)
    async with gateway(mute) as connector:
        error = await failure(connector, tls=tls)
        assert error.failure_class == "proxy_error"
        assert "said nothing" in error.detail


@BOTH_WAYS
async def test_a_gateway_that_is_not_there_is_at_fault(tls: bool) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        connector = GatewayConnector(AuditSettings(), f"127.0.0.1:{closed.getsockname()[1]}", TICKETS)
        error = await failure(connector, tls=tls)
    assert error.failure_class == "proxy_error"
    assert "cannot be reached" in error.detail


async def test_a_gateway_that_reloads_is_asked_again() -> None:
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        connector = GatewayConnector(AuditSettings(), f"127.0.0.1:{held.getsockname()[1]}", TICKETS)
        asyncio.get_running_loop().call_later(0.05, held.listen)

        async def accept() -> None:
            held.setblocking(False)
            await asyncio.sleep(0.06)
            stream, _ = await asyncio.get_running_loop().sock_accept(held)
            with stream:
                await asyncio.get_running_loop().sock_sendall(stream, OPEN)

        accepting = asyncio.create_task(accept())
        async with connector.connection(Listener, SITE):
            pass
        await accepting


async def test_without_a_ticket_nobody_is_asked() -> None:
    connector = GatewayConnector(QUICK, "192.0.2.9:3129", {"www.site.test": ""})
    error = await failure(connector)
    assert error.failure_class == "egress_denied"
    assert connector.count("www.site.test") == 0


@pytest.mark.parametrize(
    "text", ["", "gateway:3129", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:x"]
)
def test_a_gateway_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        GatewayConnector(QUICK, text, {})


def test_an_answer_is_read_to_its_end_and_no_further() -> None:
    for cut in range(len(OPEN)):
        assert behind_answer(OPEN[:cut]) is None
    assert behind_answer(OPEN) == b""
    assert behind_answer(OPEN + b"\r\n\r\nmore") == b"\r\n\r\nmore"


# ---------------------------------------------------------------- caps


async def test_tunnels_of_a_name_of_an_address_and_of_all_stay_within_their_caps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gateway_module, "MAX_TUNNELS", 3)
    now, most = 0, 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        writer.write(OPEN)
        await reader.read()

    settings = AuditSettings(per_host=4, per_address=8)
    async with gateway(count, settings) as connector:

        async def one(number: int) -> None:
            endpoint = Endpoint("www.site.test" if number % 2 else "six.site.test", f"192.0.2.{number}", 443)
            async with connector.connection(Listener, endpoint):
                pass

        await asyncio.gather(*(one(number) for number in range(12)))
    assert most == 3


async def test_a_cancelled_wait_gives_its_place_back() -> None:
    async with gateway(mute, AuditSettings(per_host=1)) as connector:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05), connector.connection(Listener, SITE):
                    pass
        assert connector.count("www.site.test") == 3


def test_the_gateways_own_limits_leave_room_for_ours() -> None:
    assert MAX_TUNNELS < CLIENT_CONNECTIONS
    assert AuditSettings().connect_timeout == CONNECT_SECONDS


# ---------------------------------------------------------------- the engine on a given network


async def test_what_the_gateway_did_to_us_stands_on_the_record() -> None:
    """Even where other answers make the site look as if it had no HTTPS."""
    resolutions = {"www.site.test": Resolution(dns=Dns(addresses=["192.0.2.1"]))}
    async with gateway(saying(head("407 No", "X-Egress-Reason: ticket ticket_expired"))) as connector:
        network = given_network(connector, resolutions)
        records = audit_sites(
            ["www.site.test"], scan_date="2026-01-02T03:04:05Z", settings=QUICK, network=network
        )
        (record,) = [record async for record in records]
    assert record.failure_class == "egress_denied"
    assert record.failures[0].fault == "ours"
    assert record.failures[0].detail == "the gateway says 407: ticket ticket_expired"


async def test_a_document_of_a_host_that_is_not_given_is_never_asked_for() -> None:
    asked: list[bytes] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(b"asked")

    async with gateway(note) as connector:
        network = given_network(connector, {})
        documents = HttpDocuments(QUICK, connector, network.resolve)
        for host in ("ca.evil.test", "192.0.2.7", "[2001:db8::7]"):
            with pytest.raises(UnlistedDocumentError, match="not on our list"):
                await documents.fetch(f"http://{host}/x.crl", max_bytes=100)
        with pytest.raises(NotGivenError):
            await network.resolve("ca.evil.test")
    assert asked == []
