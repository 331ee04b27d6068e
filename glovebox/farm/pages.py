"""Front pages that could be real: the fleet's sites belong to a town that does not exist."""

from __future__ import annotations

from html import escape

from glovebox.farm.web import Headers, Reply, page

HSTS: Headers = (("Strict-Transport-Security", "max-age=63072000; includeSubDomains; preload"),)
STRONG_HEADERS: Headers = (
    *HSTS,
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
USUAL_HEADERS: Headers = (
    ("Strict-Transport-Security", "max-age=31536000"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
)
"""What many well-kept sites send: everything easy, no content security policy."""

SEARCH = '<form action="/search"><input name="q" type="search"><button>Search</button></form>'
LOGIN = (
    '<form action="/login" method="post"><input name="user"><input name="password" type="password">'
    '<button type="submit">Log in</button></form>'
)
_LINKS = ("News", "Services", "Opening hours", "Contact", "Accessibility", "Privacy")


def front_page(title: str, text: str = "", *, form: str = SEARCH, head: str = "") -> str:
    """HTML of a plain municipal front page with six links."""
    links = "".join(f'<li><a href="/{name.lower().replace(" ", "-")}">{name}</a></li>' for name in _LINKS)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{head}'
        f"<title>{escape(title)}</title></head><body><header><h1>{escape(title)}</h1></header>"
        f"<nav><ul>{links}</ul></nav><main><p>{escape(text or 'Welcome to the town of Marlow Bridge.')}</p>"
        f"{form}</main><footer>Town of Marlow Bridge</footer></body></html>"
    )


def front(title: str, *, headers: Headers = USUAL_HEADERS, form: str = SEARCH, head: str = "") -> Reply:
    """The same as an HTTP answer."""
    return page(front_page(title, form=form, head=head), headers=headers)
