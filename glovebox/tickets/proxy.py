"""The scanner's side: a ticket as the user name and password of a proxy."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
"""curl reads `http_proxy` in lower case only, others the one or the other."""


@dataclass(frozen=True, slots=True)
class ProxyTicket:
    """A signed ticket.  Whoever holds it may use it, so its signature is in no `repr`."""

    user: str
    password: str = field(repr=False)

    def url(self, proxy: str) -> str:
        """The proxy's URL with this ticket; `proxy` is `address:port` (IPv6 in brackets)."""
        return f"http://{self.user}:{self.password}@{proxy}"

    def environment(self, proxy: str) -> dict[str, str]:
        """Environment variables by which AWS's SDKs, curl, Go and Node find gateway and ticket."""
        return {
            **dict.fromkeys(PROXY_VARIABLES, self.url(proxy)),
            "NO_PROXY": "",
            "no_proxy": "",
        }


def proxy_authorization(ticket: ProxyTicket) -> str:
    """The value of the header `Proxy-Authorization` (RFC 9110, 11.7.2; RFC 7617)."""
    return "Basic " + base64.b64encode(f"{ticket.user}:{ticket.password}".encode("ascii")).decode("ascii")
