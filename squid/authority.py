"""The certificates with which the gateway ends TLS: an authority for AWS's names alone, and one static leaf.

    python -m squid.authority <folder> <allow-list>…

The authority's key lives inside `mint` and nowhere else: it signs one leaf and is forgotten.  A new leaf so
needs a new authority, which scanners must trust before the gateway shows it.  Hence two steps, each a run of
the command (it changes nothing when nothing is due):

1. a leaf that ends soon, or lacks a name, gets a successor in `next.*`, and `authorities.pem` holds both
   authorities;
2. when every scanner that knows the old one alone has ended, `next.*` becomes `leaf.*`.

Scanners trust `authorities.pem` for their way through the gateway and for nothing else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from glovebox.errors import ConfigurationError
from squid.hosts import SUFFIX, bucket_regions, hosts_of

DOMAIN = SUFFIX.removeprefix(".")
LIFE = timedelta(days=90)
"""Of leaf and authority: neither can be renewed, so neither outlives the other."""
RENEW_BEFORE = timedelta(days=30)
"""A month of failing rotations before a scan notices; the alarm is for the first."""
OVERLAP = timedelta(hours=2)
"""The longest scan takes an hour, a retry another."""
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


# ---------------------------------------------------------------- the folder of a deployment


def why_due(leaf: bytes, hosts: Iterable[str], now: datetime) -> str | None:
    """Why this leaf needs a successor now, or `None`."""
    certificate = x509.load_pem_x509_certificate(leaf)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    missing = set(names_for(hosts)) - set(names.get_values_for_type(x509.DNSName))
    if missing:
        return f"it lacks {min(missing)}"
    left = certificate.not_valid_after_utc - now
    return f"it ends in {left.days} days" if left <= RENEW_BEFORE else None


def rotate(folder: Path, hosts: Iterable[str], now: datetime) -> str:
    """One step of the rotation in `folder`; gives what was done, in words.

    Writes `leaf.pem`, `leaf.key`, `authority.pem`, their `next.` successors, and `authorities.pem`, which
    scanners trust.  Keys are for their owner's eyes.
    """
    known = list(hosts)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    successor = folder / "next.leaf.pem"
    if not (folder / "leaf.pem").exists():
        _store(folder, "", mint(known, now))
        done = "made the first leaf"
    elif successor.exists():
        made = x509.load_pem_x509_certificate(successor.read_bytes()).not_valid_before_utc + BACKDATED
        if now < made + OVERLAP:
            return f"the next leaf waits until {made + OVERLAP:%Y-%m-%d %H:%M} UTC"
        # The key first: a gateway that starts between two of these refuses a pair that does not match.
        for name in ("leaf.key", "leaf.pem", "authority.pem"):
            (folder / f"next.{name}").replace(folder / name)
        done = "the next leaf is in use; reload the gateway"
    elif (reason := why_due((folder / "leaf.pem").read_bytes(), known, now)) is not None:
        _store(folder, "next.", mint(known, now))
        done = f"made the next leaf ({reason})"
    else:
        return "nothing is due"
    _write_bundle(folder)
    return done


def _store(folder: Path, prefix: str, minted: Minted) -> None:
    _write(folder / f"{prefix}authority.pem", minted.authority, mode=0o644)
    _write(folder / f"{prefix}leaf.key", minted.key, mode=0o600)
    _write(folder / f"{prefix}leaf.pem", minted.leaf, mode=0o644)


def _write_bundle(folder: Path) -> None:
    authorities = [folder / name for name in ("authority.pem", "next.authority.pem")]
    _write(
        folder / "authorities.pem",
        b"".join(path.read_bytes() for path in authorities if path.exists()),
        mode=0o644,
    )


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """Whole or not at all, and never readable by more than `mode` says."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    fresh.replace(path)


if __name__ == "__main__":
    lists = [hosts_of(Path(name)) for name in sys.argv[2:]]
    print(rotate(Path(sys.argv[1]), sorted(set().union(*lists)), datetime.now(UTC)))
