"""A TLS server in the lab that hands requests on to the emulator on loopback, and writes each of them down.

The lab reaches nothing of the host, and the emulator believes too much: what each front lets on is its own.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from glovebox.lab.journal import Journal
from glovebox.local.aws import LocalAws

TIMEOUT_SECONDS = 35.0
MAX_HOST, MAX_PATH = 253, 1_024
"""Characters of a request that are written down."""


class Front(ThreadingHTTPServer):
    """Serves on `listener`, which lies in the lab, with the PEM of certificate and key in `certificate`."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        listener: socket.socket,
        handler: type[FrontHandler],
        *,
        certificate: Path,
        aws: LocalAws,
        journal: Path,
    ) -> None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
        super().__init__(listener.getsockname(), handler, bind_and_activate=False)
        self.socket.close()
        # The handshake is for the thread that serves the client, not for the one that accepts.
        self.socket = tls.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)
        self.journal = Journal(journal)
        self._target = urlsplit(aws.endpoint)
        self._trust = ssl.create_default_context(cafile=str(aws.authority))

    def connect(self) -> HTTPSConnection:
        """To the emulator."""
        return HTTPSConnection(
            str(self._target.hostname), self._target.port, timeout=TIMEOUT_SECONDS, context=self._trust
        )

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever speaks no TLS, or leaves in the middle, is a line in the journal."""
        self.journal.write(event="broken", client=str(client_address))


class FrontHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT_SECONDS
    # Answers are written in two parts, and the second one must not wait for the first one's receipt.
    disable_nagle_algorithm = True

    @property
    def front(self) -> Front:
        return cast("Front", self.server)

    @property
    def host(self) -> str:
        """Under which name it was asked."""
        return self.headers.get("Host", "").removesuffix(":443").lower()

    def refuse(self, status: int, why: str) -> int:
        self.close_connection = True
        self.send_error(status, why)
        return status

    def asked(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[HTTPResponse, bytes] | None:
        """What the emulator answers to this method, and the body; `None` where it does not."""
        connection = self.front.connect()
        try:
            connection.request(self.command, path, body or None, headers)
            response = connection.getresponse()
            return response, response.read()
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()

    def no_answer(self) -> int:
        return self.refuse(502, "The local cloud does not answer")

    def note(self, status: int) -> None:
        self.front.journal.write(
            event="request",
            client=self.client_address[0],
            method=self.command,
            host=self.host[:MAX_HOST],
            path=urlsplit(self.path).path[:MAX_PATH],
            status=status,
        )

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name of the base class
        """Silent: the journal has it."""


@contextmanager
def serving(front: Front, name: str) -> Iterator[None]:
    """Serve in a thread of this name until the end of the block."""
    thread = threading.Thread(target=front.serve_forever, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        front.shutdown()
        front.server_close()
        thread.join()
