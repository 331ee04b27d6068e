"""Just enough of an HTTP/1.1 server to be a site: fixed answers by path, one request a connection."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from glovebox.farm.model import Handler, Writer

_PATIENCE: Final = 20.0
"""For a request's head; longer than any auditor waits, so that its timeouts are met first."""
_MAX_HEAD: Final = 32_768

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer."""

    body: bytes = b""
    status: int = 200
    headers: Headers = ()
    content_type: str = "text/html; charset=utf-8"

    def encoded(self) -> bytes:
        """As it goes over the wire."""
        names = {name.lower() for name, _ in self.headers}
        headers = [("Server", "nginx"), ("Content-Type", self.content_type), *self.headers]
        if "transfer-encoding" not in names:
            headers.append(("Content-Length", str(len(self.body))))
        headers.append(("Connection", "close"))
        phrase = HTTPStatus(self.status).phrase
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


def page(html: str, *, headers: Headers = (), status: int = 200) -> Reply:
    """An HTML page in UTF-8."""
    return Reply(html.encode(), status, headers)


def redirect(location: str, *, status: int = 301, headers: Headers = ()) -> Reply:
    """A short page that moves the visitor on."""
    return Reply(b"<html><body>Moved</body></html>", status, (("Location", location), *headers))


def compressed(reply: Reply) -> Reply:
    """The same answer, gzipped."""
    headers = (*reply.headers, ("Content-Encoding", "gzip"))
    return Reply(gzip.compress(reply.body, mtime=0), reply.status, headers, reply.content_type)


def chunked(reply: Reply, size: int = 100) -> Reply:
    """The same answer in chunks (RFC 9112, section 7.1)."""
    pieces = [reply.body[start : start + size] for start in range(0, len(reply.body), size)]
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    headers = (*reply.headers, ("Transfer-Encoding", "chunked"))
    return Reply(body, reply.status, headers, reply.content_type)


def site(pages: Mapping[str, Reply] | Reply, *, delay: float = 0.0) -> Handler:
    """A handler that answers each path with its page, and others with 404.

    A single reply is the front page.  `delay`: seconds of thinking before each answer.
    """
    paths = {"/": pages} if isinstance(pages, Reply) else pages
    answers = {path: reply.encoded() for path, reply in paths.items()}
    missing = page("<title>Not found</title>", status=404).encoded()

    async def answer(reader: asyncio.StreamReader, writer: Writer) -> None:
        path = await read_request(reader)
        if path is None:
            return
        if delay:
            await asyncio.sleep(delay)
        writer.write(answers.get(path, missing))
        await writer.drain()

    return answer


async def read_request(reader: asyncio.StreamReader) -> str | None:
    """The path of one request, once its head is read; `None` where none came."""
    try:
        async with asyncio.timeout(_PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    if len(head) > _MAX_HEAD:
        return None
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return words[1].partition("?")[0] if len(words) == 3 else None
