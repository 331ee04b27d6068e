"""Lambda entry point of `launch`."""

from __future__ import annotations

import msgspec

from functions.launch.bootstrap import bootstrap


def handle(event: object, context: object) -> dict[str, object]:
    """The caller sees our own errors: a list that cannot be used is his to repair."""
    answer: dict[str, object] = msgspec.to_builtins(bootstrap().handle(event))
    return answer
