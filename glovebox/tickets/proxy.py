"""The scanner's side: a ticket as the user name and password of a proxy."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from glovebox.tickets.claims import MAX_USER, Claims, decode
from glovebox.tickets.errors import MalformedTicketError, TooLongTicketError
from glovebox.tickets.keys import SIGNATURE_CHARACTERS

PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
"""curl reads `http_proxy` in lower case only, others the one or the other."""
MAX_PROXY_URL = 2_048
"""Scheme, ticket, address and port, with room to spare."""


@dataclass(frozen=True, slots=True)
class ProxyTicket:
    """A signed ticket.  Whoever holds it may use it, so its signature is in no `repr`."""

    user: str
    password: str = field(repr=False)

    def claims(self) -> Claims:
        """What the ticket says; only a gateway's `KeySet.verify` knows whether that is so."""
        return decode(self.user)

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


def parse_proxy_url(url: str) -> tuple[str, ProxyTicket]:
    """`(address:port, ticket)` of a URL that `ProxyTicket.url` wrote.

    Raises TooLongTicketError or MalformedTicketError for any other.
    """
    if len(url) > MAX_PROXY_URL:
        raise TooLongTicketError
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise MalformedTicketError("The proxy's URL is none.") from error
    ticket = _ticket_of(parts)
    proxy = parts.netloc.rpartition("@")[2]
    if port is None or not parts.hostname or ticket.url(proxy) != url:
        raise MalformedTicketError("The proxy's URL is not http://user:password@address:port.")
    return proxy, ticket


def _ticket_of(parts: SplitResult) -> ProxyTicket:
    user, password = parts.username or "", parts.password or ""
    if len(user) > MAX_USER:
        raise TooLongTicketError
    if not user or len(password) != SIGNATURE_CHARACTERS:
        raise MalformedTicketError("The proxy's URL holds no ticket.")
    return ProxyTicket(user, password)
