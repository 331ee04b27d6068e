"""The audit straight out: names by c-ares, connections by sockets.  The command line has it, no container."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from glovebox.errors import RefusedError
from glovebox.siteaudit.addresses import public_address
from glovebox.siteaudit.connect import DirectConnector
from glovebox.siteaudit.dns import Resolver
from glovebox.siteaudit.engine import audit_sites
from glovebox.siteaudit.failures import make_failure
from glovebox.siteaudit.network import Network
from glovebox.siteaudit.record import Dns, SiteRecord
from glovebox.siteaudit.resolution import Resolution
from glovebox.siteaudit.settings import AuditSettings


async def audit_directly(
    hosts: Sequence[str], *, scan_date: str, settings: AuditSettings
) -> AsyncGenerator[SiteRecord, None]:
    """`engine.audit_sites` on the direct network."""
    async with (
        direct_network(settings) as network,
        aclosing(audit_sites(hosts, scan_date=scan_date, settings=settings, network=network)) as records,
    ):
        async for record in records:
            yield record


@asynccontextmanager
async def direct_network(settings: AuditSettings) -> AsyncIterator[Network]:
    """Resolves by `settings.resolver` or the system's name servers while the block runs."""
    async with Resolver(settings) as resolver:

        async def resolve(host: str) -> Resolution:
            return literal(host, settings.allowed_networks) or await resolver.resolve(host)

        yield Network(DirectConnector(settings), resolve)


def literal(host: str, allowed: Sequence[str]) -> Resolution | None:
    """An address as certificates' URLs may hold it, after the rule has been asked; `None` for a name."""
    address = host.strip("[]")
    if ":" not in address and not address.replace(".", "").isdigit():
        return None
    try:
        return Resolution(dns=Dns(addresses=[str(public_address(address, allowed))]))
    except RefusedError as error:
        return Resolution(dns=Dns(), failure=make_failure("private_address", error.reason, "dns"))
