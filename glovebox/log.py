"""JSON lines for machines and people: one event a decision, a constant message and fields.

CloudWatch indexes the fields, and alarms count the messages, so a message never holds a value.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence

Field = str | int | float | bool | None | Sequence[str]

MAX_FIELD = 1_024
"""A field is for finding things again; a longer one is data, which a log is not for."""
_CAPABILITY = re.compile(r"https?://\S+[?]\S*|X-Amz-\S+|eyJ[\w-]{16,}\S*")
"""Addresses with a query, signed headers and tokens: whoever reads them may use them."""


def info(message: str, **fields: Field) -> None:
    _write("INFO", message, fields)


def warning(message: str, **fields: Field) -> None:
    """Something was refused or lost, and the work went on."""
    _write("WARNING", message, fields)


def error(message: str, **fields: Field) -> None:
    _write("ERROR", message, fields)


def _write(level: str, message: str, fields: dict[str, Field]) -> None:
    shown = {name: _shown(value) for name, value in fields.items()}
    print(json.dumps({"level": level, "message": message, **shown}), file=sys.stdout, flush=True)


def _shown(value: Field) -> Field:
    if isinstance(value, str):
        return _CAPABILITY.sub("[withheld]", value)[:MAX_FIELD]
    if isinstance(value, Sequence):
        return [_CAPABILITY.sub("[withheld]", item)[:MAX_FIELD] for item in value[:20]]
    return value
