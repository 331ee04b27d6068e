"""One question on one connection, and what came of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol, TypeAlias, cast

from glovebox.siteaudit.connect import ConnectError, Connector, Endpoint
from glovebox.siteaudit.tls.alerts import alert_name
from glovebox.siteaudit.tls.flight import Flight, FlightReader
from glovebox.siteaudit.tls.hello import Question
from glovebox.siteaudit.tls.wire import WireError


@dataclass(frozen=True, slots=True)
class Answered:
    """The server chose."""

    flight: Flight


@dataclass(frozen=True, slots=True)
class Refused:
    """The server said no, in TLS."""

    alert: int

    @property
    def failure_class(self) -> str:
        return f"tls_alert:{alert_name(self.alert)}"

    @property
    def detail(self) -> str:
        return f"alert {alert_name(self.alert)}"


@dataclass(frozen=True, slots=True)
class Silent:
    """No answer: not connected, closed, reset, or out of time.  It proves nothing by itself."""

    failure_class: str
    detail: str


@dataclass(frozen=True, slots=True)
class Garbled:
    """An answer that is not TLS, or breaks its rules."""

    failure_class: str
    detail: str


Outcome: TypeAlias = Answered | Refused | Silent | Garbled


class Reader(Protocol):
    """What turns bytes into an answer: FlightReader, or SSL 2's."""

    finished: bool

    def first_bytes(self) -> bytes: ...

    def feed(self, data: bytes) -> bytes: ...


class _Conversation(asyncio.Protocol):
    """Feeds a reader until it has finished, and settles `ending` once, with a silence or with nothing."""

    __slots__ = ("_reader", "_transport", "ending")

    def __init__(self, reader: Reader, ending: asyncio.Future[Silent | Garbled | None]) -> None:
        self._reader = reader
        self.ending = ending

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A stream's transport can write; uvloop's is no subclass of asyncio's.
        self._transport = cast(asyncio.WriteTransport, transport)
        self._transport.write(self._reader.first_bytes())

    def data_received(self, data: bytes) -> None:
        if self.ending.done():
            return
        try:
            reply = self._reader.feed(data)
        except WireError as error:
            self.ending.set_result(Garbled(error.failure_class, error.reason))
            return
        if self._reader.finished:
            self.ending.set_result(None)
        elif reply:
            self._transport.write(reply)

    def expire(self, patience: float) -> None:
        if not self.ending.done():
            self.ending.set_result(Silent("tls_timeout", f"no whole answer within {patience:g} s"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.ending.done():
            return
        if exc is None:
            self.ending.set_result(
                Silent("tls_connection_closed", "the server closed the connection without an alert")
            )
        elif isinstance(exc, OSError):
            self.ending.set_result(Silent("connection_reset", str(exc) or type(exc).__name__))
        else:
            self.ending.set_exception(exc)  # What the reader raised besides WireError: a defect, not a reset.


async def converse(
    connector: Connector, endpoint: Endpoint, reader: Reader, patience: float
) -> Silent | Garbled | None:
    """Runs `reader` on one connection; `None` says that it has finished.

    patience: seconds from the connection to the end.
    """
    loop = asyncio.get_running_loop()
    conversation = _Conversation(reader, loop.create_future())
    try:
        async with connector.connection(lambda: conversation, endpoint):
            # A bare timer: `asyncio.timeout` takes five times as long, a dozen times a host.
            timer = loop.call_later(patience, conversation.expire, patience)
            try:
                return await conversation.ending
            finally:
                timer.cancel()
    except ConnectError as error:
        return Silent(error.failure_class, error.detail)


async def ask(connector: Connector, endpoint: Endpoint, question: Question, patience: float) -> Outcome:
    """One question, one connection.

    A server that has chosen, and then breaks off, has answered: `flight.trouble` says how it ended.
    """
    reader = FlightReader(question, endpoint.host)
    ending = await converse(connector, endpoint, reader, patience)
    flight = reader.flight
    if flight is not None:
        if ending is not None and not flight.trouble and flight.client_certificate == "none":
            flight.trouble, flight.trouble_class = ending.detail, ending.failure_class
        return Answered(flight)
    if reader.alert is not None:
        return Refused(reader.alert)
    assert ending is not None  # noqa: S101 - a reader that has finished holds a flight or an alert
    return ending
