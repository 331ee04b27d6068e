"""Words from certificates are a stranger's words: capped, and without control characters."""

from __future__ import annotations

from datetime import UTC, datetime

MAX_WORD = 256
"""As `record.Word`."""
MAX_TEXT = 2_048
"""As `record.Text`."""


def printable(text: str, limit: int = MAX_TEXT) -> str:
    """`text` with what cannot be printed (NUL, line ends, text direction) escaped, at most `limit` long."""
    head = text[:limit]
    if not head.isprintable():
        head = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in head)
    return head[:limit]


def iso(moment: datetime) -> str:
    """`2026-03-15T00:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def listed(names: list[str] | tuple[str, ...], most: int = 5) -> str:
    """`a, b, c and 7 more`."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
