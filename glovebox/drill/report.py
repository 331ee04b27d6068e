"""The hostile scanner's report: what it says it tried, and when.  Nothing in it is evidence.

It only says where to look: an attempt's times, its marker and the near ends of its connections.  A lie about
them makes an attempt untraced, which is an alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from glovebox.drill.run import MAX_SOCKETS
from glovebox.drill.scanner import Listed
from glovebox.errors import RejectedReportError

MAX_BYTES = 256 << 10
"""90 rows of at most 2 KB, and room."""
MAX_ATTEMPT_SECONDS = 120
"""Longer than the slowest attempt; whoever claims hours could claim anybody's traces."""
CLOCK_SECONDS = 5
"""Clocks in AWS agree far better."""

Socket = Annotated[str, Meta(pattern=r"\A(tcp|udp|icmp|sctp|udplite)/[0-9]{1,5}\Z")]
Said = Annotated[str, Meta(max_length=500)]


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One attempt.  Times in seconds of the Unix epoch."""

    line: int
    name: Annotated[str, Meta(max_length=200)]
    marker: Annotated[str, Meta(pattern=r"\Agbx[0-9a-f]{12}\Z")]
    started: float
    ended: float
    sockets: Annotated[list[Socket], Meta(max_length=MAX_SOCKETS)]
    said: Said = ""
    cannot: Said | None = None
    """Why this machine has no means for it."""


def read_report(data: bytes, expected: Sequence[Listed], began: float, uploaded: float) -> list[Row]:
    """The rows of `data`: those that are `expected`, in their order, one after the other in time.

    `began`, `uploaded`: between these moments of ours all of it must lie.  A report that ends early gives
    fewer rows.  Raises RejectedReportError.
    """
    if len(data) > MAX_BYTES:
        raise RejectedReportError("The drill's report is larger than any drill's.")
    lines = data.splitlines()
    if len(lines) > len(expected):
        raise RejectedReportError("The drill's report has more attempts than there are.")
    rows, earliest = [], began - CLOCK_SECONDS
    for number, (line, listed) in enumerate(zip(lines, expected, strict=False), start=1):
        row = _row(line, number)
        if (row.line, row.name) != (listed.line, listed.name):
            raise RejectedReportError(f"Row {number} of the drill's report is not {listed.name!r}.")
        if not earliest <= row.started <= row.ended <= uploaded + CLOCK_SECONDS:
            raise RejectedReportError(f"Row {number} of the drill's report is out of its time.")
        if row.ended - row.started > MAX_ATTEMPT_SECONDS:
            raise RejectedReportError(f"Row {number} of the drill's report claims too long a time.")
        earliest = row.ended
        rows.append(row)
    if len({row.marker for row in rows}) != len(rows):
        raise RejectedReportError("Two rows of the drill's report have one marker.")
    return rows


def _row(line: bytes, number: int) -> Row:
    try:
        return msgspec.json.decode(line, type=Row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RejectedReportError(f"Row {number} of the drill's report cannot be read: {error}.") from error
