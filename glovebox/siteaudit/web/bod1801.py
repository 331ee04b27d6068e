"""The columns of pshtt, by which CISA's directive BOD 18-01 is measured.

pshtt looks at four endpoints: http and https, each with and without `www`.  A site of ours is
one name, so that its endpoints are two; `www` is a site of its own where the list names it.
Definitions are pshtt's, read for two endpoints.
"""

from __future__ import annotations

from glovebox.siteaudit.hosts import split_domain
from glovebox.siteaudit.record import MAX_HEADER_TEXT, Bod1801, CertificateReport
from glovebox.siteaudit.web.hsts import HSTS_YEAR, Hsts, parse_hsts
from glovebox.siteaudit.web.url import Url
from glovebox.siteaudit.web.visit import Visit
from glovebox.text import clean

PRELOAD_AGE = 10_886_400
"""Eighteen weeks, pshtt's measure of readiness; the preload list itself asks for a year by now."""
_BAD_CHAIN = frozenset({"untrusted_root", "self_signed", "incomplete_chain", "invalid_chain"})
_OTHER_FAULT = frozenset({"name_mismatch", "expired", "not_yet_valid", "revoked"})
"""Faults that agencies' own authorities do not explain."""


def bod1801(
    *, fqdn: str, http: Visit | None, https: Visit | None, certificate: CertificateReport | None
) -> Bod1801:
    """The columns for one site; a visit that was not made counts as an endpoint that is down."""
    plain, secure = _Endpoint(fqdn, http), _Endpoint(fqdn, https)
    header = secure.hsts_header
    hsts = parse_hsts(header) if header is not None else None
    valid = secure.live and certificate is not None and certificate.valid
    downgrades = secure.live and secure.leads_to("http")
    forces = secure.live and (not plain.live or plain.leads_to_https)
    defaults = secure.live and not downgrades and (not plain.live or plain.leads_to("https"))
    elsewhere = _elsewhere(plain, secure)
    supports = not downgrades and secure.live and (valid or _only_the_chain_is_bad(certificate))
    return Bod1801(
        live=plain.live or secure.live,
        redirect=elsewhere is not None,
        redirect_to=elsewhere,
        valid_https=valid,
        defaults_to_https=defaults,
        downgrades_https=downgrades,
        strictly_forces_https=forces,
        hsts=hsts is not None,
        hsts_header=None if header is None else clean(header, MAX_HEADER_TEXT),
        hsts_max_age=hsts.max_age if hsts else None,
        hsts_entire_domain=bool(hsts and hsts.subdomains and _is_domain(fqdn)),
        hsts_preload_ready=_is_preload_ready(fqdn, hsts),
        domain_supports_https=supports,
        domain_enforces_https=supports and forces and (defaults or elsewhere is not None),
        domain_uses_strong_hsts=bool(hsts and hsts.max_age >= HSTS_YEAR),
    )


class _Endpoint:
    """One scheme of the site, as far as its first answer tells."""

    def __init__(self, fqdn: str, visit: Visit | None) -> None:
        self._domain = split_domain(fqdn)[1]
        self._immediate = visit.immediate if visit else None
        self.live = visit is not None and bool(visit.steps)
        self.end = _end_of(visit) if visit else None
        self.hsts_header = (
            visit.steps[0].answer.first("strict-transport-security") if visit and visit.steps else None
        )

    @property
    def leads_to_https(self) -> bool:
        """Whether the first answer sends visitors to any https address."""
        return self._immediate is not None and self._immediate.scheme == "https"

    def leads_to(self, scheme: str) -> bool:
        """Whether the first answer sends visitors to `scheme` within the domain."""
        target = self._immediate
        return target is not None and target.scheme == scheme and not self.is_external(target)

    def is_external(self, url: Url) -> bool:
        return split_domain(url.host)[1] != self._domain

    @property
    def leaves(self) -> bool:
        """Whether visitors end up in another domain."""
        return self.end is not None and self.is_external(self.end)


def _end_of(visit: Visit) -> Url | None:
    if visit.beyond is not None:
        return visit.beyond
    return visit.last.url if visit.last else None


def _elsewhere(plain: _Endpoint, secure: _Endpoint) -> str | None:
    """Where the site as a whole sends visitors: every live endpoint leads to another domain."""
    live = [endpoint for endpoint in (secure, plain) if endpoint.live]
    if not live or not all(endpoint.leaves for endpoint in live):
        return None
    return str(live[0].end)


def _only_the_chain_is_bad(certificate: CertificateReport | None) -> bool:
    """pshtt forgives a chain to an authority that browsers do not know, if name and dates are right."""
    if certificate is None:
        return False
    reasons = {reason.failure_class for reason in certificate.reasons}
    return bool(reasons & _BAD_CHAIN) and not reasons & _OTHER_FAULT


def _is_domain(fqdn: str) -> bool:
    return not split_domain(fqdn)[0]


def _is_preload_ready(fqdn: str, hsts: Hsts | None) -> bool:
    ready = hsts is not None and hsts.preload and hsts.subdomains and hsts.max_age >= PRELOAD_AGE
    return ready and _is_domain(fqdn)
