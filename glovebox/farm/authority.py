"""A small certificate authority, for servers that tests and the demo start on loopback.

It issues good certificates and, on request, each kind of bad one.  Nothing here is for
production: keys of leaves are reused between certificates because RSA keys are slow to make.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, ExtensionOID, NameOID

KeyKind = Literal["rsa1024", "rsa2048", "rsa3072", "rsa4096", "p256", "p384", "p521", "ed25519"]
HashKind = Literal["sha1", "sha256", "sha384", "sha512"]
OcspStatus = Literal["good", "revoked", "unknown"]
PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

LEAF_DAYS = 90
"""What the public's largest authority issues for."""
CA_DAYS = 3_650
_AGE = timedelta(days=10)
"""A certificate is ten days old unless asked otherwise, so that no clock is too slow for it."""

_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "p256": ec.SECP256R1,
    "p384": ec.SECP384R1,
    "p521": ec.SECP521R1,
}
_HASHES: dict[str, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
_SHA256_WITH_RSA = bytes.fromhex("06092a864886f70d01010b")
_SHA1_WITH_RSA = bytes.fromhex("06092a864886f70d010105")


def new_key(kind: KeyKind) -> PrivateKey:
    """A fresh key.  RSA of 4096 bits takes half a second."""
    if kind in _CURVES:
        return ec.generate_private_key(_CURVES[kind]())
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65_537, int(kind.removeprefix("rsa")))


