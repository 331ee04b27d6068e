"""What a front page says: title, form fields, links, where it sends visitors, policies, scripts."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import unescape

from glovebox.siteaudit.web.markup import Tag, start_tags
from glovebox.siteaudit.web.url import BadUrlError, Url, parse_url
from glovebox.text import clean

MAX_TITLE = 512
"""Browsers show some 60 characters."""
MAX_LINKS = 50
"""What the record holds."""
MAX_LINK_TRIES = 500
"""Links looked at for those: pages of navigation repeat themselves."""
MAX_SCRIPTS = 1_000
"""Script elements that are judged; a page with more is hostile or a test."""
MAX_SCRIPT_TEXT = 65_536
"""Characters of one inline script that are searched for a redirect."""
MAX_POLICIES = 20
"""Meta tags with a policy."""
MAX_REFRESH_SECONDS = 10
"""A later refresh renews a page that people read; a sooner one is a redirect."""
_CHARSET_WINDOW = 1_024
"""HTML standard: a declaration of the charset stands within the first 1,024 bytes."""

_WANTED = frozenset({"title", "input", "select", "textarea", "a", "meta", "base", "script"})
_NO_FIELDS = frozenset({"hidden", "submit", "button", "image", "reset"})
_META_CHARSET = re.compile(
    rb"<meta[^>]{0,512}?charset\s{0,16}=\s{0,16}[\"']?\s{0,16}([A-Za-z0-9_.:-]{1,40})", re.I
)
_REFRESH = re.compile(
    r"\s*(\d{1,6})(?:\.[\d.]*)?\s*(?:[;,\s]\s*(?:url\s*=\s*)?(.*))?", re.IGNORECASE | re.DOTALL
)
_LOCATION = re.compile(
    r"(?<![\w.$])(?:(?:window|document|self|top|parent|globalThis)\.){0,2}location"
    r"(?:(?:\.href)?\s{0,32}=\s{0,32}|\.(?:replace|assign)\(\s{0,32})"
    r"(?:\"([^\"\\\n]{1,2048})\"|'([^'\\\n]{1,2048})')"
)


@dataclass(frozen=True, slots=True)
class Script:
    """A script element; `src` as written."""

    src: str | None
    integrity: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """The facts of one page, capped and clean; addresses are absolute."""

    title: str | None = None
    form_fields: int = 0
    """Fields that a visitor fills in: no hidden ones and no buttons."""
    links: tuple[str, ...] = ()
    refresh: str | None = None
    """Where a meta refresh within ten seconds sends visitors; as written."""
    script_redirect: str | None = None
    """Where a script outside every function sends them; as written."""
    policies: tuple[str, ...] = ()
    """Content security policies of meta tags, as written."""
    referrer: str | None = None
    base: str | None = None
    """The first `base` address, as written."""
    scripts: tuple[Script, ...] = ()


class _Reader:
    """Collects the facts, tag by tag."""

    def __init__(self) -> None:
        self.title: str | None = None
        self.fields = 0
        self.hrefs: dict[str, None] = {}
        self.refresh: str | None = None
        self.script_redirect: str | None = None
        self.policies: list[str] = []
        self.referrer: str | None = None
        self.base: str | None = None
        self.scripts: list[Script] = []

    def take(self, tag: Tag) -> None:
        attributes = tag.attributes
        match tag.name:
            case "title" if self.title is None and not tag.foreign:
                self.title = clean(unescape(tag.text[: MAX_TITLE * 4]), MAX_TITLE)
            case "input":
                self.fields += attributes.get("type", "text").strip().lower() not in _NO_FIELDS
            case "select" | "textarea":
                self.fields += 1
            case "a" if "href" in attributes and len(self.hrefs) < MAX_LINK_TRIES:
                self.hrefs[attributes["href"]] = None
            case "base" if self.base is None and "href" in attributes:
                self.base = attributes["href"]
            case "meta":
                self._meta(tag)
            case "script" if len(self.scripts) < MAX_SCRIPTS:
                self._script(tag)

    def _meta(self, tag: Tag) -> None:
        attributes = tag.attributes
        content = attributes.get("content", "")
        if "http-equiv" in attributes and "content" in attributes:
            kind = attributes["http-equiv"].strip().lower()
            if kind == "content-security-policy" and content and len(self.policies) < MAX_POLICIES:
                self.policies.append(content)
            elif kind == "refresh" and self.refresh is None and not tag.unscripted:
                self.refresh = refresh_target(content)
        elif attributes.get("name", "").strip().lower() == "referrer" and content:
            self.referrer = content

    def _script(self, tag: Tag) -> None:
        src = None if tag.foreign else tag.attributes.get("src")
        self.scripts.append(Script(src, tag.attributes.get("integrity")))
        if src is None and self.script_redirect is None:
            self.script_redirect = _script_target(tag.text[:MAX_SCRIPT_TEXT])


def read_page(html: str, url: Url) -> Page:
    """The facts of the page that came from `url`."""
    reader = _Reader()
    for tag in start_tags(html, _WANTED):
        reader.take(tag)
    return Page(
        title=reader.title or None,
        form_fields=reader.fields,
        links=_links(reader.hrefs, _base(reader.base, url)),
        refresh=reader.refresh,
        script_redirect=reader.script_redirect,
        policies=tuple(reader.policies),
        referrer=reader.referrer,
        base=reader.base,
        scripts=tuple(reader.scripts),
    )


def decode(body: bytes, content_type: str) -> str:
    """The text of a page: by its byte-order mark, its header, its meta tag, else UTF-8.

    Raises nothing: what does not decode becomes U+FFFD.
    """
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if body.startswith(mark):
            return body.decode(encoding, "replace").lstrip("\ufeff")
    header = re.search(r"charset\s{0,16}=\s{0,16}[\"']?([A-Za-z0-9_.:-]{1,40})", content_type, re.IGNORECASE)
    meta = _META_CHARSET.search(body[:_CHARSET_WINDOW])
    label = header.group(1) if header else meta.group(1).decode() if meta else "utf-8"
    return body.decode(_codec(label), "replace")


def refresh_target(content: str) -> str | None:
    """Where a meta refresh, or a Refresh header, of this content sends the visitor within ten seconds."""
    match = _REFRESH.fullmatch(content[:4_096])
    if match is None or match[2] is None:
        return None
    target = match[2].strip()
    if target[:1] in ('"', "'"):
        target = target[1:].partition(target[0])[0]
    return target if target and int(match[1]) <= MAX_REFRESH_SECONDS else None


def _codec(label: str) -> str:
    """Python's codec for a charset label; UTF-8 for one that is unknown or no text encoding."""
    label = label.lower()
    if label in ("iso-8859-1", "latin1", "us-ascii", "ascii"):
        return "cp1252"  # Encoding standard: what the web means by these
    try:
        b"xx".decode(label, "replace")
    except (LookupError, ValueError):
        return "utf-8"
    return "utf-8" if codecs.lookup(label).name in _DEAR_CODECS else label


_DEAR_CODECS = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf-7", "undefined", "mbcs", "oem"}
)
"""Codecs that no page uses; some take quadratic time."""


def _script_target(text: str) -> str | None:
    depth = place = 0
    for match in _LOCATION.finditer(text):
        depth += text.count("{", place, match.start()) - text.count("}", place, match.start())
        place = match.start()
        if depth <= 0:
            return match[1] or match[2]
    return None


def _base(href: str | None, url: Url) -> Url:
    if href is None:
        return url
    try:
        return parse_url(href, url)
    except BadUrlError:
        return url


def _links(hrefs: Iterable[str], base: Url) -> tuple[str, ...]:
    links: dict[str, None] = {}
    for href in hrefs:
        if href.startswith("#"):
            continue
        try:
            links[str(parse_url(href, base))] = None
        except BadUrlError:
            continue  # mailto:, javascript: and the like are no links to pages
        if len(links) == MAX_LINKS:
            break
    return tuple(links)
