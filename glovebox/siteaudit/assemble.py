"""What was found about one site, put together as its record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from glovebox.dates import iso
from glovebox.siteaudit.certificates.judge import Judgement
from glovebox.siteaudit.failures import Stage, make_failure
from glovebox.siteaudit.hosts import split_domain
from glovebox.siteaudit.profile import rate_profile
from glovebox.siteaudit.record import Bod1801, Failure, SiteRecord, TlsReport, TlsServerInfo
from glovebox.siteaudit.resolution import Resolution
from glovebox.siteaudit.tls.observation import TlsObservation
from glovebox.siteaudit.web.bod1801 import bod1801
from glovebox.siteaudit.web.report import judge_headers
from glovebox.siteaudit.web.visit import Visit

MAX_FAILURES = 64
"""What the record holds; a site has three or four at the worst."""
_BEST_FIRST = ("TLSv1.3", "TLSv1.2", "TLSv1.1", "TLSv1.0", "SSLv3", "SSLv2")


@dataclass(slots=True)
class Findings:
    """Filled step by step, so that a site that runs out of time keeps what is known."""

    fqdn: str
    scan_date: str
    audited_at: datetime
    resolution: Resolution | None = None
    address: str | None = None
    tls: TlsObservation | None = None
    judgement: Judgement | None = None
    http: Visit | None = None
    https: Visit | None = None
    connections: int = 0
    own: list[Failure] = field(default_factory=list)
    """What ended the audit from our side: out of time, or a defect of ours."""

    def fail(self, failure_class: str, detail: str) -> None:
        self.own.append(make_failure(failure_class, detail))


def assemble(findings: Findings, *, duration_ms: float) -> SiteRecord:
    """The record of one site, whole or with the parts that are known."""
    hostname, domain = split_domain(findings.fqdn)
    failures = _distinct(_failures(findings))
    shown = _shown(findings)
    page = shown.page if shown else None
    certificate = findings.judgement.report if findings.judgement else None
    return SiteRecord(
        fqdn=findings.fqdn,
        hostname=hostname,
        domain=domain,
        ip=findings.address,
        scan_date=findings.scan_date,
        tls_redirect=_redirects_to_tls(findings.http),
        tls_site_exist=findings.https is not None and findings.https.last is not None,
        redirect_type=findings.http.redirect_type if findings.http else "None",
        site_title=page.title if page else None,
        form_fields=page.form_fields if page else 0,
        links=list(page.links) if page else [],
        http_request=findings.http.request if findings.http else None,
        https_request=findings.https.request if findings.https else None,
        http_response=findings.http.response if findings.http else None,
        https_response=findings.https.response if findings.https else None,
        cert_data=findings.judgement.cert_data if findings.judgement else None,
        tls_server_info=_server_info(findings),
        audited_at=iso(findings.audited_at),
        duration_ms=round(duration_ms, 1),
        connections=findings.connections,
        failure_class=_most_telling(findings, failures),
        failures=failures[:MAX_FAILURES],
        dns=findings.resolution.dns if findings.resolution else None,
        http_chain=list(findings.http.hops) if findings.http else [],
        https_chain=list(findings.https.hops) if findings.https else [],
        tls=_rated(findings),
        certificate=certificate,
        headers=judge_headers(
            fqdn=findings.fqdn,
            http=findings.http,
            https=findings.https,
            certificate_valid=certificate is not None and certificate.valid,
        ),
        bod1801=_bod1801(findings),
    )


def _failures(findings: Findings) -> Iterator[Failure]:
    """All that failed, the most telling first: ours, the name, the secured site, then the plain one."""
    yield from findings.own
    if findings.resolution is not None:
        if findings.resolution.failure is not None:
            yield findings.resolution.failure
        yield from findings.resolution.warnings
    if findings.tls is not None and findings.tls.failure is not None:
        yield findings.tls.failure
    if findings.judgement is not None:
        yield from findings.judgement.report.reasons
    if _wants_certificate(findings):
        yield make_failure("client_certificate_required", "the server ends handshakes without one", "https")
    for visit in (findings.https, findings.http):
        if visit is not None and visit.failure is not None:
            yield visit.failure


def _wants_certificate(findings: Findings) -> bool:
    """A server that asks for a client certificate and refuses the visit that has none.

    Up to TLS 1.2 such a server says no more than `handshake_failure` (RFC 5246, section 7.4.6).
    """
    visit = findings.https
    if findings.tls is None or visit is None or visit.steps or visit.failure is None:
        return False
    asked = findings.tls.report.client_certificate in ("requested", "required")
    return asked and visit.failure.failure_class.startswith("tls_alert:")


def _distinct(failures: Iterator[Failure]) -> list[Failure]:
    """One of each class and place: both visits often meet the same obstacle."""
    distinct: dict[tuple[str, str], Failure] = {}
    for each in failures:
        distinct.setdefault((each.failure_class, each.where), each)
    return list(distinct.values())


def _most_telling(findings: Findings, failures: list[Failure]) -> str | None:
    """The class by which the site is counted.

    A site that is fine over https and keeps port 80 shut has no failure: browsers go to https first.
    """
    secured = findings.https is not None and findings.https.complete
    warned = findings.resolution.warnings if findings.resolution else ()
    for failure in failures:
        shut = failure.where == "http" and failure.stage == Stage.TCP
        if failure not in warned and not (secured and shut):
            return failure.failure_class
    return None


def _shown(findings: Findings) -> Visit | None:
    """The visit that a person would have seen the site by."""
    visits = [
        visit for visit in (findings.https, findings.http) if visit is not None and visit.last is not None
    ]
    return next((visit for visit in visits if visit.page is not None), visits[0] if visits else None)


def _redirects_to_tls(visit: Visit | None) -> bool:
    if visit is None:
        return False
    # A script's target is only written down; the others are where the visit went, or would have gone.
    scripted = [hop.location or "" for hop in visit.hops if hop.kind == "javascript"]
    onward = [visit.redirect_to or "", *(hop.url for hop in visit.hops), *scripted]
    return any(url.lower().startswith("https://") for url in onward)


def _rated(findings: Findings) -> TlsReport | None:
    if findings.tls is None:
        return None
    chain = findings.judgement.report.chain if findings.judgement else []
    report = findings.tls.report
    if _wants_certificate(findings):
        report = msgspec.structs.replace(report, client_certificate="required")
    profile, reasons = rate_profile(report, chain[0] if chain else None)
    return msgspec.structs.replace(report, profile=profile, profile_reasons=reasons[:100])


def _bod1801(findings: Findings) -> Bod1801 | None:
    """`None` for a name that was never visited: its columns would all say no where nobody looked."""
    if findings.http is None:
        return None
    certificate = findings.judgement.report if findings.judgement else None
    return bod1801(fqdn=findings.fqdn, http=findings.http, https=findings.https, certificate=certificate)


def _server_info(findings: Findings) -> TlsServerInfo | None:
    if findings.tls is None:
        return None
    spoken = {each.version: each for each in findings.tls.report.versions if each.supported == "yes"}
    best = next((spoken[version] for version in _BEST_FIRST if version in spoken), None)
    if best is None:
        return None
    return TlsServerInfo(
        highest_tls_version_supported=best.version,
        tls_cipher_supported=best.suites[0].name if best.suites else None,
        hostname=findings.fqdn,
        tls_server_name_indication=findings.fqdn,
    )
