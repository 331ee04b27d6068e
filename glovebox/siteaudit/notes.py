"""What a host list's reader says of a line; apart from the reader, so that showing notes needs no IDNA."""

from __future__ import annotations

from msgspec import Struct


class LineNote(Struct, frozen=True, kw_only=True, rename="camel"):
    """What happened to one line that was not simply a name."""

    line: int
    """Counted from 1."""
    text: str
    """The line, cut and with hidden characters made visible."""
    reason: str
    used: bool = False
    """Whether its host is audited all the same."""
