"""A site's record as the `sites` table holds it: the record, and beside it what lists and histories show."""

from __future__ import annotations

from msgspec import Struct, field

from glovebox.siteaudit.record import SiteRecord, to_json


class SiteSummary(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record in a history: the attributes beside `record`, under the field's names."""

    fqdn: str = field(name="FQDN")
    scan_date: str = field(name="scanDate")
    domain: str
    run_id: str = field(name="runId")
    failure_class: str | None = field(name="failureClass", default=None)
    tls_redirect: bool = field(name="TLSRedirect")
    tls_site_exist: bool = field(name="TLSSiteExist")
    html_size: int | None = field(name="htmlSize", default=None)
    html_hash: str | None = field(name="htmlHash", default=None)
    site_title: str | None = field(name="siteTitle", default=None)
    grade: str | None = None
    score: int | None = None
    profile: str | None = None
    days_left: int | None = field(name="daysLeft", default=None)
    cert_status_code: int | None = field(name="certStatusCode", default=None)
    ip: str | None = None


SUMMARY_ATTRIBUTES = tuple(SiteSummary.__struct_encode_fields__)
"""What the index `by-domain` has to carry, and what a history reads: everything but `record`."""


def summary_of(record: SiteRecord, run_id: str) -> SiteSummary:
    """What the table shows of a record; `htmlSize` is of the page over TLS where there is one."""
    page = record.https_response or record.http_response
    return SiteSummary(
        fqdn=record.fqdn,
        scan_date=record.scan_date,
        domain=record.domain,
        run_id=run_id,
        failure_class=record.failure_class,
        tls_redirect=record.tls_redirect,
        tls_site_exist=record.tls_site_exist,
        html_size=page.html_size if page else None,
        html_hash=page.html_hash if page else None,
        site_title=record.site_title,
        grade=record.headers.grade if record.headers else None,
        score=record.headers.score if record.headers else None,
        profile=record.tls.profile if record.tls else None,
        days_left=record.certificate.days_left if record.certificate else None,
        cert_status_code=record.cert_data.status_code if record.cert_data else None,
        ip=record.ip,
    )


class SiteItem(Struct, frozen=True, kw_only=True):
    """What is written: the summary's attributes and the record's JSON text."""

    summary: SiteSummary
    record: str


def item_of(record: SiteRecord, run_id: str) -> SiteItem:
    return SiteItem(summary=summary_of(record, run_id), record=to_json(record).decode())
