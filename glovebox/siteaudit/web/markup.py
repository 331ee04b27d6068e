"""Start tags and text of an HTML page, in one linear pass.

Why not `html.parser`: its reading of comments, raw text and scripts changed within Python's
patch releases, some of which take quadratic time on hostile pages (CVE-2025-6069), and it
is ten times slower.  This follows the tokenizer of the HTML standard as far as it decides
where a tag is: comments, raw text, script's escaped states, attributes, foreign content.
Every pattern is atomic, so that no page makes the pass anything but linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

MAX_ATTRIBUTES = 64
"""Kept of one tag; pages use a dozen."""
MAX_VALUE = 8_192
"""Characters kept of one attribute: a long policy in a meta tag fits."""

_WS = r"\t\n\f\r "
_NAME = re.compile(rf"[a-zA-Z][^{_WS}/>]*+")
_ATTRIBUTE = re.compile(
    rf"[{_WS}/]*+(?P<name>=?[^{_WS}/>=]*+)"
    rf"(?>[{_WS}]*+=[{_WS}]*+(?>\"(?P<double>[^\"]*+)(?:\"|(?P<open>\Z))|'(?P<single>[^']*+)(?:'|(?P<opened>\Z))"
    rf"|(?P<bare>[^{_WS}>\"'][^{_WS}>]*+)|(?=>)|\Z))?+"
)
_REST_OF_TAG = re.compile(
    rf"(?>[{_WS}/]++|(?>=[^{_WS}/>=]*+|[^{_WS}/>=]++)(?>[{_WS}]*+=[{_WS}]*+"
    rf"(?>\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^{_WS}>\"'][^{_WS}>]*+|(?=>)|\Z))?+)*+>"
)
_COMMENT_END = re.compile(r"--!?>")
_RAW_TEXT = frozenset({"style", "xmp", "iframe", "noembed", "noframes", "title", "textarea"})
_RAW_END = {name: re.compile(rf"</{name}(?=[{_WS}/>])", re.IGNORECASE) for name in (*_RAW_TEXT, "script")}
_SCRIPT_STEP = re.compile(rf"<!--|-->|<(?P<close>/?)script(?=[{_WS}/>])", re.IGNORECASE)
_FOREIGN = frozenset({"svg", "math"})
_BREAKS_OUT = frozenset(
    {"body", "center", "div", "dl", "head", "hr", "img", "meta", "ol", "p", "pre", "span", "table", "ul"}
)
"""HTML standard, 13.2.6.5: tags that end foreign content; the rest of its list seldom comes first."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One start tag of those that were asked for, outside comments and templates."""

    name: str
    attributes: dict[str, str]
    """Names in lower case, the first of a name; values with their references resolved."""
    text: str = ""
    """What stands inside `title`, `textarea`, `style` and `script`."""
    foreign: bool = False
    """Inside `svg` or `math`, where a title is no page title."""
    unscripted: bool = False
    """Inside `noscript`, which browsers with scripts pass over."""


def start_tags(html: str, wanted: frozenset[str]) -> Iterator[Tag]:
    """The start tags of `html` whose lower-case name is in `wanted`, in order."""
    place = templates = foreign = unscripted = 0
    while (place := html.find("<", place)) >= 0:
        place += 1
        following = html[place : place + 1]
        if following in ("!", "?"):
            place = _after_declaration(html, place, foreign > 0)
            continue
        closing = following == "/"
        match = _NAME.match(html, place + closing)
        if match is None:
            if closing and html[place + 1 : place + 2]:  # a bogus comment; `</>` is nothing at all
                place = _after(html, ">", place + 1)
            continue
        name = match.group().lower()
        if closing:
            place = _after_tag(html, match.end())
            if place < 0:
                return
            templates -= name == "template" and templates > 0
            unscripted -= name == "noscript" and unscripted > 0
            foreign -= name in _FOREIGN and foreign > 0
            continue
        if name in _BREAKS_OUT:
            foreign = 0
        if name in wanted and not templates:
            attributes, place = _attributes(html, match.end())
        else:
            attributes, place = {}, _after_tag(html, match.end())
        if place < 0:
            return  # the page ends within a tag, which is then no tag
        raw_to = _end_of_raw_text(html, place, name) if not foreign else place
        if name in wanted and not templates:
            yield Tag(name, attributes, html[place:raw_to], foreign > 0, unscripted > 0)
        unscripted += name == "noscript"
        templates += name == "template"
        foreign += name in _FOREIGN and html[place - 2 : place] != "/>"
        if name == "plaintext" and not foreign:
            return
        place = raw_to


def _after(html: str, text: str, place: int) -> int:
    """Behind the next `text`, or behind everything."""
    found = html.find(text, place)
    return len(html) if found < 0 else found + len(text)


def _after_declaration(html: str, place: int, foreign: bool) -> int:
    """Behind a comment, a doctype, a CDATA section, or what passes for a comment; `place` is at the `!`."""
    if html.startswith("!--", place):
        if html.startswith(">", place + 3) or html.startswith("->", place + 3):
            return html.index(">", place) + 1
        end = _COMMENT_END.search(html, place + 3)
        return end.end() if end else len(html)
    if foreign and html.startswith("![CDATA[", place):
        return _after(html, "]]>", place)
    return _after(html, ">", place)


def _after_tag(html: str, place: int) -> int:
    """Behind the `>` of the tag whose name ends at `place`, or -1 where the page ends first."""
    match = _REST_OF_TAG.match(html, place)
    return match.end() if match else -1


def _attributes(html: str, place: int) -> tuple[dict[str, str], int]:
    """The attributes from `place` on, and the place behind the tag's `>`, or -1 where the page ends first."""
    attributes: dict[str, str] = {}
    while match := _ATTRIBUTE.match(html, place):
        name = match["name"].lower()
        if match.end() == place or not name:
            place = match.end()
            break
        if len(attributes) < MAX_ATTRIBUTES and name not in attributes:
            value = next((v for v in match.group("double", "single", "bare") if v is not None), "")[
                :MAX_VALUE
            ]
            attributes[name] = unescape(value) if "&" in value else value
        place = match.end()
    return attributes, place + 1 if html.startswith(">", place) else -1


def _end_of_raw_text(html: str, place: int, name: str) -> int:
    """Where the text of a raw-text element ends; `place` itself for all other elements."""
    if name == "script":
        return _end_of_script(html, place)
    if name not in _RAW_TEXT:
        return place
    end = _RAW_END[name].search(html, place)
    return end.start() if end else len(html)


def _end_of_script(html: str, place: int) -> int:
    """Where a script ends, by the escaped states that `<!-- <script>` brings about."""
    escaped = doubled = False
    while match := _SCRIPT_STEP.search(html, place):
        step = match.group()
        place = match.end()
        if step == "<!--":
            escaped = True
            place -= 2  # `<!-->` ends what it begins
        elif step == "-->":
            escaped = doubled = False
        elif not match["close"]:
            doubled = escaped
        elif doubled:
            doubled = False
        else:
            return match.start()
    return len(html)
