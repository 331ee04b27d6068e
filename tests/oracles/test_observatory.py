"""Scores equal those of MDN's own HTTP Observatory, test by test, over a table and over made-up sites."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from glovebox.siteaudit.web.observatory import observe
from tests.oracles.observatory_oracle import ORIGIN, Case, Oracle, installed

pytestmark = pytest.mark.node


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    try:
        folder = installed()
    except subprocess.CalledProcessError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"npm could not install the Observatory: {error.stderr[-200:]!r}")
    oracle = Oracle(folder)
    yield oracle
    oracle.close()


def assert_equal(oracle: Oracle, case: Case) -> None:
    theirs = oracle.judge(case)
    if "Invalid URL" in str(theirs.get("error")):
        return  # the Observatory itself fails on a script address that looks absolute and is none
    verdict = observe(case.evidence())
    ours = {
        "score": verdict.score,
        "grade": verdict.grade,
        "tests": {test.name: [test.result, test.passed, test.score_modifier] for test in verdict.tests},
    }
    assert ours == theirs


# ---------------------------------------------------------------- a table of what sites really send

GOOD = (
    ("Content-Security-Policy", "default-src 'none'; script-src 'self'; frame-ancestors 'none'"),
    ("Strict-Transport-Security", "max-age=63072000; includeSubDomains; preload"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


def csp(*policies: str, body: str = "") -> Case:
    return Case(headers=tuple(("Content-Security-Policy", policy) for policy in policies), body=body)


def one(name: str, *values: str) -> Case:
    return Case(headers=tuple((name, value) for value in values))


def page(body: str, **rest: str) -> Case:
    return Case(body=body, **rest)


META = '<meta http-equiv="Content-Security-Policy" content="{}">'
TABLE: dict[str, Case] = {
    "bare": Case(),
    "perfect": Case(headers=GOOD),
    "not-html": Case(headers=(*GOOD, ("Content-Type", "application/json")), html=False),
    "html-in-capitals": Case(
        headers=(("Content-Type", "Text/HTML"),), body="<script src=//x.org/a></script>", html=False
    ),
    "csp-none": csp("default-src 'none'"),
    "csp-self": csp("default-src 'self'"),
    "csp-empty": csp(""),
    "csp-short": csp("img"),
    "csp-semicolons": csp(";;;;;;;;"),
    "csp-duplicate": csp("default-src 'self'; default-src 'none'"),
    "csp-duplicate-report": csp("default-src 'self'; report-uri /a; report-uri /b"),
    "csp-inline": csp("default-src 'self' 'unsafe-inline'"),
    "csp-inline-style": csp("default-src 'self'; style-src 'unsafe-inline'"),
    "csp-eval": csp("default-src 'self' 'unsafe-eval'"),
    "csp-nonce": csp("script-src 'nonce-abc' 'unsafe-inline'; object-src 'none'"),
    "csp-strict-dynamic": csp(
        "script-src 'nonce-abc' 'strict-dynamic' https: 'unsafe-inline'; object-src 'none'"
    ),
    "csp-strict-dynamic-alone": csp("script-src 'strict-dynamic'; frame-ancestors 'none'"),
    "csp-strict-dynamic-default": csp("default-src 'nonce-abc' 'strict-dynamic' https: 'self'"),
    "csp-http": csp("default-src 'self' http://cdn.example.com"),
    "csp-http-image": csp("default-src 'self'; img-src http:"),
    "csp-https-scheme": csp("default-src https:"),
    "csp-two-headers": csp("default-src 'none'", "script-src 'self'"),
    "csp-meta": csp(body=META.format("default-src 'self'")),
    "csp-header-and-meta": csp(
        "default-src 'self' https://a.com", body=META.format("default-src https://a.com")
    ),
    "csp-header-and-meta-apart": csp("script-src 'self'", body=META.format("img-src 'self'")),
    "csp-meta-frame-ancestors": csp(body=META.format("frame-ancestors 'none'")),
    "csp-meta-report-twice": csp(body=META.format("report-uri /a; report-uri /b")),
    "csp-meta-invalid": csp("default-src 'self'", body=META.format("x")),
    "csp-three": csp(
        "default-src 'self' https://a.com/x/",
        body=META.format("default-src https://a.com/x/y")
        + META.format("default-src https://a.com/x/y 'self'"),
    ),
    "csp-report-only": one("Content-Security-Policy-Report-Only", "default-src 'self'"),
    "csp-escape": csp("default-src https://a.com/%zz", body=META.format("default-src https://a.com/%zz")),
    "hsts-short": one("Strict-Transport-Security", "max-age=300"),
    "hsts-edge": one("Strict-Transport-Security", "max-age=15552000"),
    "hsts-no-age": one("Strict-Transport-Security", "includeSubDomains"),
    "hsts-quoted": one("Strict-Transport-Security", 'max-age="31536000"'),
    "hsts-twice": one("Strict-Transport-Security", "max-age=31536000", "max-age=31536000"),
    "hsts-negative": one("Strict-Transport-Security", "max-age=-1"),
    "hsts-empty-age": one("Strict-Transport-Security", "max-age="),
    "hsts-empty": one("Strict-Transport-Security", ""),
    "hsts-bad-certificate": Case(headers=GOOD, https_verified=False),
    "no-https": Case(headers=GOOD, https=False, scheme="http", route=("http://www.example.com/",)),
    "no-http": Case(headers=GOOD, route=None),
    "http-only-page": Case(route=("http://www.example.com/",)),
    "http-to-http": Case(
        route=("http://www.example.com/", "http://www.example.com/a", "https://www.example.com/")
    ),
    "http-ends-in-http": Case(route=("http://www.example.com/", "http://www.example.com/home")),
    "off-host": Case(route=("http://www.example.com/", "https://example.com/")),
    "http-bad-certificate": Case(http_verified=False),
    "preloaded": Case(hostname="preloaded.com", route=("http://preloaded.com/", "https://preloaded.com/")),
    "preloaded-not-below": Case(hostname="www.preloaded.com", route=("http://www.preloaded.com/",)),
    "preloaded-parent": Case(hostname="a.b.parent.com", route=("http://a.b.parent.com/",)),
    "preloaded-registry": Case(hostname="site.dev", route=("http://site.dev/", "https://www.example.com/")),
    "cors-any": one("Access-Control-Allow-Origin", " * "),
    "cors-universal": Case(
        headers=(("Access-Control-Allow-Origin", ORIGIN), ("Access-Control-Allow-Credentials", " TRUE"))
    ),
    "cors-other": one("Access-Control-Allow-Origin", "https://friend.example.com"),
    "cors-empty": one("Access-Control-Allow-Origin", ""),
    "referrer-list": one("Referrer-Policy", "no-referrer, bogus, unsafe-url"),
    "referrer-meta": page('<meta name=" Referrer" content="origin">'),
    "referrer-meta-wins": Case(
        headers=(("Referrer-Policy", "no-referrer"),), body='<meta name=referrer content="origin">'
    ),
    "referrer-http-equiv": page("<meta http-equiv=x content=y name=referrer>"),
    "referrer-bogus": one("Referrer-Policy", "whatever"),
    "referrer-empty": one("Referrer-Policy", ""),
    "xcto-wrong": one("X-Content-Type-Options", "sniff"),
    "xcto-twice": one("X-Content-Type-Options", "nosniff", "nosniff"),
    "xfo-allow": one("X-Frame-Options", "ALLOW-FROM https://a.com"),
    "xfo-twice": one("X-Frame-Options", "DENY", "DENY"),
    "xfo-same": one("X-Frame-Options", " SameOrigin "),
    "corp-wrong": one("Cross-Origin-Resource-Policy", "everyone"),
    "corp-cross": one("Cross-Origin-Resource-Policy", "Cross-Origin"),
    "cookie-good": one("Set-Cookie", "a=1; Secure; HttpOnly; SameSite=Lax"),
    "cookie-plain": one("Set-Cookie", "a=1"),
    "cookie-hsts": Case(headers=(*GOOD, ("Set-Cookie", "a=1"))),
    "cookie-session": one("Set-Cookie", "PHPSESSID=1; Secure"),
    "cookie-session-insecure": one("Set-Cookie", "login=1; HttpOnly"),
    "cookie-session-hsts": Case(headers=(*GOOD, ("Set-Cookie", "sess=1; HttpOnly"))),
    "cookie-csrf": one("Set-Cookie", "csrftoken=1; Secure"),
    "cookie-samesite-wrong": one("Set-Cookie", "a=1; Secure; SameSite=Maybe"),
    "cookie-samesite-empty": one("Set-Cookie", "a=1; Secure; SameSite"),
    "cookie-none-insecure": one("Set-Cookie", "a=1; SameSite=None"),
    "cookie-heroku": one("Set-Cookie", "heroku-session-affinity=1"),
    "cookie-of-another": one("Set-Cookie", "a=1; Domain=other.com"),
    "cookie-of-suffix": one("Set-Cookie", "a=1; Domain=com"),
    "cookie-of-parent": one("Set-Cookie", "a=1; Domain=.example.com; Secure"),
    "cookie-host-prefix": one("Set-Cookie", "__Host-a=1; Secure; Domain=example.com"),
    "cookie-host-prefix-kept": one("Set-Cookie", "__Host-a=1; Secure; Path=/"),
    "cookie-host-prefix-no-path": one("Set-Cookie", "__Host-a=1; Secure"),
    "cookie-secure-prefix": one("Set-Cookie", "__Secure-a=1"),
    "cookie-deleted": one("Set-Cookie", "a=1; Max-Age=0"),
    "cookie-replaced": one("Set-Cookie", "sess=1", "sess=2; Secure; HttpOnly; SameSite=Strict"),
    "cookie-nameless": one("Set-Cookie", "=1", "justvalue"),
    "cookie-from-the-way": Case(cookies=(("http://www.example.com/", "sess=1"),)),
    "sri-none": page("<p>no scripts</p>"),
    "sri-inline": page("<script>1</script>"),
    "sri-own": page('<script src="/a.js"></script>'),
    "sri-own-pinned": page('<script src="/a.js" integrity="sha256-x"></script>'),
    "sri-own-domain": page('<script src="https://cdn.example.com/a.js"></script>'),
    "sri-own-domain-http": page('<script src="http://cdn.example.com/a.js"></script>'),
    "sri-foreign": page('<script src="https://cdn.net/a.js"></script>'),
    "sri-foreign-pinned": page('<script src="https://cdn.net/a.js" integrity="sha256-x"></script>'),
    "sri-foreign-http": page('<script src="http://cdn.net/a.js"></script>'),
    "sri-foreign-http-pinned": page('<script src="http://cdn.net/a.js" integrity=x></script>'),
    "sri-no-scheme": page('<script src="//cdn.net/a.js"></script>'),
    "sri-no-scheme-pinned": page('<script src="//www.example.com/a.js" integrity=x></script>'),
    "sri-base": page('<base href="https://cdn.net/"><script src="a.js"></script>'),
    "sri-base-relative": page('<base href="/x/"><script src="a.js"></script>'),
    "sri-base-data": page('<base href="data:x"><script src="a.js"></script>'),
    "sri-data": page('<script src="data:text/javascript,1"></script>'),
    "sri-empty": page('<script src=""></script><script src=" "></script>'),
    "sri-comment": page('<!-- <script src="http://cdn.net/a.js"></script> -->'),
    "sri-template": page('<template><script src="http://cdn.net/a.js"></script></template>'),
    "sri-noscript": page('<body><noscript><script src="http://cdn.net/a.js"></script></noscript>'),
    "sri-textarea": page('<textarea><script src="http://cdn.net/a.js"></script></textarea>'),
    "sri-escaped": page("<script><!-- <script> </script> --></script><script src=//x.org/a.js></script>"),
    "sri-svg": page("<svg><script src='http://cdn.net/a.js'></script><title><b></title></svg>"),
    "sri-address": page('<script src="https://192.0.2.1/a.js" integrity=x></script>'),
    "sri-private-suffix": page('<script src="https://a.github.io/x.js"></script>', hostname="b.github.io"),
    "sri-mixed": page(
        "<script src=/a.js integrity=x></script><script src=https://cdn.net/b.js integrity=x></script>"
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_known_site_scores_as_with_the_observatory(oracle: Oracle, name: str) -> None:
    assert_equal(oracle, TABLE[name])


# ---------------------------------------------------------------- made-up sites

_SOURCES = st.sampled_from(
    [
        "'self'",
        "'none'",
        "'unsafe-inline'",
        "'unsafe-eval'",
        "'strict-dynamic'",
        "'nonce-abc'",
        "'sha256-x'",
        "*",
        "https:",
        "http:",
        "data:",
        "ftp:",
        "blob:",
        "https://*",
        "http://*.*",
        "*.example.com",
        "h",
        "http",
        "https://a.com",
        "https://a.com/",
        "https://a.com/x",
        "https://a.com/x/",
        "https://a.com/%41",
        "http://a.com",
        "a/",
        "a",
        "/",
        "A.COM",
        "'SELF'",
        "https://a.com/x/y",
        "%",
        "'report-sample'",
        "_x",
        "-x",
        "~x",
        "$x",
    ]
)
_DIRECTIVES = st.sampled_from(
    [
        "default-src",
        "script-src",
        "style-src",
        "img-src",
        "media-src",
        "object-src",
        "frame-ancestors",
        "base-uri",
        "report-uri",
        "report-to",
        "sandbox",
        "upgrade-insecure-requests",
        "Script-Src",
        "connect-src",
        "form-action",
    ]
)
_POLICY = st.lists(
    st.builds(lambda name, sources: " ".join([name, *sources]), _DIRECTIVES, st.lists(_SOURCES, max_size=5)),
    max_size=5,
).map("; ".join)
_COOKIE = st.builds(
    lambda name, parts: "; ".join([name, *parts]),
    st.sampled_from(
        ["a=1", "sess=1", "Login=x", "csrf=1", "__Host-x=1", "__Secure-x=1", "a", "=x", "samesite=no", ""]
    ),
    st.lists(
        st.sampled_from(
            [
                "Secure",
                "HttpOnly",
                "SameSite=Lax",
                "samesite=NONE",
                "SameSite=x",
                "SameSite",
                "Path=/",
                "Path=/x",
                "secure=1",
                "Domain=example.com",
                "Domain=.com",
                "Domain=www.example.com",
                "Domain=",
                "Max-Age=0",
                "",
                "Path=x",
            ]
        ),
        max_size=4,
    ),
)
_ATTRIBUTES = st.lists(
    st.sampled_from(
        [
            "src=/a.js",
            "src=https://cdn.net/a.js",
            "src='http://cdn.net/a.js'",
            'src="//cdn.net/a"',
            "src=https://a.example.com/",
            "integrity=x",
            "integrity=''",
            "SRC=x.js",
            "defer",
            "src",
            "src=https:a.js",
            "src='h\tttps://cdn.net'",
            "/",
            'x="\'>"',
        ]
    ),
    max_size=3,
).map(" ".join)
_PIECE = st.one_of(
    st.builds(
        "<script {}>{}</script>".format,
        _ATTRIBUTES,
        st.sampled_from(["", "<!--", "<!--<script>", "a<b", "-->"]),
    ),
    st.builds(META.format, _POLICY),
    st.builds(
        '<meta name="referrer" content="{}">'.format,
        st.sampled_from(["", "origin", "no-referrer", "x,same-origin"]),
    ),
    st.sampled_from(
        [
            "<!--",
            "-->",
            "<!-->",
            "<p title='",
            "'>",
            "<base href=https://cdn.net/>",
            "<base href=x>",
            "<template>",
            "</template>",
            "<textarea>",
            "</textarea>",
            "<style>",
            "</style>",
            "<title>",
            "</title>",
            "</p",
            "</",
            "<!x>",
            "<?y>",
            "text",
            "\n",
        ]
    ),
)
_HEADERS = st.lists(
    st.one_of(
        st.tuples(st.just("Content-Security-Policy"), _POLICY),
        st.tuples(st.just("Content-Security-Policy-Report-Only"), _POLICY),
        st.tuples(st.just("Set-Cookie"), _COOKIE),
        st.tuples(
            st.just("Strict-Transport-Security"),
            st.sampled_from(
                [
                    "max-age=0",
                    "max-age=31536000",
                    "MAX-AGE=15552000 ; preload",
                    "max-age=x",
                    "max-age= 9",
                    "preload",
                    "max-age=1e9",
                    "max-age=1; max-age=31536000",
                    "includeSubDomains; max-age=99999999999999999999",
                ]
            ),
        ),
        st.tuples(
            st.sampled_from(["X-Frame-Options", "x-frame-options"]),
            st.sampled_from(["DENY", "sameorigin", "allow-from x", "no", ""]),
        ),
        st.tuples(st.just("X-Content-Type-Options"), st.sampled_from(["nosniff", "NoSniff ", "x", ""])),
        st.tuples(
            st.just("Referrer-Policy"),
            st.sampled_from(["origin", "no-referrer", "same-origin, x", "", "UNSAFE-URL", "strict-origin,"]),
        ),
        st.tuples(
            st.just("Cross-Origin-Resource-Policy"),
            st.sampled_from(["same-site", "Same-Origin", "cross-origin", "x", ""]),
        ),
        st.tuples(
            st.just("Access-Control-Allow-Origin"), st.sampled_from(["*", ORIGIN, "null", "https://a.com"])
        ),
        st.tuples(st.just("Access-Control-Allow-Credentials"), st.sampled_from(["true", "TRUE", "false"])),
    ),
    max_size=7,
).map(tuple)
_URLS = st.sampled_from(
    [
        "http://www.example.com/",
        "https://www.example.com/",
        "https://example.com/",
        "http://preloaded.com/",
        "https://a.parent.com/",
    ]
)
_STARTS = st.sampled_from(["http://www.example.com/", "http://preloaded.com/"])
_ROUTES = st.one_of(
    st.none(), st.builds(lambda start, rest: (start, *rest), _STARTS, st.lists(_URLS, max_size=3))
)
CASES = st.builds(
    Case,
    headers=_HEADERS,
    body=st.lists(_PIECE, max_size=5).map("".join),
    hostname=st.sampled_from(["www.example.com", "example.com", "preloaded.com", "x.parent.com"]),
    scheme=st.sampled_from(["https", "https", "http"]),
    cookies=st.lists(st.tuples(_URLS, _COOKIE), max_size=2).map(tuple),
    route=_ROUTES,
    http_verified=st.booleans(),
    https=st.booleans(),
    https_verified=st.booleans(),
    html=st.sampled_from([True, True, True, False]),
)


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(case=CASES)
@example(Case())
def test_a_made_up_site_scores_as_with_the_observatory(oracle: Oracle, case: Case) -> None:
    assert_equal(oracle, case)


@settings(max_examples=300, deadline=None)
@given(header=_POLICY, metas=st.lists(_POLICY, max_size=2))
def test_made_up_policies_are_merged_as_by_the_observatory(
    oracle: Oracle, header: str, metas: list[str]
) -> None:
    assert_equal(oracle, csp(header, body="".join(map(META.format, metas))))
