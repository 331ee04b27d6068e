"""A web server in AWS's place: speaks TLS under its names and takes a request only with a right signature.

It calculates Signature Version 4 anew from what arrived, so that a change on the way shows.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>\w+)/(?P<scope>[^,]+), ?SignedHeaders=(?P<signed>[^,]+), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as the origin got it."""

    method: str
    host: str
    path: str
    headers: tuple[tuple[str, str], ...]
    status: int

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each.lower() == name.lower()]


@dataclass
class Origin:
    """`secrets` maps access key ids to secret keys; whatever else arrives is kept, and answered with 403."""

    secrets: dict[str, str]
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0

    def status_of(self, handler: BaseHTTPRequestHandler, body: bytes) -> int:
        return 200 if is_signed(handler, body, self.secrets) else 403


def is_signed(handler: BaseHTTPRequestHandler, body: bytes, secrets: dict[str, str]) -> bool:
    """Whether the one Authorization is a signature of this very request (AWS's "Create a signed request")."""
    values = handler.headers.get_all("Authorization") or []
    found = _AUTHORIZATION.fullmatch(values[0]) if len(values) == 1 else None
    secret = secrets.get(found["key"]) if found else None
    if found is None or secret is None:
        return False
    date, region, service, _ = found["scope"].split("/")
    parts = urlsplit(handler.path)
    path = parts.path if service == "s3" else quote(parts.path, safe="/~-_.")
    query = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in parse_qsl(parts.query, True))
    names = found["signed"].split(";")
    headers = "".join(f"{name}:{' '.join((handler.headers[name] or '').split())}\n" for name in names)
    payload = handler.headers.get("X-Amz-Content-SHA256") or hashlib.sha256(body).hexdigest()
    canonical = "\n".join(
        [handler.command, path, "&".join(f"{k}={v}" for k, v in query), headers, found["signed"], payload]
    )
    to_sign = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            handler.headers["X-Amz-Date"],
            found["scope"],
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request", to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.compare_digest(key.hex(), found["signature"])


@contextmanager
def serving_origin(address: str, certificate: Path, key: Path, secrets: dict[str, str]) -> Iterator[Origin]:
    """The origin on port 443 of a loopback address, while the block runs."""
    origin = Origin(secrets)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def setup(self) -> None:
            origin.connections += 1
            super().setup()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status = origin.status_of(self, body)
            headers = tuple(self.headers.items())
            origin.seen.append(Seen(self.command, self.headers["Host"], unquote(self.path), headers, status))
            answer = b"<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account>"
            answer += b"</GetCallerIdentityResult></GetCallerIdentityResponse>"
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - http.server's names

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer((address, 443), Handler)
    server.daemon_threads = True
    # The handshake in the connection's own thread, so that nobody keeps the others waiting.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield origin
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
