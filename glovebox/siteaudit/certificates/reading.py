"""A certificate as read from bytes that a stranger sent.

`cryptography` reads most parts of a certificate only when asked, and each part has its own
ways to fail.  Everything is asked for here, once, so that the rest of the package works with
plain values; what could not be read is named in `Cert.defects`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from glovebox.siteaudit.certificates.oids import CURVES, NAME_ATTRIBUTES, SIGNATURES
from glovebox.siteaudit.record import MAX_TEXT, MAX_WORD
from glovebox.text import visible

MAX_DER = 128 << 10
"""A certificate of 1,000 names and an RSA-16384 key is 60 KB; more is an attack on whoever reads it."""
MAX_ADDRESSES = 4
"""CRL and AIA addresses that are looked at; authorities publish one or two."""
MAX_NAME_PARTS = 40
"""As the record's issuer and subject."""

READ_ERRORS = (
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises for a part that it cannot read; LookupError for an unknown TLS feature."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
T = TypeVar("T")
E = TypeVar("E", bound=x509.ExtensionType)


class UnreadableCertificateError(ValueError):
    """The bytes are no certificate; the message says why in words for people."""


@dataclass(frozen=True, slots=True)
class Key:
    """`kind` is `RSA`, `ECDSA`, `Ed25519`, `Ed448`, `DSA` or `unknown`; `bits` is 0 for the last."""

    kind: str
    bits: int
    curve: str | None = None


@dataclass(frozen=True, slots=True)
class Extensions:
    """The extensions that a verdict needs, with what their absence means as defaults."""

    readable: bool = True
    dns_names: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()
    has_names: bool = False
    """There is a subjectAltName extension, whatever it holds."""
    is_authority: bool = False
    signs_certificates: bool = True
    signs_crls: bool = True
    serves_tls: bool = True
    must_staple: bool = False
    crl_urls: tuple[str, ...] = ()
    issuer_urls: tuple[str, ...] = ()
    scts: frozenset[bytes] = frozenset()
    """Log id and signature of each embedded timestamp."""


UNREADABLE = Extensions(readable=False)


@dataclass(frozen=True, slots=True, eq=False)
class Cert:
    """One certificate.

    `issuer` and `subject` are DER, for exact comparison; the rest is for people and rules.
    """

    x509: x509.Certificate
    fingerprint: str
    subject: bytes
    issuer: bytes
    subject_text: str
    issuer_text: str
    subject_map: dict[str, str]
    issuer_map: dict[str, str]
    serial: int
    not_before: datetime
    not_after: datetime
    key: Key
    signature: str
    """The signature algorithm: OpenSSL's name, or a dotted number."""
    hash_name: str | None
    """`sha256`; `None` where the algorithm has no hash of its own (Ed25519) or is unknown."""
    extensions: Extensions
    defects: tuple[str, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cert) and other.fingerprint == self.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    def self_issued(self) -> bool:
        return self.subject == self.issuer

    @property
    def title(self) -> str:
        """Short, for sentences: the common name, or the whole subject."""
        return visible(
            self.subject_map.get("commonName") or self.subject_text or "a nameless certificate", 120
        )


@contextmanager
def without_warnings() -> Iterator[None]:
    """Reads hostile bytes in silence.

    `cryptography` warns its programmer of serial numbers below 1 and of name parts of a wrong
    length.  The programmer cannot repair them: the rules report what matters of it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def fingerprint_of(der: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(der).hexdigest()


def read_certificate(der: bytes, fingerprint: str | None = None) -> Cert:
    """Raises UnreadableCertificateError for bytes that are no certificate."""
    if len(der) > MAX_DER:
        raise UnreadableCertificateError(f"it is {len(der)} bytes long, more than {MAX_DER}")
    with without_warnings():
        try:
            return _read(x509.load_der_x509_certificate(der), fingerprint or fingerprint_of(der))
        except READ_ERRORS as error:
            raise UnreadableCertificateError(_said(error)) from error


def _read(cert: x509.Certificate, fingerprint: str) -> Cert:
    defects: list[str] = []
    subject, issuer = cert.subject, cert.issuer
    return Cert(
        x509=cert,
        fingerprint=fingerprint,
        subject=subject.public_bytes(),
        issuer=issuer.public_bytes(),
        subject_text=visible(subject.rfc4514_string(), MAX_TEXT),
        issuer_text=visible(issuer.rfc4514_string(), MAX_TEXT),
        subject_map=_name_map(subject),
        issuer_map=_name_map(issuer),
        serial=cert.serial_number,
        not_before=cert.not_valid_before_utc,
        not_after=cert.not_valid_after_utc,
        key=_or(defects, "its key", lambda: read_key(cert), Key("unknown", 0)),
        signature=_signature_name(cert),
        hash_name=_hash_name(cert),
        extensions=_or(defects, "its extensions", lambda: _read_extensions(cert.extensions), UNREADABLE),
        defects=tuple(defects),
    )


def _or(defects: list[str], what: str, read: Callable[[], T], otherwise: T) -> T:
    try:
        return read()
    except READ_ERRORS as error:
        defects.append(f"{what} cannot be read: {_said(error)}")
        return otherwise


def _said(error: BaseException) -> str:
    return visible(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__, 300)


def read_key(cert: x509.Certificate) -> Key:
    """Raises one of READ_ERRORS for a key that cannot be read."""
    key = cert.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return Key("RSA", key.key_size)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return Key("ECDSA", key.key_size, CURVES.get(key.curve.name, key.curve.name))
    if isinstance(key, ed25519.Ed25519PublicKey):
        return Key("Ed25519", 256)
    if isinstance(key, ed448.Ed448PublicKey):
        return Key("Ed448", 456)
    if isinstance(key, dsa.DSAPublicKey):
        return Key("DSA", key.key_size)
    return Key("unknown", 0)


def _signature_name(cert: x509.Certificate) -> str:
    dotted = cert.signature_algorithm_oid.dotted_string
    return SIGNATURES.get(dotted, dotted)[:MAX_WORD]


def _hash_name(cert: x509.Certificate) -> str | None:
    try:
        algorithm = cert.signature_hash_algorithm
    except READ_ERRORS:
        return None  # the rules name an unknown signature algorithm by its number
    return algorithm.name if algorithm else None


def _name_map(name: x509.Name) -> dict[str, str]:
    parts: dict[str, str] = {}
    for attribute in name:
        dotted = attribute.oid.dotted_string
        word = NAME_ATTRIBUTES.get(dotted, dotted)[:MAX_WORD]
        value = attribute.value if isinstance(attribute.value, str) else attribute.value.hex()
        if word in parts:
            value = f"{parts[word]}, {value}"
        elif len(parts) == MAX_NAME_PARTS:
            continue
        parts[word] = visible(value, MAX_TEXT)
    return parts


def _read_extensions(extensions: x509.Extensions) -> Extensions:
    values = {type(extension.value): extension.value for extension in extensions}
    names = _find(values, x509.SubjectAlternativeName)
    constraints = _find(values, x509.BasicConstraints)
    usage = _find(values, x509.KeyUsage)
    purposes = _find(values, x509.ExtendedKeyUsage)
    features = _find(values, x509.TLSFeature)
    timestamps = _find(values, x509.PrecertificateSignedCertificateTimestamps)
    return Extensions(
        dns_names=tuple(names.get_values_for_type(x509.DNSName)) if names else (),
        addresses=_addresses(names),
        has_names=names is not None,
        is_authority=constraints is not None and constraints.ca,
        signs_certificates=usage is None or usage.key_cert_sign,
        signs_crls=usage is None or usage.crl_sign,
        serves_tls=purposes is None
        or any(
            p in purposes
            for p in (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
        ),
        must_staple=features is not None and x509.TLSFeatureType.status_request in features,
        crl_urls=_crl_urls(_find(values, x509.CRLDistributionPoints)),
        issuer_urls=_issuer_urls(_find(values, x509.AuthorityInformationAccess)),
        scts=frozenset(sct.log_id + sct.signature for sct in timestamps) if timestamps else frozenset(),
    )


def _find(values: Mapping[type[x509.ExtensionType], x509.ExtensionType], kind: type[E]) -> E | None:
    value = values.get(kind)
    return value if isinstance(value, kind) else None


def _addresses(names: x509.SubjectAlternativeName | None) -> tuple[Address, ...]:
    if names is None:
        return ()
    values = names.get_values_for_type(x509.IPAddress)
    return tuple(v for v in values if isinstance(v, ipaddress.IPv4Address | ipaddress.IPv6Address))


def _crl_urls(points: x509.CRLDistributionPoints | None) -> tuple[str, ...]:
    """Addresses of complete lists of the certificate's own issuer (RFC 5280 4.2.1.13)."""
    urls = [
        name.value
        for point in points or ()
        if point.crl_issuer is None and point.reasons is None
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    ]
    return _web(urls)


def _issuer_urls(access: x509.AuthorityInformationAccess | None) -> tuple[str, ...]:
    urls = [
        description.access_location.value
        for description in access or ()
        if description.access_method == AuthorityInformationAccessOID.CA_ISSUERS
        and isinstance(description.access_location, x509.UniformResourceIdentifier)
    ]
    return _web(urls)


def _web(urls: list[str]) -> tuple[str, ...]:
    return tuple(url for url in urls if url.lower().startswith(("http://", "https://")))[:MAX_ADDRESSES]
