"""Whether the gateway decides: both listeners refuse a request that nobody may make."""

from __future__ import annotations

import re
import socket

from glovebox.errors import UpstreamError
from squid.settings import GatewaySettings

PATIENCE = 3.0
"""Seconds.  A refusal takes a millisecond."""
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
_REQUEST = b"CONNECT health.invalid:443 HTTP/1.1\r\nHost: health.invalid:443\r\n\r\n"
_REFUSAL = re.compile(rb"HTTP/1\.1 (403|407) ")


def check(settings: GatewaySettings) -> None:
    """Raises UpstreamError where a listener does not answer, or answers anything but a refusal."""
    address = _LOOPBACK.get(settings.listen, settings.listen)
    for port in (settings.aws_port, settings.site_port):
        try:
            with socket.create_connection((address, port), timeout=PATIENCE) as connection:
                connection.sendall(_REQUEST)
                answer = connection.recv(64)
        except OSError as exc:
            raise UpstreamError(f"The gateway does not answer on port {port}: {exc}.") from exc
        if not _REFUSAL.match(answer):
            raise UpstreamError(f"The gateway on port {port} did not refuse: {answer[:32]!r}.")
