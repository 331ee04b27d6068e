"""The public page in a real browser, under the real security policy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from glovebox.siteaudit.record import CertificateReport, SiteRecord, VersionReport, to_json
from glovebox.sites.item import summary_of
from glovebox.sites.summary import summarise
from tests.browser.chromium import Browser, Page, chromium
from tests.browser.site import Site, serving
from tests.records import failed_record, good_record

pytestmark = pytest.mark.browser

RUN = "20260304T050607Z-0a1b2c3d"
HOSTILE = (
    "<img src=x onerror=\"document.title='no'\"><script>document.title='no'</script>\u202egpj.exe\x1b[2J"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def site() -> Iterator[Site]:
    """A site with one published scan and nothing wrong."""
    with serving() as served:
        name = f"scan_2026-03-04_{RUN}"
        file = {"fileName": f"{name}.zip", "url": f"/files/{name}.zip", "fileSize": 48_213}
        served.answer("/api/listScans", {"count": 1, "files": [file]})
        outcomes = {f"h{number}.example.com": "ok" for number in range(30)}
        outcomes |= {"x1.example.com": "expired", "x2.example.com": "expired", "x3.example.com": "nxdomain"}
        run = summarise(RUN, "2026-03-04T05:06:07Z", outcomes, outcomes)
        served.answer(f"/files/{name}/run.json", msgspec.to_builtins(run))
        served.answer("/api/listFQDNs", {"count": 1, "results": [{"name": "www.example.com"}]}, limit="1000")
        yield served


def put(site: Site, *records: SiteRecord) -> None:
    """Lay down a site's records, newest first, as the API answers them."""
    fqdn = records[0].fqdn
    site.answer("/api/siteDetails", json.loads(to_json(records[0])), FQDN=fqdn)
    for record in records:
        site.answer("/api/scanDetails", json.loads(to_json(record)), FQDN=fqdn, scanDate=record.scan_date)
    history = [msgspec.to_builtins(summary_of(record, RUN)) for record in records]
    site.answer("/api/siteHistory", {"results": history}, FQDN=fqdn, limit="90")


def dated(day: int, days_left: int, *, tls: bool = True) -> SiteRecord:
    certificate = CertificateReport(valid=True, days_left=days_left)
    return good_record(scan_date=f"2026-03-{day:02d}T05:06:07Z", certificate=certificate, tls_site_exist=tls)


def opened(browser: Browser, site: Site, fragment: str = "", **how: int) -> Page:
    page = browser.page(**how)
    page.open(f"{site.address}/{fragment}")
    page.wait("document.querySelector('#files') && !document.querySelector('#files > .quiet')")
    return page


def looked_up(browser: Browser, site: Site, fqdn: str = "www.example.com", **how: int) -> Page:
    page = opened(browser, site, f"#site={fqdn}", **how)
    page.wait("document.querySelector('#result article, #result > .notice')")
    return page


def test_the_files_of_scans_are_listed_with_their_parts(browser: Browser, site: Site) -> None:
    page = opened(browser, site)
    page.wait("document.querySelector('#files li')")
    links = page.evaluate("[...document.querySelectorAll('#files a')].map((a) => a.getAttribute('href'))")
    base = f"/files/scan_2026-03-04_{RUN}"
    parts = [f"{base}/{name}" for name in ("output.csv", "output.jsonl", "full_output.json")]
    assert links == [f"{base}.zip", *parts]
    assert "Mar 4, 2026, 48.2 kB" in page.text("#files")
    assert page.complaints() == []


def test_the_latest_scan_is_counted_by_failure_class(browser: Browser, site: Site) -> None:
    page = opened(browser, site)
    page.wait("!document.getElementById('overview').hidden")
    rows = page.evaluate(
        "[...document.querySelectorAll('.bars li')].map((row) => row.innerText.split(/\\s*\\n\\s*/))"
    )
    assert rows == [["No failure", "30"], ["Expired", "2"], ["NXDOMAIN", "1"]]
    widths = page.evaluate(
        "[...document.querySelectorAll('.fill')].map((bar) => bar.getBoundingClientRect().width)"
    )
    assert isinstance(widths, list)
    assert widths == sorted(widths, key=float, reverse=True)
    assert widths[0] > 5 * widths[1] > 0


def test_a_name_that_is_typed_shows_its_card(browser: Browser, site: Site) -> None:
    put(site, good_record())
    page = opened(browser, site)
    page.evaluate("document.getElementById('fqdn').focus()")
    page.type("https://WWW.example.com/path?x=1")
    page.press("Enter")
    page.wait("document.querySelector('#result article')")
    text = page.text("#result")
    assert page.evaluate("location.hash") == "#site=www.example.com"
    for words in (
        "No failure",
        "TLS 1.2",
        "TLS 1.3",
        "intermediate",
        "C+",
        "score 65",
        "by Example CA",
        "28",
    ):
        assert words in text
    assert page.evaluate("document.activeElement.id") == "result"
    assert page.complaints() == []


