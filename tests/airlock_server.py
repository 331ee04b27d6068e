"""A bucket on loopback as the airlock sees it: presigned GETs, PUTs once, POST forms with conditions."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from glovebox.scans.model import UploadForm


@dataclass
class Bucket:
    """`objects` by path; `answers` are statuses to give before the real one."""

    address: str = ""
    signature: str = "secret"
    """What stands in every address and form, and nowhere else."""
    objects: dict[str, bytes] = field(default_factory=dict)
    answers: list[int] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    forms: dict[str, tuple[dict[str, str], int]] = field(default_factory=dict)
    on_put: Callable[[bytes], None] = field(default=lambda body: None)
    """What happens when an object was put: an event."""
    lose_answers: int = 0
    """So many PUTs are taken and not answered."""

    def url(self, path: str) -> str:
        return f"{self.address}/{path}?X-Amz-Signature={self.signature}"

    def form(self, key: str, content_type: str, max_bytes: int) -> UploadForm:
        fields = {"key": key, "Content-Type": content_type, "policy": "p", "x-amz-signature": self.signature}
        self.forms[key] = (fields, max_bytes)
        return UploadForm(url=f"{self.address}/", fields=fields)

    def take(self, content_type: str, body: bytes) -> int:
        """S3's answer to a form: every field as signed, one file of an admitted size, the file last."""
        message = BytesParser(policy=HTTP).parsebytes(
            b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
        )
        parts = [
            (str(part.get_param("name", header="content-disposition")), bytes(part.get_payload(decode=True)))
            for part in message.iter_parts()
        ]
        *pairs, (last, content) = parts
        fields = {name: value.decode() for name, value in pairs}
        signed, most = self.forms.get(fields.get("key", ""), ({}, 0))
        if fields != signed or last != "file":
            return 403
        if not 1 <= len(content) <= most:
            return 400
        self.objects[fields["key"]] = content
        self.uploads.append(fields["key"])
        return 204


@contextmanager
def bucket(listener: socket.socket | None = None, *, signature: str = "secret") -> Iterator[Bucket]:
    """A bucket that serves while the block runs; one at a `listener` gets its address from the caller."""
    made = Bucket(signature=signature)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = made.answers.pop(0) if made.answers else 200
            body = made.objects.get(self.path.partition("?")[0].lstrip("/"))
            if status == 200 and body is None:
                status = 404
            self._answer(status, body if status == 200 and body else b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = made.answers.pop(0) if made.answers else made.take(self.headers["Content-Type"], body)
            self._answer(status, b"")

        def do_PUT(self) -> None:
            path = self.path.partition("?")[0].lstrip("/")
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = made.answers.pop(0) if made.answers else 200
            if self.headers["If-None-Match"] != "*" or self.headers["Content-Type"] != "application/json":
                status = 403
            elif status == 200 and path in made.objects:
                status = 412
            elif status == 200:
                made.objects[path] = body
                made.on_put(body)
            if made.lose_answers:
                made.lose_answers -= 1
                self.close_connection = True
                return
            self._answer(status, b"")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status in (301, 302, 307):
                self.send_header("Location", f"{made.address}/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=listener is None) as server:
        if listener is not None:
            server.socket.close()
            server.socket = listener
        else:
            made.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
