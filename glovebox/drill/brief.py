"""What the hostile scanner is told: all that a real one would have, and more (standard library only)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Key:
    """An access key: its public id and its secret."""

    id: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """Addresses, tickets and keys for one drill.  Times in seconds."""

    gateway: str
    aws_port: int
    site_port: int
    ticket: str
    """`user:password` of a good `aws-api` ticket."""
    site_ticket: str
    bad_tickets: Mapping[str, str]
    """Name → a ticket that must not work."""
    region: str
    bucket: str
    """The one that the ticket allows."""
    foreign_bucket: str
    """One that it does not."""
    key: Key
    """The brokered credentials."""
    own_key: Key
    """Those of the attacker's account."""
    site: str
    """The host that the site's ticket is for."""
    origin: str
    """An address that the site's ticket names."""
    evil: str
    evil_ipv6: str
    public_resolver: str
    resolvers: tuple[str, ...]
    metadata: tuple[str, ...]
    neighbour: str
    bystander: str
    endpoint: str
    """An interface endpoint's address, or a name that leads to one."""
    patience: float

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Brief:
        """From the JSON object that `dataclasses.asdict` makes of a brief."""
        keys = {name: Key(**fields[name]) for name in ("key", "own_key")}
        return cls(**{**fields, **keys})
