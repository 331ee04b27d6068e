"""The columns of `output.csv`: the field's 23 first and in their order, then ours.

The first 23 are those that Gov-TLS-Audit has published since 2018, so that people's
spreadsheets and scripts go on working.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from glovebox.siteaudit.record import Bod1801, CertData, Response, Shodan, SiteRecord, TlsReport

Cell = str | int | float | bool | None
Column = Callable[[SiteRecord], Cell]

_LIST_SEPARATOR = " "
"""Between the values of one cell: ports and class names hold no blank."""


def _page(record: SiteRecord) -> Response | None:
    """The answer that the columns describe: the one over TLS where there is one."""
    return record.https_response or record.http_response


def _header(name: str) -> Column:
    def column(record: SiteRecord) -> Cell:
        page = _page(record)
        headers = page.headers if page else {}
        return next((value for key, value in headers.items() if key.lower() == name), None)

    return column


def _certificate(read: Callable[[CertData], Cell]) -> Column:
    return lambda record: read(record.cert_data) if record.cert_data else None


def _shodan(read: Callable[[Shodan], Cell]) -> Column:
    return lambda record: read(record.shodan) if record.shodan else None


def _tls(read: Callable[[TlsReport], Cell]) -> Column:
    return lambda record: read(record.tls) if record.tls else None


def _bod(read: Callable[[Bod1801], Cell]) -> Column:
    return lambda record: read(record.bod1801) if record.bod1801 else None


def _html_size(record: SiteRecord) -> Cell:
    page = _page(record)
    return page.html_size if page else None


def _failures(record: SiteRecord) -> Cell:
    return _LIST_SEPARATOR.join(dict.fromkeys(failure.failure_class for failure in record.failures))


def _fault(record: SiteRecord) -> Cell:
    return next((one.fault for one in record.failures if one.failure_class == record.failure_class), None)


def _versions(tls: TlsReport) -> Cell:
    return _LIST_SEPARATOR.join(one.version for one in tls.versions if one.supported == "yes")


COLUMNS: Mapping[str, Column] = {
    "domain": lambda record: record.domain,
    "hostname": lambda record: record.hostname,
    "ip": lambda record: record.ip,
    "TLSRedirect": lambda record: record.tls_redirect,
    "redirectType": lambda record: record.redirect_type,
    "TLSSiteExist": lambda record: record.tls_site_exist,
    "serialNumber": _certificate(lambda certificate: certificate.serial_number),
    "notValidBefore": _certificate(lambda certificate: certificate.not_valid_before),
    "notValidAfter": _certificate(lambda certificate: certificate.not_valid_after),
    "signatureHashAlgorithm": _certificate(lambda certificate: certificate.signature_hash_algorithm),
    "statusCode": _certificate(lambda certificate: certificate.status_code),
    "statusMessage": _certificate(lambda certificate: certificate.status_message),
    "issuerCommonName": _certificate(lambda certificate: certificate.issuer.get("commonName")),
    "Server": _header("server"),
    "X-Powered-By": _header("x-powered-by"),
    "asn": _shodan(lambda shodan: shodan.asn),
    "asnCountryCode": _shodan(lambda shodan: shodan.asn_country_code),
    "isp": _shodan(lambda shodan: shodan.isp),
    "formFields": lambda record: record.form_fields,
    "siteTitle": lambda record: record.site_title,
    "shodan_ports": _shodan(lambda shodan: _LIST_SEPARATOR.join(map(str, shodan.ports))),
    "shodan_last_update": _shodan(lambda shodan: shodan.last_update),
    "html_size": _html_size,
    # Ours.
    "FQDN": lambda record: record.fqdn,
    "scanDate": lambda record: record.scan_date,
    "failureClass": lambda record: record.failure_class,
    "fault": _fault,
    "failures": _failures,
    "TLSVersions": _tls(_versions),
    "mozillaProfile": _tls(lambda tls: tls.profile),
    "certificateValid": lambda record: record.certificate.valid if record.certificate else None,
    "daysLeft": lambda record: record.certificate.days_left if record.certificate else None,
    "headerGrade": lambda record: record.headers.grade if record.headers else None,
    "headerScore": lambda record: record.headers.score if record.headers else None,
    "ipv4": lambda record: record.dns.ipv4 if record.dns else None,
    "ipv6": lambda record: record.dns.ipv6 if record.dns else None,
    "shodan_status": _shodan(lambda shodan: shodan.status),
    # The columns of pshtt, under its names.
    "Live": _bod(lambda bod: bod.live),
    "Redirect": _bod(lambda bod: bod.redirect),
    "Valid HTTPS": _bod(lambda bod: bod.valid_https),
    "Defaults to HTTPS": _bod(lambda bod: bod.defaults_to_https),
    "Downgrades HTTPS": _bod(lambda bod: bod.downgrades_https),
    "Strictly Forces HTTPS": _bod(lambda bod: bod.strictly_forces_https),
    "HSTS": _bod(lambda bod: bod.hsts),
    "HSTS Max Age": _bod(lambda bod: bod.hsts_max_age),
    "HSTS Preload Ready": _bod(lambda bod: bod.hsts_preload_ready),
    "Domain Supports HTTPS": _bod(lambda bod: bod.domain_supports_https),
    "Domain Enforces HTTPS": _bod(lambda bod: bod.domain_enforces_https),
    "Domain Uses Strong HSTS": _bod(lambda bod: bod.domain_uses_strong_hsts),
}
