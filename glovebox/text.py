"""Making text from strangers safe to show: nothing hidden, nothing that moves a terminal."""

from __future__ import annotations

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories without a glyph: controls, bidirectional and zero-width marks, line separators."""


def visible(text: str, limit: int) -> str:
    """`text` on one line, every hidden character as `<U+XXXX>`, cut to `limit` characters with an ellipsis.

    Tabs and newlines are hidden characters too, so the answer is safe for a terminal, a log and a table.
    """
    shown = "".join(
        f"<U+{ord(character):04X}>" if unicodedata.category(character) in _HIDDEN else character
        for character in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
