"""Content security policies as MDN's HTTP Observatory reads them.

Policies of several sources (the header and each meta tag) are merged into one, which the
score then judges: a source counts where each policy allows it.  This is the scoring's
reading, stricter than a browser's in one point: a directive given twice makes the whole
policy invalid, so that people notice it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import unquote

SHORTEST_POLICY = 6
"""Characters: less cannot hold a directive."""
NOT_IN_META = ("frame-ancestors", "report-uri", "sandbox")
"""Directives that browsers ignore in a meta tag (HTML standard)."""
_REPEATABLE = frozenset({"report-uri", "report-to"})
NONE = "'none'"

SPACES = "\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""What JavaScript, in which the scoring is written, takes for white space; Python's idea differs."""
_SPLIT = re.compile(f"[{SPACES}]+")
_ESCAPES = re.compile(r"%(?![0-9a-fA-F]{2})")

_COLLATION = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz"
"""The order of Unicode's collation for what stands in a policy: it decides which sources are neighbours."""
_RANKS: dict[int, int | None] = {ord(character): rank for rank, character in enumerate(_COLLATION, start=1)}
_RANKS |= dict.fromkeys((*range(0x20), 0x7F))

Directives = dict[str, set[str]]


class InvalidPolicyError(Exception):
    """The scoring calls the policy invalid: too short, a directive twice, a broken escape."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The merged policy: a set of lower-case sources a directive."""

    directives: Directives
    repeated: bool
    """`report-uri` or `report-to` stands twice, which is tolerated."""


@dataclass(slots=True)
class _Source:
    text: str
    policy: int
    kept: bool


def parse_policies(policies: Sequence[str]) -> Policy:
    """The merge of `policies`, the header's first.  Raises InvalidPolicyError."""
    cleaned = [trim(re.sub(r"[\r\n]", "", policy)) for policy in policies]
    if any(len(policy) < SHORTEST_POLICY for policy in cleaned):
        raise InvalidPolicyError("too short")
    merged: dict[str, list[_Source]] = {}
    repeated = False
    for number, policy in enumerate(cleaned):
        seen: set[str] = set()
        for directive, texts in _directives(policy):
            if directive in seen and directive not in _REPEATABLE:
                raise InvalidPolicyError(f"{directive} twice")
            repeated = repeated or directive in seen
            seen.add(directive)
            earlier = merged.get(directive, []) if number else []
            sources = _merge(earlier, [_Source(text, number, number == 0) for text in texts])
            for source in sources:
                # With more policies to come, a source of the first counts only once another confirms it.
                source.kept = source.kept and (number > 0 or len(cleaned) == 1)
            merged[directive] = sources
    return Policy({name: {s.text for s in sources} or {NONE} for name, sources in merged.items()}, repeated)


def parse_meta_policies(policies: Sequence[str]) -> Policy:
    """The merge of meta tags' policies without what browsers ignore there.  Raises InvalidPolicyError."""
    policy = parse_policies(policies)
    kept = {name: sources for name, sources in policy.directives.items() if name not in NOT_IN_META}
    return Policy(kept, policy.repeated)


def trim(text: str) -> str:
    """`text` without white space at its ends, as JavaScript trims."""
    return text.strip(SPACES)


def _directives(policy: str) -> list[tuple[str, list[str]]]:
    """Names and sources in order; a source list without sources allows nothing."""
    found: list[tuple[str, list[str]]] = []
    for entry in policy.split(";"):
        name, *sources = _SPLIT.split(trim(entry))
        if name:
            directive = name.lower()
            implied = [NONE] if directive.endswith("-src") else []
            found.append((directive, [source.lower() for source in sources] or implied))
    return found


def _merge(earlier: list[_Source], new: list[_Source]) -> list[_Source]:
    """The sources that count after `new` has joined `earlier`.

    Of one policy's neighbours the longer is superfluous where it begins with the shorter; a
    source of one policy counts where its neighbour of another covers it.
    """
    together = sorted([*earlier, *new], key=lambda source: source.text.translate(_RANKS))
    for before, source in pairwise(together):
        if source.policy == before.policy:
            source.kept = source.kept and not source.text.startswith(before.text)
        elif _covers(before.text, source.text):
            source.kept = True
    return [source for source in together if source.kept]


def _covers(path: str, other: str) -> bool:
    """CSP's path matching: a path with a slash at its end covers all below it."""
    if not path or (path == "/" and not other):
        return True
    ours, theirs = path.split("/"), other.split("/")
    if path.endswith("/"):
        ours.pop()
        if len(ours) + 1 > len(theirs):
            return False
    elif len(ours) != len(theirs):
        return False
    return all(_decoded(mine) == _decoded(their) for mine, their in zip(ours, theirs, strict=False))


def _decoded(piece: str) -> str:
    if _ESCAPES.search(piece):
        raise InvalidPolicyError("a broken escape")
    try:
        return unquote(piece, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidPolicyError("an escape that is no UTF-8") from error
