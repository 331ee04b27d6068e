"""What a server wrote, made safe to keep: no control, no ANSI sequence, no bidirectional trick."""

from __future__ import annotations

import re

_ANSI = re.compile(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,64}[@-~]|[@-Z\\-_])")
"""ECMA-48 sequences; bounded, because a hostile one has no end."""
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_SPACE = re.compile(r"[\t\n\r ]+")


def clean(text: str, limit: int) -> str:
    """`text` on one line, at most `limit` characters, without anything that a reader cannot see."""
    text = text[: limit * 2]
    if not (text.isascii() and text.isprintable()):
        text = _HIDDEN.sub("", _ANSI.sub("", text))
    return _SPACE.sub(" ", text).strip()[:limit]