@cache
def leaf_key(kind: KeyKind) -> PrivateKey:
    """The process's one key of this kind for leaves; an authority always gets its own."""
    return new_key(kind)


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when; both in UTC."""

    not_before: datetime
    not_after: datetime

    @classmethod
    def days(cls, length: float, *, since: datetime | None = None) -> Validity:
        start = since or datetime.now(UTC) - _AGE
        return cls(start, start + timedelta(days=length))


@dataclass(frozen=True, slots=True)
class Issued:
    """A site's certificate with its key and the chain that a server sends, its own certificate first."""

    private_key: PrivateKey
    chain: tuple[x509.Certificate, ...]

    @property
    def certificate(self) -> x509.Certificate:
        return self.chain[0]

    @property
    def key_pem(self) -> bytes:
        return self.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def chain_der(self) -> tuple[bytes, ...]:
        return tuple(certificate.public_bytes(serialization.Encoding.DER) for certificate in self.chain)

    def chain_pem(self) -> bytes:
        return pem_of(self.chain)

    def sending(self, *chain: x509.Certificate) -> Issued:
        """The same key and certificate, with another chain: incomplete, out of order, with the root."""
        return replace(self, chain=chain)

    def write(self, path: Path) -> Path:
        """Key and chain in one PEM file of mode 0600, as `SSLContext.load_cert_chain` reads it."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(self.key_pem + self.chain_pem())
        return path


@dataclass(frozen=True, slots=True)
class Authority:
    """A root or an intermediate that can issue."""

    certificate: x509.Certificate
    private_key: PrivateKey
    above: tuple[x509.Certificate, ...] = field(default=())
    """The certificates over this one, nearest first, the root last; empty for a root."""

    @classmethod
    def create(
        cls,
        *,
        common_name: str = "Fleet Root",
        organization: str = "Glovebox Fleet",
        key: KeyKind = "p256",
        validity: Validity | None = None,
    ) -> Authority:
        """A root of its own."""
        private_key = new_key(key)
        name = _name(common_name, organization)
        builder = _builder(name, name, private_key, private_key, validity or Validity.days(CA_DAYS))
        return cls(_sign(_as_authority(builder, None, None), private_key, "sha256"), private_key)

    def intermediate(
        self,
        *,
        common_name: str = "Fleet Intermediate",
        organization: str = "Glovebox Fleet",
        key: KeyKind = "p256",
        validity: Validity | None = None,
        path_length: int | None = None,
        ca: bool = True,
        permitted_names: Sequence[str] = (),
        aia_url: str | None = None,
        crl_url: str | None = None,
        signature_hash: HashKind = "sha256",
    ) -> Authority:
        """An authority under this one.  `ca=False` makes the classic mistake: a leaf that signs."""
        private_key = new_key(key)
        builder = _builder(
            self.certificate.subject,
            _name(common_name, organization),
            private_key,
            self.private_key,
            validity or Validity.days(CA_DAYS / 2),
        )
        builder = _with_urls(builder, aia_url, crl_url, None)
        if ca:
            builder = _as_authority(builder, path_length, permitted_names)
        else:
            builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        certificate = _sign(builder, self.private_key, signature_hash)
        return Authority(certificate, private_key, (self.certificate, *self.above))

    def issue(
        self,
        names: Sequence[str],
        *,
        common_name: str | None = None,
        validity: Validity | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        key: KeyKind = "p256",
        private_key: PrivateKey | None = None,
        signature_hash: HashKind = "sha256",
        must_staple: bool = False,
        aia_url: str | None = None,
        crl_url: str | None = None,
        ocsp_url: str | None = None,
        scts: int = 0,
        usage: Literal["server", "client", "none"] = "server",
    ) -> Issued:
        """A leaf for `names` (DNS names, wildcards or addresses), and its chain without the root.

        `not_before` and `not_after` override that end of `validity`.  `scts` well-formed
        timestamps are embedded; their signatures verify nowhere.
        """
        span = validity or Validity.days(LEAF_DAYS)
        span = Validity(not_before or span.not_before, not_after or span.not_after)
        own = private_key or leaf_key(key)
        subject = _name(common_name or next(iter(names), "fleet.test"))
        builder = _builder(self.certificate.subject, subject, own, self.private_key, span)
        builder = _as_leaf(builder, names, usage, must_staple=must_staple, scts=scts)
        builder = _with_urls(builder, aia_url, crl_url, ocsp_url)
        leaf = _sign(builder, self.private_key, signature_hash)
        return Issued(own, (leaf, *self.chain[:-1]))

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """From this authority to its root."""
        return (self.certificate, *self.above)

    @property
    def root(self) -> x509.Certificate:
        return self.chain[-1]

    @property
    def der(self) -> bytes:
        """As an AIA address serves it."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def crl(self, revoked: Iterable[x509.Certificate] = (), *, validity: Validity | None = None) -> bytes:
        """A revocation list in DER (RFC 5280, section 5)."""
        span = validity or Validity.days(7, since=datetime.now(UTC) - timedelta(hours=1))
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(span.not_before)
            .next_update(span.not_after)
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_extension(_key_identifier_of(self.private_key), critical=False)
        )
        for certificate in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(certificate.serial_number)
                .revocation_date(span.not_before)
                .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
                .build()
            )
        signed = builder.sign(self.private_key, _hash_for(self.private_key, "sha256"))
        return signed.public_bytes(serialization.Encoding.DER)

    def ocsp_response(
        self,
        certificate: x509.Certificate,
        *,
        status: OcspStatus = "good",
        validity: Validity | None = None,
    ) -> bytes:
        """An answer in DER about `certificate`, signed by this authority (RFC 6960)."""
        span = validity or Validity.days(7, since=datetime.now(UTC) - timedelta(hours=1))
        revoked = status == "revoked"
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=certificate,
                issuer=self.certificate,
                algorithm=hashes.SHA1(),  # noqa: S303  the CertID's hash, which RFC 5019 fixes
                cert_status=ocsp.OCSPCertStatus[status.upper()],
                this_update=span.not_before,
                next_update=span.not_after,
                revocation_time=span.not_before if revoked else None,
                revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, self.certificate)
        )
        signed = builder.sign(self.private_key, _hash_for(self.private_key, "sha256"))
        return signed.public_bytes(serialization.Encoding.DER)


def self_signed(
    names: Sequence[str],
    *,
    key: KeyKind = "p256",
    validity: Validity | None = None,
    signature_hash: HashKind = "sha256",
) -> Issued:
    """A leaf that vouches for itself."""
    own = new_key(key)
    name = _name(names[0])
    builder = _builder(name, name, own, own, validity or Validity.days(LEAF_DAYS))
    builder = _as_leaf(builder, names, "server", must_staple=False, scts=0)
    return Issued(own, (_sign(builder, own, signature_hash),))


