"""What a server sends is read strictly: right bytes are understood, and wrong ones raise WireError alone."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glovebox.farm.authority import Authority, Issued
from glovebox.siteaudit.tls import wire
from glovebox.siteaudit.tls.flight import FlightReader
from glovebox.siteaudit.tls.groups import TLS12_GROUPS, TLS13_GROUPS, X25519
from glovebox.siteaudit.tls.hello import TLS12, TLS13, Depth, Question, record
from glovebox.siteaudit.tls.sslv2 import Ssl2Reader
from glovebox.siteaudit.tls.suites import SUITES, TLS12_SUITES, TLS13_SUITES
from glovebox.siteaudit.tls.wire import WireError

HOST = "www.fleet.test"
TLS12_QUESTION = Question(TLS12, TLS12_SUITES, TLS12_GROUPS, depth=Depth.FLIGHT)
TLS13_QUESTION = Question(TLS13, TLS13_SUITES, TLS13_GROUPS, depth=Depth.FLIGHT, shares=(X25519,))
PARSERS: list[Callable[[bytes], object]] = [
    wire.parse_server_hello,
    wire.parse_certificates,
    wire.parse_certificates_tls13,
    wire.parse_extensions,
    wire.parse_ocsp_status,
    wire.parse_alpn,
    lambda data: wire.parse_key_share(data, retry=False),
    lambda data: wire.parse_key_share(data, retry=True),
    *(
        lambda data, code=code: wire.parse_key_exchange(data, SUITES[code])
        for code in (0xC02F, 0x0033, 0xC035)
    ),
]


@cache
def issued() -> Issued:
    return Authority.create().issue([HOST])


@cache
def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        context.load_cert_chain(issued().write(Path(folder) / "leaf.pem"))
    return context


def answer_to(hello: bytes) -> bytes:
    """OpenSSL's first flight, without a socket."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = server_context().wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(hello)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


def feed_all(reader: FlightReader | Ssl2Reader, data: bytes, size: int) -> None:
    for start in range(0, len(data), size):
        if reader.finished:
            return
        reader.feed(data[start : start + size])


@pytest.mark.parametrize("size", [1, 2, 5, 7, 100, 1 << 20])
@pytest.mark.parametrize("question", [TLS12_QUESTION, TLS13_QUESTION], ids=["TLS 1.2", "TLS 1.3"])
def test_a_flight_reads_the_same_in_pieces_of_any_size(question: Question, size: int) -> None:
    reader = FlightReader(question, HOST)
    feed_all(reader, answer_to(reader.first_bytes()), size)
    assert reader.finished
    assert reader.flight is not None
    assert reader.flight.version == question.version
    assert reader.flight.chain == issued().chain_der
    assert reader.flight.key_exchange in {"x25519", "secp256r1"}


@given(st.binary(max_size=400), st.sampled_from(PARSERS))
def test_parsers_raise_wire_error_and_nothing_else(data: bytes, parse: Callable[[bytes], object]) -> None:
    with suppress(WireError):
        parse(data)


@given(st.lists(st.binary(max_size=300), max_size=5), st.sampled_from([TLS12_QUESTION, TLS13_QUESTION]))
def test_readers_raise_wire_error_and_nothing_else(pieces: list[bytes], question: Question) -> None:
    for reader in (FlightReader(question, HOST), Ssl2Reader()):
        with suppress(WireError):
            for piece in pieces:
                if not reader.finished:
                    reader.feed(piece)


@given(
    st.sampled_from([TLS12_QUESTION, TLS13_QUESTION]),
    st.lists(st.tuples(st.integers(0, 1_200), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_a_flight_with_changed_bytes_raises_wire_error_or_reads(
    question: Question, changes: list[tuple[int, int]]
) -> None:
    """A mutation of a true flight gets further into the parsers than noise does."""
    reader = FlightReader(question, HOST)
    flight = bytearray(answer_to(reader.first_bytes()))
    for place, value in changes:
        flight[place % len(flight)] = value
    try:
        reader.feed(bytes(flight))
    except WireError:
        return
    assert reader.flight is None or reader.flight.suite.code in question.suites


def test_an_encrypted_record_that_was_changed_does_not_verify() -> None:
    reader = FlightReader(TLS13_QUESTION, HOST)
    flight = bytearray(answer_to(reader.first_bytes()))
    flight[-1] ^= 1
    flight[-600] ^= 1
    with pytest.raises(WireError, match="does not verify"):
        reader.feed(bytes(flight))


def test_bytes_without_end_stop_at_the_cap() -> None:
    reader = FlightReader(TLS12_QUESTION, HOST)
    warning = record(b"\x01\x5a", TLS12, kind=wire.ALERT)
    rounds = wire.MAX_FLIGHT_BYTES // (len(warning) * 100)
    for _ in range(rounds):
        reader.feed(warning * 100)
    with pytest.raises(WireError) as caught:
        reader.feed(warning * 100)
    assert caught.value.failure_class == "tls_response_too_large"


def test_a_message_that_announces_sixteen_megabytes_is_refused_at_its_head() -> None:
    reader = FlightReader(TLS12_QUESTION, HOST)
    with pytest.raises(WireError, match="16777215 bytes"):
        reader.feed(record(b"\x0b\xff\xff\xff", TLS12))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "plain HTTP answers: HTTP/1.1 400"),
        (b"220 mail.fleet.test ESMTP\r\n", "SMTP or FTP answers: 220 mail"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH answers: SSH-2.0"),
        (b"\x00\x01\x02", "received ..."),
    ],
)
def test_what_is_not_tls_is_described_in_printable_words(data: bytes, says: str) -> None:
    reader = FlightReader(TLS12_QUESTION, HOST)
    with pytest.raises(WireError) as caught:
        reader.feed(data)
    assert says in caught.value.reason
    assert caught.value.reason.isprintable()


def server_hello(version: int, suite: int, extensions: bytes = b"") -> bytes:
    body = version.to_bytes(2, "big") + bytes(32) + b"\x00" + suite.to_bytes(2, "big") + b"\x00"
    body += len(extensions).to_bytes(2, "big") + extensions
    return record(b"\x02" + len(body).to_bytes(3, "big") + body, TLS12)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (server_hello(TLS12, 0x1301), "suite 0x1301 was chosen"),
        (server_hello(TLS13, 0xC02F), "version 0x0304, which was not offered"),
        (server_hello(0x0002, 0xC02F), "version 0x0002, which was not offered"),
        (server_hello(TLS12, 0xC02F, b"\x00\x10\x00\x05\x00\x03\x02h2"), "protocol was chosen"),
        (server_hello(TLS12, 0xC02F, b"\x00\x17\x00\x00\x00\x17\x00\x00"), "extension 23 twice"),
    ],
)
def test_a_choice_that_was_not_offered_is_refused(answer: bytes, says: str) -> None:
    reader = FlightReader(TLS12_QUESTION, HOST)
    with pytest.raises(WireError, match=says):
        reader.feed(answer)


def test_an_address_is_never_sent_as_a_server_name() -> None:
    named = FlightReader(TLS12_QUESTION, HOST).first_bytes()
    assert HOST.encode() in named
    assert b"192.0.2.7" not in FlightReader(TLS12_QUESTION, "192.0.2.7").first_bytes()
