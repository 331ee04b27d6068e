"""What a stapled OCSP answer says of a certificate (RFC 6960, stapled by RFC 6066 8)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from glovebox.dates import iso
from glovebox.siteaudit.certificates.crl import CLOCK_SKEW
from glovebox.siteaudit.certificates.reading import READ_ERRORS, Cert, without_warnings
from glovebox.text import visible

MAX_STAPLE_BYTES = 64 << 10
"""A staple with its responder's certificate is about 2 KB."""
LONGEST_WITHOUT_END = timedelta(days=10)
"""An answer without `nextUpdate` is believed for as long as one may live (Baseline Requirements 4.9.10)."""

Status = Literal["good", "revoked", "unknown_status", "expired", "invalid", "none", "unknown"]


@dataclass(frozen=True, slots=True)
class StapleAnswer:
    """`unknown`: there is a staple and nothing to verify it against."""

    status: Status
    detail: str = ""
    scts: frozenset[bytes] = frozenset()


class _InvalidStapleError(ValueError):
    """The message says in words for people what is wrong."""


def check_staple(staple: bytes | None, leaf: Cert, issuer: Cert | None, now: datetime) -> StapleAnswer:
    """Verifies signature, responder, certificate and dates.  Raises nothing for whatever bytes."""
    if not staple:
        return StapleAnswer("none")
    if len(staple) > MAX_STAPLE_BYTES:
        return StapleAnswer("invalid", f"The stapled answer is {len(staple)} bytes long.")
    with without_warnings():
        try:
            response = ocsp.load_der_ocsp_response(staple)
            if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
                return StapleAnswer(
                    "invalid", f"The stapled answer says {response.response_status.name.lower()}."
                )
            if issuer is None:
                return StapleAnswer(
                    "unknown", "The issuer, who vouches for the stapled answer, is not known."
                )
            single = _answer_about(response, leaf, issuer)
            _verify_signature(response, issuer, now)
            return replace(_judge(single, now), scts=_timestamps(response))
        except READ_ERRORS as error:
            return StapleAnswer(
                "invalid", f"The stapled answer cannot be believed: {visible(str(error), 200)}."
            )


def _judge(single: ocsp.OCSPSingleResponse, now: datetime) -> StapleAnswer:
    if single.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        since = single.revocation_time_utc
        reason = single.revocation_reason.value if single.revocation_reason else "no reason given"
        when = iso(since) if since else "an unknown day"
        return StapleAnswer("revoked", f"Revoked on {when} ({reason}), says the stapled OCSP answer.")
    end = single.next_update_utc or single.this_update_utc + LONGEST_WITHOUT_END
    if now > end + CLOCK_SKEW:
        return StapleAnswer("expired", f"The stapled answer ended on {iso(end)}.")
    if now < single.this_update_utc - CLOCK_SKEW:
        return StapleAnswer("invalid", f"The stapled answer begins on {iso(single.this_update_utc)}.")
    if single.certificate_status is ocsp.OCSPCertStatus.UNKNOWN:
        return StapleAnswer("unknown_status", "The responder does not know the certificate.")
    return StapleAnswer("good")


def _answer_about(response: ocsp.OCSPResponse, leaf: Cert, issuer: Cert) -> ocsp.OCSPSingleResponse:
    """The one of the response's answers that is about `leaf`."""
    for single in response.responses:
        if single.serial_number == leaf.serial:
            builder = ocsp.OCSPRequestBuilder().add_certificate(leaf.x509, issuer.x509, single.hash_algorithm)
            asked = builder.build()
            if (asked.issuer_name_hash, asked.issuer_key_hash) == (
                single.issuer_name_hash,
                single.issuer_key_hash,
            ):
                return single
    raise _InvalidStapleError("it is about another certificate")


def _verify_signature(response: ocsp.OCSPResponse, issuer: Cert, now: datetime) -> None:
    """Signed by the issuer, or by a responder that the issuer named (RFC 6960 4.2.2.2)."""
    if _signed_by(response, issuer.x509):
        return
    for responder in response.certificates[:4]:
        if _signed_by(response, responder):
            _check_responder(responder, issuer, now)
            return
    raise _InvalidStapleError("neither the issuer nor a responder of his signed it")


def _check_responder(responder: x509.Certificate, issuer: Cert, now: datetime) -> None:
    try:
        responder.verify_directly_issued_by(issuer.x509)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError) as error:
        raise _InvalidStapleError("its responder has no certificate of the issuer") from error
    try:
        purposes = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound as error:
        raise _InvalidStapleError("its responder is not entitled to sign such answers") from error
    if ExtendedKeyUsageOID.OCSP_SIGNING not in purposes:
        raise _InvalidStapleError("its responder is not entitled to sign such answers")
    if not responder.not_valid_before_utc <= now <= responder.not_valid_after_utc:
        raise _InvalidStapleError("its responder's certificate is out of date")


def _signed_by(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, algorithm = signer.public_key(), response.signature_hash_algorithm
    data, signature = response.tbs_response_bytes, response.signature
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm:
            key.verify(signature, data, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm:
            key.verify(signature, data, ec.ECDSA(algorithm))
        else:
            return False  # public authorities sign with RSA and ECDSA only
    except (InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _timestamps(response: ocsp.OCSPResponse) -> frozenset[bytes]:
    """The timestamps that the answer carries (RFC 6962 3.3); responses with several answers carry none."""
    if len(list(response.responses)) != 1:
        return frozenset()
    for extension in response.single_extensions:
        if isinstance(extension.value, x509.SignedCertificateTimestamps):
            return frozenset(sct.log_id + sct.signature for sct in extension.value)
    return frozenset()
