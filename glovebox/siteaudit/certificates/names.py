"""Whether a certificate is for a name, by RFC 9525 (which replaced RFC 6125)."""

from __future__ import annotations

import ipaddress

from cryptography import x509

from glovebox.siteaudit.certificates.reading import Cert

MAX_TRIED = 20
"""Names of a certificate that are tried; the first is good in every real one."""

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def matches(cert: Cert, fqdn: str) -> bool:
    """Subject alternative names only: the common name does not count (RFC 9525 2), as in browsers.

    An IP address matches an address, never a DNS name (6.5).
    """
    name = fqdn.rstrip(".").lower()
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return any(_matches_pattern(pattern, name) for pattern in cert.extensions.dns_names)
    return address in cert.extensions.addresses


def _matches_pattern(pattern: str, name: str) -> bool:
    """`*` stands for the whole leftmost label and for nothing else (RFC 9525 6.3)."""
    pattern = pattern.lower()
    if not pattern.startswith("*."):
        return pattern == name
    head, _, rest = name.partition(".")
    # `*.org` is no wildcard that a browser takes: what follows the star needs two labels.
    return bool(head) and rest == pattern[2:] and "." in rest


def subject_for_verifier(cert: Cert, fqdn: str) -> x509.DNSName | x509.IPAddress | None:
    """A name that the certificate is for, `fqdn` itself where it can be: chain and name are judged apart.

    `None` for a certificate without any name that the verifier takes (it refuses underscores,
    which browsers accept under a wildcard).
    """
    names = cert.extensions.dns_names[:MAX_TRIED]
    if matches(cert, fqdn):
        names = (fqdn.rstrip(".").lower(), *names)
    for pattern in names:
        name = "any" + pattern[1:] if pattern.startswith("*.") else pattern
        if all(label and set(label.lower()) <= _LETTERS for label in name.split(".")) and not _is_address(
            name
        ):
            return x509.DNSName(name)
    return x509.IPAddress(cert.extensions.addresses[0]) if cert.extensions.addresses else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