def test_a_failure_says_whose_fault_it_is_and_how_to_fix_it(browser: Browser, site: Site) -> None:
    put(site, failed_record("www.example.com", "connection_refused", "port 443: refused"))
    text = looked_up(browser, site).text("#result")
    assert "Connection refused – for the site's operator" in text
    assert "How to fix: Start the web server" in text
    assert "port 443: refused" in text
    assert "Not known: Certificate, Days left, TLS versions" in text


def test_old_versions_are_marked_as_bad(browser: Browser, site: Site) -> None:
    record = good_record()
    assert record.tls is not None
    old = VersionReport(version="TLSv1.0", supported="yes")
    put(site, msgspec.structs.replace(record, tls=msgspec.structs.replace(record.tls, versions=[old])))
    page = looked_up(browser, site)
    assert page.evaluate(
        "[...document.querySelectorAll('.chip.bad')].some((chip) => chip.innerText === 'TLS 1.0')"
    )


def test_the_history_is_drawn_and_another_value_can_be_chosen_by_keyboard(
    browser: Browser, site: Site
) -> None:
    put(site, dated(4, 20), dated(3, 21), dated(1, 23, tls=False))
    page = looked_up(browser, site)
    assert page.evaluate("document.querySelectorAll('.plot .dot').length") == 3
    stroke = str(page.evaluate("document.querySelector('.plot .line').getAttribute('d')"))
    assert (stroke.count("M"), stroke.count("L")) == (1, 2)
    page.evaluate("document.querySelector('.choices input:checked').focus()")
    page.press("ArrowRight")
    page.wait("document.querySelector('.plot').getAttribute('aria-label').startsWith('Days left')")
    heights = page.evaluate(
        "[...document.querySelectorAll('.plot .dot')].map((dot) => +dot.getAttribute('cy'))"
    )
    assert isinstance(heights, list)
    assert heights == sorted(heights, key=float)  # fewer days stand lower, and y grows downwards
    page.press("ArrowRight")
    page.wait("document.querySelector('.plot').getAttribute('aria-label').startsWith('HTTPS')")
    assert page.evaluate("document.querySelector('.plot a').getAttribute('aria-label')") == (
        "Mar 1, 2026, 5:06 AM UTC: HTTPS no"
    )
    assert page.complaints() == []


def test_a_gap_in_the_history_stays_a_gap(browser: Browser, site: Site) -> None:
    put(
        site,
        dated(4, 20),
        failed_record("www.example.com", "nxdomain", scan_date="2026-03-03T05:06:07Z"),
        dated(2, 22),
    )
    page = looked_up(browser, site)
    assert page.evaluate("document.querySelectorAll('.plot .dot').length") == 2
    assert str(page.evaluate("document.querySelector('.plot .line').getAttribute('d')")).count("M") == 2


def test_a_point_leads_to_the_record_of_its_date_and_back(browser: Browser, site: Site) -> None:
    put(site, dated(4, 20), dated(1, 23))
    page = looked_up(browser, site)
    page.evaluate("document.querySelector('.plot a').focus()")
    page.press("Enter")
    page.wait(
        "document.querySelector('#result > .notice')?.innerText.startsWith('This is the record of Mar 1')"
    )
    assert "23" in page.text(".facts")
    page.evaluate("history.back()")
    page.wait("!document.querySelector('#result > .notice') && document.querySelector('.facts')")
    assert page.complaints() == []


def test_strings_of_strangers_stay_text(browser: Browser, site: Site) -> None:
    record = failed_record(
        "www.example.com",
        "tls_alert",
        HOSTILE,
        site_title=HOSTILE,
        scan_date="2026-03-04T05:06:07Z",
        failure_class=f"tls_alert:{HOSTILE}"[:200],
    )
    put(site, record)
    javascript = {"fileName": HOSTILE, "url": "javascript:alert(1)", "fileSize": 1}
    elsewhere = {"fileName": "x", "url": "//evil.example/files/x.zip", "fileSize": 1}
    upwards = {"fileName": "x", "url": "/files/../api/listScans", "fileSize": 1}
    good = {"fileName": HOSTILE, "url": "/files/scan_x.zip", "fileSize": 1}
    site.answer("/api/listScans", {"count": 4, "files": [javascript, elsewhere, upwards, good]})
    site.answer(
        "/files/scan_x/run.json",
        {"counts": {HOSTILE: 3}, "scanDate": HOSTILE, "records": HOSTILE, "hosts": 1},
    )
    page = looked_up(browser, site)
    page.wait("!document.getElementById('overview').hidden")
    text = page.text()
    assert text.count("<script>") >= 4
    assert "<U+202E>" in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert page.evaluate("document.querySelectorAll('main script, main img').length") == 0
    assert page.evaluate("document.title") == "www.example.com – Site audit"
    links = page.evaluate("[...document.querySelectorAll('#files a')].map((a) => a.getAttribute('href'))")
    assert isinstance(links, list)
    assert links[0] == "/files/scan_x.zip"
    assert len(links) == 4
    assert page.complaints() == []


