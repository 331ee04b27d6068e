"""The hosts of public authorities: the only ones that an auditor behind the gateway asks for documents."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_LIST = Path(__file__).with_name("issuer_hosts.txt")


@cache
def issuer_hosts() -> tuple[str, ...]:
    """Canonical names, in the reviewed list's order: `launch` resolves them and signs a ticket for each."""
    lines = _LIST.read_text(encoding="ascii").splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
