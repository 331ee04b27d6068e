"""Every host of the fleet, from the name to the page."""

from __future__ import annotations

from glovebox.farm.model import Trait
from glovebox.farm.traits import certificates, handshakes, names, redirects, suites, web

TRAITS: tuple[Trait, ...] = (
    *web.TRAITS,
    *redirects.TRAITS,
    *suites.TRAITS,
    *certificates.TRAITS,
    *handshakes.TRAITS,
    *names.TRAITS,
)
"""In the order of a walk from the best site to the one that is not there."""
