"""The certificates with which the gateway ends TLS: an authority for AWS's names alone, and one static leaf.

The authority's key lives inside `mint` and nowhere else: it signs one leaf and is forgotten.  A new leaf so
needs a new authority, which scanners must trust before the gateway shows it, and the old one until no gateway
shows its leaf any more.  `keys` sees to that (`glovebox.rotation`), by the rule that stands here.

Scanners trust these authorities for their way through the gateway and for nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from glovebox.errors import ConfigurationError
from glovebox.rotation import Private, Rule
from squid.hosts import SUFFIX, bucket_regions

DOMAIN = SUFFIX.removeprefix(".")
LIFE = timedelta(days=90)
"""Of leaf and authority: neither can be renewed, so neither outlives the other."""
RENEW_BEFORE = timedelta(days=30)
"""A month of failing rotations before a scan notices."""
OVERDUE = timedelta(days=2)
"""Of that month; then an alarm is raised."""
OVERLAP = timedelta(hours=2)
"""A task reads at its start what it trusts, and ends within two hours; a gateway is five minutes behind."""
BACKDATED = timedelta(hours=1)
"""For clocks that are behind."""


@dataclass(frozen=True, slots=True)
class Minted:
    """PEM texts: what scanners trust, what the gateway shows, and its key."""

    authority: bytes
    leaf: bytes
    key: bytes


def names_for(hosts: Iterable[str]) -> list[str]:
    """The leaf's names, sorted: each host's parent with a wildcard, and those of buckets and accounts."""
    known = list(hosts)
    names = {f"*.{host.split('.', 1)[1]}" for host in known}
    names.update(
        f"*.{service}.{region}{SUFFIX}"
        for region in bucket_regions(known)
        for service in ("s3", "s3-control")
    )
    return sorted(names)


def mint(hosts: Iterable[str], now: datetime) -> Minted:
    """A new authority and its only leaf.

    The authority is constrained to `amazonaws.com` (RFC 5280, section 4.2.1.10), so that its leaf is worth
    nothing elsewhere.  Both carry key identifiers, without which Python 3.13 refuses a chain.

    Raises ConfigurationError for a host outside the domain.
    """
    names = names_for(hosts)
    outside = [name for name in names if not name.endswith(SUFFIX) and name != f"*.{DOMAIN}"]
    if outside or not names:
        raise ConfigurationError(
            f"A leaf for {outside[:3] or 'no host'} is not to be had.", fix=f"Name hosts below {DOMAIN}."
        )
    authority_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _authority(authority_key, now)
    leaf = _leaf(authority, authority_key, leaf_key, names, now)
    return Minted(
        authority=authority.public_bytes(Encoding.PEM),
        leaf=leaf.public_bytes(Encoding.PEM),
        key=leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def _builder(
    subject: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    # The date keeps the names of two authorities apart in one bundle.
    subject = f"Glovebox egress {now:%Y-%m-%dT%H:%M:%SZ}"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    return (
        _builder(subject, name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints([x509.DNSName(DOMAIN)], None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    names: list[str],
    now: datetime,
) -> x509.Certificate:
    issuer_id = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        _builder("Glovebox egress gateway", authority.subject, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )


# ---------------------------------------------------------------- when it changes


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The gateway's secret.  A gateway reads certificate and key; the authority is public anyway."""

    certificate: str
    key: str
    authority: str


def secret_of(minted: Minted) -> str:
    """What the gateway's secret holds: JSON."""
    stored = _Stored(minted.leaf.decode(), minted.key.decode(), minted.authority.decode())
    return msgspec.json.encode(stored).decode()


def private_leaf(text: str) -> Private | None:
    """The leaf that a secret holds, whose public half is its authority; `None` where it holds none."""
    try:
        stored = msgspec.json.decode(text, type=_Stored)
        leaf, authority = _certificate(stored.certificate), _certificate(stored.authority)
        leaf.verify_directly_issued_by(authority)
        key = load_pem_private_key(stored.key.encode(), password=None)
    except (msgspec.DecodeError, ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return None
    return Private(text, stored.authority) if key.public_key() == leaf.public_key() else None


def rule_for(hosts: Iterable[str]) -> Rule:
    """When a leaf for these hosts changes, and how slowly."""
    wanted = set(names_for(hosts))

    def why_due(private: Private, _since: datetime, now: datetime) -> str | None:
        leaf = _leaf_of(private)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        missing = wanted - set(names.get_values_for_type(x509.DNSName))
        if missing:
            return f"it lacks {min(missing)}"
        left = leaf.not_valid_after_utc - now
        return f"it ends in {left.days} days" if left <= RENEW_BEFORE else None

    def overdue(private: Private, _since: datetime, now: datetime) -> bool:
        return _leaf_of(private).not_valid_after_utc - now <= RENEW_BEFORE - OVERDUE

    return Rule(publish_before=OVERLAP, retire_after=OVERLAP, why_due=why_due, overdue=overdue)


def _leaf_of(private: Private) -> x509.Certificate:
    return _certificate(msgspec.json.decode(private.text, type=_Stored).certificate)


def _certificate(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())
