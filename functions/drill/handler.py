"""Lambda entry point of `drill`."""

from __future__ import annotations

from functions.drill.bootstrap import bootstrap


def handle(event: object, context: object) -> dict[str, object]:
    """What cannot be used raises: orders are ours alone, and such a message ends in the failure queue."""
    return bootstrap().handle(event)
