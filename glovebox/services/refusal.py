"""What a function does with an event that can never be used: another try would meet the same error."""

from __future__ import annotations

from typing import Protocol

from glovebox import log
from glovebox.errors import GloveboxError


class Context(Protocol):
    """What we use of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int: ...


def refused(error: GloveboxError) -> None:
    """Say so in the log, which an alarm counts, and end well, so that the event is not sent again."""
    log.error("event refused", error=type(error).__name__, reason=error.reason)
