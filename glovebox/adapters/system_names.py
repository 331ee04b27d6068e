"""The system's own resolver, for a name of ours."""

from __future__ import annotations

import socket

from glovebox.errors import UpstreamError


def ipv4_addresses(host: str) -> tuple[str, ...]:
    """`glovebox.drill.ports.Addresses`."""
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise UpstreamError(
            f"{host} cannot be resolved ({error.strerror}).", fix="See the resolver."
        ) from error
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))
