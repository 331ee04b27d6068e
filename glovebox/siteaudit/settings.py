"""How an audit is done: limits, politeness, and what only a test network may change.

Every limit is here, with its reason, so that a reader finds them in one place.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Port = Annotated[int, Meta(ge=1, le=65_535)]
Seconds = Annotated[float, Meta(gt=0, le=600)]


class AuditSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Travels as JSON in a scan's request; `launch` takes it from its environment, never from a caller."""

    concurrency: Annotated[int, Meta(ge=1, le=1_000)] = 100
    """Sites at once: two cores are busy at about 100, and memory stays under 200 MB."""
    per_host: Annotated[int, Meta(ge=1, le=16)] = 4
    """Connections at once to one name: fewer than a browser opens."""
    per_address: Annotated[int, Meta(ge=1, le=256)] = 8
    """Connections at once to one address, because many names share one server."""
    connect_timeout: Seconds = 5.0
    handshake_timeout: Seconds = 6.0
    http_timeout: Seconds = 10.0
    """From request to the last byte that we read."""
    dns_timeout: Seconds = 5.0
    site_timeout: Annotated[float, Meta(gt=0, le=3_600)] = 90.0
    """All of one site: a tarpit may not hold a place for longer."""
    max_redirects: Annotated[int, Meta(ge=0, le=30)] = 10
    """Browsers follow 20; more than 10 is a fault of the site."""
    max_header_bytes: Annotated[int, Meta(ge=1_024, le=1 << 20)] = 65_536
    max_body_bytes: Annotated[int, Meta(ge=1_024, le=64 << 20)] = 1 << 20
    """Read and decoded: enough for every title and form, too little for a bomb to hurt."""
    test_groups: bool = True
    test_behaviour: bool = True
    """Two more connections: a hello without a name, and one that claims to be a fallback."""
    user_agent: Annotated[str, Meta(max_length=256)] = "Mozilla/5.0 (compatible; Glovebox site audit)"
    http_port: Port = 80
    https_port: Port = 443
    resolver: Annotated[str, Meta(max_length=64)] | None = None
    """`address:port` of a name server; `None` for the system's."""
    allowed_networks: Annotated[list[str], Meta(max_length=16)] = []
    """Networks outside the public internet that this audit may reach: for a fleet on loopback only."""
    extra_roots: Annotated[str, Meta(max_length=1 << 20)] = ""
    """PEM of trust anchors beside certifi's: for a fleet of our own only."""
    extra_issuers: Annotated[list[Annotated[str, Meta(max_length=253)]], Meta(max_length=16)] = []
    """Where such an authority publishes certificates and revocation lists, on the ports of this audit."""
