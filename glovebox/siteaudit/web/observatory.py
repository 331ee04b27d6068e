"""The ten tests of MDN HTTP Observatory, with its results, score and grade.

Each test is a pure function from `Evidence` to the name of a result.  Where the Observatory
has a quirk, the quirk is kept and named, since equal scores are the point; where it asks the
site for something that a visit does not (a preflight request, `robots.txt`), this looks at
the visit's own answer instead, which its scores do not depend on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from glovebox.siteaudit.record import ScoredTest
from glovebox.siteaudit.web.cookies import Cookie
from glovebox.siteaudit.web.csp import InvalidPolicyError, Policy, parse_meta_policies, parse_policies, trim
from glovebox.siteaudit.web.exchange import Answer
from glovebox.siteaudit.web.observatory_results import MODIFIERS, PASSES, grade_of, score_of
from glovebox.siteaudit.web.page import Page
from glovebox.siteaudit.web.preload import is_preloaded
from glovebox.siteaudit.web.scripts import judge_scripts
from glovebox.siteaudit.web.url import Scheme, Url

HTML_TYPES = ("text/html", "application/xhtml+xml")
"""Exactly so spelled: `Text/HTML` is no page to the Observatory."""
SIX_MONTHS = 15_552_000
"""180 days, which many sites take for half a year."""

_SINGLE = frozenset(
    {"content-type", "server", "location", "etag", "expires", "last-modified", "retry-after", "age"}
)
"""Of these Node, on which the Observatory runs, keeps the first; all others are joined by commas."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the tests look at."""

    hostname: str
    scheme: Scheme
    """How the judged page was reached: https, where it answered."""
    answer: Answer
    """The judged page."""
    page: Page | None
    cookies: tuple[Cookie, ...]
    """Left by the whole chain to that page."""
    origin: str
    """The Origin that was sent."""
    http_route: tuple[Url, ...]
    """Every address of the http chain; empty where http does not answer."""
    http_verified: bool = True
    https_answer: Answer | None = None
    """The last answer of the https chain."""
    https_verified: bool = True
    preloaded: Callable[[str], bool] = is_preloaded

    def header(self, name: str, answer: Answer | None = None) -> str | None:
        """The header's value, as Node joins repeated ones."""
        values = (answer or self.answer).values(name)
        if not values:
            return None
        return values[0] if name in _SINGLE else ", ".join(values)

    @property
    def is_html(self) -> bool:
        return (self.header("content-type") or "").partition(";")[0] in HTML_TYPES

    @property
    def html(self) -> Page:
        """The page's facts, where the Observatory would read it."""
        return self.page if self.page is not None and self.is_html else Page()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Score, grade and each test's result."""

    score: int
    grade: str
    tests: tuple[ScoredTest, ...]


def observe(evidence: Evidence) -> Verdict:
    """The Observatory's verdict.  Raises nothing."""
    results = {name: test(evidence) for name, test in TESTS.items()}
    score = score_of(results)
    tests = tuple(
        ScoredTest(name=name, result=result, passed=_passed(result), score_modifier=MODIFIERS[result])
        for name, result in results.items()
    )
    return Verdict(score, grade_of(score), tests)


def _passed(result: str) -> bool:
    return result in PASSES


# ---------------------------------------------------------------- content security policy

_BROAD = frozenset({"ftp:", "http:", "https:", "*", "http://*", "http://*.*", "https://*", "https://*.*"})
_INLINE = frozenset({"'unsafe-inline'", "data:"})
_PINS = ("'sha256-", "'sha384-", "'sha512-", "'nonce-")
_PASSIVE = ("img-src", "media-src")
_PLAINTEXT = ("http:", "ftp:")


def content_security_policy(evidence: Evidence) -> str:
    """How far the merged policy keeps strangers' scripts out."""
    try:
        policy = _merged_policy(evidence)
    except InvalidPolicyError:
        return "csp-header-invalid"
    if policy is None:
        reporting = evidence.header("content-security-policy-report-only")
        return "csp-not-implemented-but-reporting-enabled" if reporting else "csp-not-implemented"
    result = _judge_policy(policy, secure=evidence.scheme == "https")
    return "csp-implemented-but-duplicate-directives" if policy.repeated and _passed(result) else result


def _merged_policy(evidence: Evidence) -> Policy | None:
    """Header and meta tags in one, or `None` where neither holds a directive that counts there."""
    header = evidence.header("content-security-policy")
    headers = [] if header is None else [header]
    metas = list(evidence.html.policies)
    merged = parse_policies([*headers, *metas])
    counting = [*_directives_of(parse_policies, headers), *_directives_of(parse_meta_policies, metas)]
    return merged if counting else None


def _directives_of(parse: Callable[[list[str]], Policy], policies: list[str]) -> list[str]:
    try:
        policy = parse(policies)
    except InvalidPolicyError:
        return []
    # A directive repeated in a meta tag counts even where it does not by itself: the Observatory's way.
    return [*policy.directives, *(["repeated"] if policy.repeated else [])]


