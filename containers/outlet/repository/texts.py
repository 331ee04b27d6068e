"""What a hostile scanner's words may become: bounded, visible, without what looks like a secret."""

from __future__ import annotations

import re
from typing import Final

from glovebox.scans.redaction import redact
from glovebox.scans.repositories import CANARY, CANARY_FILES, SOURCE, TREE
from glovebox.scans.repository_lines import MAX_LICENSES, MAX_NAME, MAX_PLACE, MAX_TEXT, Severity
from glovebox.text import clean, plain, visible

MAX_LINK: Final = 1_024
SPARE: Final = 1_000
"""Characters behind what is told of a text that are looked at, because what is taken out makes room."""
MAX_NUMBER: Final = 1 << 31
_TREE: Final = re.compile(rf"/{TREE}/(?={SOURCE}/|{CANARY}/)")
_LINK: Final = re.compile(r"https://[!#-;=?-\[\]-z|~]+")
"""RFC 3986's characters, without those that it wants escaped."""
_SEVERITIES: Final[dict[str, Severity]] = {
    "LOW": "LOW",
    "MEDIUM": "MEDIUM",
    "HIGH": "HIGH",
    "CRITICAL": "CRITICAL",
}


class NotToldError(Exception):
    """An item lacks what makes it one, or has it longer than it can be: nothing of it goes out."""


def path(told: str) -> str:
    """A path as the scanner was shown it.  Raises NotToldError for one that does not come from there."""
    if told.startswith("/"):
        tree = _TREE.search(told)
        told = told[tree.end() :] if tree else ""
    folder, _, rest = told.partition("/")
    if folder not in (SOURCE, CANARY) or not rest or len(told) > MAX_PLACE or ".." in told.split("/"):
        raise NotToldError
    if folder == CANARY and rest not in CANARY_FILES:
        raise NotToldError
    return f"{folder}/{visible(redact(rest), MAX_PLACE - len(folder) - 1)}"


def name(told: str) -> str:
    """What an identity is made of, so it is whole or not there.  Raises NotToldError."""
    if not told or len(told) > MAX_NAME:
        raise NotToldError
    return visible(redact(told), MAX_NAME)


def word(told: str) -> str:
    return _cut(told, MAX_NAME)


def words(told: list[str] | None) -> list[str]:
    return [word(each) for each in (told or [])[:MAX_LICENSES]]


def text(told: str) -> str:
    return _cut(told, MAX_TEXT)


def link(told: str) -> str:
    """https, and nothing in it that had to be taken out; else nothing."""
    return told if len(told) <= MAX_LINK and _LINK.fullmatch(told) and redact(told) == told else ""


def number(told: int) -> int:
    return told if 0 <= told <= MAX_NUMBER else 0


def severity(told: str) -> Severity:
    return _SEVERITIES.get(told, "UNKNOWN")


def _cut(told: str, limit: int) -> str:
    shown = plain(told[: limit + SPARE])
    if len(told) > limit + SPARE:
        # Half of a secret is not known for one any more.
        shown = shown.rpartition(" ")[0]
    return clean(redact(shown), limit)
