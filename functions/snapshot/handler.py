"""Lambda entry point of `snapshot`."""

from __future__ import annotations

import msgspec

from functions.snapshot.bootstrap import bootstrap


def handle(event: object, context: object) -> object:
    return msgspec.to_builtins(bootstrap().handle(event))