def _judge_policy(policy: Policy, *, secure: bool) -> str:
    directives = {name: set(sources) for name, sources in policy.directives.items()}
    scripts = _sources(directives, "script-src", "default-src")
    styles = _sources(directives, "style-src", "default-src")
    objects = _sources(directives, "object-src", "default-src")
    # A nonce or hash turns 'unsafe-inline' off.  The sets are shared with `default-src` where that stands in
    # for them, so that what is taken from one is taken from all: the Observatory's way.
    for sources in (scripts, styles):
        if _pinned(sources):
            sources.discard("'unsafe-inline'")
    if "'strict-dynamic'" in scripts:
        if not _pinned(scripts):
            return "csp-header-invalid"
        trusted = {s for s in scripts if s.startswith(tuple(_BROAD)) or s in ("'self'", "'unsafe-inline'")}
        scripts -= trusted
    active = [s for name, found in directives.items() if name not in (*_PASSIVE, "script-src") for s in found]
    passive = [s for name in _PASSIVE for s in directives.get(name) or directives.get("default-src") or ()]
    if scripts & (_BROAD | _INLINE) or objects & _BROAD:
        return "csp-implemented-with-unsafe-inline"
    if secure and any(s.startswith(_PLAINTEXT) for s in (*active, *scripts)):
        return "csp-implemented-with-insecure-scheme"
    if "'unsafe-eval'" in scripts | styles:
        return "csp-implemented-with-unsafe-eval"
    if secure and any(s.startswith(_PLAINTEXT) for s in passive):
        return "csp-implemented-with-insecure-scheme-in-passive-content-only"
    if styles & (_BROAD | _INLINE):
        return "csp-implemented-with-unsafe-inline-in-style-src-only"
    if directives.get("default-src") == {"'none'"}:
        return "csp-implemented-with-no-unsafe-default-src-none"
    return "csp-implemented-with-no-unsafe"


def _sources(directives: dict[str, set[str]], *names: str) -> set[str]:
    """The very set of the first directive that is there; without one, everything is allowed."""
    return next((directives[name] for name in names if name in directives), {"*"})


def _pinned(sources: set[str]) -> bool:
    return any(source.startswith(_PINS) for source in sources)


# ---------------------------------------------------------------- cookies

_COOKIES_WORST_LAST = (
    "cookies-without-secure-flag-but-protected-by-hsts",
    "cookies-without-secure-flag",
    "cookies-session-without-secure-flag-but-protected-by-hsts",
    "cookies-samesite-flag-invalid",
    "cookies-anticsrf-without-samesite-flag",
    "cookies-session-without-httponly-flag",
    "cookies-session-without-secure-flag",
)
_IGNORED_COOKIES = ("heroku-session-affinity",)
"""Set by a platform that its customers cannot change."""


def cookies(evidence: Evidence) -> str:
    """Whether cookies keep to https, away from scripts and from other sites' requests."""
    kept = [cookie for cookie in evidence.cookies if cookie.name not in _IGNORED_COOKIES]
    if not kept:
        return "cookies-not-found"
    hsts = _passed(strict_transport_security(evidence))
    faults = {fault for cookie in kept for fault in _cookie_faults(cookie, hsts=hsts)}
    if any(_breaks_same_site(line) for line in evidence.answer.values("set-cookie")):
        faults.add("cookies-samesite-flag-invalid")
    if faults:
        return max(faults, key=_COOKIES_WORST_LAST.index)
    if all(cookie.same_site for cookie in kept):
        return "cookies-secure-with-httponly-sessions-and-samesite"
    return "cookies-secure-with-httponly-sessions"


def _cookie_faults(cookie: Cookie, *, hsts: bool) -> list[str]:
    name = cookie.name.lower()
    session = "login" in name or "sess" in name
    shielded = "-but-protected-by-hsts" if hsts else ""
    faults: list[str] = []
    if not cookie.secure:
        faults.append(f"cookies-without-secure-flag{shielded}")
        if session:
            faults.append(f"cookies-session-without-secure-flag{shielded}")
        if cookie.same_site == "none":
            faults.append("cookies-samesite-flag-invalid")
    if "csrf" in name and not cookie.same_site:
        faults.append("cookies-anticsrf-without-samesite-flag")
    if session and not cookie.http_only:
        faults.append("cookies-session-without-httponly-flag")
    return faults


def _breaks_same_site(line: str) -> bool:
    """Whether a Set-Cookie line has a SameSite of no meaning."""
    for part in trim(line).split(";"):
        name, value, *_ = (*trim(part).split("="), "")
        if trim(name).lower() == "samesite" and trim(value).lower() not in ("lax", "strict", "none"):
            return True
    return False


# ---------------------------------------------------------------- the other headers


def cross_origin_resource_sharing(evidence: Evidence) -> str:
    """Whether any site may read this one's pages with its visitor's cookies."""
    allowed = evidence.header("access-control-allow-origin")
    prefix = "cross-origin-resource-sharing"
    if not allowed:
        return f"{prefix}-not-implemented"
    if trim(allowed[:256]) == "*":
        return f"{prefix}-implemented-with-public-access"
    credentials = evidence.header("access-control-allow-credentials") or ""
    if allowed == evidence.origin and trim(credentials).lower() == "true":
        return f"{prefix}-implemented-with-universal-access"
    return f"{prefix}-implemented-with-restricted-access"


