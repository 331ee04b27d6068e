"""Our own judgement of a page's headers and cookies: one line each, with the reason.

The score of `observatory` compares sites; these lines tell the person who repairs one what
to do.  They also look at what the score leaves out: cross-origin isolation, permissions,
what the server tells of itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from glovebox.siteaudit.record import HeaderJudgement
from glovebox.siteaudit.web.cookies import Cookie
from glovebox.siteaudit.web.csp import Directives, InvalidPolicyError, parse_policies
from glovebox.siteaudit.web.exchange import Answer
from glovebox.siteaudit.web.hsts import HSTS_YEAR, parse_hsts
from glovebox.siteaudit.web.page import Page
from glovebox.siteaudit.web.url import Url
from glovebox.text import clean

MAX_JUDGED_COOKIES = 40
"""A line each; more are summed up in one."""
_SHOWN_VALUE = 1_024
"""Characters of a header's value kept beside its judgement; the record holds the whole elsewhere."""
_HALF_YEAR = 15_552_000
_VERSION = re.compile(r"\d+\.\d+|/\d")
_SAFE_REFERRERS = ("no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin")
_ANY_SOURCE = ("*", "http:", "https:", "data:", "'unsafe-inline'")
_PINS = ("'nonce-", "'sha256-", "'sha384-", "'sha512-")
_ISOLATION = {
    "cross-origin-opener-policy": ("same-origin", "same-origin-allow-popups", "noopener-allow-popups"),
    "cross-origin-embedder-policy": ("require-corp", "credentialless"),
    "cross-origin-resource-policy": ("same-origin", "same-site"),
}
"""Values that isolate."""
_TELLTALES = ("server", "x-powered-by", "x-aspnet-version", "x-aspnetmvc-version", "x-generator")

Verdict = Literal["good", "weak", "bad", "missing", "info"]


def judgements_of(
    answer: Answer, url: Url, cookies: tuple[Cookie, ...] = (), page: Page | None = None
) -> list[HeaderJudgement]:
    """A judgement of each header that matters in the answer from `url`, and of each cookie that it left."""
    found = [
        *_hsts(answer, url),
        *_csp(answer, page),
        *_content_type_options(answer),
        *_framing(answer),
        *_referrer(answer),
        *_permissions(answer),
        *_isolation(answer),
        *_cors(answer),
        *_telltales(answer),
        *_cookies(cookies),
    ]
    return list(found)


def _line(header: str, verdict: Verdict, reason: str, value: str | None = None) -> HeaderJudgement:
    shown = None if value is None else clean(value, _SHOWN_VALUE)
    return HeaderJudgement(header=clean(header, 256), verdict=verdict, reason=reason, value=shown)


def _joined(answer: Answer, name: str) -> str | None:
    values = answer.values(name)
    return ", ".join(values) if values else None


def _hsts(answer: Answer, url: Url) -> Iterator[HeaderJudgement]:
    name, value = "Strict-Transport-Security", answer.first("strict-transport-security")
    if url.scheme == "http":
        if value is not None:
            yield _line(name, "info", "Browsers ignore this header over plain http (RFC 6797, 8.1).", value)
        return
    if value is None:
        yield _line(name, "missing", "Browsers may come by plain http again: send max-age of a year.")
        return
    policy = parse_hsts(value)
    if policy is None:
        yield _line(
            name, "bad", "Without exactly one valid max-age browsers ignore it (RFC 6797, 6.1).", value
        )
    elif policy.max_age == 0:
        yield _line(name, "bad", "max-age=0 tells browsers to forget the policy.", value)
    elif policy.max_age < _HALF_YEAR:
        yield _line(name, "weak", "max-age is under half a year: raise it to a year.", value)
    elif policy.preload and not (policy.subdomains and policy.max_age >= HSTS_YEAR):
        yield _line(name, "weak", "preload wants includeSubDomains and max-age of a year.", value)
    else:
        extent = "" if policy.subdomains else " Subdomains are not covered."
        yield _line(
            name, "good", f"Browsers keep to https for {policy.max_age // 86_400} days.{extent}", value
        )


