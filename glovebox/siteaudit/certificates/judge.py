"""The judgement of one site's certificate: a verdict, every reason for it, and what else is worth knowing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from glovebox.dates import iso
from glovebox.siteaudit.certificates.crl import (
    MAX_CRL_BYTES,
    CrlAnswer,
    RevocationList,
    check_crl,
    read_revocation_list,
)
from glovebox.siteaudit.certificates.documents import (
    DocumentCache,
    DocumentError,
    DocumentSource,
    UnreadableDocumentError,
)
from glovebox.siteaudit.certificates.names import matches
from glovebox.siteaudit.certificates.ocsp import StapleAnswer, check_staple
from glovebox.siteaudit.certificates.path import End, Path, find_path
from glovebox.siteaudit.certificates.reading import READ_ERRORS, Cert, UnreadableCertificateError
from glovebox.siteaudit.certificates.rules import (
    MIN_PUBLIC_SCTS,
    days_left,
    in_order,
    missing_issuer,
    objection_of,
    reasons_of,
    warnings_of,
)
from glovebox.siteaudit.certificates.timestamps import MalformedTimestampsError, read_timestamps
from glovebox.siteaudit.certificates.trust import TrustStore
from glovebox.siteaudit.failures import make_failure
from glovebox.siteaudit.record import (
    MAX_TEXT,
    MAX_WORD,
    STATUS_CODES,
    CertData,
    CertificateReport,
    CertificateSummary,
    Failure,
)
from glovebox.text import visible

MAX_CHAIN = 20
"""Certificates of one server that are looked at, and that the record holds; real chains have two to four."""
MAX_NAMES = 500
MAX_REASONS = 32
MAX_WARNINGS = 32
MAX_ISSUER_BYTES = 128 << 10
"""An AIA document is one certificate, or a handful."""
MAX_AIA_STEPS = 3
"""Certificates fetched to complete one chain; what browsers do stays below."""
MAX_AIA_CERTS = 8
"""Certificates of one AIA document (PKCS #7 may hold many) that are used."""
MAX_SERIAL_DIGITS = 128
"""Hexadecimal digits of a serial number that are shown; RFC 5280 allows 40."""


class IssuerDocuments:
    """What authorities publish, shared by all sites of a run.

    Build one over a `DocumentSource` for the run, and close it at the end.
    """

    def __init__(self, source: DocumentSource, trust: TrustStore) -> None:
        self.lists: DocumentCache[RevocationList] = DocumentCache(source, read_revocation_list, MAX_CRL_BYTES)
        self.issuers: DocumentCache[tuple[Cert, ...]] = DocumentCache(
            source, lambda data: _read_issuers(data, trust), MAX_ISSUER_BYTES
        )

    async def aclose(self) -> None:
        await self.lists.aclose()
        await self.issuers.aclose()


@dataclass(frozen=True, slots=True)
class Judgement:
    """`report.valid` is the verdict; `cert_data` says the same in the field's older names."""

    report: CertificateReport
    cert_data: CertData


@dataclass(frozen=True, slots=True)
class _Sent:
    """The chain as the server sent it, with what could not be read."""

    certs: tuple[Cert, ...]
    problems: tuple[str, ...] = ()


async def judge_certificate(
    chain: Sequence[bytes],
    *,
    fqdn: str,
    now: datetime,
    trust: TrustStore,
    documents: IssuerDocuments | None,
    staple: bytes | None,
    sct_list: bytes | None,
) -> Judgement:
    """What a browser would say at `now` (aware) of `chain` (DER, the site's own first) for `fqdn`.

    `documents` completes chains and fetches revocation lists; without it a chain stays as it was
    sent and `crl` is `not_tested`.  `staple` is the DER of the stapled OCSP answer, `sct_list` the
    body of the TLS extension `signed_certificate_timestamp`; `None` where the server sent none.

    A chain that AIA repairs is `valid`, as it is to Chrome, Edge and Safari, and is reported as
    `incomplete_chain` all the same.  Raises nothing for whatever bytes.
    """
    if not chain:
        return _unreadable("The server sent no certificate.")
    try:
        leaf = trust.read(chain[0])
    except UnreadableCertificateError as error:
        return _unreadable(f"The certificate cannot be read: {error}.")
    sent = _read_chain(leaf, chain, trust)
    path, repaired, aia_notes = await _complete(sent, fqdn, now, trust, documents)
    stapled = check_staple(staple, leaf, path.issuer, now)
    crl = await _check_crl(path, documents, now)

    reasons = [*reasons_of(path, fqdn, now), *_revocations(stapled, crl)]
    if repaired:
        reasons.append(make_failure("incomplete_chain", missing_issuer(repaired)))
    reasons = in_order([*reasons, *objection_of(path, reasons)])[:MAX_REASONS]
    scts, sct_notes = _timestamps(leaf, stapled, sct_list)
    warnings = [
        *sent.problems,
        *warnings_of(path, sent.certs, now, trust),
        *aia_notes,
        *_revocation_notes(leaf, stapled, crl),
        *sct_notes,
        *_transparency_notes(path, trust, len(scts)),
        *_name_notes(leaf),
    ]
    report = CertificateReport(
        names=_names(leaf),
        chain=[_summary(cert) for cert in sent.certs],
        valid=path.verified and all(r.failure_class == "incomplete_chain" for r in reasons),
        reasons=reasons,
        warnings=[warning[:MAX_TEXT] for warning in warnings[:MAX_WARNINGS]],
        days_left=days_left(leaf, now),
        trust_anchor=path.top.subject_text if path.end is End.ANCHOR else None,
        repaired_by_aia=repaired is not None,
        must_staple=leaf.extensions.must_staple,
        scts=len(scts),
        ocsp_staple=stapled.status,
        crl=crl.status,
    )
    return Judgement(report, _cert_data(leaf, fqdn, reasons))


def _read_chain(leaf: Cert, chain: Sequence[bytes], trust: TrustStore) -> _Sent:
    certs, problems = [leaf], []
    for place, der in enumerate(chain[1:MAX_CHAIN], start=2):
        try:
            certs.append(trust.read(der))
        except UnreadableCertificateError as error:
            problems.append(f"Certificate {place} of the chain cannot be read: {error}.")
    if len(chain) > MAX_CHAIN:
        problems.append(f"The server sends {len(chain)} certificates; the first {MAX_CHAIN} were looked at.")
    return _Sent(tuple(certs), tuple(problems))


# ---------------------------------------------------------------- completing a chain


async def _complete(
    sent: _Sent, fqdn: str, now: datetime, trust: TrustStore, documents: IssuerDocuments | None
) -> tuple[Path, Cert | None, list[str]]:
    """The path, the certificate whose issuer had to be fetched where that completed it, and notes."""
    leaf, others = sent.certs[0], list(sent.certs[1:])
    path = find_path(leaf, others, fqdn, now, trust)
    gap, notes = path.top, []
    for _ in range(MAX_AIA_STEPS):
        if documents is None or path.end not in (End.OPEN, End.FORGED):
            break
        fetched, note = await _fetch_issuers(path.top, documents)
        new = [cert for cert in fetched if cert not in others]
        notes += note
        if not new:
            break
        others += new
        path = find_path(leaf, others, fqdn, now, trust)
    # A server need not send the root, so a root that was fetched repairs nothing.
    completed = path.end in (End.ANCHOR, End.SELF_SIGNED)
    repaired = completed and any(cert not in sent.certs for cert in path.certs[1:-1])
    return path, gap if repaired else None, notes


async def _fetch_issuers(cert: Cert, documents: IssuerDocuments) -> tuple[tuple[Cert, ...], list[str]]:
    """The certificates at the first of the issuer's addresses that has any (RFC 5280 4.2.2.1)."""
    notes = []
    for url in cert.extensions.issuer_urls:
        try:
            return await documents.issuers.get(url), []
        except DocumentError as error:
            notes.append(
                f"The issuer's certificate could not be fetched from {visible(url, 200)}: {error.reason}"
            )
    return (), notes


def _read_issuers(data: bytes, trust: TrustStore) -> tuple[Cert, ...]:
    """DER or PEM, one certificate or a PKCS #7 bundle.  Raises UnreadableDocumentError for anything else."""
    try:
        if data.startswith(b"-----BEGIN"):
            ders = [cert.public_bytes(Encoding.DER) for cert in x509.load_pem_x509_certificates(data)]
            return tuple(trust.read(der) for der in ders[:MAX_AIA_CERTS])
        try:
            return (trust.read(data),)
        except UnreadableCertificateError:
            bundle = pkcs7.load_der_pkcs7_certificates(data)
            return tuple(trust.read(cert.public_bytes(Encoding.DER)) for cert in bundle[:MAX_AIA_CERTS])
    except READ_ERRORS as error:
        raise UnreadableDocumentError("It is no certificate.") from error


# ---------------------------------------------------------------- revocation and transparency


async def _check_crl(path: Path, documents: IssuerDocuments | None, now: datetime) -> CrlAnswer:
    """Only below an anchor: an issuer whom nobody trusts has nothing to revoke."""
    if documents is None or path.end is not End.ANCHOR or path.issuer is None:
        return CrlAnswer("not_tested")
    return await check_crl(path.leaf, path.issuer, documents.lists, now)


def _revocations(stapled: StapleAnswer, crl: CrlAnswer) -> list[Failure]:
    return [make_failure("revoked", answer.detail) for answer in (stapled, crl) if answer.status == "revoked"]


def _revocation_notes(leaf: Cert, stapled: StapleAnswer, crl: CrlAnswer) -> list[str]:
    notes = []
    if leaf.extensions.must_staple and stapled.status not in ("good", "revoked"):
        notes.append(
            "The certificate demands a stapled OCSP answer and none is good: Firefox refuses the site."
        )
    if stapled.status not in ("good", "revoked", "none"):
        notes.append(stapled.detail)
    if crl.status in ("unavailable", "invalid") or (crl.status == "not_tested" and crl.detail):
        notes.append(f"Revocation could not be checked: {crl.detail}")
    return notes


def _timestamps(
    leaf: Cert, stapled: StapleAnswer, sct_list: bytes | None
) -> tuple[frozenset[bytes], list[str]]:
    """All timestamps, each counted once, and what is wrong with the TLS extension."""
    scts = leaf.extensions.scts | stapled.scts
    if sct_list is None:
        return scts, []
    try:
        return scts | read_timestamps(sct_list), []
    except MalformedTimestampsError as error:
        return scts, [f"The list of certificate timestamps that the server sends is malformed: {error}."]


def _transparency_notes(path: Path, trust: TrustStore, scts: int) -> list[str]:
    if path.end is not End.ANCHOR or not trust.is_public(path.top) or scts >= MIN_PUBLIC_SCTS:
        return []
    return [
        f"The certificate comes with {scts} certificate timestamps; Chrome and Safari want {MIN_PUBLIC_SCTS}."
    ]


# ---------------------------------------------------------------- the record's words


def _names(leaf: Cert) -> list[str]:
    names = [visible(name, MAX_WORD) for name in leaf.extensions.dns_names[:MAX_NAMES]]
    return (names + [str(address) for address in leaf.extensions.addresses[:MAX_NAMES]])[:MAX_NAMES]


def _name_notes(leaf: Cert) -> list[str]:
    count = len(leaf.extensions.dns_names) + len(leaf.extensions.addresses)
    return [f"The certificate holds {count} names; {MAX_NAMES} are listed."] if count > MAX_NAMES else []


def _serial(cert: Cert) -> str:
    return f"{cert.serial:x}"[:MAX_SERIAL_DIGITS]


def _summary(cert: Cert) -> CertificateSummary:
    return CertificateSummary(
        subject=cert.subject_text,
        issuer=cert.issuer_text,
        serial_number=_serial(cert),
        not_before=iso(cert.not_before),
        not_after=iso(cert.not_after),
        key_type=cert.key.kind,
        key_bits=cert.key.bits,
        key_curve=cert.key.curve,
        signature_algorithm=cert.signature,
        fingerprint_sha256=cert.fingerprint,
    )


def _cert_data(leaf: Cert, fqdn: str, reasons: Sequence[Failure]) -> CertData:
    return CertData(
        cert_matches_hostname=matches(leaf, fqdn) if leaf.extensions.readable else None,
        status_code=STATUS_CODES[reasons[0].failure_class if reasons else "valid"],
        status_message=reasons[0].detail if reasons else "The certificate is valid.",
        not_valid_before=iso(leaf.not_before),
        not_valid_after=iso(leaf.not_after),
        signature_hash_algorithm=leaf.hash_name,
        serial_number=_serial(leaf),
        issuer=leaf.issuer_map,
        subject=leaf.subject_map,
    )


def _unreadable(detail: str) -> Judgement:
    """No certificate to speak of: every other answer stays unknown."""
    failure = make_failure("invalid_chain", visible(detail, MAX_TEXT))
    data = CertData(
        cert_matches_hostname=None, status_code=STATUS_CODES["invalid_chain"], status_message=failure.detail
    )
    return Judgement(CertificateReport(valid=False, reasons=[failure]), data)
