"""Reads the server's answer to one question, and says what to send back, if anything.

No sockets here: bytes in, bytes out.  Raises WireError for what is not TLS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from glovebox.siteaudit.tls import wire
from glovebox.siteaudit.tls.alerts import CLOSE_NOTIFY, NO_CERTIFICATE_REFUSALS, alert_name
from glovebox.siteaudit.tls.groups import group_name
from glovebox.siteaudit.tls.hello import (
    SSL30,
    TLS12,
    TLS13,
    Depth,
    Hello,
    Question,
    first_record,
    record,
)
from glovebox.siteaudit.tls.keyshares import SHARED_GROUPS, KeyShare, make_key_share
from glovebox.siteaudit.tls.suites import SUITES, CipherSuite, Exchange
from glovebox.siteaudit.tls.tls13 import READABLE_SUITES, HandshakeKeys, change_cipher_spec, message_hash
from glovebox.siteaudit.tls.wire import ServerHello, WireError

_FATAL = 2
_MEASURED = frozenset({Exchange.ECDHE, Exchange.DHE})
"""Their ServerKeyExchange is worth waiting for."""

# To a server that asks for a certificate: none, then a message that nobody may send here.
# A server that requires one refuses the first; any other stumbles over the second.
_NO_CERTIFICATE = bytes([wire.CERTIFICATE]) + (3).to_bytes(3, "big") + bytes(3)
_NO_CERTIFICATE_TLS13 = bytes([wire.CERTIFICATE]) + (4).to_bytes(3, "big") + bytes(4)
_OUT_OF_TURN = bytes([wire.SERVER_HELLO_DONE]) + bytes(3)


@dataclass(slots=True)
class Flight:
    """What the server answered, as far as the question read."""

    hello: ServerHello
    suite: CipherSuite
    retried: bool = False
    """The server asked for another key share (TLS 1.3), so it knows how to."""
    group: int | None = None
    """Code of the group of this answer, where it has one."""
    key_exchange: str | None = None
    alpn: str | None = None
    chain: tuple[bytes, ...] = ()
    ocsp_staple: bytes | None = None
    sct_list: bytes | None = None
    client_certificate: Literal["none", "requested", "required"] = "none"
    trouble: str = ""
    """What went wrong after the ServerHello; empty where nothing did."""
    trouble_class: str = ""
    """Its failure class."""

    @property
    def version(self) -> int:
        return self.hello.version


class FlightReader:
    """The client's side of one question, from ClientHello until it knows enough.

    After `finished`, `flight` holds the answer, or `alert` the refusal.
    """

    def __init__(self, question: Question, host: str) -> None:
        self._question = question
        self._host = host
        self._hello = Hello.fresh(question.version)
        self._shares: dict[int, KeyShare] = {group: make_key_share(group) for group in question.shares}
        self._offer = self._hello.message(question, host, self._public())
        self._records = wire.RecordReader()
        self._messages = wire.MessageReader()
        self._transcript = self._offer
        self._keys: HandshakeKeys | None = None
        self._retried = False
        self._awaits_hello = True
        self._asked_for_refusal = False
        self.finished = False
        self.flight: Flight | None = None
        self.alert: int | None = None

    def _public(self) -> Mapping[int, bytes]:
        return {group: share.public for group, share in self._shares.items()}

    def first_bytes(self) -> bytes:
        return first_record(self._offer, self._question.version)

    def feed(self, data: bytes) -> bytes:
        """Takes what arrived; gives what to send back.  Raises WireError."""
        self._records.feed(data)
        reply = b""
        while not self.finished and (next_record := self._records.next()) is not None:
            reply += self._record(*next_record)
        return reply

    def _record(self, kind: int, header: bytes, payload: bytes) -> bytes:
        if kind == wire.APPLICATION_DATA:
            if self._keys is None:
                raise WireError("encrypted data before any key")
            kind, payload = self._keys.server.open(header, payload)
        if kind == wire.ALERT:
            self._alert(payload)
            return b""
        if kind != wire.HANDSHAKE:
            return b""
        self._messages.feed(payload)
        reply = b""
        while not self.finished and (message := self._messages.next()) is not None:
            reply += self._message(*message)
        return reply

    def _alert(self, payload: bytes) -> None:
        if len(payload) != 2:
            raise WireError("an alert of a wrong size")
        level, code = payload
        if level != _FATAL and code != CLOSE_NOTIFY:
            return  # A warning: servers that miss the name send one and go on.
        self.finished = True
        if self.flight is None:
            self.alert = code
        elif not self._asked_for_refusal:
            self.flight.trouble = f"alert {alert_name(code)} after the ServerHello"
            self.flight.trouble_class = f"tls_alert:{alert_name(code)}"
        elif code in NO_CERTIFICATE_REFUSALS:
            self.flight.client_certificate = "required"

    def _message(self, kind: int, message: bytes) -> bytes:
        flight = self.flight
        if flight is None or self._awaits_hello:
            if kind == wire.HELLO_REQUEST:
                return b""
            if kind != wire.SERVER_HELLO:
                raise WireError(f"handshake message {kind} before a ServerHello")
            return self._server_hello(message)
        if flight.version >= TLS13:
            return self._message_tls13(kind, message, flight)
        return self._message_tls12(kind, message, flight)

    # ------------------------------------------------------------ ServerHello

    def _server_hello(self, message: bytes) -> bytes:
        hello = wire.parse_server_hello(message)
        question = self._question
        if not SSL30 <= hello.version <= question.version:
            raise WireError(f"a ServerHello for version 0x{hello.version:04x}, which was not offered")
        if hello.suite not in question.suites:
            raise WireError(f"suite 0x{hello.suite:04x} was chosen, which was not offered")
        suite = SUITES[hello.suite]
        if (suite.exchange is Exchange.TLS13) != (hello.version >= TLS13):
            raise WireError(f"{suite.name} was chosen for version 0x{hello.version:04x}")
        if hello.version >= TLS13:
            return self._server_hello_tls13(message, hello, suite)
        self._awaits_hello = False
        self.flight = flight = Flight(hello, suite)
        if suite.exchange is Exchange.RSA:
            flight.key_exchange = "RSA"
        flight.alpn = self._alpn(hello.extensions)
        flight.sct_list = hello.extensions.get(wire.EXT_SCT)
        depth = question.depth
        self.finished = depth is Depth.HELLO or (
            depth is Depth.KEY_EXCHANGE and suite.exchange not in _MEASURED
        )
        return b""

    def _alpn(self, extensions: Mapping[int, bytes]) -> str | None:
        body = extensions.get(wire.EXT_ALPN)
        if body is None:
            return None
        protocol = wire.parse_alpn(body)
        if protocol not in self._question.alpn:
            raise WireError("an application protocol was chosen, which was not offered")
        return protocol

    def _server_hello_tls13(self, message: bytes, hello: ServerHello, suite: CipherSuite) -> bytes:
        share = hello.extensions.get(wire.EXT_KEY_SHARE)
        if share is None:
            raise WireError("a TLS 1.3 ServerHello without a key share")
        group, public = wire.parse_key_share(share, retry=hello.retry)
        if group not in self._question.groups:
            raise WireError(f"{group_name(group)} was chosen, which was not offered")
        self._retried, first = self._retried or hello.retry, not self._retried
        self.flight = Flight(hello, suite, retried=self._retried, group=group, key_exchange=group_name(group))
        goes_on = self._question.depth is Depth.FLIGHT and suite.code in READABLE_SUITES
        if hello.retry and goes_on and group in SHARED_GROUPS and first:
            return self._answer_retry(message, hello, group)
        self._awaits_hello = False
        ours = self._shares.get(group)
        if hello.retry or not goes_on or ours is None:
            self.finished = True
            return b""
        self._transcript += message
        self._keys = HandshakeKeys(suite.code, ours.secret(public), self._transcript)
        return b""

    def _answer_retry(self, message: bytes, hello: ServerHello, group: int) -> bytes:
        """The second ClientHello (RFC 8446, section 4.1.2): the group asked for, and the cookie, if any."""
        if group in self._shares:
            raise WireError("a retry for a group that had a share")
        self._shares = {group: make_key_share(group)}
        again = Question(
            version=TLS13,
            suites=self._question.suites,
            groups=self._question.groups,
            alpn=self._question.alpn,
            depth=self._question.depth,
            server_name=self._question.server_name,
            shares=(group,),
            cookie=hello.extensions.get(wire.EXT_COOKIE, b""),
        )
        offer = self._hello.message(again, self._host, self._public())
        self._transcript = message_hash(hello.suite, self._offer) + message + offer
        return change_cipher_spec() + record(offer, TLS12)

    # ------------------------------------------------------------ TLS 1.2 and older

    def _message_tls12(self, kind: int, message: bytes, flight: Flight) -> bytes:
        whole = self._question.depth is Depth.FLIGHT
        if kind == wire.SERVER_KEY_EXCHANGE:
            measured, flight.group = wire.parse_key_exchange(message, flight.suite)
            flight.key_exchange = measured or flight.key_exchange
            self.finished = not whole
        elif kind == wire.SERVER_HELLO_DONE:
            return self._server_hello_done(flight)
        elif whole and kind == wire.CERTIFICATE:
            flight.chain = wire.parse_certificates(message)
        elif whole and kind == wire.CERTIFICATE_STATUS:
            flight.ocsp_staple = wire.parse_ocsp_status(message[4:])
        elif kind == wire.CERTIFICATE_REQUEST:
            flight.client_certificate = "requested"
        return b""

    def _server_hello_done(self, flight: Flight) -> bytes:
        if (
            self._question.depth is not Depth.FLIGHT
            or flight.client_certificate == "none"
            or flight.version == SSL30  # It says so by an alert, which proves nothing.
        ):
            self.finished = True
            return b""
        self._asked_for_refusal = True
        return record(_NO_CERTIFICATE, flight.version) + record(_OUT_OF_TURN, flight.version)

    # ------------------------------------------------------------ TLS 1.3

    def _message_tls13(self, kind: int, message: bytes, flight: Flight) -> bytes:
        self._transcript += message
        if kind == wire.ENCRYPTED_EXTENSIONS:
            body = wire.Cursor(message[4:])
            flight.alpn = self._alpn(wire.parse_extensions(body.vector(2)))
        elif kind == wire.CERTIFICATE_REQUEST:
            flight.client_certificate = "requested"
        elif kind == wire.CERTIFICATE:
            flight.chain, extensions = wire.parse_certificates_tls13(message)
            status = extensions.get(wire.EXT_STATUS_REQUEST)
            flight.ocsp_staple = None if status is None else wire.parse_ocsp_status(status)
            flight.sct_list = extensions.get(wire.EXT_SCT)
            self.finished = flight.client_certificate == "none"
        elif kind == wire.FINISHED:
            return self._server_finished()
        return b""

    def _server_finished(self) -> bytes:
        if self._keys is None:
            raise WireError("a Finished before any key")
        self._asked_for_refusal = True
        self._keys.server = self._keys.server_application(self._transcript)
        ours = self._keys.client()
        refusal = ours.seal(wire.HANDSHAKE, _NO_CERTIFICATE_TLS13)
        return change_cipher_spec() + refusal + ours.seal(wire.HANDSHAKE, _OUT_OF_TURN)
