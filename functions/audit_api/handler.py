"""Lambda entry point of `audit_api`."""

from __future__ import annotations

import msgspec

from functions.audit_api.bootstrap import bootstrap


def handle(event: object, context: object) -> dict[str, object]:
    answer: dict[str, object] = msgspec.to_builtins(bootstrap().handle(event))
    return answer
