"""One request against servers that misbehave at every step, on loopback sockets."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from glovebox.farm.authority import Authority
from glovebox.siteaudit.connect import DirectConnector
from glovebox.siteaudit.settings import AuditSettings
from glovebox.siteaudit.web.exchange import MAX_CHUNKS, Answer, HttpError, exchange
from glovebox.siteaudit.web.tls import visiting_context
from glovebox.siteaudit.web.url import Scheme, site_url
from glovebox.siteaudit.web.visit import request_headers

pytestmark = pytest.mark.engine

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\n"
BODY_LIMIT = 8_192
HEADER_LIMIT = 2_048


@asynccontextmanager
async def serving(
    talk: Talk, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """A server that lets `talk` do as it likes once the request has come."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def says(*parts: bytes, pause: float = 0.0, stay: bool = False) -> Talk:
    """Reads the request, sends `parts`, then closes the connection, or stays silent."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        if stay:
            await asyncio.sleep(60)

    return talk


def endless(start: bytes, piece: bytes, pause: float = 0.0) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return talk


async def ask(
    talk: Talk, *, scheme: Scheme = "http", server_tls: ssl.SSLContext | None = None, patience: float = 0.5
) -> Answer:
    async with serving(talk, server_tls) as port:
        return await ask_port(port, scheme=scheme, patience=patience)


async def ask_port(
    port: int, *, scheme: Scheme = "http", address: str = "127.0.0.1", patience: float = 0.5
) -> Answer:
    settings = AuditSettings(
        http_port=port,
        https_port=port,
        http_timeout=patience,
        handshake_timeout=patience,
        max_body_bytes=BODY_LIMIT,
        max_header_bytes=HEADER_LIMIT,
    )
    url = site_url(scheme, "site.test")
    tls = visiting_context() if scheme == "https" else None
    headers = request_headers(url, "tester")
    return await exchange(DirectConnector(settings), address, url, headers, settings, tls=tls)


async def failure_of(talk: Talk, **options: float) -> HttpError:
    with pytest.raises(HttpError) as caught:
        await ask(talk, **options)
    return caught.value


async def test_a_plain_answer_is_read_whole_with_repeated_headers_in_order() -> None:
    answer = await ask(
        says(OK, b"Content-Length: 5\r\nX-A: 1\r\nx-a: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nhello")
    )
    assert (answer.status, answer.body, answer.truncated) == (200, b"hello", False)
    assert answer.values("x-a") == ["1", "2"]
    assert answer.values("set-cookie") == ["a=1", "b=2"]
    assert ("X-A", "1") in answer.headers


@pytest.mark.parametrize(
    "wire",
    [
        OK + b"\r\nbody",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
        b"HTTP/1.0 200 Fine\r\n\r\nbody",
        b"HTTP/1.1 200\nServer: lone-newlines\n\nbody",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + b"Content-Length: 4\r\n\r\nbody",
        OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"body"),
        OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"body"),
        OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"body", wbits=-15),
        OK + b"Content-Encoding: GZIP\r\nContent-Length: 999\r\n\r\n" + gzip.compress(b"body") + b"x" * 99,
    ],
    ids=["until-close", "chunked", "http1.0", "lf", "1xx", "gzip", "zlib", "raw-deflate", "gzip-then-junk"],
)
async def test_every_usual_framing_and_encoding_gives_the_same_body(wire: bytes) -> None:
    assert (await ask(says(wire))).body == b"body"


async def test_an_answer_in_single_bytes_is_read() -> None:
    wire = OK + b"Content-Encoding: gzip\r\nContent-Length: 24\r\n\r\n" + gzip.compress(b"body", mtime=0)
    assert (await ask(says(*(wire[n : n + 1] for n in range(len(wire)))), patience=5)).body == b"body"


async def test_a_long_page_is_cut_at_the_cap_and_still_given() -> None:
    answer = await ask(endless(OK + b"\r\n", b"page " * 100))
    assert (len(answer.body), answer.truncated) == (BODY_LIMIT, True)


async def test_a_long_compressed_page_is_cut_too() -> None:
    page = bytes(n * 7 % 251 for n in range(BODY_LIMIT)) * 2
    answer = await ask(says(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(page)))
    assert (answer.body, answer.truncated) == (page[:BODY_LIMIT], True)


async def test_an_encoding_that_was_not_asked_for_is_kept_as_sent_and_named() -> None:
    answer = await ask(says(OK + b"Content-Encoding: br\r\n\r\n\x0b\x02\x80hi\x03"))
    assert (answer.undecoded, answer.body) == ("br", b"\x0b\x02\x80hi\x03")


BOMB = gzip.compress(b"\0" * 4_000_000)

CLASSES: dict[str, tuple[Talk, str]] = {
    "bomb": (says(OK + b"Content-Encoding: gzip\r\n\r\n" + BOMB, stay=True), "response_too_large"),
    "endless-headers": (endless(OK, b"X-Pad: yes\r\n"), "response_too_large"),
    "one-endless-header": (endless(OK + b"X-Pad: ", b"y" * 99), "response_too_large"),
    "endless-1xx": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "response_too_large"),
    "endless-trailers": (
        endless(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Pad: yes\r\n"),
        "response_too_large",
    ),
    "endless-chunk-size": (
        endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 99),
        "response_too_large",
    ),
    "silence": (says(stay=True), "http_timeout"),
    "half-a-head": (says(OK, stay=True), "http_timeout"),
    "half-a-body": (says(OK + b"Content-Length: 9\r\n\r\nhalf", stay=True), "http_timeout"),
    "drip-head": (endless(OK + b"X-Pad: ", b"y", pause=0.02), "http_timeout"),
    "drip-body": (endless(OK + b"Content-Length: 999\r\n\r\n", b"y", pause=0.02), "http_timeout"),
    "ssh-banner": (says(b"SSH-2.0-OpenSSH_9.2\r\n", stay=True), "http_protocol_error"),
    "smtp-banner": (says(b"220 mail ESMTP\r\n", stay=True), "http_protocol_error"),
    "html-alone": (says(b"<html>hello</html>"), "http_protocol_error"),
    "noise": (says(bytes(range(256))), "http_protocol_error"),
    "bad-status": (says(b"HTTP/1.1 two hundred\r\n\r\n"), "http_protocol_error"),
    "status-99": (says(b"HTTP/1.1 099 No\r\n\r\n"), "http_protocol_error"),
    "bad-header": (says(OK + b"no colon here\r\n\r\n"), "http_protocol_error"),
    "nul-header": (says(OK + b"X-A: a\0b\r\n\r\n"), "http_protocol_error"),
    "bad-length": (says(OK + b"Content-Length: many\r\n\r\n"), "http_protocol_error"),
    "two-lengths": (says(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx"), "http_protocol_error"),
    "bad-chunk": (says(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), "http_protocol_error"),
    "not-gzip": (says(OK + b"Content-Encoding: gzip\r\n\r\nplain"), "http_protocol_error"),
    "tls-record": (says(b"\x15\x03\x01\x00\x02\x02\x46"), "http_protocol_error"),
    "closed-at-once": (says(), "http_connection_closed"),
    "closed-in-status": (says(b"HT"), "http_connection_closed"),
    "closed-in-head": (says(OK + b"X-A: 1\r\n"), "http_connection_closed"),
    "closed-in-body": (says(OK + b"Content-Length: 9\r\n\r\nhalf"), "http_connection_closed"),
    "closed-in-chunk": (says(OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nhalf"), "http_connection_closed"),
}


@pytest.mark.parametrize("name", CLASSES)
async def test_each_way_to_go_wrong_has_its_class_in_bounded_time(name: str) -> None:
    talk, failure_class = CLASSES[name]
    async with asyncio.timeout(10):
        assert (await failure_of(talk)).failure_class == failure_class


async def test_a_body_in_tiny_pieces_is_given_up_after_a_count() -> None:
    settings = AuditSettings(max_body_bytes=1 << 20)
    wire = OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * (MAX_CHUNKS + 5)
    async with serving(says(wire, stay=True)) as port:
        url = site_url("http", "site.test")
        narrowed = AuditSettings(http_port=port, max_body_bytes=settings.max_body_bytes)
        with pytest.raises(HttpError) as caught:
            await exchange(
                DirectConnector(narrowed), "127.0.0.1", url, request_headers(url, "tester"), narrowed
            )
    assert caught.value.failure_class == "response_too_large"


@pytest.mark.parametrize(
    "name", ["half-a-body", "drip-body", "closed-in-body", "closed-in-chunk", "not-gzip", "bomb"]
)
async def test_an_answer_that_breaks_off_keeps_its_headers(name: str) -> None:
    answer = (await failure_of(CLASSES[name][0])).answer
    assert answer is not None
    assert answer.status == 200


async def test_a_detail_never_carries_control_characters() -> None:
    error = await failure_of(says(b"\x1b[2J\x07evil\r\n", stay=True))
    assert error.detail.isprintable()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 2", OK + b"X-A: 1\r\n", OK + b"Content-Length: 9\r\n\r\nha"]
)
async def test_a_reset_is_a_reset_at_every_step(sent: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        await writer.drain()
        await asyncio.sleep(0.05)
        _reset(writer)

    assert (await failure_of(talk)).failure_class == "connection_reset"


async def test_a_closed_port_is_refused() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(HttpError) as caught:
        await ask_port(port)
    assert caught.value.failure_class == "connection_refused"


async def test_ipv6_is_asked_like_ipv4() -> None:
    async with serving(says(OK + b"\r\nsix"), host="::1") as port:
        assert (await ask_port(port, address="::1")).body == b"six"


# ---------------------------------------------------------------- over TLS


@pytest.fixture(scope="module")
def server_tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return _server_context(tmp_path_factory.mktemp("tls"))


def _server_context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Authority.create().issue(["site.test"]).write(folder / "site.pem"))
    return context


async def test_a_page_over_tls_is_read_whatever_its_certificate(server_tls: ssl.SSLContext) -> None:
    answer = await ask(says(OK + b"\r\nsafe"), scheme="https", server_tls=server_tls, patience=5)
    assert answer.body == b"safe"


@pytest.mark.parametrize(
    "name", ["silence", "noise", "closed-at-once", "closed-in-body", "bomb", "endless-headers"]
)
async def test_the_same_classes_hold_over_tls(server_tls: ssl.SSLContext, name: str) -> None:
    talk, failure_class = CLASSES[name]
    with pytest.raises(HttpError) as caught:
        await ask(talk, scheme="https", server_tls=server_tls, patience=1)
    assert caught.value.failure_class == failure_class


async def _no_tls(data: bytes) -> HttpError:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(data)
        await writer.drain()
        if not data:
            await asyncio.sleep(60)

    with pytest.raises(HttpError) as caught:
        await ask(talk, scheme="https")
    return caught.value


async def test_failures_of_the_handshake_have_their_classes() -> None:
    alert = b"\x15\x03\x01\x00\x02\x02"
    assert (await _no_tls(alert + b"\x28")).failure_class == "tls_alert:handshake_failure"
    assert (await _no_tls(alert + b"\x70")).failure_class == "tls_alert:unrecognized_name"
    assert (await _no_tls(alert + b"\x46")).failure_class == "tls_alert:protocol_version"
    assert (await _no_tls(b"HTTP/1.1 400 Bad Request\r\n\r\n")).failure_class == "tls_protocol_error"
    assert (await _no_tls(b"")).failure_class == "tls_timeout"


async def test_a_server_that_hangs_up_in_the_handshake_reset_the_connection() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)

    with pytest.raises(HttpError) as caught:
        await ask(talk, scheme="https")
    assert caught.value.failure_class == "connection_reset"


async def test_a_client_certificate_missed_after_the_handshake_is_named(tmp_path: Path) -> None:
    strict = _server_context(tmp_path)
    strict.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.get_running_loop().run_in_executor(None, _handshake_and_read, listener, strict)
        with pytest.raises(HttpError) as caught:
            await ask_port(listener.getsockname()[1], scheme="https", patience=2)
        await serving
    assert caught.value.failure_class == "client_certificate_required"


def _handshake_and_read(listener: socket.socket, context: ssl.SSLContext) -> None:
    """A blocking server, because asyncio's aborts the connection before it has sent the alert."""
    raw, _ = listener.accept()
    with context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False) as tls:
        with pytest.raises(ssl.SSLError):
            tls.do_handshake()
        socket.socket.recv(tls, 4_096)  # so that the request does not make the kernel send a reset


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_pinned_context_speaks_that_version_alone(version: ssl.TLSVersion) -> None:
    context = visiting_context("TLSv1.2" if version is ssl.TLSVersion.TLSv1_2 else "TLSv1.3")
    assert (context.minimum_version, context.maximum_version) == (version, version)
    assert context is visiting_context("TLSv1.2" if version is ssl.TLSVersion.TLSv1_2 else "TLSv1.3")
