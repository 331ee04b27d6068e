"""Hosts that send their visitors on, well or badly."""

from __future__ import annotations

from glovebox.farm.identities import good
from glovebox.farm.model import DOMAIN, Expected, Handler, Plain, Tls, Trait
from glovebox.farm.pages import front
from glovebox.farm.traits.common import VALID, secure, to_https
from glovebox.farm.web import Reply, redirect, site
from glovebox.siteaudit.record import RedirectType

_HOPS = 15
"""More than any audit follows, and fewer than a browser does."""


def _sends(
    name: str,
    shows: str,
    http: Handler,
    title: str,
    kind: RedirectType = "HTTP Status Code",
    *,
    to_secure: bool = True,
) -> Trait:
    """A good https site, with `http` in front of it."""
    return Trait(
        name=name,
        shows=shows,
        http=Plain(http),
        https=secure(title),
        expects=Expected(
            https=True, redirects_to_https=to_secure, redirect_type=kind, title=title, reasons=VALID
        ),
    )


def _fails(name: str, shows: str, failure: str | None, pages: dict[str, Reply] | Reply) -> Trait:
    """Port 80 sends to https, where the redirects go wrong."""
    return Trait(
        name=name,
        shows=shows,
        http=to_https(name),
        https=Tls(site(pages), good),
        expects=Expected(failure=failure, redirects_to_https=True, reasons=VALID),
    )


def _refresh(title: str, name: str) -> Reply:
    return front(
        title, headers=(), head=f'<meta http-equiv="refresh" content="0; url=https://{name}.{DOMAIN}/">'
    )


def _script(title: str, name: str) -> Reply:
    return front(
        title, headers=(), head=f'<script>window.location.href = "https://{name}.{DOMAIN}/";</script>'
    )


def _chain(name: str, hops: int) -> dict[str, Reply]:
    steps = {f"/{step}": redirect(f"/{step + 1}", status=302) for step in range(1, hops)}
    return {"/": redirect(f"https://{name}.{DOMAIN}/1", status=302), **steps, f"/{hops}": front("The end")}


TRAITS: tuple[Trait, ...] = (
    _sends(
        "redirect-302",
        "A temporary redirect to https",
        site(redirect(f"https://redirect-302.{DOMAIN}/", status=302)),
        "Marlow Bridge Recycling Centre",
    ),
    _sends(
        "redirect-308",
        "A permanent redirect of the newer kind",
        site(redirect(f"https://redirect-308.{DOMAIN}/", status=308)),
        "Marlow Bridge Street Lighting",
    ),
    _sends(
        "meta-refresh",
        "A page on http that moves on by a meta tag",
        site(_refresh("Please wait", "meta-refresh")),
        "Marlow Bridge Citizens' Portal",
        "meta-tag",
    ),
    _sends(
        "javascript",
        "A page on http that moves on by a script",
        site(_script("Please wait", "javascript")),
        "Marlow Bridge Event Calendar",
        "javascript",
    ),
    _sends(
        "both-open",
        "The same page on http and https, and no redirect",
        site(front("Marlow Bridge Town Band", headers=())),
        "Marlow Bridge Town Band",
        "None",
        to_secure=False,
    ),
    Trait(
        name="three-hops",
        shows="Three redirects, then the page",
        http=to_https("three-hops"),
        https=Tls(site(_chain("three-hops", 2)), good),
        expects=Expected(redirects_to_https=True, reasons=VALID, title="The end", https=True),
    ),
    Trait(
        name="downgrade",
        shows="https sends its visitors back to http",
        http=Plain(site(front("Marlow Bridge Flea Market", headers=()))),
        https=Tls(site(redirect(f"http://downgrade.{DOMAIN}/")), good),
        expects=Expected(
            redirects_to_https=False, reasons=VALID, title="Marlow Bridge Flea Market", https=True
        ),
    ),
    _fails(
        "redirect-loop",
        "https sends to itself",
        "redirect_loop",
        redirect(f"https://redirect-loop.{DOMAIN}/", status=302),
    ),
    Trait(
        name="redirect-ping-pong",
        shows="http sends to https, and https back to http",
        http=to_https("redirect-ping-pong", status=302),
        https=Tls(site(redirect(f"http://redirect-ping-pong.{DOMAIN}/", status=302)), good),
        expects=Expected(failure="redirect_loop", reasons=VALID),
    ),
    _fails(
        "redirect-chain", f"{_HOPS} redirects in a row", "too_many_redirects", _chain("redirect-chain", _HOPS)
    ),
    _fails(
        "off-list",
        "Sends to a name that nobody asked us to audit",
        "redirect_off_list",
        redirect("https://www.elsewhere.test/welcome", status=302),
    ),
    _fails(
        "bad-location", "A Location that is no address", "bad_redirect", redirect("https://[half", status=302)
    ),
    _fails(
        "mail-location",
        "A Location that is no web address",
        "bad_redirect",
        redirect("mailto:clerk@fleet.test"),
    ),
    _fails(
        "inward-redirect",
        "Sends to an address inside",
        "redirect_off_list",
        redirect("http://169.254.169.254/latest/meta-data/", status=302),
    ),
)
