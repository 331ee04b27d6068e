"""What many hosts share: the usual services of a site, and the suites that they accept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from glovebox.farm.identities import good
from glovebox.farm.model import DOMAIN, Identity, Plain, Tls
from glovebox.farm.pages import front
from glovebox.farm.web import redirect, site
from glovebox.siteaudit.record import VersionName

Suites: TypeAlias = Mapping[VersionName, frozenset[str]]
SLOW = frozenset({"slow"})
VALID: frozenset[str] = frozenset()
"""The reasons against a certificate that has nothing wrong with it."""

TLS13 = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
ECDSA = frozenset(
    {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    }
)
"""What the default cipher string accepts with a P-256 certificate."""
RSA = frozenset(name.replace("ECDSA", "RSA") for name in ECDSA)
"""The same with an RSA certificate."""
USUAL: Suites = {"TLSv1.2": ECDSA, "TLSv1.3": TLS13}
USUAL_GROUPS = frozenset({"x25519", "secp256r1", "secp384r1"})


def to_https(name: str, *, status: int = 301) -> Plain:
    """Port 80 of a site that sends everybody to https."""
    return Plain(site(redirect(f"https://{name}.{DOMAIN}/", status=status)))


def secure(title: str, identity: Identity = good) -> Tls:
    """Port 443 of an ordinary site with this front page."""
    return Tls(site(front(title)), identity)
