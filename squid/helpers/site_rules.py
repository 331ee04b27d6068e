"""What a ticket of the profile `site` opens: tunnels to the addresses that were resolved for one host."""

from __future__ import annotations

from ipaddress import ip_address

from glovebox.tickets.claims import SiteClaims
from squid.helpers.refusals import RequestRefusedError
from squid.helpers.request import Request


def judge_site_request(claims: SiteClaims, request: Request) -> None:
    """Raises RequestRefusedError unless `request` is a CONNECT to an address and a port of the ticket.

    A name is refused, the ticket's own too: it would be resolved again, and to wherever its owner likes.
    """
    if request.method != "CONNECT":
        raise RequestRefusedError("site_method")
    host = request.host.replace("%5B", "[").replace("%5D", "]")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        address = str(ip_address(host))
    except ValueError as error:
        raise RequestRefusedError("site_name") from error
    if address not in claims.addresses:
        raise RequestRefusedError("foreign_address")
    if request.port not in map(str, claims.ports):
        raise RequestRefusedError("foreign_port")
