"""Cookies as browsers keep them (RFC 6265 and its revision): what a chain of answers leaves in the jar.

A visit carries them along its redirects, since many sites set one and send the visitor on to
the same address, and the score judges all that are left at the end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from publicsuffixlist import PublicSuffixList

from glovebox.siteaudit.web.url import Url

MAX_COOKIES = 200
"""Browsers keep about 180 for a site."""
MAX_COOKIE = 4_096
"""RFC 6265, 6.1: longer ones are dropped, by browsers too."""
_SECONDS = re.compile(r"-?[0-9]{1,12}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SAME_SITE = ("strict", "lax", "none")


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie as kept: attributes that browsers do not understand are as good as absent."""

    name: str
    value: str
    domain: str
    path: str = "/"
    host_only: bool = True
    secure: bool = False
    http_only: bool = False
    same_site: str | None = None
    """`strict`, `lax`, `none`, or nothing that counts."""
    expired: bool = False

    def goes_to(self, url: Url) -> bool:
        """RFC 6265, 5.4: whether a request for `url` carries it."""
        at_home = url.host == self.domain or (not self.host_only and url.host.endswith("." + self.domain))
        path = url.target.partition("?")[0]
        below = path == self.path or path.startswith(self.path.rstrip("/") + "/")
        return at_home and below and (url.scheme == "https" or not self.secure) and not self.expired


class CookieJar:
    """The cookies of one chain of answers."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str, str], Cookie] = {}

    def store(self, url: Url, lines: list[str]) -> None:
        """Keeps the cookies of the Set-Cookie `lines` of an answer from `url`."""
        for line in lines:
            cookie = parse_cookie(line, url)
            if cookie is not None and (len(self._cookies) < MAX_COOKIES or _key(cookie) in self._cookies):
                self._cookies[_key(cookie)] = cookie

    def header(self, url: Url) -> str:
        """The Cookie header for a request to `url`; empty where none goes there."""
        going = [cookie for cookie in self._cookies.values() if cookie.goes_to(url)]
        going.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(f"{c.name}={c.value}" if c.name else c.value for c in going)

    def cookies(self) -> tuple[Cookie, ...]:
        return tuple(self._cookies.values())


def parse_cookie(line: str, url: Url) -> Cookie | None:
    """The cookie of one Set-Cookie line from `url`, or `None` where browsers refuse it.

    RFC 6265, 5.2 and 5.3, with the name prefixes of its revision.
    """
    if len(line) > MAX_COOKIE or _CONTROL.search(line):
        return None
    pair, *rest = line.split(";")
    name, equals, value = (part.strip() for part in pair.partition("="))
    if not equals or not name:
        return None
    attributes = _attributes(rest)
    domain = attributes.get("domain", "").lstrip(".").lower()
    if domain and not _may_set(url.host, domain):
        return None
    path = attributes.get("path", "")
    same_site = attributes.get("samesite", "").lower()
    cookie = Cookie(
        name=name,
        value=value,
        domain=domain or url.host,
        path=path if path.startswith("/") else _default_path(url),
        host_only=not domain,
        secure="secure" in attributes,
        http_only="httponly" in attributes,
        same_site=same_site if same_site in _SAME_SITE else None,
        expired=_is_expired(attributes.get("max-age", "")),
    )
    return cookie if _keeps_prefix(cookie) else None


def _attributes(parts: list[str]) -> dict[str, str]:
    """By lower-case name, the last of a name; an empty Domain is passed over (RFC 6265, 5.2.3)."""
    pairs = [
        (name.strip().lower(), value.strip()) for name, _, value in (part.partition("=") for part in parts)
    ]
    return {name: value for name, value in pairs if value or name != "domain"}


def _key(cookie: Cookie) -> tuple[str, str, str]:
    return cookie.domain, cookie.path, cookie.name


def _may_set(host: str, domain: str) -> bool:
    """A cookie for the host itself or above it, and for no public suffix."""
    return (host == domain or host.endswith("." + domain)) and icann_suffixes().privatesuffix(
        domain
    ) is not None


def _default_path(url: Url) -> str:
    """RFC 6265, 5.1.4."""
    return url.target.partition("?")[0].rpartition("/")[0] or "/"


def _is_expired(max_age: str) -> bool:
    """By Max-Age alone, which needs no clock; a cookie deleted by an Expires in the past is carried on."""
    return _SECONDS.fullmatch(max_age) is not None and int(max_age) <= 0


def _keeps_prefix(cookie: Cookie) -> bool:
    """`__Secure-` and `__Host-` promise attributes; a browser drops a cookie that breaks its promise."""
    if cookie.name.startswith("__Secure-"):
        return cookie.secure
    if cookie.name.startswith("__Host-"):
        return cookie.secure and cookie.host_only and cookie.path == "/"
    return True


@cache
def icann_suffixes() -> PublicSuffixList:
    """The suffixes of registries alone, without those that companies added for their customers."""
    return PublicSuffixList(only_icann=True)
