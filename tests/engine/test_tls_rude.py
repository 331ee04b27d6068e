"""Servers that refuse in silence, limit rates, lie or never end: a class each, in bounded time, no guess."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest

from glovebox.farm.connections import Accept
from glovebox.siteaudit.tls import inquiry as inquiry_module
from glovebox.siteaudit.tls import wire
from glovebox.siteaudit.tls.groups import X25519, X25519MLKEM768
from glovebox.siteaudit.tls.hello import TLS12, record
from glovebox.siteaudit.tls.sslv2 import SSL20_SUITES
from glovebox.siteaudit.tls.suites import LEGACY_SUITES, SUITES, TLS12_SUITES
from tests.engine.tls_servers import (
    ClientHello,
    answering,
    before,
    listening,
    probe,
    read_client_hello,
    reset,
    rsa_leaf,
    server_context,
    suites_of,
    tls,
)

pytestmark = pytest.mark.engine

ECDHE_RSA = {
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
}
TLS13 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}


def alert(code: int) -> bytes:
    return record(bytes([2, code]), TLS12, kind=wire.ALERT)


HANDSHAKE_FAILURE = alert(40)


def server_hello(version: int, suite: int, extensions: bytes = b"", random: bytes = bytes(32)) -> bytes:
    body = version.to_bytes(2, "big") + random + b"\x00" + suite.to_bytes(2, "big") + b"\x00"
    body += len(extensions).to_bytes(2, "big") + extensions
    return record(b"\x02" + len(body).to_bytes(3, "big") + body, TLS12)


async def _failure_of(accept: Accept) -> tuple[str, str, int]:
    async with listening(accept) as server:
        observation, connections = await probe(server.port, handshake_timeout=0.5)
    assert observation.failure is not None
    assert observation.usable_versions == ()
    assert {version.supported for version in observation.report.versions} <= {"no", "unknown"}
    assert not observation.report.complete
    return observation.failure.failure_class, observation.failure.detail, connections


async def _flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Warnings without end, as fast as they are taken."""
    while True:
        writer.write(record(b"\x01\x5a", TLS12, kind=wire.ALERT) * 2_000)
        await writer.drain()


