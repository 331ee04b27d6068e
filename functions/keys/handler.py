"""Lambda entry point of `keys`."""

from __future__ import annotations

from functions.keys.bootstrap import bootstrap


def handle(event: object, context: object) -> None:
    """Whatever the event says: what is there decides what is due."""
    bootstrap().handle()
