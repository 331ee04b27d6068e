"""Start tags and text of an HTML page, in one linear pass.

Why not `html.parser`: its reading of comments, raw text and scripts changed within Python's
patch releases, some of which take quadratic time on hostile pages (CVE-2025-6069), and it
takes twice the time.  This follows the tokenizer of the HTML standard as far as it decides
where a tag is: comments, raw text, script's escaped states, attributes, foreign content.
Every pattern is atomic, so that no page makes the pass anything but linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from html import unescape

MAX_ATTRIBUTES = 64
"""Kept of one tag; pages use a dozen."""
MAX_TAGS = 50_000
"""Tags and comments looked at one by one; a page of a megabyte has a few thousand such."""
MAX_VALUE = 8_192
"""Characters kept of one attribute: a long policy in a meta tag fits."""

_WS = r"\t\n\f\r "
_NAME = re.compile(rf"[a-zA-Z][^{_WS}/>]*+")
_ATTRIBUTE = re.compile(
    rf"[{_WS}/]*+(?P<name>=?[^{_WS}/>=]*+)"
    rf"(?>[{_WS}]*+=[{_WS}]*+(?>\"(?P<double>[^\"]*+)(?:\"|(?P<open>\Z))|'(?P<single>[^']*+)(?:'|(?P<opened>\Z))"
    rf"|(?P<bare>[^{_WS}>\"'][^{_WS}>]*+)|(?=>)|\Z))?+"
)
_REST = (
    rf"(?>[{_WS}/]++|(?>=[^{_WS}/>=]*+|[^{_WS}/>=]++)(?>[{_WS}]*+=[{_WS}]*+"
    rf"(?>\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^{_WS}>\"'][^{_WS}>]*+|(?=>)|\Z))?+)*+>"
)
_REST_OF_TAG = re.compile(_REST)
_OPENING = re.compile(r"<[a-zA-Z/!?]")
_COMMENT_END = re.compile(r"--!?>")
_RAW_TEXT = frozenset({"style", "xmp", "iframe", "noembed", "noframes", "title", "textarea"})
_RAW_END = {name: re.compile(rf"</{name}(?=[{_WS}/>])", re.IGNORECASE) for name in (*_RAW_TEXT, "script")}
_SCRIPT_STEP = re.compile(rf"<!--|-->|<(?P<close>/?)script(?=[{_WS}/>])", re.IGNORECASE)
_FOREIGN = frozenset({"svg", "math"})
_BREAKS_OUT = frozenset(
    {"body", "center", "div", "dl", "head", "hr", "img", "meta", "ol", "p", "pre", "span", "table", "ul"}
)
"""HTML standard, 13.2.6.5: tags that end foreign content; the rest of its list seldom comes first."""


@cache
def _dull_run(wanted: frozenset[str]) -> re.Pattern[str]:
    """Any run of text and of tags that neither are wanted nor change how what follows is read.

    Most of a page is such runs, and one match takes them at once.
    """
    telling = wanted | _RAW_TEXT | _FOREIGN | {"script", "template", "noscript", "plaintext"}
    names = "|".join(sorted(telling))
    return re.compile(rf"(?>[^<]*+<(?!/?(?i:{names})[{_WS}/>])/?[a-zA-Z][^{_WS}/>]*+{_REST})*+")


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


@dataclass(slots=True)
class _Inside:
    """How deep the pass stands in elements that change what tags mean."""

    templates: int = 0
    foreign: int = 0
    unscripted: int = 0

    def enter(self, name: str, *, closed: bool) -> None:
        self.templates += name == "template"
        self.unscripted += name == "noscript"
        self.foreign += name in _FOREIGN and not closed

    def leave(self, name: str) -> None:
        self.templates -= name == "template" and self.templates > 0
        self.unscripted -= name == "noscript" and self.unscripted > 0
        self.foreign -= name in _FOREIGN and self.foreign > 0


def start_tags(html: str, wanted: frozenset[str]) -> Iterator[Tag]:
    """The start tags of `html` whose lower-case name is in `wanted`, in order."""
    dull = _dull_run(wanted)
    inside = _Inside()
    place = 0
    for _ in range(MAX_TAGS):
        if not inside.foreign and (run := dull.match(html, place)):
            place = run.end()
        opening = _OPENING.search(html, place)
        if opening is None:
            return
        place = opening.start() + 1
        if html[place] in "!?":
            place = _after_declaration(html, place, inside.foreign > 0)
        elif html[place] == "/":
            place = _after_end_tag(html, place + 1, inside)
        else:
            tag, place = _start_tag(html, place, inside, wanted)
            if tag is not None:
                yield tag
        if place < 0:
            return  # the page ends within a tag, which is then no tag


def _start_tag(html: str, place: int, inside: _Inside, wanted: frozenset[str]) -> tuple[Tag | None, int]:
    """The tag whose name begins at `place`, if wanted, and the place behind it and its text, or -1."""
    match = _NAME.match(html, place)
    if match is None:
        return None, place
    name, behind_name = match.group().lower(), match.end()
    if name in _BREAKS_OUT:
        inside.foreign = 0
    kept = name in wanted and not inside.templates
    attributes, end = _attributes(html, behind_name) if kept else ({}, _after_tag(html, behind_name))
    if end < 0:
        return None, -1
    behind = _end_of_raw_text(html, end, name) if not inside.foreign else end
    tag = Tag(name, attributes, html[end:behind], inside.foreign > 0, inside.unscripted > 0) if kept else None
    inside.enter(name, closed=html.startswith("/>", end - 2))
    return tag, behind


def _after_end_tag(html: str, place: int, inside: _Inside) -> int:
    """Behind the end tag whose name begins at `place`, or -1; without a letter it is a bogus comment."""
    match = _NAME.match(html, place)
    if match is None:
        return _after(html, ">", place)
    inside.leave(match.group().lower())
    return _after_tag(html, match.end())


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
    if name == "plaintext":
        return len(html)
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
