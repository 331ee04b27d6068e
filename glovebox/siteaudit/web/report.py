"""From two visits to the record's verdict on headers: our own judgements, and the Observatory's score."""

from __future__ import annotations

from collections.abc import Callable

from glovebox.siteaudit.record import HeaderJudgement, HeaderReport
from glovebox.siteaudit.web.headers import judgements_of
from glovebox.siteaudit.web.observatory import Evidence, observe
from glovebox.siteaudit.web.preload import is_preloaded
from glovebox.siteaudit.web.url import Url
from glovebox.siteaudit.web.visit import ORIGIN, Step, Visit

_JUDGED_ERRORS = (401, 403)
"""Statuses from 400 on that the Observatory judges all the same."""


def judge_headers(
    *,
    fqdn: str,
    http: Visit | None,
    https: Visit | None,
    certificate_valid: bool,
    preloaded: Callable[[str], bool] = is_preloaded,
) -> HeaderReport | None:
    """The verdict on the page that visitors of `fqdn` end up with, or `None` where nothing answered.

    There is a score where the Observatory would give one: the page was reached, its status is no
    error, and no redirect led off the list, where we do not go.  `certificate_valid` is about
    `fqdn`; the certificates of other names on the way count as valid.
    """
    visit = https if https is not None and https.steps else http
    if visit is None or visit.last is None:
        return None
    judgements = judgements_of(visit.last.answer, visit.last.url, visit.jar.cookies(), visit.page)
    judgements += [HeaderJudgement(header="Answer", verdict="info", reason=note) for note in visit.notes]
    evidence = evidence_of(fqdn, http, https, certificate_valid=certificate_valid, preloaded=preloaded)
    if evidence is None:
        return HeaderReport(judgements=judgements)
    verdict = observe(evidence)
    return HeaderReport(
        judgements=judgements, score=verdict.score, grade=verdict.grade, tests=list(verdict.tests)
    )


def evidence_of(
    fqdn: str,
    http: Visit | None,
    https: Visit | None,
    *,
    certificate_valid: bool,
    preloaded: Callable[[str], bool] = is_preloaded,
) -> Evidence | None:
    """What the Observatory would have seen, or `None` where it would give no score, or go elsewhere."""
    by_https, by_http = _settled(https), _settled(http)
    chosen = by_https or by_http
    visit = https if by_https else http
    if chosen is None or visit is None or not _is_judged(chosen.answer.status):
        return None
    if by_https is None and https is not None and https.beyond is not None:
        return None  # https works and leads where we do not go: what is there would be judged
    return Evidence(
        hostname=fqdn,
        scheme="https" if by_https else "http",
        answer=chosen.answer,
        page=chosen.page,
        cookies=visit.jar.cookies(),
        origin=ORIGIN,
        http_route=_route(http),
        http_verified=certificate_valid or not _meets_https(fqdn, _route(http)),
        https_answer=by_https.answer if by_https else None,
        https_verified=certificate_valid or not _meets_https(fqdn, _route(https)),
        preloaded=preloaded,
    )


def _settled(visit: Visit | None) -> Step | None:
    """The first answer that is no redirect by status: the Observatory follows no other."""
    if visit is None:
        return None
    for step, hop in zip(visit.steps, visit.hops, strict=False):
        if hop.kind != "HTTP Status Code":
            return None if step.failure is not None or hop.status_code in (301, 302, 303, 307, 308) else step
    return None


def _route(visit: Visit | None) -> tuple[Url, ...]:
    """The addresses that redirects by status lead through, with the one where we did not go."""
    if visit is None or not visit.steps or (visit.failure is not None and visit.beyond is None):
        return ()
    route: list[Url] = []
    for step, hop in zip(visit.steps, visit.hops, strict=False):
        route.append(step.url)
        if hop.kind != "HTTP Status Code":
            return tuple(route)
    return (*route, *([visit.beyond] if visit.beyond else []))


def _meets_https(fqdn: str, route: tuple[Url, ...]) -> bool:
    return any(url.scheme == "https" and url.host == fqdn for url in route)


def _is_judged(status: int) -> bool:
    return 200 <= status < 400 or status in _JUDGED_ERRORS
