"""CODEOWNERS: who owns everything (https://docs.github.com, "About code owners").

It is the text of whoever may push.
"""

from __future__ import annotations

from typing import Final

from glovebox.registry.model import MAX_LABELS, MAX_NAME

PLACES: Final = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
"""The first that is there counts."""
_ALL: Final = "*"


def owners_of_all(body: bytes) -> tuple[str, ...]:
    """The owners in the last line for `*`; empty where it names none, or is not there.

    What cannot be an owner is left out, and so is what comes after the twentieth.
    """
    owners: tuple[str, ...] = ()
    for line in body.decode("utf-8", "replace").splitlines():
        pattern, *words = line.partition("#")[0].split(None, MAX_LABELS + 1)[: MAX_LABELS + 1] or [""]
        if pattern == _ALL:
            owners = tuple(word for word in words if _may_be_owner(word))
    return owners


def _may_be_owner(word: str) -> bool:
    return "@" in word and len(word) <= MAX_NAME and word.isprintable()
