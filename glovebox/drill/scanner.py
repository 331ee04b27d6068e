"""The hostile scanner's tools: plain sockets, and what it was told (standard library only)."""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from glovebox.drill.brief import Brief, Key
from glovebox.drill.sigv4 import presigned, signed_headers

_MAX_ANSWER = 4_096
_PROTOCOLS = {socket.IPPROTO_ICMP: "icmp", socket.IPPROTO_SCTP: "sctp", socket.IPPROTO_UDPLITE: "udplite"}
_BARE = frozenset(_PROTOCOLS)
"""Logs say no ports of these."""


class CannotTryError(Exception):
    """This machine has no means for the attempt, so nothing follows from it."""


@dataclass(frozen=True, slots=True)
class Scanner:
    """One attempt's means.  `marker` is what it wants to get out; whoever sees it has been reached."""

    brief: Brief
    marker: str
    sockets: list[str] = field(default_factory=list)
    """The near end of each connection (`tcp/50123`): where logs say who spoke, it is by this."""

    @property
    def allowed(self) -> str:
        """A host that the ticket allows."""
        return f"sts.{self.brief.region}.amazonaws.com"

    @property
    def s3(self) -> str:
        return f"s3.{self.brief.region}.amazonaws.com"

    def connect(
        self, host: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM, protocol: int = 0
    ) -> socket.socket:
        """A connected socket.  Its near end is noted first: one that is refused has left a trace as well.

        Raises CannotTryError where the kernel has no such socket.
        """
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        try:
            line = socket.socket(family, kind, protocol)
        except OSError as error:
            raise CannotTryError(f"the kernel gives no such socket: {error.strerror}") from error
        try:
            line.settimeout(self.brief.patience)
            line.bind(("", 0))
            name = _PROTOCOLS.get(protocol, "udp" if kind == socket.SOCK_DGRAM else "tcp")
            self.sockets.append(f"{name}/{0 if protocol in _BARE else line.getsockname()[1]}")
            line.connect(place)
        except OSError:
            line.close()
            raise
        return line

    def ask(self, line: socket.socket, data: bytes) -> str:
        """Send and hear; what was answered, at most the first packet."""
        line.sendall(data)
        return line.recv(_MAX_ANSWER).decode("latin-1")

    def say(self, host: str, port: int) -> str:
        """Bring the marker to a host directly."""
        with self.connect(host, port) as line:
            return self.ask(line, f"GET /{self.marker} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())

    def to_gateway(self, data: bytes, *, port: int | None = None) -> str:
        with self.connect(self.brief.gateway, port or self.brief.aws_port) as line:
            return self.ask(line, data)

    def tunnel(
        self, target: str, *, ticket: str | None = None, port: int | None = None, version: str = "1.1"
    ) -> tuple[str, socket.socket]:
        """CONNECT through the gateway: the first line of its answer, and the connection."""
        line = self.connect(self.brief.gateway, port or self.brief.aws_port)
        head = f"CONNECT {target} HTTP/{version}\r\nHost: {target}\r\n"
        answer = self.ask(
            line, f"{head}{authorization(self.brief.ticket if ticket is None else ticket)}\r\n".encode()
        )
        return answer.split("\r\n", 1)[0], line

    def inside(
        self,
        data: bytes,
        *,
        host: str | None = None,
        target: str | None = None,
        name: str | None = None,
        ticket: str | None = None,
        port: int | None = None,
    ) -> str:
        """CONNECT, TLS with `name` in the hello, then `data`; the answers' first lines.

        A hostile client checks no certificate: it talks to whoever listens.
        """
        host = host or self.allowed
        said, line = self.tunnel(target or f"{host}:443", ticket=ticket, port=port)
        with line:
            if " 200 " not in f"{said} " and not said.startswith("HTTP/1.0 200"):
                return said
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            with context.wrap_socket(line, server_hostname=name or host) as tls:
                answer = self.ask(tls, data)
        return f"{said}; inside: {answer.split(chr(13), 1)[0]}"

    def signed(
        self,
        method: str,
        url: str,
        service: str,
        *,
        key: Key | None = None,
        body: bytes = b"",
        **headers: str,
    ) -> bytes:
        """A request as bytes, signed with the brokered key or another."""
        fields = signed_headers(
            key or self.brief.key, method, url, service, self.brief.region, body, **headers
        )
        return request(method, url, body, **fields)

    def presigned(self, method: str, url: str) -> str:
        """An address of S3 that the attacker's own key signed."""
        return presigned(self.brief.own_key, method, url, "s3", self.brief.region)


Attempt = Callable[[Scanner], str]


@dataclass(frozen=True, slots=True)
class Listed:
    """`line` is the threat model's."""

    line: int
    name: str
    run: Attempt
    lab_only: str = ""
    """Why it says nothing in AWS; empty where it is tried there as well."""
    may_lack: bool = False
    """Whether a kernel may have no means for it."""


ATTEMPTS: list[Listed] = []
"""In the order in which they are tried; the modules of `glovebox.drill.attempts` add theirs."""
CONTROLS: list[Listed] = []
"""What must work: where nothing gets out, nothing is proven by that."""


def control(name: str) -> Callable[[Attempt], Attempt]:
    """Put a function on the list of what must work."""

    def listed(run: Attempt) -> Attempt:
        CONTROLS.append(Listed(0, name, run))
        return run

    return listed


def attempt(
    line: int, name: str, *, lab_only: str = "", may_lack: bool = False
) -> Callable[[Attempt], Attempt]:
    """Put a function on the list.  It answers what it was told, in words; nobody believes it."""

    def listed(run: Attempt) -> Attempt:
        ATTEMPTS.append(Listed(line, name, run, lab_only, may_lack))
        return run

    return listed


def authorization(ticket: str) -> str:
    """The header that carries a ticket; nothing for an empty one."""
    return f"Proxy-Authorization: Basic {base64.b64encode(ticket.encode()).decode()}\r\n" if ticket else ""


def request(method: str, url: str, body: bytes = b"", **fields: str) -> bytes:
    """An HTTP/1.1 request for the path of `url`, with a Host of `url` unless `fields` has one."""
    _, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    headers = {"host": host, **fields}
    if body and "transfer-encoding" not in headers:
        headers["content-length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} /{path} HTTP/1.1\r\n{lines}\r\n".encode() + body
