"""Visits along redirects, over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from glovebox.siteaudit.certificates.documents import DocumentError
from glovebox.siteaudit.connect import DirectConnector
from glovebox.siteaudit.direct import literal
from glovebox.siteaudit.failures import make_failure
from glovebox.siteaudit.record import Dns
from glovebox.siteaudit.resolution import Resolution
from glovebox.siteaudit.settings import AuditSettings
from glovebox.siteaudit.web.documents import HttpDocuments
from glovebox.siteaudit.web.report import judge_headers
from glovebox.siteaudit.web.url import site_url
from glovebox.siteaudit.web.visit import Visit, Visitor, recorded_headers

pytestmark = pytest.mark.engine

Pages = Callable[[str, str, dict[str, str]], bytes]
"""Host, target and request headers → the answer on the wire."""


def ok(body: str = "<title>Home</title>", *headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", "Content-Type: text/html", *headers, "", body]).encode()


def moved(location: str, status: int = 301, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} Moved", f"Location: {location}", *headers, "", ""]).encode(
        "latin-1"
    )


class Site:
    """What a server saw, and a visitor that can only reach it."""

    def __init__(self, settings: AuditSettings, seen: list[str]) -> None:
        self.settings = settings
        self.seen = seen
        self.connector = DirectConnector(settings)

    async def resolve(self, name: str) -> Resolution:
        if (address := literal(name, ())) is not None:
            return address
        if name.startswith("gone."):
            return Resolution(dns=Dns(), failure=make_failure("nxdomain", "", "dns"))
        return Resolution(dns=Dns(addresses=["127.0.0.1"]))

    def visitor(self, *listed: str) -> Visitor:
        return Visitor(
            "site.test",
            "127.0.0.1",
            connector=self.connector,
            settings=self.settings,
            resolve=self.resolve,
            allowed=listed.__contains__,
        )

    async def visit(self, *listed: str) -> Visit:
        return await self.visitor(*listed).visit(site_url("http", "site.test"))


@asynccontextmanager
async def serving(pages: Pages) -> AsyncIterator[Site]:
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        target = head[0].split(" ")[1]
        sent = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        seen.append(f"{sent['host']}{target}")
        writer.write(pages(sent["host"], target, sent))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Site(AuditSettings(http_port=port, https_port=1, http_timeout=2, max_redirects=4), seen)


async def visit(pages: Pages, *listed: str) -> Visit:
    async with serving(pages) as site:
        return await site.visit(*listed)


def route(visit: Visit) -> list[str]:
    return [hop.url for hop in visit.hops]


async def test_a_page_without_redirects_is_one_hop_with_its_facts() -> None:
    found = await visit(lambda *_: ok("<title> Hi\x1b[31m </title><input>", "X-A: 1", "x-a: 2"))
    assert [(hop.url, hop.status_code, hop.kind) for hop in found.hops] == [
        ("http://site.test/", 200, "None")
    ]
    assert found.complete
    assert found.page is not None
    assert (found.page.title, found.page.form_fields) == ("Hi", 1)
    assert found.request is not None
    assert found.response is not None
    assert found.request.headers["Host"] == "site.test"
    assert found.response.headers["X-A"] == "1, 2"


async def test_a_location_in_utf8_is_read_as_browsers_read_it() -> None:
    found = await visit(lambda _, target, __: ok() if target == "/%C3%BC" else moved("/\xc3\xbc"))
    assert route(found)[-1] == "http://site.test/%C3%BC"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_by_status_are_followed(status: int) -> None:
    found = await visit(lambda _, target, __: ok() if target == "/b?c" else moved("b?c#d", status))
    assert route(found) == ["http://site.test/", "http://site.test/b?c"]
    assert found.redirect_type == "HTTP Status Code"
    assert found.immediate is not None
    assert found.immediate.target == "/b?c"


async def test_a_quick_meta_refresh_and_a_refresh_header_are_followed() -> None:
    meta = "<meta http-equiv=refresh content=\"0; url='/b'\">"
    found = await visit(lambda _, target, __: ok() if target == "/b" else ok(meta))
    assert (route(found)[-1], found.redirect_type) == ("http://site.test/b", "meta-tag")
    found = await visit(lambda _, target, __: ok() if target == "/b" else ok("", "Refresh: 1;url=/b"))
    assert (route(found)[-1], found.redirect_type) == ("http://site.test/b", "meta-tag")


@pytest.mark.parametrize(
    "page",
    [
        "<meta http-equiv=refresh content='60; url=/b'>",
        "<meta http-equiv=refresh content='5'>",
        "<meta http-equiv=refresh content='0; url=/'>",
        "<noscript><meta http-equiv=refresh content='0; url=/b'></noscript>",
        "<!-- <meta http-equiv=refresh content='0; url=/b'> -->",
    ],
)
async def test_a_page_that_only_renews_itself_is_no_redirect(page: str) -> None:
    found = await visit(lambda *_: ok(page))
    assert len(found.hops) == 1
    assert found.complete


async def test_a_script_redirect_is_recorded_and_not_followed() -> None:
    found = await visit(lambda *_: ok("<script>window.location.href = '/app'</script>"))
    assert [(hop.kind, hop.location) for hop in found.hops] == [("javascript", "/app")]
    assert found.complete


async def test_a_name_off_the_list_is_recorded_and_never_contacted() -> None:
    async with serving(lambda *_: moved("https://elsewhere.test/x")) as site:
        found = await site.visit()
        assert site.seen == ["site.test/"]
    assert found.failure is not None
    assert found.failure.failure_class == "redirect_off_list"
    assert found.redirect_to == "https://elsewhere.test/x"
    assert found.hops[0].location == "https://elsewhere.test/x"


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1/", "http://2130706433/", "http://[::1]/", "http://www.site.test/"]
)
async def test_addresses_and_unlisted_neighbours_are_off_the_list(location: str) -> None:
    found = await visit(lambda *_: moved(location))
    assert found.failure is not None
    assert found.failure.failure_class == "redirect_off_list"


async def test_a_listed_name_is_resolved_and_followed() -> None:
    async with serving(
        lambda host, *_: ok() if host == "www.site.test" else moved("http://www.site.test/")
    ) as site:
        found = await site.visit("www.site.test")
        assert site.seen == ["site.test/", "www.site.test/"]
    assert found.complete


async def test_another_sites_unusual_port_is_not_visited() -> None:
    found = await visit(lambda *_: moved("http://www.site.test:22/"), "www.site.test")
    assert found.failure is not None
    assert found.failure.failure_class == "redirect_off_list"


async def test_a_listed_name_that_does_not_resolve_ends_the_visit_with_dns_own_class() -> None:
    found = await visit(lambda *_: moved("http://gone.test/"), "gone.test")
    assert found.failure is not None
    assert found.failure.failure_class == "nxdomain"
    assert [hop.status_code for hop in found.hops] == [301, None]


async def test_a_loop_is_found_the_first_time_round() -> None:
    async with serving(lambda _, target, __: moved("/b" if target == "/" else "/")) as site:
        found = await site.visit()
        assert site.seen == ["site.test/", "site.test/b"]
    assert found.failure is not None
    assert found.failure.failure_class == "redirect_loop"


async def test_a_cookie_that_is_asked_for_by_a_redirect_to_the_same_address_makes_no_loop() -> None:
    def pages(_: str, __: str, sent: dict[str, str]) -> bytes:
        return ok() if sent.get("cookie") == "seen=1" else moved("/", 302, "Set-Cookie: seen=1; Path=/")

    found = await visit(pages)
    assert found.complete
    assert len(found.hops) == 2


async def test_a_secure_cookie_does_not_travel_over_plain_http() -> None:
    def pages(_: str, target: str, sent: dict[str, str]) -> bytes:
        if target == "/b":
            return ok(f"<title>{sent.get('cookie', 'none')}</title>")
        return moved("/b", 302, "Set-Cookie: a=1; Secure")

    found = await visit(pages)
    assert found.page is not None
    assert found.page.title == "none"


async def test_pages_on_the_way_are_hashed_and_their_bodies_let_go() -> None:
    def pages(_: str, target: str, __: dict[str, str]) -> bytes:
        return ok("the end") if target == "/b" else ok("<meta http-equiv=refresh content='0;/b'>" + "x" * 999)

    found = await visit(pages)
    assert found.response is not None
    assert found.response.html_hash == hashlib.sha256(b"the end").hexdigest()
    assert [(step.answer.body, step.html_size) for step in found.steps] == [(b"", 1_039), (b"", 7)]


async def test_an_endless_chain_stops_at_the_limit() -> None:
    async with serving(lambda _, target, __: moved(target + "x")) as site:
        found = await site.visit()
        assert len(site.seen) == site.settings.max_redirects + 1
    assert found.failure is not None
    assert found.failure.failure_class == "too_many_redirects"
    assert found.redirect_to == "http://site.test/xxxxx"


@pytest.mark.parametrize(
    "location",
    [
        "",
        "http://",
        "http://[::1",
        "javascript:alert(1)",
        "ftp://site.test/",
        "http://a b/",
        "//",
        "http://x:99999/",
        "/" + "a" * 3_000,
    ],
)
async def test_a_location_that_cannot_be_followed_is_a_class_of_its_own(location: str) -> None:
    found = await visit(lambda *_: moved(location) if location else b"HTTP/1.1 302 Found\r\n\r\n")
    assert found.failure is not None
    assert found.failure.failure_class == "bad_redirect"
    assert [hop.status_code for hop in found.hops] in ([301], [302])


async def test_a_page_that_breaks_off_is_judged_as_far_as_it_came() -> None:
    found = await visit(lambda *_: ok("<title>Half</title>", "Content-Length: 999"))
    assert found.failure is not None
    assert found.failure.failure_class == "http_connection_closed"
    assert found.page is not None
    assert found.page.title == "Half"


async def test_no_address_is_asked_twice_by_one_visitor() -> None:
    async with serving(lambda _, target, __: ok() if target == "/b" else moved("/b")) as site:
        visitor = site.visitor()
        first = await visitor.visit(site_url("http", "site.test"))
        second = await visitor.visit(site_url("http", "site.test"))
        assert len(site.seen) == 2
    assert first.hops == second.hops


async def test_binary_bodies_have_no_page() -> None:
    found = await visit(
        lambda *_: b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n\x89PNG<title>x</title>"
    )
    assert found.page is None
    assert found.complete


async def test_what_was_cut_is_noted() -> None:
    def pages(*_: object) -> bytes:
        return ok("x" * 5_000, "X-Long: " + "y" * 5_000)

    async with serving(pages) as site:
        site.settings = AuditSettings(http_port=site.settings.http_port, max_body_bytes=1_024)
        found = await site.visit()
    assert found.response is not None
    assert found.response.html_size == 1_024
    assert len(found.notes) == 2
    report = judge_headers(fqdn="site.test", http=found, https=None, certificate_valid=False)
    assert report is not None
    said = [line.reason for line in report.judgements if line.header == "Answer"]
    assert said == list(found.notes)


def test_recorded_headers_stay_within_the_records_limits() -> None:
    headers = (*tuple((f"X-{n}", "v") for n in range(500)), ("Set-Cookie", "a=1"), ("set-cookie", "b=2"))
    kept, cut = recorded_headers((("Set-Cookie", "z=0"), *headers, ("X-0", "\x1b[1mw\u202e")))
    assert len(kept) == 200
    assert cut
    assert kept["Set-Cookie"] == "z=0\na=1\nb=2"
    assert kept["X-0"] == "v, w"


# ---------------------------------------------------------------- documents of authorities


async def fetch(pages: Pages, url: str = "http://ca.test/x.crl", **limits: int) -> bytes:
    async with serving(pages) as site:
        documents = HttpDocuments(site.settings, site.connector, site.resolve)
        return await documents.fetch(url, max_bytes=limits.get("max_bytes", 1_000))


async def test_a_document_is_fetched_over_a_redirect() -> None:
    def pages(host: str, *_: object) -> bytes:
        return b"HTTP/1.1 200 OK\r\n\r\ncrl" if host == "cdn.test" else moved("http://cdn.test/x")

    assert await fetch(pages) == b"crl"


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        (lambda *_: b"HTTP/1.1 404 No\r\n\r\n", "answers 404"),
        (lambda *_: b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2_000, "larger than"),
        (lambda *_: b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "http_connection_closed"),
        (lambda _, target, __: moved(target + "x"), "redirects"),
        (lambda *_: moved("ldap://ca.test/"), "cannot be used"),
        (lambda *_: moved("http://gone.test/"), "nxdomain"),
        (lambda *_: moved("http://169.254.169.254/latest"), "private_address"),
    ],
)
async def test_a_document_that_cannot_be_had_says_why(pages: Pages, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        await fetch(pages)


async def test_a_document_at_a_private_address_is_never_asked_for() -> None:
    async with serving(lambda *_: ok()) as site:
        documents = HttpDocuments(site.settings, site.connector, site.resolve)
        for url in ("http://127.0.0.1/", "http://[::ffff:127.0.0.1]/", "http://0x7f.1/"):
            with pytest.raises(DocumentError, match="private_address"):
                await documents.fetch(url, max_bytes=100)
        assert site.seen == []
