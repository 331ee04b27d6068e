"""What an audit said of a host, against what the host's trait expects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from glovebox.farm.model import Expected
from glovebox.siteaudit.record import SiteRecord, TlsReport


def differences(record: SiteRecord, expected: Expected) -> list[str]:
    """One line for each wrong answer; empty where all of them are right."""
    return [*_of_site(record, expected), *_of_tls(record.tls, expected), *_of_certificate(record, expected)]


def _of_site(record: SiteRecord, expected: Expected) -> Iterator[str]:
    yield from _differs("failure class", record.failure_class, expected.failure, always=True)
    classes = {failure.failure_class for failure in record.failures}
    for missing in sorted(expected.also - classes):
        yield f"{missing} is not among the failures {sorted(classes)}"
    yield from _differs("title", record.site_title, expected.title)
    yield from _differs("form fields", record.form_fields, expected.form_fields)
    yield from _differs("a site on https", record.tls_site_exist, expected.https)
    yield from _differs("redirects to https", record.tls_redirect, expected.redirects_to_https)
    yield from _differs("redirect type", record.redirect_type, expected.redirect_type)
    if expected.score is not None:
        score = record.headers.score if record.headers else None
        if score not in expected.score:
            yield f"header score: {score}, expected {_span(expected.score)}"


def _of_tls(report: TlsReport | None, expected: Expected) -> Iterator[str]:
    if expected.suites is not None:
        yield from _of_suites(report, expected)
    if report is None:
        return
    yield from _differs("profile", report.profile, expected.profile)
    yield from _differs("client certificate", report.client_certificate, expected.client_certificate)
    yield from _differs("groups", _shown(report.groups), _shown(expected.groups))
    yield from _differs("rate limited", report.rate_limited, expected.rate_limited)
    suites = [suite for version in report.versions for suite in version.suites]
    if expected.key_exchanges is not None:
        exchanged = {suite.key_exchange for suite in suites if suite.key_exchange}
        yield from _differs("key exchanges", _shown(exchanged), _shown(expected.key_exchanges))
    if expected.server_preference is not None:
        said = {
            version.server_preference
            for version in report.versions
            if version.supported == "yes" and version.version == "TLSv1.2"
        }
        yield from _differs("server preference", _shown(said), expected.server_preference)


def _of_suites(report: TlsReport | None, expected: Expected) -> Iterator[str]:
    """Versions must be exact, and so must the suites of each."""
    versions = report.versions if report else []
    found = {
        version.version: {suite.name for suite in version.suites}
        for version in versions
        if version.supported == "yes"
    }
    wanted = expected.suites or {}
    yield from _differs("versions", _shown(found), _shown(wanted), always=True)
    unknown = [version.version for version in versions if version.supported == "unknown"]
    if wanted and unknown:
        yield f"not tested: {_shown(unknown)}"
    for version, names in wanted.items():
        if version in found:
            missing, extra = names - found[version], found[version] - names
            if missing or extra:
                yield f"{version}: missing {_shown(missing) or 'none'}, too many {_shown(extra) or 'none'}"


def _of_certificate(record: SiteRecord, expected: Expected) -> Iterator[str]:
    report = record.certificate
    if expected.reasons is not None:
        if report is None:
            yield "no certificate was judged"
            return
        reasons = {reason.failure_class for reason in report.reasons}
        yield from _differs("certificate's reasons", _shown(reasons), _shown(expected.reasons), always=True)
        valid = not expected.reasons if expected.valid is None else expected.valid
        yield from _differs("certificate valid", report.valid, valid)
    if expected.warning is not None:
        warnings = report.warnings if report else []
        if not any(expected.warning in warning for warning in warnings):
            yield f"no warning has the word {expected.warning!r}: {warnings}"


def _differs(what: str, found: object, expected: object, *, always: bool = False) -> Iterator[str]:
    if (always or expected is not None) and found != expected:
        yield f"{what}: {found}, expected {expected}"


def _shown(names: Iterable[str] | None) -> str | None:
    """A set in words; `None` stays what it is: nothing to prove."""
    if names is None:
        return None
    return ", ".join(sorted(names))


def _span(score: range) -> str:
    return f"{score.start} to {score.stop - 1}"
