"""Taking out of strings what acts on whoever shows them: controls, ANSI sequences, marks that nobody sees."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

T = TypeVar("T")

_BLANKS = re.compile(r"[\t\n\r\x0b\x0c\x85\u2028\u2029]+")
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI … final byte (ECMA-48, 5.4)
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]"  # two-byte escapes
)
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""C0, DEL, C1; the bidirectional controls of UAX 9; what has no width, tags among it, which can carry a text
that people do not see and programs read; surrogates, which are no characters."""


def plain(text: str) -> str:
    """`text` on one line, without controls; what separates words becomes one blank."""
    return _HIDDEN.sub("", _ANSI.sub("", _BLANKS.sub(" ", text)))


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
