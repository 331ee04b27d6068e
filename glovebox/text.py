"""Making text from strangers safe to show and to keep: nothing hidden, nothing that moves a terminal.

`visible` spells hidden characters out, where they are evidence: names, quoted lines, messages.
`plain` and `clean` drop them, where only what a reader would see counts.
"""

from __future__ import annotations

import re
import unicodedata

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories without a glyph: controls, bidirectional and zero-width marks, line separators."""
_BLANKS = re.compile(r"[\t\n\r\x0b\x0c\x85\u2028\u2029]+")
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI … final byte (ECMA-48, 5.4)
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]"  # two-byte escapes
)
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""C0, DEL, C1; the bidirectional controls of UAX 9; what has no width, tags among it, which can carry a text
that people do not see and programs read; surrogates, which are no characters."""
_SPACES = re.compile(" {2,}")


def visible(text: str, limit: int) -> str:
    """`text` on one line, every hidden character as `<U+XXXX>`, cut to `limit` characters with an ellipsis.

    Tabs and newlines are hidden characters too, so the answer is safe for a terminal, a log and a table.
    """
    if len(text) <= limit and text.isprintable():
        return text
    shown = "".join(
        f"<U+{ord(character):04X}>" if unicodedata.category(character) in _UNSEEN else character
        for character in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def plain(text: str) -> str:
    """`text` on one line, without controls; what separates words becomes one blank."""
    if text.isascii() and text.isprintable():
        return text
    return _HIDDEN.sub("", _ANSI.sub("", _BLANKS.sub(" ", text)))


def clean(text: str, limit: int) -> str:
    """`text` as `plain` makes it, without blanks at its ends and in rows, at most `limit` characters.

    A page may be one endless title: not much more than `limit` characters of it are looked at.
    """
    return _SPACES.sub(" ", plain(text[: limit * 2])).strip()[:limit]
