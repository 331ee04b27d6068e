"""What an attempt may reach: each name resolved once, right before the hand-off, and a ticket for each.

Nobody resolves after this: the auditor connects to these addresses, through a gateway that lets it through to
them alone.  So a name that changes its mind afterwards (DNS rebinding) gains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, ip_address

from msgspec.structs import replace

from glovebox.errors import ConflictError, UpstreamError
from glovebox.scans.model import SCAN_ID, SiteTarget
from glovebox.scans.ports import Names
from glovebox.scans.state import Scan
from glovebox.services.ticket_key import TicketKey
from glovebox.siteaudit.addresses import public_address
from glovebox.siteaudit.failures import make_failure
from glovebox.siteaudit.resolution import Resolution
from glovebox.siteaudit.settings import AuditSettings
from glovebox.tickets.claims import MAX_ADDRESSES, SiteClaims
from glovebox.tickets.signer import Signer

ISSUER_PORTS = (80, 443)
"""Where public authorities serve certificates and revocation lists."""
_DEAF = frozenset({"resolver_unreachable"})
_SILENT = frozenset({"resolver_unreachable", "dns_timeout"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The part of an attempt's request that says where to."""

    targets: list[SiteTarget]
    issuers: list[SiteTarget]
    gateway: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteTargets:
    names: Names
    key: TicketKey
    gateways: tuple[str, ...]
    """`address:port` of each zone's listener for sites; none where tasks go straight out."""
    ipv6: bool
    """Whether the way out has IPv6.  Where it has not, nothing is said about a site's IPv6."""
    issuers: tuple[str, ...]
    audit: AuditSettings

    def of(self, scan: Scan, now: datetime) -> Reach:
        """Where the scan's present attempt may go, until its deadline.

        Raises UpstreamError where nothing could be resolved, or nothing can be signed now: a later try may.
        RefusedError for an address that no audit may reach: a defect of who resolved.
        """
        extra = self.audit.extra_issuers
        found = self.names.resolve(tuple(dict.fromkeys((*scan.open_hosts, *self.issuers, *extra))))
        self._check_resolver(found)
        tickets = _Tickets(self.key.signer(), scan, now, self.audit) if self.gateways else None
        ports = sorted({self.audit.http_port, self.audit.https_port})
        return Reach(
            targets=[self._target(host, found[host], tickets, ports) for host in scan.open_hosts],
            issuers=[
                *(self._target(host, found[host], tickets, ISSUER_PORTS) for host in self.issuers),
                *(self._target(host, found[host], tickets, ports) for host in extra),
            ],
            gateway=self._gateway(scan),
        )

    def _check_resolver(self, found: Mapping[str, Resolution]) -> None:
        """A resolver of ours that is dead says nothing about sites: the attempt waits for a better one.

        Silence alone may be the names' own, unless authorities that the whole world asks are silent too.
        """
        classes = {each.failure.failure_class if each.failure else "" for each in found.values()}
        if classes == _DEAF or (self.issuers and classes <= _SILENT):
            raise UpstreamError(
                f"No answer about any of {len(found)} names: our resolver is dead.", fix="See the resolver."
            )

    def _target(
        self, host: str, resolution: Resolution, tickets: _Tickets | None, ports: Sequence[int]
    ) -> SiteTarget:
        reachable = resolution if self.ipv6 else ipv4_only(resolution)
        addresses = reachable.dns.addresses[:MAX_ADDRESSES]
        for address in addresses:
            public_address(address, self.audit.allowed_networks)
        ticket = tickets.sign(host, addresses, ports) if tickets and addresses else ""
        kept = replace(reachable, dns=replace(reachable.dns, addresses=addresses))
        return SiteTarget(host=host, resolution=kept, ticket=ticket)

    def _gateway(self, scan: Scan) -> str:
        """Shards take turns, and a second attempt goes where the first one did not."""
        match = SCAN_ID.fullmatch(scan.scan_id)
        if not self.gateways or match is None:
            return ""
        return self.gateways[(int(match[2]) + scan.attempt - 1) % len(self.gateways)]


@dataclass(frozen=True, slots=True)
class _Tickets:
    """Signs for one attempt: no ticket outlives its deadline."""

    signer: Signer
    scan: Scan
    now: datetime
    audit: AuditSettings

    def sign(self, host: str, addresses: Sequence[str], ports: Sequence[int]) -> str:
        if self.scan.deadline is None:
            raise ConflictError(f"Scan {self.scan.scan_id} is not being launched.")
        issued = int(self.now.timestamp())
        claims = SiteClaims(
            scan=self.scan.scan_id,
            iat=issued,
            nbf=issued,
            exp=self.scan.deadline,
            host=host,
            addresses=list(addresses),
            ports=list(ports),
        )
        ticket = self.signer.sign(claims)
        return f"{ticket.user}:{ticket.password}"


def ipv4_only(resolution: Resolution) -> Resolution:
    """What remains where the way out has no IPv6: no word about a site's IPv6, good or bad."""
    dns = resolution.dns
    kept = [address for address in dns.addresses if isinstance(ip_address(address), IPv4Address)]
    if len(kept) == len(dns.addresses):
        return resolution
    failure = None
    if not kept:
        failure = make_failure("ipv6_only", f"{len(dns.addresses)} IPv6 addresses, no IPv4 address", "dns")
    return replace(resolution, dns=replace(dns, addresses=kept, ipv6="unknown"), failure=failure)