@pytest.mark.parametrize(
    "fragment", ["#site=%3Cscript%3E", "#site=www.example.com&date=%3Cscript%3E", "#site=%FF%00"]
)
def test_a_hostile_address_is_only_a_question(browser: Browser, site: Site, fragment: str) -> None:
    page = opened(browser, site, fragment)
    assert str(page.wait("document.querySelector('#result > .notice')?.innerText")).startswith(
        "There is no record of"
    )
    assert page.evaluate("document.querySelectorAll('main script').length") == 0


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        (404, "No record of www.example.com.", "Check the spelling, with or without www"),
        (400, "FQDN is no public name.", "FQDN is no public name. Enter a name such as www.example.com."),
        (503, "The records cannot be read at the moment; try again later.", "The records cannot be read"),
    ],
)
def test_an_error_says_what_to_do(browser: Browser, site: Site, status: int, message: str, said: str) -> None:
    body = {"error": {"code": status, "reason": "x", "message": message}}
    site.answer("/api/siteDetails", body, status, FQDN="www.example.com")
    assert said in looked_up(browser, site).text("#result")


def test_after_an_error_the_button_asks_again(browser: Browser, site: Site) -> None:
    site.answer("/api/siteDetails", "not what the API says", 502, FQDN="www.example.com")
    page = looked_up(browser, site)
    assert "answered with an error (502)" in page.text("#result")
    put(site, good_record())
    page.evaluate("document.querySelector('#result button').click()")
    page.wait("document.querySelector('#result article')")


def test_files_that_cannot_be_listed_say_so_and_can_be_asked_for_again(browser: Browser, site: Site) -> None:
    answer = site.answers["/api/listScans", frozenset()]
    site.answer("/api/listScans", {"error": {"code": 503, "message": "Try again later."}}, 503)
    page = opened(browser, site)
    assert "Try again later." in str(page.wait("document.querySelector('#files .notice')?.innerText"))
    site.answers["/api/listScans", frozenset()] = answer
    page.evaluate("document.querySelector('#files button').click()")
    page.wait("document.querySelector('#files li')")


def test_without_any_scan_the_page_says_so(browser: Browser, site: Site) -> None:
    site.answer("/api/listScans", {"count": 0, "files": []})
    page = browser.page()
    page.open(site.address)
    page.wait("document.getElementById('files')?.innerText.startsWith('No scan has been published yet')")
    assert page.evaluate("document.getElementById('overview').hidden") is True
    assert page.complaints() == []


def test_names_on_record_are_suggested(browser: Browser, site: Site) -> None:
    page = opened(browser, site)
    page.evaluate("document.getElementById('fqdn').focus()")
    assert page.wait("document.querySelector('#names option')?.value") == "www.example.com"


@pytest.mark.parametrize("width", [320, 390, 1100])
def test_nothing_is_wider_than_the_screen(browser: Browser, site: Site, width: int) -> None:
    put(site, dated(4, 20), good_record(site_title="x" * 300), dated(1, 23))
    page = looked_up(browser, site, width=width)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate(f"document.documentElement.scrollWidth <= {width}")


def test_the_policy_stops_what_is_inline(browser: Browser, site: Site) -> None:
    """Proof that `complaints` sees violations: the other tests lean on it."""
    page = opened(browser, site)
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">x</p>');"
        "const script = document.createElement('script'); script.textContent = 'document.title = 1';"
        "document.body.append(script)"
    )
    complaints = " ".join(page.complaints())
    assert "style-src 'self'" in complaints
    assert "script-src 'self'" in complaints
    assert page.evaluate("document.title") == "Site audit"


def test_page_files_hold_nothing_inline_and_no_markup_from_data() -> None:
    folder = Path(__file__).parents[2] / "page"
    html = (folder / "index.html").read_text(encoding="utf-8")
    assert " style=" not in html
    assert " onclick=" not in html
    assert html.count("<script") == 1
    for script in folder.glob("*.js"):
        text = script.read_text(encoding="utf-8")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert word not in text, f"{script.name} uses {word}"