def _csp(answer: Answer, page: Page | None) -> Iterator[HeaderJudgement]:
    name = "Content-Security-Policy"
    policies = [*answer.values("content-security-policy"), *(page.policies if page else ())]
    if not policies:
        if answer.first("content-security-policy-report-only") is not None:
            yield _line(name, "missing", "Only reporting is on: nothing is blocked.")
        else:
            yield _line(name, "missing", "Nothing limits which scripts may run: send a policy.")
        return
    value = ", ".join(policies)
    try:
        directives = parse_policies(policies).directives
    except InvalidPolicyError as error:
        yield _line(name, "bad", f"The policy is invalid: {clean(str(error), 100)}.", value)
        return
    faults = list(_csp_faults(directives))
    if faults:
        yield _line(name, "weak", " ".join(faults), value)
    else:
        yield _line(name, "good", "Scripts, plug-ins and the base address are limited.", value)


def _csp_faults(directives: Directives) -> Iterator[str]:
    fallback = directives.get("default-src", {"*"})
    scripts = directives.get("script-src", fallback)
    pinned = any(source.startswith(_PINS) for source in scripts)
    open_to = sorted(source for source in scripts if source in _ANY_SOURCE)
    if open_to and not pinned:
        yield f"Scripts may come from {', '.join(open_to)}."
    if "'unsafe-eval'" in scripts:
        yield "'unsafe-eval' lets text become a script."
    if directives.get("object-src", fallback) & set(_ANY_SOURCE):
        yield "Plug-ins are not limited: object-src 'none'."
    if "base-uri" not in directives and (pinned or "'self'" in scripts):
        yield "base-uri is missing, so an injected base moves relative scripts."
    if "frame-ancestors" not in directives:
        yield "frame-ancestors is missing, so only X-Frame-Options limits who may frame the page."


def _content_type_options(answer: Answer) -> Iterator[HeaderJudgement]:
    name, value = "X-Content-Type-Options", _joined(answer, "x-content-type-options")
    if value is None:
        yield _line(name, "missing", "Browsers may guess another type than the one sent: send nosniff.")
    elif value.split(",")[0].strip().lower() == "nosniff":
        yield _line(name, "good", "Browsers keep to the type that is sent.", value)
    else:
        yield _line(name, "bad", "Only nosniff means anything here.", value)


def _framing(answer: Answer) -> Iterator[HeaderJudgement]:
    name, value = "X-Frame-Options", _joined(answer, "x-frame-options")
    policy = " ".join(answer.values("content-security-policy")).lower()
    if "frame-ancestors" in policy:
        if value is None:
            yield _line(name, "info", "Not needed: the policy's frame-ancestors says who may frame the page.")
        else:
            yield _line(name, "info", "Overruled by the policy's frame-ancestors.", value)
    elif value is None:
        yield _line(name, "missing", "Any site may frame this one: send frame-ancestors, or DENY here.")
    elif value.strip().lower() in ("deny", "sameorigin"):
        yield _line(name, "good", "Other sites cannot frame the page.", value)
    elif value.strip().lower().startswith("allow-from"):
        yield _line(name, "bad", "No browser heeds ALLOW-FROM any more: use frame-ancestors.", value)
    else:
        yield _line(name, "bad", "Only DENY and SAMEORIGIN mean anything here, sent once.", value)


def _referrer(answer: Answer) -> Iterator[HeaderJudgement]:
    name, value = "Referrer-Policy", _joined(answer, "referrer-policy")
    if value is None:
        yield _line(name, "info", "Browsers use strict-origin-when-cross-origin by default.")
        return
    known = (
        *_SAFE_REFERRERS,
        "origin",
        "origin-when-cross-origin",
        "unsafe-url",
        "no-referrer-when-downgrade",
    )
    policies = [word.strip().lower() for word in value.split(",") if word.strip().lower() in known]
    if not policies:
        yield _line(name, "bad", "No policy of this name exists, so the default applies.", value)
    elif policies[-1] in _SAFE_REFERRERS:
        yield _line(name, "good", "Other sites learn at most this site's name.", value)
    else:
        yield _line(name, "weak", "Addresses or names leak, over plain http too: use strict-origin.", value)


