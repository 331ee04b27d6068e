"""Strict-Transport-Security as browsers read it (RFC 6797)."""

from __future__ import annotations

import re
from dataclasses import dataclass

HSTS_YEAR = 31_536_000
"""365 days, what the preload list and CISA ask for."""
_MAX_AGE = re.compile(r'"?([0-9]{1,18})"?')


@dataclass(frozen=True, slots=True)
class Hsts:
    """A valid policy."""

    max_age: int
    """Seconds."""
    subdomains: bool
    preload: bool


def parse_hsts(header: str) -> Hsts | None:
    """The policy of a header's first value, or `None` where browsers ignore it.

    RFC 6797, 6.1: max-age must be there, and no directive twice.
    """
    directives: dict[str, str] = {}
    for part in header.split(";"):
        name, _, value = part.partition("=")
        name = name.strip().lower()
        if name and name in directives:
            return None
        if name:
            directives[name] = value.strip()
    age = _MAX_AGE.fullmatch(directives.get("max-age", ""))
    if age is None:
        return None
    return Hsts(int(age.group(1)), "includesubdomains" in directives, "preload" in directives)