def redirection(evidence: Evidence) -> str:
    """Whether http leads to https, first on the same host."""
    route = evidence.http_route
    if not route:
        return "redirection-not-needed-no-http"
    if not evidence.http_verified:
        return "redirection-invalid-cert"
    if all(evidence.preloaded(url.host) for url in route):
        return "redirection-all-redirects-preloaded"
    if len(route) == 1:
        return "redirection-missing"
    if route[-1].scheme != "https":
        return "redirection-not-to-https"
    if route[1].scheme == "http":
        return "redirection-not-to-https-on-initial-redirection"
    return "redirection-to-https" if route[0].host == route[1].host else "redirection-off-host-from-http"


_PRIVATE_REFERRERS = ("no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin")
_LEAKING_REFERRERS = ("origin", "origin-when-cross-origin", "unsafe-url", "no-referrer-when-downgrade")


def referrer_policy(evidence: Evidence) -> str:
    """The last policy that means something counts, the meta tag's after the header's."""
    written = [
        text for text in (evidence.header("referrer-policy"), evidence.html.referrer) if text is not None
    ]
    if not written:
        return "referrer-policy-not-implemented"
    known = (*_PRIVATE_REFERRERS, *_LEAKING_REFERRERS)
    policies = [trim(word).lower() for word in ",".join(written).split(",")]
    policy = next((word for word in reversed(policies) if word in known), None)
    if policy is None:
        return "referrer-policy-header-invalid"
    return "referrer-policy-private" if policy in _PRIVATE_REFERRERS else "referrer-policy-unsafe"


_LEADING_INTEGER = re.compile(r"[+-]?[0-9]+")


def strict_transport_security(evidence: Evidence) -> str:
    """Whether browsers will keep to https from now on."""
    if evidence.preloaded(evidence.hostname) and evidence.https_answer is not None:
        return "hsts-preloaded"
    if evidence.https_answer is None:
        return "hsts-not-implemented-no-https"
    if not evidence.https_verified:
        return "hsts-invalid-cert"
    header = evidence.header("strict-transport-security", evidence.https_answer)
    return "hsts-not-implemented" if header is None else _judge_hsts(header[:1_024])


def _judge_hsts(header: str) -> str:
    directives = [trim(part).lower() for part in header.split(";")]
    ages = [part[8:128] for part in directives if part.startswith("max-age=")]
    if not ages or "," in header:  # a comma: the header was sent twice
        return "hsts-header-invalid"
    number = _LEADING_INTEGER.match(trim(ages[-1]))
    # An age that is no number, quoted for instance, passes with the Observatory.
    enough = number is None or int(number.group()) >= SIX_MONTHS
    length = "at-least" if enough else "less-than"
    return f"hsts-implemented-max-age-{length}-six-months"


def subresource_integrity(evidence: Evidence) -> str:
    """Whether scripts from elsewhere are pinned and come over https."""
    if not evidence.is_html:
        return "sri-not-implemented-response-not-html"
    return judge_scripts(evidence.html, evidence.hostname, secure=evidence.scheme == "https")


def x_content_type_options(evidence: Evidence) -> str:
    header = evidence.header("x-content-type-options")
    if not header:
        return "x-content-type-options-not-implemented"
    right = trim(header[:256]).lower() == "nosniff"
    return f"x-content-type-options-{'nosniff' if right else 'header-invalid'}"


def x_frame_options(evidence: Evidence) -> str:
    """Whether others may frame the page; a policy's `frame-ancestors` outdoes the header."""
    try:
        policy = _merged_policy(evidence)
    except InvalidPolicyError:
        policy = None
    if policy is not None and "frame-ancestors" in policy.directives:
        return "x-frame-options-implemented-via-csp"
    header = evidence.header("x-frame-options")
    if not header:
        return "x-frame-options-not-implemented"
    value = trim(header[:1_024]).lower()
    if value in ("deny", "sameorigin"):
        return "x-frame-options-sameorigin-or-deny"
    return f"x-frame-options-{'allow-from-origin' if value.startswith('allow-from') else 'header-invalid'}"


def cross_origin_resource_policy(evidence: Evidence) -> str:
    value = trim((evidence.header("cross-origin-resource-policy") or "")[:256]).lower()
    if not value:
        return "corp-not-implemented"
    known = value in ("same-site", "same-origin", "cross-origin")
    return f"corp-implemented-with-{value}" if known else "corp-header-invalid"


TESTS: Mapping[str, Callable[[Evidence], str]] = {
    "content-security-policy": content_security_policy,
    "cookies": cookies,
    "cross-origin-resource-sharing": cross_origin_resource_sharing,
    "redirection": redirection,
    "referrer-policy": referrer_policy,
    "strict-transport-security": strict_transport_security,
    "subresource-integrity": subresource_integrity,
    "x-content-type-options": x_content_type_options,
    "x-frame-options": x_frame_options,
    "cross-origin-resource-policy": cross_origin_resource_policy,
}
