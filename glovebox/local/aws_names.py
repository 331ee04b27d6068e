"""AWS under its own names, on the lab's internet: what the gateway reaches when a scanner asks something.

The emulator knows a service by the name that it was asked under, and checks the signature over it, so a
request goes on as it came.  Whose it is, the gateway has judged; that nobody else comes this way is seen
here, as an audit role sees it by `aws:SourceIp`.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from glovebox.lab.journal import Journal
from glovebox.local.aws import LocalAws

TIMEOUT_SECONDS = 35.0
MAX_BODY = 16 << 20
"""What the gateway lets through at most."""
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
_OWN_PAGES = "/_"
"""Below it the emulator answers about itself; no bucket's name and no interface of AWS's begins so."""


class _Aws(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(
        self, listener: socket.socket, aws: LocalAws, names: Sequence[str], gateway: str, journal: Journal
    ) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.names = frozenset(names)
        self.gateway = gateway
        self.journal = journal
        self._target = urlsplit(aws.endpoint)
        self._trust = ssl.create_default_context(cafile=str(aws.authority))

    def connect(self) -> HTTPSConnection:
        return HTTPSConnection(
            str(self._target.hostname), self._target.port, timeout=TIMEOUT_SECONDS, context=self._trust
        )

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever speaks no TLS, or leaves in the middle, is a line in the journal."""
        self.journal.write(event="broken", client=str(client_address))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT_SECONDS
    # Answers are written in two parts, and the second one must not wait for the first one's receipt.
    disable_nagle_algorithm = True

    @property
    def aws(self) -> _Aws:
        return cast("_Aws", self.server)

    def do_GET(self) -> None:
        body, host = self._body(), self.headers.get("Host", "").removesuffix(":443").lower()
        allowed = (
            body is not None
            and host in self.aws.names
            and self.client_address[0] == self.aws.gateway
            and not self.path.startswith(_OWN_PAGES)
        )
        status = self._hand_on(body or b"") if allowed else self._refuse(403, "Nobody's here")
        self.aws.journal.write(
            event="request",
            client=self.client_address[0],
            method=self.command,
            host=host[:253],
            path=urlsplit(self.path).path[:1_024],
            status=status,
        )

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815  of the base class

    def _body(self) -> bytes | None:
        """`None` for one that is too long, or of which nobody says how long it is."""
        length = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding") or not (length.isascii() and length.isdecimal()):
            return None
        return self.rfile.read(int(length)) if int(length) <= MAX_BODY else None

    def _refuse(self, status: int, why: str) -> int:
        self.close_connection = True
        self.send_error(status, why)
        return status

    def _hand_on(self, body: bytes) -> int:
        connection = self.aws.connect()
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            connection.request(self.command, self.path, body or None, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, HTTPException):
            return self._refuse(502, "The local cloud does not answer")
        finally:
            connection.close()
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        length = response.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content)
        return response.status

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name of the base class
        """Silent: the journal has it."""


@contextmanager
def serving_aws(
    listener: socket.socket,
    certificate: Path,
    aws: LocalAws,
    names: Sequence[str],
    gateway: str,
    journal: Path,
) -> Iterator[None]:
    """Serve AWS's `names` on `listener`, for the address `gateway` alone; a line in `journal` each.

    `certificate` is a PEM of the certificate for these names and its key.
    """
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    # The handshake is for the thread that serves the client, not for the one that accepts.
    wrapped = tls.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)
    server = _Aws(wrapped, aws, names, gateway, Journal(journal))
    thread = threading.Thread(target=server.serve_forever, name="aws", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
