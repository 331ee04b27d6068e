"""Judging headers, cookies and redirects: our own lines, the score's evidence, BOD 18-01."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glovebox.siteaudit.failures import make_failure
from glovebox.siteaudit.record import CertificateReport, Hop
from glovebox.siteaudit.web.bod1801 import bod1801
from glovebox.siteaudit.web.cookies import Cookie, CookieJar, parse_cookie
from glovebox.siteaudit.web.csp import InvalidPolicyError, parse_policies
from glovebox.siteaudit.web.exchange import Answer, Headers
from glovebox.siteaudit.web.headers import judgements_of
from glovebox.siteaudit.web.hsts import Hsts, parse_hsts
from glovebox.siteaudit.web.observatory_results import MODIFIERS, PASSES, grade_of, score_of
from glovebox.siteaudit.web.preload import is_preloaded
from glovebox.siteaudit.web.report import evidence_of, judge_headers
from glovebox.siteaudit.web.url import Url, parse_url
from glovebox.siteaudit.web.visit import REDIRECT_STATUS, Step, Visit, step_of

HTTPS = parse_url("https://www.example.com/")
HTTP = parse_url("http://www.example.com/")


def verdicts(*headers: tuple[str, str], url: Url = HTTPS, cookies: tuple[Cookie, ...] = ()) -> dict[str, str]:
    return {
        line.header.lower(): line.verdict for line in judgements_of(Answer(200, headers, b""), url, cookies)
    }


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("Strict-Transport-Security", "max-age=31536000; includeSubDomains", "good"),
        ("Strict-Transport-Security", 'max-age="31536000"', "good"),
        ("Strict-Transport-Security", "max-age=600", "weak"),
        ("Strict-Transport-Security", "max-age=31536000; preload", "weak"),
        ("Strict-Transport-Security", "max-age=0", "bad"),
        ("Strict-Transport-Security", "includeSubDomains", "bad"),
        ("Strict-Transport-Security", "max-age=1; max-age=31536000", "bad"),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'", "good"),
        ("Content-Security-Policy", "default-src *", "weak"),
        (
            "Content-Security-Policy",
            "default-src 'self' 'unsafe-inline'; base-uri 'none'; frame-ancestors *",
            "weak",
        ),
        ("Content-Security-Policy", "default-src 'self'; default-src 'none'", "bad"),
        ("X-Content-Type-Options", "nosniff", "good"),
        ("X-Content-Type-Options", "sniff", "bad"),
        ("X-Frame-Options", "DENY", "good"),
        ("X-Frame-Options", "ALLOW-FROM https://a.test", "bad"),
        ("X-Frame-Options", "DENY, DENY", "bad"),
        ("Referrer-Policy", "unsafe-url, no-referrer", "good"),
        ("Referrer-Policy", "unsafe-url", "weak"),
        ("Referrer-Policy", "none", "bad"),
        ("Permissions-Policy", "camera=()", "good"),
        ("Permissions-Policy", "camera=*", "weak"),
        ("Cross-Origin-Opener-Policy", "same-origin", "good"),
        ("Cross-Origin-Opener-Policy", "unsafe-none", "weak"),
        ("Cross-Origin-Embedder-Policy", "require-corp; report-to=x", "good"),
        ("Cross-Origin-Resource-Policy", "cross-origin", "weak"),
        ("Access-Control-Allow-Origin", "*", "info"),
        ("Access-Control-Allow-Origin", "null", "bad"),
        ("Server", "nginx/1.22.1", "weak"),
        ("X-Powered-By", "PHP/8.1", "weak"),
        ("X-Powered-By", "Express", "info"),
    ],
)
def test_each_header_is_judged_by_its_value(name: str, value: str, verdict: str) -> None:
    assert verdicts((name, value))[name.lower()] == verdict


def test_what_is_missing_is_said_and_a_plain_server_name_is_not() -> None:
    found = verdicts(("Server", "nginx"))
    for name in (
        "strict-transport-security",
        "content-security-policy",
        "x-content-type-options",
        "x-frame-options",
    ):
        assert found[name] == "missing"
    assert "server" not in found


def test_hsts_over_plain_http_means_nothing() -> None:
    assert (
        verdicts(("Strict-Transport-Security", "max-age=31536000"), url=HTTP)["strict-transport-security"]
        == "info"
    )
    assert "strict-transport-security" not in verdicts(url=HTTP)


def test_frame_ancestors_stand_in_for_the_older_header() -> None:
    assert verdicts(("Content-Security-Policy", "frame-ancestors 'none'"))["x-frame-options"] == "info"


def test_any_origin_with_credentials_is_bad() -> None:
    found = verdicts(("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Credentials", "true"))
    assert found["access-control-allow-origin"] == "bad"


def test_cookies_are_judged_one_by_one_and_their_values_not_shown() -> None:
    kept = [
        parse_cookie("a=secret; Secure; HttpOnly; SameSite=Lax", HTTPS),
        parse_cookie("b=secret; Secure", HTTPS),
        parse_cookie("c=secret", HTTPS),
    ]
    cookies = tuple(cookie for cookie in kept if cookie is not None)
    lines = [line for line in judgements_of(Answer(200, (), b""), HTTPS, cookies) if "Cookie" in line.header]
    assert [line.verdict for line in lines] == ["good", "weak", "bad"]
    assert "secret" not in str(lines)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "Content-Security-Policy",
                    "Set-Cookie",
                    "Server",
                    "X-Frame-Options",
                    "Strict-Transport-Security",
                ]
            ),
            st.text(max_size=40),
        )
    )
)
def test_no_header_breaks_the_judgement(headers: list[tuple[str, str]]) -> None:
    for line in judgements_of(Answer(200, tuple(headers), b""), HTTPS):
        assert line.reason
        assert line.value is None or len(line.value) <= 4_096


# ---------------------------------------------------------------- parsers


@given(st.lists(st.text(max_size=60), max_size=3))
def test_any_text_is_a_policy_or_invalid(policies: list[str]) -> None:
    try:
        policy = parse_policies(policies)
    except InvalidPolicyError:
        return
    assert all(sources for sources in policy.directives.values())
    assert all(name == name.lower() for name in policy.directives)


@given(st.text(max_size=80))
def test_any_text_is_an_hsts_policy_or_none(header: str) -> None:
    policy = parse_hsts(header)
    assert policy is None or policy.max_age >= 0


def test_hsts_is_read_by_the_rfc() -> None:
    assert parse_hsts(" MAX-AGE = 5 ; preload;; IncludeSubDomains ; x=y") == Hsts(5, True, True)
    assert parse_hsts("max-age=²") is None


@given(st.text(alphabet=st.characters(codec="latin-1"), max_size=80))
def test_any_cookie_line_can_be_kept_and_sent(line: str) -> None:
    jar = CookieJar()
    jar.store(HTTPS, [line])
    jar.header(HTTPS).encode("latin-1")


@pytest.mark.parametrize(
    ("line", "url", "sent"),
    [
        ("a=1", "https://www.example.com/", True),
        ("a=1", "https://sub.www.example.com/", False),
        ("a=1; Domain=example.com", "https://example.com/", True),
        ("a=1; Domain=com", "https://www.example.com/", False),
        ("a=1; Domain=other.com", "https://www.example.com/", False),
        ("a=1; Secure", "http://www.example.com/", False),
        ("a=1; Path=/x", "https://www.example.com/xy", False),
        ("a=1; Path=/x", "https://www.example.com/x/y?z", True),
        ("a=1; Max-Age=0", "https://www.example.com/", False),
        ("a=\x01", "https://www.example.com/", False),
        ("=1", "https://www.example.com/", False),
        ("__Host-a=1; Secure; Domain=www.example.com", "https://www.example.com/", False),
    ],
)
def test_cookies_go_where_browsers_send_them(line: str, url: str, sent: bool) -> None:
    jar = CookieJar()
    jar.store(HTTPS, [line])
    assert bool(jar.header(parse_url(url))) is sent


def test_grades_fall_five_points_at_a_time() -> None:
    table = {135: "A+", 100: "A+", 99: "A", 90: "A", 85: "A-", 80: "B+", 70: "B", 65: "B-", 60: "C+", 50: "C"}
    table |= {45: "C-", 44: "D+", 40: "D+", 30: "D", 25: "D-", 24: "F", 0: "F"}
    assert {score: grade_of(score) for score in table} == table


def test_bonus_points_need_ninety_without_them() -> None:
    bonus = {"a": "csp-implemented-with-no-unsafe-default-src-none", "b": "corp-implemented-with-same-site"}
    assert score_of(bonus) == 120
    assert score_of(bonus | {"c": "referrer-policy-unsafe"}) == 115
    assert score_of(bonus | {"c": "redirection-missing"}) == 80
    assert score_of(dict.fromkeys("abc", "sri-not-implemented-and-external-scripts-not-loaded-securely")) == 0
    assert set(MODIFIERS) >= PASSES


def test_the_preload_list_knows_names_and_registries() -> None:
    assert is_preloaded("www.github.com")
    assert is_preloaded("anything.dev")
    assert not is_preloaded("not-preloaded.example.com")


# ---------------------------------------------------------------- visits, made by hand


def step(url: str, status: int = 200, headers: Headers = (), body: bytes = b"") -> Step:
    answer = Answer(status, (("Content-Type", "text/html"), *headers), body)
    return step_of(parse_url(url), (), "2026-01-01T00:00:00Z", answer)


def visit(
    *steps: Step, beyond: str | None = None, failure: str | None = None, kind: str | None = None
) -> Visit:
    addresses = [str(s.url) for s in steps] + ([beyond] if beyond else [])
    hops = tuple(
        Hop(
            url=str(s.url),
            status_code=s.answer.status,
            kind="HTTP Status Code" if s.answer.status in REDIRECT_STATUS else "meta-tag" if kind else "None",
        )
        for s in steps
    )
    by_status = steps and steps[0].answer.status in REDIRECT_STATUS and len(addresses) > 1
    return Visit(
        start=steps[0].url if steps else HTTP,
        steps=steps,
        hops=hops,
        failure=make_failure(failure) if failure else None,
        jar=CookieJar(),
        beyond=parse_url(beyond) if beyond else None,
        immediate=parse_url(addresses[1]) if by_status else None,
    )


DOWN = visit(failure="connection_refused")
SECURE = visit(step("https://www.example.com/", headers=(("Strict-Transport-Security", "max-age=63072000"),)))
TO_HTTPS = visit(step("http://www.example.com/", 301), *SECURE.steps)
FINE = CertificateReport(valid=True)


def result(name: str, **visits: Visit | None) -> str | None:
    report = judge_headers(
        fqdn="www.example.com", http=visits.get("http"), https=visits.get("https"), certificate_valid=True
    )
    tests = {test.name: test.result for test in report.tests} if report else {}
    return tests.get(name)


def test_the_https_page_is_judged_where_https_answers() -> None:
    report = judge_headers(fqdn="www.example.com", http=TO_HTTPS, https=SECURE, certificate_valid=True)
    assert report is not None
    assert report.score is not None
    assert len(report.tests) == 10
    assert result("redirection", http=TO_HTTPS, https=SECURE) == "redirection-to-https"
    assert (
        result("strict-transport-security", http=TO_HTTPS, https=SECURE)
        == "hsts-implemented-max-age-at-least-six-months"
    )


def test_plain_http_alone_is_judged_without_hsts() -> None:
    plain = visit(step("http://www.example.com/"))
    assert result("strict-transport-security", http=plain, https=DOWN) == "hsts-not-implemented-no-https"
    assert result("redirection", http=plain, https=DOWN) == "redirection-missing"


def test_a_closed_port_80_needs_no_redirect() -> None:
    assert result("redirection", http=DOWN, https=SECURE) == "redirection-not-needed-no-http"


def test_a_bad_certificate_reaches_the_score() -> None:
    report = judge_headers(fqdn="www.example.com", http=TO_HTTPS, https=SECURE, certificate_valid=False)
    assert report is not None
    results = {test.result for test in report.tests}
    assert {"hsts-invalid-cert", "redirection-invalid-cert"} <= results


@pytest.mark.parametrize(
    "https",
    [
        visit(
            step("https://www.example.com/", 301),
            beyond="https://elsewhere.com/",
            failure="redirect_off_list",
        ),
        visit(step("https://www.example.com/", 500)),
        visit(step("https://www.example.com/", 404)),
    ],
)
def test_there_is_no_score_where_the_observatory_would_see_another_page_or_none(https: Visit) -> None:
    report = judge_headers(
        fqdn="www.example.com",
        http=visit(step("http://www.example.com/")),
        https=https,
        certificate_valid=True,
    )
    assert report is not None
    assert report.score is None
    assert report.judgements


@pytest.mark.parametrize("status", [401, 403])
def test_a_page_behind_a_login_is_judged(status: int) -> None:
    assert (
        result("cookies", http=None, https=visit(step("https://www.example.com/", status)))
        == "cookies-not-found"
    )


def test_http_that_leads_off_the_list_still_counts_as_redirected() -> None:
    off = visit(
        step("http://www.example.com/", 301), beyond="https://elsewhere.com/", failure="redirect_off_list"
    )
    assert result("redirection", http=off, https=SECURE) == "redirection-off-host-from-http"


def test_the_observatory_follows_no_meta_refresh() -> None:
    first = step(
        "http://www.example.com/", body=b"<meta http-equiv=refresh content=0;url=https://www.example.com/>"
    )
    refreshing = visit(first, *SECURE.steps, kind="meta-tag")
    assert result("redirection", http=refreshing, https=SECURE) == "redirection-missing"
    evidence = evidence_of("www.example.com", refreshing, DOWN, certificate_valid=True)
    assert evidence is not None
    assert evidence.answer is first.answer


def test_nothing_answered_nothing_judged() -> None:
    assert judge_headers(fqdn="x.com", http=DOWN, https=None, certificate_valid=False) is None


# ---------------------------------------------------------------- BOD 18-01


def columns(
    http: Visit | None,
    https: Visit | None,
    certificate: CertificateReport | None = FINE,
    fqdn: str = "www.example.com",
) -> set[str]:
    report = bod1801(fqdn=fqdn, http=http, https=https, certificate=certificate)
    return {name for name in report.__struct_fields__ if getattr(report, name) is True}


EXEMPLARY = {
    "live",
    "valid_https",
    "defaults_to_https",
    "strictly_forces_https",
    "hsts",
    "domain_supports_https",
    "domain_enforces_https",
    "domain_uses_strong_hsts",
}


def test_a_site_by_the_book() -> None:
    assert columns(TO_HTTPS, SECURE) == EXEMPLARY
    assert columns(DOWN, SECURE) == EXEMPLARY


def test_a_site_that_is_down() -> None:
    assert columns(DOWN, DOWN, None) == set()
    assert columns(None, None, None) == set()


def test_plain_http_alone() -> None:
    assert columns(visit(step("http://www.example.com/")), DOWN, None) == {"live"}


def test_https_beside_http_is_supported_and_not_enforced() -> None:
    found = columns(visit(step("http://www.example.com/")), SECURE)
    assert found == EXEMPLARY - {"defaults_to_https", "strictly_forces_https", "domain_enforces_https"}


def test_https_that_sends_visitors_back_downgrades() -> None:
    back = visit(step("https://www.example.com/", 302), step("http://www.example.com/"))
    found = columns(visit(step("http://www.example.com/")), back)
    assert "downgrades_https" in found
    assert not found & {"domain_supports_https", "defaults_to_https"}


def test_a_chain_to_an_unknown_authority_is_forgiven_and_a_wrong_name_is_not() -> None:
    def faulty(*classes: str) -> CertificateReport:
        return CertificateReport(valid=False, reasons=[make_failure(name) for name in classes])

    assert "domain_supports_https" in columns(TO_HTTPS, SECURE, faulty("untrusted_root"))
    assert "valid_https" not in columns(TO_HTTPS, SECURE, faulty("untrusted_root"))
    for fault in (["name_mismatch"], ["expired"], ["untrusted_root", "name_mismatch"]):
        assert "domain_supports_https" not in columns(TO_HTTPS, SECURE, faulty(*fault))


def test_a_site_that_only_leads_elsewhere_is_a_redirect() -> None:
    def leads(scheme: str) -> Visit:
        return visit(
            step(f"{scheme}://www.example.com/", 301),
            beyond="https://other.org/",
            failure="redirect_off_list",
        )

    report = bod1801(fqdn="www.example.com", http=leads("http"), https=leads("https"), certificate=FINE)
    assert (report.redirect, report.redirect_to) == (True, "https://other.org/")
    assert report.strictly_forces_https
    assert report.domain_enforces_https
    assert not columns(leads("http"), SECURE) & {"redirect"}


def test_preload_readiness_and_the_entire_domain_belong_to_the_domain_itself() -> None:
    header = (("Strict-Transport-Security", "max-age=63072000; includeSubDomains; preload"),)
    root = visit(step("https://example.com/", headers=header))
    assert {"hsts_entire_domain", "hsts_preload_ready"} <= columns(DOWN, root, fqdn="example.com")
    below = visit(step("https://www.example.com/", headers=header))
    assert not columns(DOWN, below) & {"hsts_entire_domain", "hsts_preload_ready"}


def test_hsts_is_read_from_the_first_answer_as_sent() -> None:
    first = step("https://www.example.com/", 301, (("Strict-Transport-Security", "max-age=5"),))
    report = bod1801(
        fqdn="www.example.com",
        http=DOWN,
        https=visit(first, step("https://www.example.com/a")),
        certificate=FINE,
    )
    assert (report.hsts_header, report.hsts_max_age) == ("max-age=5", 5)
