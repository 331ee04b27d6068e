"""AWS under its own names, on the lab's internet: what the gateway reaches when a scanner asks something.

The emulator knows a service by the name that it was asked under, and checks the signature over it, so a
request goes on as it came.  Whose it is, the gateway has judged; that nobody else comes this way is seen
here, as an audit role sees it by `aws:SourceIp`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from glovebox.local.aws import LocalAws
from glovebox.local.front import Front, FrontHandler, serving

MAX_BODY = 16 << 20
"""What the gateway lets through at most."""
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
_OWN_PAGES = "/_"
"""Below it the emulator answers about itself; no bucket's name and no interface of AWS's begins so."""


class _Aws(Front):
    names: frozenset[str]
    gateway: str


class _Handler(FrontHandler):
    @property
    def aws(self) -> _Aws:
        return cast("_Aws", self.server)

    def do_GET(self) -> None:  # noqa: N802  of the base class
        body = self._body()
        allowed = (
            body is not None
            and self.host in self.aws.names
            and self.client_address[0] == self.aws.gateway
            and not self.path.startswith(_OWN_PAGES)
        )
        self.note(self._hand_on(body or b"") if allowed else self.refuse(403, "Nobody's here"))

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815  of the base class

    def _body(self) -> bytes | None:
        """`None` for one that is too long, or of which nobody says how long it is."""
        length = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding") or not (length.isascii() and length.isdecimal()):
            return None
        return self.rfile.read(int(length)) if int(length) <= MAX_BODY else None

    def _hand_on(self, body: bytes) -> int:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        answer = self.asked(self.path, body, headers)
        if answer is None:
            return self.no_answer()
        response, content = answer
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        length = response.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content)
        return response.status


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
    server = _Aws(listener, _Handler, certificate=certificate, aws=aws, journal=journal)
    server.names, server.gateway = frozenset(names), gateway
    with serving(server, "aws"):
        yield