def _permissions(answer: Answer) -> Iterator[HeaderJudgement]:
    name, value = "Permissions-Policy", _joined(answer, "permissions-policy")
    if value is None:
        yield _line(name, "info", "No feature is switched off for frames and scripts: camera, location, USB.")
    elif "=*" in value.replace(" ", ""):
        yield _line(name, "weak", "A feature is open to every frame.", value)
    else:
        yield _line(name, "good", "Powerful features are limited.", value)


def _isolation(answer: Answer) -> Iterator[HeaderJudgement]:
    for name, isolating in _ISOLATION.items():
        value = _joined(answer, name)
        title = name.title()
        if value is None:
            yield _line(title, "info", "Not sent: the page is not isolated from others by this header.")
        elif value.partition(";")[0].strip().lower() in isolating:
            yield _line(title, "good", "Keeps other sites' pages at a distance.", value)
        else:
            yield _line(title, "weak", f"Isolates with one of: {', '.join(isolating)}.", value)


def _cors(answer: Answer) -> Iterator[HeaderJudgement]:
    name, value = "Access-Control-Allow-Origin", _joined(answer, "access-control-allow-origin")
    if value is None:
        return
    credentials = (answer.first("access-control-allow-credentials") or "").strip().lower() == "true"
    if value.strip() == "*":
        reason = "Everyone may read this page"
        if credentials:
            yield _line(
                name, "bad", f"{reason}; with credentials browsers refuse it, and it shows intent.", value
            )
        else:
            yield _line(name, "info", f"{reason}, without the visitor's cookies.", value)
    elif value.strip().lower() == "null":
        yield _line(name, "bad", "Any sandboxed frame has the origin null: name real origins.", value)
    elif credentials and answer.first("vary") is None:
        yield _line(
            name, "weak", "Credentials are allowed and Vary: Origin is missing, so caches mix answers.", value
        )
    else:
        yield _line(name, "info", "Named origins may read this page.", value)


def _telltales(answer: Answer) -> Iterator[HeaderJudgement]:
    for name in _TELLTALES:
        value = _joined(answer, name)
        if value is None:
            continue
        if _VERSION.search(value):
            yield _line(name.title(), "weak", "Tells which version to look up exploits for: drop it.", value)
        elif name != "server":
            yield _line(
                name.title(),
                "info",
                "Tells what the site is built with; visitors need it for nothing.",
                value,
            )


def _cookies(cookies: tuple[Cookie, ...]) -> Iterator[HeaderJudgement]:
    for cookie in cookies[:MAX_JUDGED_COOKIES]:
        faults = list(_cookie_faults(cookie))
        verdict: Verdict = "good" if not faults else "bad" if not cookie.secure else "weak"
        reason = " ".join(faults) or "Secure, HttpOnly and SameSite are set."
        # Its value may be a session's key, which is nobody's business here.
        yield _line(f"Set-Cookie: {cookie.name}"[:256], verdict, reason)
    if len(cookies) > MAX_JUDGED_COOKIES:
        yield _line(
            "Set-Cookie",
            "info",
            f"{len(cookies) - MAX_JUDGED_COOKIES} more cookies are not judged one by one.",
        )


def _cookie_faults(cookie: Cookie) -> Iterator[str]:
    if not cookie.secure:
        yield "Secure is missing: it also travels over plain http."
    if not cookie.http_only:
        yield "HttpOnly is missing: scripts can read it."
    if cookie.same_site is None:
        yield "SameSite is missing: other sites' requests may carry it."
    elif cookie.same_site == "none" and not cookie.secure:
        yield "SameSite=None without Secure is refused by browsers."
