"""One HTTP/1.1 request and its answer, within limits of time, bytes and patience.

h11 reads the protocol; this module adds what it leaves to its user: the clock, the caps,
and a failure class for each way in which a server can go wrong.  An answer that began well
and broke off is handed out with its failure, because its headers can still be judged.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import cast

import h11

from glovebox.errors import GloveboxError
from glovebox.siteaudit.connect import ConnectError, Connector, Endpoint, failure_class_of
from glovebox.siteaudit.settings import AuditSettings
from glovebox.siteaudit.web.body import Body, BombError, CorruptBodyError
from glovebox.siteaudit.web.tls import tls_failure_class
from glovebox.siteaudit.web.url import Url
from glovebox.text import clean

MAX_CHUNKS = 20_000
"""Pieces of one body: a megabyte in pieces of a byte costs seconds of our time and none of the server's."""
_BEGINNING = b"HTTP/"
_SHOWN = 60
"""Characters of a stray answer that a detail quotes."""

Headers = tuple[tuple[str, str], ...]
"""Names and values as sent, in order, repeated where repeated."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to one request."""

    status: int
    headers: Headers
    body: bytes
    """Decoded, up to the cap."""
    truncated: bool = False
    """The body goes on beyond the cap: what is here is judged."""
    undecoded: str = ""
    """The encoding that we cannot read, where the body is not what a browser would show."""

    def values(self, name: str) -> list[str]:
        """The values of every header called `name` (lower case), in order."""
        return [value for key, value in self.headers if key.lower() == name]

    def first(self, name: str) -> str | None:
        return next(iter(self.values(name)), None)


class HttpError(GloveboxError):
    """There is no complete answer; `answer` is what there was, once its headers had come."""

    def __init__(self, failure_class: str, detail: str, answer: Answer | None = None) -> None:
        super().__init__(f"{failure_class}: {detail}")
        self.failure_class = failure_class
        self.detail = detail
        self.answer = answer


async def exchange(
    connector: Connector,
    address: str,
    url: Url,
    headers: Headers,
    settings: AuditSettings,
    *,
    tls: ssl.SSLContext | None = None,
    max_body: int | None = None,
) -> Answer:
    """The answer to a GET of `url` from `address`.

    The scheme's own port is the one of `settings`.  `headers` hold Host and all else that is sent.
    `max_body` stands in for the settings' cap.  Raises HttpError.
    """
    port = url.port or (settings.https_port if url.scheme == "https" else settings.http_port)
    endpoint = Endpoint(url.host.strip("[]"), address, port)
    request = h11.Request(method="GET", target=url.target, headers=_encoded(headers))
    limit = settings.max_body_bytes if max_body is None else max_body

    def conversation() -> _Conversation:
        return _Conversation(request, settings.max_header_bytes, limit)

    try:
        async with connector.connection(conversation, endpoint, tls=tls) as (_, protocol):
            try:
                async with asyncio.timeout(settings.http_timeout):
                    answer = await protocol.answered
            except TimeoutError as error:
                raise HttpError(
                    "http_timeout", f"no complete answer in {settings.http_timeout:g} s", protocol.partial()
                ) from error
    except ConnectError as error:
        raise HttpError(error.failure_class, error.detail) from error
    except ssl.SSLError as error:
        raise HttpError(tls_failure_class(error), str(error)) from error
    if isinstance(answer, HttpError):
        raise answer
    return answer


def _encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


class _Conversation(asyncio.Protocol):
    """Sends one request and collects its answer; `answered` gives it, or why there is none.

    As a value: an exception that comes in the same turn as a timeout would be logged as never retrieved.
    """

    def __init__(self, request: h11.Request, max_header: int, max_body: int) -> None:
        self.answered: asyncio.Future[Answer | HttpError] = asyncio.get_running_loop().create_future()
        self._request = request
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=max_header)
        self._max_header = max_header
        self._max_body = max_body
        self._start = b""
        self._received = 0
        self._chunks = 0
        self._head: h11.Response | None = None
        self._body = Body("", max_body)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A stream's transport can write; uvloop's is no subclass of asyncio's.
        stream = cast(asyncio.WriteTransport, transport)
        out = self._connection.send(self._request) or b""
        stream.write(out + (self._connection.send(h11.EndOfMessage()) or b""))

    def data_received(self, data: bytes) -> None:
        if self.answered.done():
            return
        if self._head is None:
            self._received += len(data)
            self._start = (
                (self._start + data)[: len(_BEGINNING)] if len(self._start) < len(_BEGINNING) else self._start
            )
            if not _BEGINNING.startswith(self._start):
                shown = clean(data[:_SHOWN].decode("latin-1"), _SHOWN)
                self._fail("http_protocol_error", f"the answer is not HTTP and begins with {shown!r}")
                return
        self._read(data)

    def eof_received(self) -> bool:
        if not self.answered.done():
            self._read(b"", ended=True)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answered.done():
            return
        if exc is None:
            self._read(b"", ended=True)
        if self.answered.done():
            return
        if isinstance(exc, ssl.SSLError):
            self._fail(tls_failure_class(exc), str(exc))
        elif isinstance(exc, OSError) and failure_class_of(exc) is not None:
            self._fail(failure_class_of(exc) or "", str(exc))
        elif exc is None:
            self._fail(
                "http_connection_closed", "the server ended the connection in the middle of its answer"
            )
        else:
            self.answered.set_exception(exc)

    def partial(self) -> Answer | None:
        """What has come so far, once the headers have."""
        if self._head is None:
            return None
        headers = tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in self._head.headers.raw_items())
        return Answer(
            self._head.status_code, headers, self._body.content(), self._body.full, self._body.undecoded
        )

    def _read(self, data: bytes, *, ended: bool = False) -> None:
        try:
            self._connection.receive_data(data)
            while not self.answered.done():
                event = self._connection.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    break
                self._take(event)
        except (h11.RemoteProtocolError, h11.LocalProtocolError) as error:
            if ended:
                self._fail(
                    "http_connection_closed", "the server ended the connection in the middle of its answer"
                )
            elif error.error_status_hint == 431:
                self._fail("response_too_large", f"more than {self._max_header} bytes of headers or trailers")
            else:
                self._fail("http_protocol_error", clean(str(error), 200))
        except BombError as error:
            self._fail("response_too_large", f"a decompression bomb: {error}")
        except CorruptBodyError as error:
            self._fail("http_protocol_error", f"the body is {error}")
        else:
            if self._head is None and self._received > self._max_header:
                self._fail("response_too_large", f"more than {self._max_header} bytes before an answer")

    def _take(self, event: h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]) -> None:
        if isinstance(event, h11.Response):
            self._head = event
            encoding = next((v for k, v in event.headers if k == b"content-encoding"), b"")
            self._body = Body(encoding.decode("latin-1"), self._max_body)
        elif isinstance(event, h11.Data):
            self._chunks += 1
            self._body.feed(bytes(event.data))
            if self._body.done:
                self._finish()
            elif self._chunks > MAX_CHUNKS:
                self._fail("response_too_large", f"a body in more than {MAX_CHUNKS} pieces")
        elif isinstance(event, h11.EndOfMessage):
            self._finish()
        elif isinstance(event, h11.ConnectionClosed):
            self._fail("http_connection_closed", "the server ended the connection without an answer")

    def _finish(self) -> None:
        answer = self.partial()
        if answer is not None:
            self.answered.set_result(answer)

    def _fail(self, failure_class: str, detail: str) -> None:
        self.answered.set_result(HttpError(failure_class, detail, self.partial()))