async def _endless_certificate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A Certificate message of four megabytes, record after record."""
    await reader.read(65_536)
    writer.write(server_hello(TLS12, 0xC02F) + record(b"\x0b\x40\x00\x00" + bytes(16_000), TLS12))
    while True:
        writer.write(record(bytes(16_000), TLS12))
        await writer.drain()


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in server_hello(TLS12, 0xC02F) * 10:
        if writer.is_closing():
            return
        writer.write(bytes([byte]))
        await asyncio.sleep(0.02)


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(65_536)


async def _reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(65_536)
    reset(writer)


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65_536):
        pass


@pytest.mark.parametrize(
    ("accept", "failure_class", "detail"),
    [
        (_reset, "connection_reset", ""),
        (_hang_up, "tls_connection_closed", "without an alert"),
        (_silence, "tls_timeout", "0.5 s"),
        (_drip, "tls_timeout", "0.5 s"),
        (_flood, "tls_response_too_large", "bytes of handshake"),
        (
            answering(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            "tls_protocol_error",
            "plain HTTP answers",
        ),
        (answering(lambda _: b"220 mx.fleet.test ESMTP\r\n"), "tls_protocol_error", "SMTP"),
        (answering(lambda _: bytes(range(256))), "tls_protocol_error", "no TLS record"),
        (answering(lambda _: alert(70)), "no_common_version", "every version"),
        (answering(lambda _: alert(80)), "tls_alert:internal_error", "internal_error"),
        (answering(lambda _: server_hello(TLS12, 0x1301)), "tls_protocol_error", "was not offered"),
    ],
    ids=lambda value: value if isinstance(value, str) and ("_" in value or ":" in value) else "",
)
async def test_each_misbehaviour_has_its_class_and_says_what_was_seen(
    accept: Accept, failure_class: str, detail: str
) -> None:
    seen, said, connections = await _failure_of(accept)
    assert seen == failure_class
    assert detail in said
    assert connections <= 8


async def test_a_closed_port_takes_one_connection() -> None:
    async with listening(_silence) as server:
        port = server.port
    observation, connections = await probe(port)
    assert observation.failure is not None
    assert observation.failure.failure_class == "connection_refused"
    assert connections == 1


async def test_a_certificate_without_end_is_cut_off_and_named() -> None:
    async with listening(_endless_certificate) as server:
        observation, _ = await probe(server.port, handshake_timeout=2.0)
    assert observation.failure is not None
    assert observation.failure.failure_class == "tls_response_too_large"
    assert not observation.report.complete
    assert observation.chain == ()


# ---------------------------------------------------------------- silence is not an answer


def _instead_of_alerts(hello: bytes, answer: bytes) -> bytes | None:
    return None if answer[:1] in {b"\x15", b""} else answer


async def test_a_server_that_resets_instead_of_refusing_is_enumerated_exactly() -> None:
    async with (
        listening(tls(server_context(rsa_leaf()))) as good,
        listening(before(lambda _: good.port, _instead_of_alerts)) as front,
    ):
        observation, _ = await probe(front.port)
    assert suites_of(observation) == {"TLSv1.2": ECDHE_RSA, "TLSv1.3": TLS13}
    assert not observation.report.rate_limited
    assert observation.report.complete
    assert [version.supported for version in observation.report.versions] == ["no"] * 4 + ["yes"] * 2


def _limited(port: int, granted: Callable[[int], bool]) -> Accept:
    """Resets every connection whose number `granted` turns down."""
    good = before(lambda _: port)
    count = 0

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        if granted(count):
            await good(reader, writer)
        else:
            reset(writer)

    return accept


async def test_a_server_that_stops_answering_leaves_unknowns_and_not_noes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inquiry_module, "BACK_OFF_SECONDS", (0.01, 0.01))
    monkeypatch.setattr(inquiry_module, "FIRST_PACE_SECONDS", 0.01)
    async with (
        listening(tls(server_context(rsa_leaf()))) as good,
        listening(_limited(good.port, lambda number: number <= 3)) as front,
    ):
        observation, _ = await probe(front.port)
    report = observation.report
    assert report.rate_limited
    assert not report.complete
    assert not report.groups_tested
    answers = {version.version: version.supported for version in report.versions}
    assert "yes" in answers.values()
    assert answers["TLSv1.0"] == answers["SSLv3"] == "unknown"
    for version in report.versions:
        assert version.supported != "unknown" or version.failure is not None


async def test_after_a_rate_limit_has_passed_the_answers_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inquiry_module, "BACK_OFF_SECONDS", (0.01, 0.01, 0.01))
    monkeypatch.setattr(inquiry_module, "FIRST_PACE_SECONDS", 0.01)
    async with (
        listening(tls(server_context(rsa_leaf()))) as good,
        listening(_limited(good.port, lambda number: number <= 6 or number > 11)) as front,
    ):
        observation, _ = await probe(front.port)
    assert suites_of(observation) == {"TLSv1.2": ECDHE_RSA, "TLSv1.3": TLS13}
    assert observation.report.rate_limited
    assert observation.report.complete


async def test_a_site_that_takes_all_its_time_says_so_and_is_not_called_rate_limited() -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.read(65_536)
        await asyncio.sleep(0.3)
        reader.feed_data(hello)
        await through(reader, writer)

    async with listening(tls(server_context(rsa_leaf()))) as good:
        through = before(lambda _: good.port)
        async with listening(late) as front:
            observation, _ = await probe(front.port, site_timeout=1.0)
    assert not observation.report.rate_limited
    assert not observation.report.complete
    assert any(
        version.failure is not None and version.failure.failure_class in {"site_timeout", "tls_timeout"}
        for version in observation.report.versions
    )


# ---------------------------------------------------------------- odd servers


async def test_a_server_that_chokes_on_long_hellos_is_asked_with_short_ones() -> None:
    def short_only(hello: bytes, answer: bytes) -> bytes | None:
        return None if len(hello) > 400 else answer

    context = server_context(rsa_leaf())
    async with (
        listening(tls(context)) as good,
        listening(before(lambda _: good.port, short_only)) as front,
    ):
        observation, _ = await probe(front.port)
    assert suites_of(observation)["TLSv1.2"] == ECDHE_RSA
    assert observation.chain == rsa_leaf().chain_der


async def test_a_server_that_bears_no_extensions_is_asked_without() -> None:
    def bare_only(data: bytes) -> bytes:
        hello = read_client_hello(data)
        if hello is None or hello.extensions or hello.version != 0x0301 or 0x002F not in hello.suites:
            return b""
        return _plain_hello(0x0301, 0x002F)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = bare_only(await reader.read(65_536))
        if answer:
            writer.write(answer)
            await reader.read(1)

    async with listening(accept) as server:
        observation, _ = await probe(server.port)
    assert suites_of(observation) == {"TLSv1.0": {"TLS_RSA_WITH_AES_128_CBC_SHA"}}


def _plain_hello(version: int, suite: int) -> bytes:
    """A ServerHello as before extensions, with the end of the flight."""
    body = version.to_bytes(2, "big") + bytes(33) + suite.to_bytes(2, "big") + b"\x00"
    hello = b"\x02" + len(body).to_bytes(3, "big") + body
    return record(hello + b"\x0e\x00\x00\x00", version)


async def test_ssl20_is_found_by_its_own_hello() -> None:
    offered = list(SSL20_SUITES)[:2]

    def ssl20(data: bytes) -> bytes:
        if data[:1] == b"\x16":
            return HANDSHAKE_FAILURE
        suites = b"".join(code.to_bytes(3, "big") for code in offered)
        body = b"\x04\x00\x01\x00\x02\x00\x05" + len(suites).to_bytes(2, "big") + b"\x00\x10"
        body += b"certi"[:5] + suites + bytes(16)
        return (0x8000 | len(body)).to_bytes(2, "big") + body

    async with listening(answering(ssl20)) as server:
        observation, _ = await probe(server.port)
    assert suites_of(observation) == {"SSLv2": {SSL20_SUITES[code][0] for code in offered}}
    assert observation.failure is not None
    assert observation.failure.failure_class == "no_common_version"


def _accepts_all(data: bytes) -> bytes:
    hello = read_client_hello(data)
    if hello is None or hello.tls13:
        return HANDSHAKE_FAILURE
    answer = _plain_hello(hello.version, hello.suites[0])
    return HANDSHAKE_FAILURE if hello.suites[0] == 0x00FF else answer


async def test_a_server_that_accepts_everything_comes_to_an_end() -> None:
    async with listening(answering(_accepts_all)) as server:
        observation, connections = await probe(server.port)
    found = suites_of(observation)
    assert found["TLSv1.2"] == {SUITES[code].name for code in TLS12_SUITES}
    assert found["SSLv3"] == {SUITES[code].name for code in LEGACY_SUITES}
    assert connections <= inquiry_module.MAX_QUESTIONS


async def test_a_choice_outside_the_offer_ends_that_version_with_a_reason() -> None:
    async with listening(answering(lambda _: _plain_hello(0x0303, 0x002F))) as server:
        observation, _ = await probe(server.port)
    tls12 = next(version for version in observation.report.versions if version.version == "TLSv1.2")
    assert {suite.code for suite in tls12.suites} == {0x002F}
    assert tls12.failure is not None
    assert tls12.failure.failure_class == "tls_protocol_error"
    assert "was not offered" in tls12.failure.detail
    assert not observation.report.complete


# ---------------------------------------------------------------- TLS 1.3


def _retry_for(hello: ClientHello, groups: tuple[int, ...], suites: tuple[int, ...]) -> bytes:
    """A HelloRetryRequest for the first of `groups` and `suites` that the client offers."""
    group = next((group for group in groups if group in hello.groups), None)
    suite = next((suite for suite in suites if suite in hello.suites), None)
    if group is None or suite is None:
        return HANDSHAKE_FAILURE
    extensions = b"\x00\x2b\x00\x02\x03\x04\x00\x33\x00\x02" + group.to_bytes(2, "big")
    return server_hello(TLS12, suite, extensions, random=wire.RETRY_RANDOM)


async def test_groups_and_suites_of_tls13_are_found_by_retry_requests_alone() -> None:
    def retries(data: bytes) -> bytes:
        hello = read_client_hello(data)
        if hello is None or not hello.tls13:
            return alert(70)
        return _retry_for(hello, (X25519MLKEM768, 256, 0x11EB), (0x1302, 0x1301))

    async with listening(answering(retries)) as server:
        observation, connections = await probe(server.port)
    assert set(observation.report.groups) == {"X25519MLKEM768", "ffdhe2048", "SecP256r1MLKEM768"}
    assert suites_of(observation) == {"TLSv1.3": {SUITES[0x1302].name, SUITES[0x1301].name}}
    assert connections <= 10


async def test_a_server_that_bears_no_empty_key_share_is_asked_with_real_ones() -> None:
    def no_empty_share(hello_bytes: bytes, answer: bytes) -> bytes | None:
        hello = read_client_hello(hello_bytes)
        empty = hello is not None and hello.tls13 and hello.extensions[wire.EXT_KEY_SHARE] == b"\x00\x00"
        return alert(47) if empty else answer

    async with (
        listening(tls(server_context(rsa_leaf()))) as good,
        listening(before(lambda _: good.port, no_empty_share)) as front,
    ):
        observation, _ = await probe(front.port)
    assert suites_of(observation) == {"TLSv1.2": ECDHE_RSA, "TLSv1.3": TLS13}
    assert {"x25519", "secp256r1", "secp384r1"} <= set(observation.report.groups)


async def test_a_broken_key_share_is_named_and_does_not_hide_the_suite() -> None:
    def broken(data: bytes) -> bytes:
        hello = read_client_hello(data)
        if hello is None or not hello.tls13:
            return alert(70)
        if hello.extensions[wire.EXT_KEY_SHARE] == b"\x00\x00":
            return _retry_for(hello, (X25519,), (0x1301,))
        share = b"\x00\x1d\x00\x20" + bytes(32)  # the point of order one
        extensions = b"\x00\x2b\x00\x02\x03\x04\x00\x33" + len(share).to_bytes(2, "big") + share
        return server_hello(TLS12, 0x1301, extensions, random=os.urandom(32))

    async with listening(answering(broken)) as server:
        observation, _ = await probe(server.port)
    assert suites_of(observation) == {"TLSv1.3": {"TLS_AES_128_GCM_SHA256"}}
    assert observation.failure is not None
    assert observation.failure.detail == "a key share that is no X25519 key"
    assert observation.chain == ()


async def test_a_server_of_tls13_that_refuses_is_quoted_and_not_said_to_lack_the_version() -> None:
    def refuses(data: bytes) -> bytes:
        hello = read_client_hello(data)
        return HANDSHAKE_FAILURE if hello is not None and hello.tls13 else alert(70)

    failure_class, detail, _ = await _failure_of(answering(refuses))
    assert failure_class == "tls_alert:handshake_failure"
    assert "TLS 1.3" in detail


async def test_a_defect_of_ours_is_raised_and_not_taken_for_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(message: bytes) -> wire.ServerHello:
        raise ZeroDivisionError("a defect of ours")

    monkeypatch.setattr(wire, "parse_server_hello", broken)
    async with listening(tls(server_context(rsa_leaf()))) as server:
        with pytest.raises(ZeroDivisionError):
            await probe(server.port)
