"""Whether an authority has revoked a certificate, by its published list (RFC 5280 5 and 6.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from glovebox.dates import iso
from glovebox.siteaudit.certificates.documents import (
    DocumentCache,
    DocumentError,
    UnlistedDocumentError,
    UnreadableDocumentError,
)
from glovebox.siteaudit.certificates.reading import READ_ERRORS, Cert, without_warnings
from glovebox.text import visible

MAX_CRL_BYTES = 10 << 20
"""Authorities cut their lists into parts of up to a few megabytes; a larger one is `unavailable`."""
MAX_CRL_URLS = 2
"""Addresses of one certificate that are asked, one after the other."""
CLOCK_SKEW = timedelta(minutes=10)
"""Between an authority's clock and ours."""

Status = Literal["good", "revoked", "no_crl", "unavailable", "invalid", "not_tested"]


@dataclass(frozen=True, slots=True)
class CrlAnswer:
    """`detail` says when and why it was revoked, or why there is no answer."""

    status: Status
    detail: str = ""


@dataclass(slots=True)
class RevocationList:
    """A list as read, with the issuers whose signature on it has been checked."""

    crl: x509.CertificateRevocationList
    issuer: bytes
    this_update: datetime
    next_update: datetime | None
    urls: tuple[str, ...]
    """Where this part of the issuer's list is published; empty for a complete list."""
    signed_by: dict[str, bool] = field(default_factory=dict)


def read_revocation_list(data: bytes) -> RevocationList:
    """A complete list of one issuer's certificates for sites, DER or PEM.

    Raises UnreadableDocumentError for anything else: delta and indirect lists, lists of
    authorities' certificates, unknown critical extensions (RFC 5280 5.2).
    """
    with without_warnings():
        return _read_list(data)


def _read_list(data: bytes) -> RevocationList:
    try:
        crl = x509.load_pem_x509_crl(data) if data.startswith(b"-----BEGIN") else x509.load_der_x509_crl(data)
        return RevocationList(
            crl, crl.issuer.public_bytes(), crl.last_update_utc, crl.next_update_utc, _scope(crl.extensions)
        )
    except READ_ERRORS as error:
        raise UnreadableDocumentError(f"It is no revocation list: {visible(str(error), 200)}.") from error


def _scope(extensions: x509.Extensions) -> tuple[str, ...]:
    urls: tuple[str, ...] = ()
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.IssuingDistributionPoint):
            if value.indirect_crl or value.only_contains_ca_certs or value.only_contains_attribute_certs:
                raise UnreadableDocumentError("The list is not one of sites' certificates.")
            names = value.full_name or ()
            urls = tuple(name.value for name in names if isinstance(name, x509.UniformResourceIdentifier))
        elif isinstance(value, x509.DeltaCRLIndicator) or extension.critical:
            raise UnreadableDocumentError(f"The list has the extension {extension.oid.dotted_string}.")
    return urls


async def check_crl(
    leaf: Cert, issuer: Cert, lists: DocumentCache[RevocationList], now: datetime
) -> CrlAnswer:
    """The answer of the first of the certificate's lists that gives one.

    A revocation counts even on a list that is out of date: it does not end.
    """
    answer = CrlAnswer("no_crl")
    for url in leaf.extensions.crl_urls[:MAX_CRL_URLS]:
        try:
            revocations = await lists.get(url)
        except UnreadableDocumentError as error:
            answer = CrlAnswer("invalid", f"{visible(url, 200)}: {error.reason}")
        except UnlistedDocumentError as error:
            answer = CrlAnswer("not_tested", f"{visible(url, 200)}: {error.reason}")
        except DocumentError as error:
            answer = CrlAnswer("unavailable", f"{visible(url, 200)}: {error.reason}")
        else:
            with without_warnings():
                answer = _look_up(leaf, issuer, revocations, url, now)
        if answer.status in ("good", "revoked"):
            return answer
    return answer


def _look_up(leaf: Cert, issuer: Cert, revocations: RevocationList, url: str, now: datetime) -> CrlAnswer:
    problem = _problem(revocations, issuer, url)
    if problem:
        return CrlAnswer("invalid", problem)
    try:
        entry = revocations.crl.get_revoked_certificate_by_serial_number(leaf.serial)
        if entry is not None and (reason := _reason(entry)) != x509.ReasonFlags.remove_from_crl.value:
            return CrlAnswer(
                "revoked", f"Revoked on {iso(entry.revocation_date_utc)} ({reason}), says the CRL."
            )
    except READ_ERRORS as error:
        return CrlAnswer(
            "invalid", f"An entry of the revocation list cannot be read: {visible(str(error), 200)}."
        )
    if revocations.next_update is None or revocations.next_update < now - CLOCK_SKEW:
        ended = iso(revocations.next_update) if revocations.next_update else "a time that it does not say"
        return CrlAnswer("invalid", f"The revocation list was to be renewed by {ended}.")
    if revocations.this_update > now + CLOCK_SKEW:
        return CrlAnswer("invalid", f"The revocation list begins on {iso(revocations.this_update)}.")
    return CrlAnswer("good")


def _problem(revocations: RevocationList, issuer: Cert, url: str) -> str | None:
    if revocations.issuer != issuer.subject:
        return "The revocation list is another issuer's."
    if not issuer.extensions.signs_crls:
        return "The issuer's key usage does not allow it to sign revocation lists."
    if revocations.urls and url not in revocations.urls:
        # Another part of the list, with the same signature, would hide a revocation (RFC 5280 6.3.3 b 2).
        return "The revocation list is another part of the issuer's list."
    if issuer.fingerprint not in revocations.signed_by:
        revocations.signed_by[issuer.fingerprint] = _signed(revocations.crl, issuer)
    return (
        None if revocations.signed_by[issuer.fingerprint] else "The issuer did not sign the revocation list."
    )


def _signed(crl: x509.CertificateRevocationList, issuer: Cert) -> bool:
    key = issuer.x509.public_key()
    if not isinstance(
        key,
        rsa.RSAPublicKey
        | ec.EllipticCurvePublicKey
        | dsa.DSAPublicKey
        | ed25519.Ed25519PublicKey
        | ed448.Ed448PublicKey,
    ):
        return False
    try:
        return crl.is_signature_valid(key)
    except (UnsupportedAlgorithm, TypeError, ValueError):
        return False


def _reason(entry: x509.RevokedCertificate) -> str:
    for extension in entry.extensions:
        if isinstance(extension.value, x509.CRLReason):
            return extension.value.reason.value
    return "no reason given"
