"""Reading what `scanner.py look` saw."""

from __future__ import annotations

import json


def seen(report: bytes) -> dict[str, bytes]:
    """Each thing by its name, as the scanner saw it."""
    return {each["name"]: bytes.fromhex(each["hex"]) for each in json.loads(report)}


def places_of(secret: str, found: dict[str, bytes]) -> list[str]:
    """Where a secret stands in what was seen."""
    return [name for name, body in found.items() if secret.encode() in body or secret in name]
