"""Kingfisher's report: one object with an array of secrets; its commands to validate them hold them too."""

from __future__ import annotations

import mmap
from typing import Final

import msgspec
from msgspec import Struct

from containers.outlet.inspection import UnfitError
from containers.outlet.repository import texts
from containers.outlet.repository.found import Found, strings
from containers.outlet.repository.texts import NotToldError
from glovebox.findings.array import Cursor, End
from glovebox.scans.repository_lines import Secret, Severity

_SEVERITIES: Final[dict[str, Severity]] = {"high": "HIGH", "medium": "MEDIUM", "low": "LOW"}
"""By its confidence: how bad a secret is, nobody can say without trying it."""


class _Rule(Struct, frozen=True):
    id: str
    title: str = ""
    description: str = ""


class _Finding(Struct, frozen=True):
    snippet: str
    path: str
    line: int = 0
    confidence: str = ""
    dependent_captures: dict[str, object] | None = None


class _Item(Struct, frozen=True):
    rule: _Rule
    finding: _Finding


_ITEM: Final = msgspec.json.Decoder(_Item)


def read(source: mmap.mmap, found: Found) -> str:
    """Put every finding that can be told into `found`; what is odd about the report's frame.

    Raises UnfitError for what is no such report, CutError from `found`.
    """
    cursor = Cursor(source)
    if not cursor.opens(b"{"):
        raise UnfitError(str(End.EMPTY if cursor.at_the_end() else End.NO_OBJECT))
    there = False
    # Behind the report comes a second object, with sums.
    while cursor.opens(b"{"):
        found.part()
        for name in cursor.members():
            found.part()
            if name == b"findings" and cursor.opens(b"["):
                there = True
                _findings(cursor, found)
        if cursor.end is not End.WHOLE or cursor.at_the_end():
            break
    if not there:
        raise UnfitError("the report has no findings, not even none")
    if cursor.end is End.WHOLE:
        return "" if cursor.at_the_end() else End.FOLLOWED
    return cursor.end


def _findings(cursor: Cursor, found: Found) -> None:
    for item in cursor.items():
        found.part()
        try:
            _tell(item.body, found)
        except (NotToldError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found.withhold()


def _tell(body: bytes, found: Found) -> None:
    told = _ITEM.decode(body)
    finding = told.finding
    fingerprint = found.fingerprint(finding.snippet, *strings(finding.dependent_captures))
    found.add(
        Secret(
            path=texts.path(finding.path),
            rule=texts.name(told.rule.id),
            fingerprint=fingerprint,
            line=texts.number(finding.line),
            severity=_SEVERITIES.get(finding.confidence, "UNKNOWN"),
            title=texts.text(told.rule.description or told.rule.title),
        )
    )
