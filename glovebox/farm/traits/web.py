"""Hosts that answer on https: good pages, careless headers, and answers that are no answers."""

from __future__ import annotations

from glovebox.farm.identities import good, named
from glovebox.farm.model import DOMAIN, Expected, Handler, Tls, Trait
from glovebox.farm.pages import HSTS, LOGIN, STRONG_HEADERS, front, front_page
from glovebox.farm.rude import answers_request, gzip_bomb, repeats, silent
from glovebox.farm.traits.common import SLOW, USUAL, USUAL_GROUPS, VALID, to_https
from glovebox.farm.web import Headers, Reply, chunked, compressed, page, site

_BOMB_BYTES = 64 << 20
_OK = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\n"
_SESSION: Headers = (
    ("Set-Cookie", "SESSIONID=8f14e45fceea167a; Path=/"),
    ("Set-Cookie", "lang=en; Path=/"),
)


def _page(name: str, shows: str, title: str, reply: Reply, score: range | None = None) -> Trait:
    """A good site that answers with `reply`."""
    return Trait(
        name=name,
        shows=shows,
        http=to_https(name),
        https=Tls(site(reply), good),
        expects=Expected(
            https=True,
            redirects_to_https=True,
            redirect_type="HTTP Status Code",
            reasons=VALID,
            title=title,
            score=score,
        ),
    )


def _odd(
    name: str,
    shows: str,
    failure: str | None,
    handler: Handler,
    *,
    title: str | None = None,
    slow: bool = False,
) -> Trait:
    """Good TLS with `handler` behind it."""
    return Trait(
        name=name,
        shows=shows,
        http=to_https(name),
        https=Tls(handler, good),
        tags=SLOW if slow else frozenset(),
        expects=Expected(failure=failure, redirects_to_https=True, suites=USUAL, reasons=VALID, title=title),
    )


TRAITS: tuple[Trait, ...] = (
    Trait(
        name="good",
        shows="A well-kept site",
        http=to_https("good"),
        https=Tls(site(front("Town of Marlow Bridge")), named(f"good.{DOMAIN}", f"alias.{DOMAIN}")),
        expects=Expected(
            https=True,
            redirects_to_https=True,
            redirect_type="HTTP Status Code",
            suites=USUAL,
            profile="intermediate",
            reasons=VALID,
            title="Town of Marlow Bridge",
            groups=USUAL_GROUPS,
            server_preference="yes",
            client_certificate="none",
        ),
    ),
    _page(
        "strong-headers",
        "Every header that protects visitors",
        "Marlow Bridge Patient Records",
        front("Marlow Bridge Patient Records", headers=STRONG_HEADERS),
        range(100, 200),
    ),
    _page(
        "bare-headers",
        "No header that protects visitors",
        "Marlow Bridge Gardening Club",
        front("Marlow Bridge Gardening Club", headers=()),
        range(30, 31),
    ),
    _page(
        "no-hsts",
        "All good headers but HSTS",
        "Marlow Bridge Library",
        front("Marlow Bridge Library", headers=STRONG_HEADERS[len(HSTS) :]),
    ),
    _page(
        "bad-cookies",
        "A session cookie without Secure and HttpOnly",
        "Marlow Bridge Webmail",
        front("Marlow Bridge Webmail", headers=_SESSION, form=LOGIN),
        range(30),
    ),
    _page(
        "unsafe-csp",
        "A content security policy that allows everything",
        "Marlow Bridge Radio",
        front(
            "Marlow Bridge Radio",
            headers=(("Content-Security-Policy", "default-src * 'unsafe-inline' 'unsafe-eval'"), *HSTS),
        ),
    ),
    _page(
        "compressed",
        "A page in gzip",
        "Marlow Bridge Weather Station",
        compressed(front("Marlow Bridge Weather Station")),
    ),
    _page(
        "chunked", "A page in chunks", "Marlow Bridge Newspaper", chunked(front("Marlow Bridge Newspaper"))
    ),
    _page(
        "not-found",
        "A front page that is not there",
        "404 – Marlow Bridge Intranet",
        page(front_page("404 – Marlow Bridge Intranet"), status=404),
    ),
    _page(
        "server-error",
        "An application that is down",
        "500 Internal Server Error",
        page(front_page("500 Internal Server Error"), status=500),
    ),
    _page(
        "powered-by",
        "Tells everybody what it runs on",
        "Marlow Bridge Job Board",
        front(
            "Marlow Bridge Job Board",
            headers=(("X-Powered-By", "PHP/5.6.40"), ("X-Generator", "Drupal 7")),
            form=LOGIN,
        ),
    ),
    _page(
        "latin-1",
        "A page in an old character set",
        "Café de la Gare – Marlow Bridge",
        Reply(
            front_page("Café de la Gare – Marlow Bridge").replace("utf-8", "windows-1252").encode("cp1252"),
            content_type="text/html; charset=windows-1252",
        ),
    ),
    _page(
        "xn--mnchen-3ya",
        "A name with an umlaut",
        "Partnerstadt München",
        front("Partnerstadt München"),
    ),
    Trait(
        name="slow-page",
        shows="An application that thinks for a second",
        http=to_https("slow-page"),
        https=Tls(site(front("Marlow Bridge Genealogy"), delay=1.0), good),
        expects=Expected(
            https=True, redirects_to_https=True, suites=USUAL, reasons=VALID, title="Marlow Bridge Genealogy"
        ),
    ),
    Trait(
        name="huge-title",
        shows="A title of 100,000 characters",
        http=to_https("huge-title"),
        https=Tls(site(page(front_page("A" * 100_000))), good),
        expects=Expected(https=True, redirects_to_https=True, reasons=VALID),
    ),
    _odd("http-silent", "Takes a request and never answers", "http_timeout", silent, slow=True),
    _odd(
        "http-drip",
        "A header a second, without end",
        "http_timeout",
        repeats(_OK, b"X-Drip: 1\r\n", pause=1.0),
        slow=True,
    ),
    _odd(
        "http-garbage",
        "Answers in no protocol",
        "http_protocol_error",
        answers_request(b"\x00\x9f\x92 garbage\r\n\r\n"),
    ),
    _odd("http-empty", "Takes a request and hangs up", "http_connection_closed", answers_request(b"")),
    _odd(
        "http-cut",
        "Hangs up in the middle of its page",
        "http_connection_closed",
        answers_request(_OK + b"Content-Length: 5000\r\n\r\n<title>Half a page</title>"),
    ),
    _odd(
        "endless-headers",
        "Headers without end",
        "response_too_large",
        repeats(_OK, b"X-More: " + b"m" * 1_000 + b"\r\n"),
    ),
    _odd(
        "endless-body",
        "A page without end",
        None,
        repeats(_OK + b"\r\n<title>Endless</title>", b"<p>More and more.</p>" * 500),
        title="Endless",
    ),
    _odd(
        "gzip-bomb",
        "64 MB of nothing in 64 KB",
        "response_too_large",
        gzip_bomb(_BOMB_BYTES),
    ),
)
