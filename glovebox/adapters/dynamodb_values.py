"""Plain values as DynamoDB writes them, and back.

boto3 has the same for types of its own (`boto3.dynamodb.types`), and costs its import at each cold start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glovebox.errors import UpstreamError

# A different dictionary for each kind of value.
Wire = dict[str, Any]


def wire_of(value: object) -> Wire:
    """Text, whole numbers, truth values, bytes, nothing, lists and maps of these.  Raises TypeError."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(int(value))}
    if value is None:
        return {"NULL": True}
    if isinstance(value, (bytes, bytearray)):
        return {"B": bytes(value)}
    if isinstance(value, Mapping):
        return {"M": {name: wire_of(each) for name, each in value.items()}}
    if isinstance(value, (list, tuple)):
        return {"L": [wire_of(each) for each in value]}
    raise TypeError(f"DynamoDB has no place for {type(value).__name__}.")


def value_of(wire: Mapping[str, Any]) -> object:
    """Raises UpstreamError for a kind that `wire_of` does not write."""
    [(kind, value)] = wire.items()
    match kind:
        case "S" | "BOOL":
            return value
        case "N":
            return _number(value)
        case "L":
            return [value_of(each) for each in value]
        case "M":
            return {name: value_of(each) for name, each in value.items()}
        case "NULL":
            return None
        case "B":
            return bytes(value)
        case _:
            raise UpstreamError(
                f"DynamoDB holds a value of kind {kind}.", fix="See who else writes the table."
            )


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        number = float(text)
        return int(number) if number.is_integer() else number
