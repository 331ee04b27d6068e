"""What the questions about TLS showed, as the record has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from glovebox.siteaudit.failures import make_failure
from glovebox.siteaudit.record import Answer, Failure, TlsReport, VersionName, VersionReport
from glovebox.siteaudit.tls.exchange import Outcome, Silent
from glovebox.siteaudit.tls.groups import group_name
from glovebox.siteaudit.tls.inquiry import Inquiry
from glovebox.siteaudit.tls.sslv2 import ssl20_suite

TALKING = frozenset({"tls_timeout", "tls_connection_closed", "connection_reset"})
"""Silences of a server that took the connection: another hello may fare better."""
NOT_ASKED = Silent("not_asked", "")
"""Stands for an answer until there is one; it is no failure class."""
_BROWSABLE: tuple[VersionName, ...] = ("TLSv1.3", "TLSv1.2", "TLSv1.1", "TLSv1.0")


@dataclass(frozen=True, slots=True)
class TlsObservation:
    """All that the questions showed."""

    report: TlsReport
    """`profile` and `profile_reasons` are left for the part that rates."""
    chain: tuple[bytes, ...] = ()
    """DER, as sent, the site's own first; from TLS 1.2 or older, else from TLS 1.3."""
    chain_tls13: tuple[bytes, ...] = ()
    """The chain of TLS 1.3 where it differs from `chain`."""
    ocsp_staple: bytes | None = None
    """DER of the OCSP response."""
    sct_list: bytes | None = None
    """The SignedCertificateTimestampList of the TLS extension (RFC 6962, section 3.3)."""
    failure: Failure | None = None
    """Why no browser gets through: no handshake, one that breaks off, or SSL 2 and 3 alone."""
    usable_versions: tuple[VersionName, ...] = ()
    """TLS versions that an HTTPS client can use, newest first."""


@dataclass(slots=True)
class Verdicts:
    """What single questions at the end decide."""

    fallback_scsv: Answer = "unknown"
    sni: Literal["needed", "not_needed", "ignored", "unknown"] = "unknown"
    groups_tested: bool = False
    failure: Failure | None = None


def build_observation(inquiry: Inquiry, versions: list[VersionReport], verdicts: Verdicts) -> TlsObservation:
    """Folds all answers of one endpoint."""
    findings = inquiry.findings
    supported = {version.version for version in versions if version.supported == "yes"}
    usable: tuple[VersionName, ...] = tuple(name for name in _BROWSABLE if name in supported)
    failure = verdicts.failure
    if failure is None and not usable:
        where = f"https {inquiry.endpoint.address}"
        failure = make_failure("no_common_version", "only SSL 2.0 or SSL 3.0", where)
    chain = findings.chain or findings.chain_tls13
    return TlsObservation(
        report=_report(inquiry, versions, verdicts),
        chain=chain,
        chain_tls13=findings.chain_tls13 if findings.chain_tls13 != chain else (),
        ocsp_staple=findings.ocsp_staple,
        sct_list=findings.sct_list,
        failure=failure,
        usable_versions=usable,
    )


def _report(inquiry: Inquiry, versions: list[VersionReport], verdicts: Verdicts) -> TlsReport:
    findings = inquiry.findings
    whole = all(version.failure is None for version in versions) and not inquiry.unproven
    untested = inquiry.settings.test_groups and not verdicts.groups_tested
    return TlsReport(
        address=inquiry.endpoint.address,
        port=inquiry.endpoint.port,
        versions=versions,
        groups=[group_name(group) for group in findings.groups],
        groups_tested=verdicts.groups_tested,
        alpn=findings.alpn,
        extended_master_secret=findings.extended_master_secret,
        encrypt_then_mac=findings.encrypt_then_mac,
        session_tickets=findings.session_tickets,
        ocsp_stapled=findings.ocsp_stapled,
        secure_renegotiation=findings.secure_renegotiation,
        client_certificate=findings.client_certificate,
        compression=findings.compression,
        fallback_scsv=verdicts.fallback_scsv,
        sni=verdicts.sni,
        rate_limited=inquiry.rate_limited,
        complete=whole and not untested and not findings.trouble and verdicts.failure is None,
    )


def ssl20_report(
    outcome: tuple[int, ...] | Outcome | None, verdicts: Verdicts, inquiry: Inquiry
) -> VersionReport:
    """SSL 2: most servers meet its hello with silence, which is a refusal where all else was answered."""
    if isinstance(outcome, tuple):
        return VersionReport(version="SSLv2", supported="yes", suites=[ssl20_suite(code) for code in outcome])
    if outcome is NOT_ASKED or (isinstance(outcome, Silent) and verdicts.failure is not None):
        return VersionReport(version="SSLv2", supported="unknown")
    if isinstance(outcome, Silent) and (inquiry.rate_limited or outcome.failure_class not in TALKING):
        failure = make_failure(outcome.failure_class, outcome.detail, where="SSLv2")
        return VersionReport(version="SSLv2", supported="unknown", failure=failure)
    return VersionReport(version="SSLv2", supported="no")
