"""The page's address on this machine: hands each request to the emulator's CloudFront.

The emulator plays the distribution of the template itself (behaviours, origins, functions, header
policies), but answers for it under its `cloudfront.net` name alone, which nobody resolves here.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.client import HTTPException, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast
from urllib.parse import urlsplit

from glovebox.errors import ConfigurationError
from glovebox.local.aws import LocalAws, require_loopback

MAX_BODY = 64 << 10
"""The public API has no request with a body; this is for whoever tries one."""
TIMEOUT_SECONDS = 35.0
"""A little more than the emulator gives an origin."""
_HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
        "te", "trailer", "transfer-encoding", "upgrade", "host", "content-length",
    }
)  # fmt: skip
"""RFC 9110, section 7.6.1; host and length are made anew."""


class _Edge(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, aws: LocalAws, domain: str) -> None:
        self.target = urlsplit(require_loopback(aws.endpoint))
        self.trust = ssl.create_default_context(cafile=str(aws.authority))
        self.domain = domain
        super().__init__(("127.0.0.1", port), _Handler)

    def connect(self) -> HTTPSConnection:
        return HTTPSConnection(
            str(self.target.hostname), self.target.port, timeout=TIMEOUT_SECONDS, context=self.trust
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT_SECONDS

    @property
    def edge(self) -> _Edge:
        return cast("_Edge", self.server)

    def do_GET(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isascii() or not length.isdecimal() or int(length) > MAX_BODY:
            self.send_error(413)
            return
        try:
            self._forward(self.rfile.read(int(length)))
        except (OSError, HTTPException):
            self.close_connection = True
            self.send_error(502, "The local cloud does not answer")

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815

    def _forward(self, body: bytes) -> None:
        connection = self.edge.connect()
        try:
            connection.request(
                self.command,
                self.path,
                body or None,
                {**_end_to_end(self.headers), "Host": self.edge.domain},
            )
            response = connection.getresponse()
            content = response.read()
            self.send_response_only(response.status, response.reason)
            for name, value in response.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            length = (
                response.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(content))
            )
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(content)
        finally:
            connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name of the base class
        """Silent: the terminal shows the run."""


def _end_to_end(headers: Message[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP}


@contextmanager
def running_edge(aws: LocalAws, domain: str, port: int | None) -> Iterator[str]:
    """Serve the distribution `domain` on loopback; gives the address.

    Without a port it takes one that is free.

    Raises:
        ConfigurationError: the port is taken.
    """
    try:
        server = _Edge(port or 0, aws, domain)
    except OSError as error:
        raise ConfigurationError(
            f"Port {port} cannot be used: {error}.", fix="Give another with --port."
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="edge", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
