"""The internet of the lab: one server on every address and many ports, which writes down all that it gets.

    python -m glovebox.lab.origin JOURNAL CERTIFICATE KEY KEYS

It speaks TLS or plain text as the client begins.  As AWS would, it checks the signature of each request by
itself, against the secrets in KEYS (JSON, access key id → secret): those of the scan and of the attacker.
"""

from __future__ import annotations

import http.client
import io
import json
import re
import socket
import ssl
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import parse_qs, urlsplit

from glovebox.drill.brief import Key
from glovebox.drill.sigv4 import Scope, canonical_request, signature
from glovebox.lab.journal import Journal, shown

PORTS = (22, 25, 53, 80, 443, 3128, 8080, 8443)
_PATIENCE = 3.0
_MAX_BODY = 1 << 20
_MAX_SEEN = 65_536
_TLS_HANDSHAKE = 0x16
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(\w+)/(\d{8})/([\w-]+)/([\w-]+)/aws4_request, ?"
    r"SignedHeaders=([\w;-]+), ?Signature=([0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    headers: http.client.HTTPMessage
    body: bytes


def main(arguments: list[str]) -> NoReturn:
    path, certificate, key, keys = (Path(one) for one in arguments)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    server = _Server(Journal(path), tls, json.loads(keys.read_text(encoding="utf-8")))
    listeners = [_listener(port) for port in PORTS if port != 53]
    threads = [threading.Thread(target=server.accept, args=(listener,)) for listener in listeners]
    for thread in threads:
        thread.start()
    server.journal.write(event="ready")
    for thread in threads:
        thread.join()
    sys.exit(1)


def _listener(port: int) -> socket.socket:
    """On IPv4 and IPv6, on every address."""
    return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)


class _Server:
    def __init__(self, journal: Journal, tls: ssl.SSLContext, keys: Mapping[str, str]) -> None:
        self.journal = journal
        self._tls = tls
        self._keys = keys

    def accept(self, listener: socket.socket) -> None:
        while True:
            stream, _ = listener.accept()
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream: socket.socket) -> None:
        address, port = stream.getsockname()[:2]
        where = f"{address} port {port}"
        with stream:
            stream.settimeout(_PATIENCE)
            try:
                first = stream.recv(1, socket.MSG_PEEK)
                if first and first[0] == _TLS_HANDSHAKE:
                    with self._tls.wrap_socket(stream, server_side=True) as inner:
                        self._converse(inner, f"tls {where}")
                elif first:
                    self._converse(stream, where)
            except OSError as error:
                self.journal.write(event="broken", where=where, error=str(error))

    def _converse(self, stream: socket.socket, where: str) -> None:
        """Requests one after the other; what is none is written down as it came."""
        with stream.makefile("rb") as file:
            while line := file.readline(_MAX_SEEN):
                request = _read(line, file)
                if request is None:
                    self.journal.write(event="bytes", where=where, seen=shown(line + _rest(stream)))
                    return
                self._note(request, where)
                stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def _note(self, request: Request, where: str) -> None:
        authorizations = request.headers.get_all("authorization") or []
        key, valid = self._verified(request)
        self.journal.write(
            event="request",
            where=where,
            method=request.method,
            host=request.headers.get("host", ""),
            target=request.target,
            key=key,
            valid=valid,
            authorizations=len(authorizations),
            seen=shown(_flat(request)),
        )

    def _verified(self, request: Request) -> tuple[str, bool]:
        """The access key id of the first signature found, and whether it is right."""
        found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        if found is None:
            query = parse_qs(urlsplit(request.target).query)
            return query.get("X-Amz-Credential", [""])[0].partition("/")[0], False
        key, date, region, service, names, mark = found.groups()
        headers = {name: request.headers.get(name, "") for name in names.split(";")}
        url = f"https://{request.headers.get('host', '')}{request.target}"
        digest = request.headers.get("x-amz-content-sha256", "")
        canonical = canonical_request(request.method, url, headers, digest)
        secret = Key(key, self._keys.get(key, ""))
        time = request.headers.get("x-amz-date", "")
        right = signature(secret, Scope(date, region, service), time, canonical)
        return key, key in self._keys and right == mark


def _read(line: bytes, file: io.BufferedReader) -> Request | None:
    words = line.split()
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return None
    try:
        headers = http.client.parse_headers(file)
        length = min(int(headers.get("content-length", "0")), _MAX_BODY)
    except (http.client.HTTPException, ValueError):
        return None
    return Request(words[0].decode("latin-1"), words[1].decode("latin-1"), headers, file.read(length))


def _flat(request: Request) -> bytes:
    """All of it on one line, with what may hold a marker first."""
    headers = "; ".join(f"{name}: {value[:120]}" for name, value in request.headers.items())
    return f"{request.method} {request.target[:200]} ".encode() + request.body[:160] + f" {headers}".encode()


def _rest(stream: socket.socket) -> bytes:
    stream.settimeout(0.05)
    try:
        return stream.recv(_MAX_SEEN)
    except OSError:
        return b""  # The client waits for us; what it said so far is enough.


if __name__ == "__main__":
    main(sys.argv[1:])