def pem_of(certificates: Iterable[x509.Certificate]) -> bytes:
    """The certificates one after another, in PEM."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


# ---------------------------------------------------------------- how a certificate is put together


def _name(common_name: str, organization: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _key_identifier_of(issuer_key: PrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())


def _builder(
    issuer: x509.Name, subject: x509.Name, own: PrivateKey, issuer_key: PrivateKey, validity: Validity
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity.not_before)
        .not_valid_after(validity.not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(_key_identifier_of(issuer_key), critical=False)
    )


def _as_authority(
    builder: x509.CertificateBuilder, path_length: int | None, permitted_names: Sequence[str] | None
) -> x509.CertificateBuilder:
    builder = builder.add_extension(
        x509.BasicConstraints(ca=True, path_length=path_length), critical=True
    ).add_extension(_usage(signs_certificates=True), critical=True)
    if permitted_names:
        permitted = [x509.DNSName(name) for name in permitted_names]
        builder = builder.add_extension(x509.NameConstraints(permitted, None), critical=True)
    return builder


def _as_leaf(
    builder: x509.CertificateBuilder,
    names: Sequence[str],
    usage: Literal["server", "client", "none"],
    *,
    must_staple: bool,
    scts: int,
) -> x509.CertificateBuilder:
    builder = builder.add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    ).add_extension(_usage(signs_certificates=False), critical=True)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False
        )
    if usage != "none":
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if usage == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if must_staple:
        builder = builder.add_extension(x509.TLSFeature([x509.TLSFeatureType.status_request]), critical=False)
    if scts:
        timestamps = x509.UnrecognizedExtension(
            ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS, _timestamps(scts)
        )
        builder = builder.add_extension(timestamps, critical=False)
    return builder


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _with_urls(
    builder: x509.CertificateBuilder, aia_url: str | None, crl_url: str | None, ocsp_url: str | None
) -> x509.CertificateBuilder:
    access = [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
        for method, url in (
            (AuthorityInformationAccessOID.CA_ISSUERS, aia_url),
            (AuthorityInformationAccessOID.OCSP, ocsp_url),
        )
        if url
    ]
    if access:
        builder = builder.add_extension(x509.AuthorityInformationAccess(access), critical=False)
    if crl_url:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl_url)], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    return builder


def _timestamps(count: int) -> bytes:
    """A SignedCertificateTimestampList (RFC 6962, section 3.3) in its OCTET STRING."""
    moment = int(datetime.now(UTC).timestamp() * 1000)
    signature = bytes.fromhex("3006020101020101")
    listed = b""
    for number in range(count):
        sct = b"\0" + bytes([number + 1]) * 32 + struct.pack(">QH", moment, 0)
        sct += b"\x04\x03" + struct.pack(">H", len(signature)) + signature
        listed += struct.pack(">H", len(sct)) + sct
    return _der(0x04, struct.pack(">H", len(listed)) + listed)


def _hash_for(key: PrivateKey, kind: HashKind) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else _HASHES[kind]()


def _sign(builder: x509.CertificateBuilder, key: PrivateKey, kind: HashKind) -> x509.Certificate:
    if kind == "sha1":
        return _sign_sha1(builder, key)
    return builder.sign(key, _hash_for(key, kind))


def _sign_sha1(builder: x509.CertificateBuilder, key: PrivateKey) -> x509.Certificate:
    """`cryptography` refuses to issue with SHA-1, so the algorithm is swapped and the body signed again.

    Raises TypeError for an authority without an RSA key.
    """
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("Only an authority with an RSA key can sign with SHA-1.")
    body = builder.sign(key, hashes.SHA256()).tbs_certificate_bytes
    body = body.replace(_SHA256_WITH_RSA, _SHA1_WITH_RSA, 1)
    algorithm = _der(0x30, _SHA1_WITH_RSA + b"\x05\x00")
    signature = key.sign(body, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303  weak on purpose
    return x509.load_der_x509_certificate(_der(0x30, body + algorithm + _der(0x03, b"\0" + signature)))


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content
