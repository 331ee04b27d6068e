"""Reading pages: facts, and what hostile markup cannot do."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glovebox.siteaudit.web.body import Body, BombError, CorruptBodyError
from glovebox.siteaudit.web.markup import start_tags
from glovebox.siteaudit.web.page import MAX_LINKS, decode, read_page, refresh_target
from glovebox.siteaudit.web.url import BadUrlError, Url, parse_url

HOME = Url("https", "site.test", None, "/dir/")


def tags(html: str, *wanted: str) -> list[tuple[str, dict[str, str]]]:
    return [(tag.name, tag.attributes) for tag in start_tags(html, frozenset(wanted))]


@pytest.mark.parametrize(
    ("html", "attributes"),
    [
        ("<a>", {}),
        ("<A HREF=x>", {"href": "x"}),
        ("<a href = 'x y' >", {"href": "x y"}),
        ('<a href="x>y">', {"href": "x>y"}),
        ("<a/href=x/>", {"href": "x/"}),
        ("<a href=x href=y>", {"href": "x"}),
        ("<a a b=c d>", {"a": "", "b": "c", "d": ""}),
        ("<a href=>", {"href": ""}),
        ("<a =x=1>", {"=x": "1"}),
        ("<a title=it's>", {"title": "it's"}),
        ("<a x='&amp;&lt;'>", {"x": "&<"}),
        ("<a\n\tx\f=\r1>", {"x": "1"}),
        ('<a b"c>', {'b"c': ""}),
    ],
)
def test_attributes_are_read_by_the_html_standard(html: str, attributes: dict[str, str]) -> None:
    assert tags(html, "a") == [("a", attributes)]


@pytest.mark.parametrize(
    "html",
    [
        "<!-- <a> -->",
        "<!--><!-- <a> --!>",
        "<! <a>",
        "<? <a>",
        "</ <a>",
        "<title><a></title>",
        "<textarea><a></textarea >",
        "<style><a></STYLE>",
        "<script>'<a>'</script>",
        "<script><!--<script></script><a>--></script>",
        "<xmp><a></xmp>",
        "<iframe><a></iframe>",
        "<plaintext><a>",
        "<template><a></template>",
        "< a>",
        "<a",
        "<a href='",
        "<p title='<a>'>",
        "<svg><![CDATA[<a>]]></svg>",
        "<![CDATA[<a>]]>",
        "<b<a>",
    ],
)
def test_what_only_looks_like_a_tag_is_none(html: str) -> None:
    assert tags(html, "a") == []


@pytest.mark.parametrize(
    "html",
    [
        "<!--><a>",
        "<!---><a>",
        "<!-- x --!><a>",
        "<script><!--</script><a>",
        "<script><!--<script></script>--></script><a>",
        "<svg><title><a></title></svg>",
        "</><a>",
        "<noscript><a></noscript>",
        "</p title='>'><a>",
        "a < b <a>",
    ],
)
def test_a_tag_behind_confusing_markup_is_found(html: str) -> None:
    assert tags(html, "a") == [("a", {})]


def test_the_facts_of_a_page() -> None:
    page = read_page(
        """<!doctype html><html><head>
        <svg><title>icon</title></svg>
        <TITLE>\n One &amp;\u202e two\x1b[0m </TITLE><title>second</title>
        <meta http-equiv="Content-Security-Policy" content="default-src 'self'">
        <meta name=referrer content=origin>
        <script>function f() { location = '/later' }</script>
        </head><body><form>
        <input><input type=hidden><input type=SUBMIT><input type=email><select></select><textarea></textarea>
        </form><a href="a">1</a><a href="a#x">2</a><a href="#y">3</a><a href="//o.test">4</a>
        <a href="mailto:x@y">5</a><a href="javascript:1">6</a><a href="http://[">7</a>
        </body>""",
        HOME,
    )
    assert page.title == "One & two"
    assert page.form_fields == 4
    assert page.links == ("https://site.test/dir/a", "https://o.test/")
    assert page.policies == ("default-src 'self'",)
    assert page.referrer == "origin"
    assert page.script_redirect is None


def test_links_follow_the_base_and_are_capped() -> None:
    many = "".join(f"<a href={n}>" for n in range(MAX_LINKS * 2))
    page = read_page(f"<base href=/b/>{many}", HOME)
    assert len(page.links) == MAX_LINKS
    assert page.links[0] == "https://site.test/b/0"


@pytest.mark.parametrize(
    ("script", "target"),
    [
        ("location='/a'", "/a"),
        ('window.location.href = "https://x.test/"', "https://x.test/"),
        ("if (1) {} document.location.replace('/b')", "/b"),
        ("top.location.assign('/c')", "/c"),
        ("function go(){ location='/d' }", None),
        ("if (location == '/e') {}", None),
        ("mylocation='/f'", None),
        ("x.allocation = '/g'", None),
        ("location = target", None),
    ],
)
def test_a_script_that_sets_the_location_at_once_is_a_hint(script: str, target: str | None) -> None:
    assert read_page(f"<script>{script}</script>", HOME).script_redirect == target


@pytest.mark.parametrize(
    ("content", "target"),
    [
        ("0;url=/a", "/a"),
        ("0; URL = '/a' ", "/a"),
        ("3,/a", "/a"),
        ("1.5 ; /a", "/a"),
        ('0; url="/a" junk', "/a"),
        ("10;/a", "/a"),
        ("11;/a", None),
        ("0", None),
        ("0;", None),
        ("url=/a", None),
        ("", None),
        ("99999999999;/a", None),
    ],
)
def test_a_refresh_is_a_redirect_when_it_is_quick_and_names_a_place(content: str, target: str | None) -> None:
    assert refresh_target(content) == target


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("é".encode(), "text/html", "é"),
        ("é".encode("latin-1"), "text/html; charset=ISO-8859-1", "é"),
        ("“é”".encode("cp1252"), "text/html; charset=latin1", "“é”"),
        (b"<meta charset=windows-1251>" + "я".encode("cp1251"), "text/html", "<meta charset=windows-1251>я"),
        ("é".encode("utf-16"), "text/html; charset=utf-8", "é"),
        (b"\xef\xbb\xbfx", "text/html; charset=ascii", "x"),
        (b"\xff", "text/html", "\ufffd"),
        (b"x", "text/html; charset=nonsense", "x"),
        (b"x", "text/html; charset=hex", "x"),
        (b"x", "text/html; charset=idna", "x"),
        (b"x", "text/html; charset=utf-7", "x"),
    ],
)
def test_text_is_decoded_by_mark_header_meta_or_as_utf8(body: bytes, content_type: str, text: str) -> None:
    assert decode(body, content_type) == text


@settings(max_examples=300)
@given(st.text(st.sampled_from("<>!-/='\" \tabpscrit&;?\x00é"), max_size=120), st.binary(max_size=60))
def test_no_text_breaks_the_reader(text: str, raw: bytes) -> None:
    for html in (text, f"<title>{text}", f"<script>{text}", f"<a {text}>", decode(raw, text)):
        page = read_page(html, HOME)
        assert page.title is None or page.title.isprintable()
        assert len(page.links) <= MAX_LINKS


MEGABYTE = 1 << 20
HOSTILE = [
    "<" * MEGABYTE,
    "<a " * (MEGABYTE // 3),
    "<a x='" * (MEGABYTE // 6),
    "<!--" * (MEGABYTE // 4),
    "<script>" * (MEGABYTE // 8),
    "<script>" + "<!--<script>" * (MEGABYTE // 12),
    "<script>" + "location=" * (MEGABYTE // 9),
    "<script>location='/x'{" * (MEGABYTE // 22),
    "<title>" * (MEGABYTE // 7),
    "</title" * (MEGABYTE // 7),
    "<a" + " " * MEGABYTE,
    "<a" + "=" * MEGABYTE,
    "<a " + "x= " * (MEGABYTE // 3),
    "<p " + "x = y " * (MEGABYTE // 6) + ">",
    "<svg>" * (MEGABYTE // 5),
    "<template>" * (MEGABYTE // 10),
    "<meta http-equiv=refresh content='" + " " * MEGABYTE + "'>",
    "<a href=" + "/.." * (MEGABYTE // 3) + ">",
    "&" * MEGABYTE,
    "<title>" + "&#" * (MEGABYTE // 2),
    "<title>" + "\x1b[" * (MEGABYTE // 2),
    "<" + "a" * MEGABYTE + ">",
    "<meta charset" * (MEGABYTE // 13),
]


@pytest.mark.parametrize("html", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_megabyte_is_read_to_the_end(html: str) -> None:
    """Each takes a fraction of a second; what is not linear here takes minutes."""
    read_page(decode(html.encode(), "text/html"), HOME)


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("x", "https://site.test/dir/x"),
        ("../y?z#w", "https://site.test/y?z"),
        ("//Other.TEST:443/", "https://other.test/"),
        ("\\\\other.test\\a", "https://other.test/a"),
        ("http://user:pass@site.test./", "http://site.test/"),
        ("http://bücher.test/ü", "http://xn--bcher-kva.test/%C3%BC"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("?q", "https://site.test/dir/?q"),
    ],
)
def test_addresses_mean_what_they_mean_to_a_browser(reference: str, url: str) -> None:
    assert str(parse_url(reference, HOME)) == url


@given(st.text(max_size=60))
def test_any_text_is_an_http_address_or_refused(text: str) -> None:
    try:
        url = parse_url(text, HOME)
    except BadUrlError:
        return
    assert url.scheme in ("http", "https")
    assert url.target.startswith("/")
    assert str(url).isascii()
    assert str(url).isprintable()
    assert parse_url(str(url)) == url


# ---------------------------------------------------------------- bodies, and text to keep


@given(st.binary(max_size=3_000), st.integers(1, 50))
def test_a_compressed_body_is_the_same_in_any_pieces(data: bytes, size: int) -> None:
    packed = gzip.compress(data)
    body = Body("gzip", 10_000)
    for place in range(0, len(packed), size):
        body.feed(packed[place : place + size])
    assert body.content() == data
    assert not body.full


@given(st.binary(min_size=1, max_size=200), st.sampled_from(["gzip", "deflate", "x-gzip"]))
def test_noise_is_corrupt_or_incomplete_and_never_more(data: bytes, encoding: str) -> None:
    body = Body(encoding, 1_000)
    try:
        body.feed(data)
    except CorruptBodyError:
        return
    assert len(body.content()) <= 1_000


def test_a_bomb_is_told_from_a_long_page() -> None:
    with pytest.raises(BombError):
        Body("gzip", 100_000).feed(gzip.compress(bytes(10_000_000)))
    long = Body("gzip", 1_000)
    long.feed(gzip.compress(bytes(n * n % 251 for n in range(3_000))))
    assert long.full
