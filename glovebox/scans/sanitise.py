"""Taking out of whole reports what acts on whoever shows them."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from glovebox.text import plain

T = TypeVar("T")


def plain_struct(value: T) -> T:
    """A copy of a msgspec Struct in which every string, keys of maps included, is `plain`.

    Its size and depth are bounded by its type.
    """
    return msgspec.convert(_clean(msgspec.to_builtins(value)), type(value))


def _clean(value: object) -> object:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value
