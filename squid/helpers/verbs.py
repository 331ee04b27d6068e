"""Which operations only read, by the first word of their name."""

from __future__ import annotations

import re

READ_VERBS = ("BatchDescribe", "BatchGet", "Describe", "Get", "List", "Lookup", "Search")
"""The words by which AWS names what changes nothing; a scanner that only looks needs no others."""
_READS = re.compile(rf"(?:{'|'.join(READ_VERBS)})(?:[A-Z0-9]\w*)?", re.ASCII)


def reads(operation: str) -> bool:
    """Whether `operation` is a reading verb, alone or before another word: `GetUser`, but not `Getaway`."""
    return _READS.fullmatch(operation) is not None
