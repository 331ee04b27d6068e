"""Site records for tests: one that is whole, and small changes to it."""

from __future__ import annotations

from msgspec.structs import replace

from glovebox.siteaudit.failures import kind_of
from glovebox.siteaudit.hosts import split_domain
from glovebox.siteaudit.record import (
    Bod1801,
    CertData,
    CertificateReport,
    CertificateSummary,
    Dns,
    Failure,
    HeaderJudgement,
    HeaderReport,
    Request,
    Response,
    SiteRecord,
    Suite,
    TlsReport,
    TlsServerInfo,
    VersionReport,
)

SCAN_DATE = "2026-03-04T05:06:07Z"


def good_record(fqdn: str = "www.example.com", /, **changes: object) -> SiteRecord:
    """A site with nothing wrong; `changes` replace fields by their Python names."""
    hostname, domain = split_domain(fqdn)
    record = SiteRecord(
        fqdn=fqdn,
        hostname=hostname,
        domain=domain,
        ip="192.0.2.10",
        scan_date=SCAN_DATE,
        tls_redirect=True,
        tls_site_exist=True,
        redirect_type="HTTP Status Code",
        site_title="An example",
        form_fields=2,
        links=["https://www.example.com/about"],
        http_request=Request(headers={}, request_time=SCAN_DATE, request_url=f"http://{fqdn}/"),
        https_request=Request(headers={}, request_time=SCAN_DATE, request_url=f"https://{fqdn}/"),
        http_response=Response(status_code=301, url=f"http://{fqdn}/", headers={}, html_size=0, html_hash=""),
        https_response=Response(
            status_code=200,
            url=f"https://{fqdn}/",
            headers={"Server": "nginx", "x-powered-by": "PHP/8.3"},
            html_size=5_120,
            html_hash="ab" * 32,
        ),
        cert_data=CertData(
            cert_matches_hostname=True,
            status_code=0,
            status_message="valid",
            not_valid_before="2026-01-01T00:00:00Z",
            not_valid_after="2026-04-01T00:00:00Z",
            signature_hash_algorithm="sha256",
            serial_number="0a1b2c",
            issuer={"commonName": "Example CA", "organizationName": "Example Trust"},
            subject={"commonName": fqdn},
        ),
        tls_server_info=TlsServerInfo(
            highest_tls_version_supported="TLSv1.3",
            tls_cipher_supported="TLS_AES_128_GCM_SHA256",
            hostname=fqdn,
            tls_server_name_indication=fqdn,
        ),
        audited_at="2026-03-04T05:06:08Z",
        duration_ms=412.5,
        connections=14,
        dns=Dns(addresses=["192.0.2.10"], ipv4="yes", ipv6="no"),
        tls=TlsReport(
            address="192.0.2.10",
            port=443,
            versions=[
                VersionReport(version="TLSv1.0", supported="no"),
                VersionReport(
                    version="TLSv1.2",
                    supported="yes",
                    suites=[Suite(name="TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", code=0xC02F)],
                ),
                VersionReport(
                    version="TLSv1.3",
                    supported="yes",
                    suites=[Suite(name="TLS_AES_128_GCM_SHA256", code=0x1301)],
                ),
            ],
            profile="intermediate",
        ),
        certificate=CertificateReport(
            names=[fqdn],
            chain=[
                CertificateSummary(
                    subject=f"CN={fqdn}",
                    issuer="CN=Example CA",
                    serial_number="0a1b2c",
                    not_before="2026-01-01T00:00:00Z",
                    not_after="2026-04-01T00:00:00Z",
                    key_type="ECDSA",
                    key_bits=256,
                    signature_algorithm="sha256",
                    fingerprint_sha256="cd" * 32,
                )
            ],
            valid=True,
            days_left=28,
        ),
        headers=HeaderReport(
            judgements=[
                HeaderJudgement(
                    header="Strict-Transport-Security", verdict="missing", reason="No HSTS header."
                )
            ],
            score=65,
            grade="C+",
        ),
        bod1801=Bod1801(
            live=True,
            redirect=False,
            valid_https=True,
            defaults_to_https=True,
            downgrades_https=False,
            strictly_forces_https=True,
            hsts=False,
            hsts_entire_domain=False,
            hsts_preload_ready=False,
            domain_supports_https=True,
            domain_enforces_https=True,
            domain_uses_strong_hsts=False,
        ),
    )
    return replace(record, **changes)


def failed_record(fqdn: str, failure_class: str, detail: str = "", /, **changes: object) -> SiteRecord:
    """A site of which nothing is known but why."""
    kind = kind_of(failure_class)
    hostname, domain = split_domain(fqdn)
    record = SiteRecord(
        fqdn=fqdn,
        hostname=hostname,
        domain=domain,
        ip=None,
        scan_date=SCAN_DATE,
        tls_redirect=False,
        tls_site_exist=False,
        redirect_type="None",
        audited_at="2026-03-04T05:06:08Z",
        duration_ms=12.0,
        failure_class=failure_class,
        failures=[
            Failure(
                failure_class=failure_class,
                stage=kind.stage.value,
                fault=kind.fault.value,
                fix=kind.fix,
                detail=detail,
            )
        ],
    )
    return replace(record, **changes)
