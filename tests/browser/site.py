"""The page behind the real security policy, with answers that a test lays down."""

from __future__ import annotations

import ast
import json
import mimetypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "page"

Key = tuple[str, frozenset[tuple[str, str]]]


def content_security_policy() -> str:
    """The distribution's own policy, read from its source: importing it would start the CDK."""
    source = (CHECKOUT / "constructs" / "glovebox_constructs" / "public_site.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CONTENT_SECURITY_POLICY":
            assert isinstance(node.value, ast.Call)
            directives: tuple[str, ...] = ast.literal_eval(node.value.args[0])
            return "; ".join(directives)
    raise AssertionError("public_site.py has no CONTENT_SECURITY_POLICY")


@dataclass
class Site:
    """Answers by path and query; everything else is an error as the API gives it."""

    address: str = ""
    answers: dict[Key, tuple[int, object]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str, body: object, status: int = 200, **query: str) -> None:
        self.answers[path, frozenset(query.items())] = (status, body)

    def look_up(self, target: str) -> tuple[int, object]:
        parts = urlsplit(target)
        missing = {"error": {"code": 404, "reason": "not_found", "message": "No record."}}
        return self.answers.get((parts.path, frozenset(parse_qsl(parts.query))), (404, missing))


@contextmanager
def serving() -> Iterator[Site]:
    site = Site()
    policy = content_security_policy()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            site.asked.append(self.path)
            file = PAGE / ("index.html" if path == "/" else path.lstrip("/"))
            if path.startswith(("/api/", "/files/")):
                status, body = site.look_up(self.path)
                self._send(status, "application/json", json.dumps(body).encode())
            elif file.is_file():
                self._send(200, mimetypes.guess_type(file.name)[0] or "text/plain", file.read_bytes())
            else:
                self._send(404, "text/plain", b"")

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", policy)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
