"""The report of a repository's scan: what a scanner found is written anew, as lines that hold no secrets.

It is hostile JSON.  Memory: the report once as it came, given back while it is read; the lines that go out,
twice at most; one item with its values; and the values that must not go out.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from containers.outlet.inspection import Report, UnfitError, copied, oddities, opened
from containers.outlet.repository import kingfisher, trivy, trufflehog
from containers.outlet.repository.found import CutError, Found
from containers.outlet.repository.values import Fingerprints
from glovebox.scans.model import VERSION_FILE, OutletOrder
from glovebox.scans.repositories import NATIVE_REPORTS, RepositoryScanner

MAX_NATIVE_BYTES: Final = 100 << 20
"""Of a scanner's own report: Trivy's of a repository with ten thousand packages has twenty."""
MAX_VERSION_BYTES: Final = 64 << 10
Reader = Callable[[mmap.mmap, Found], str]
READERS: Final[dict[RepositoryScanner, Reader]] = {
    "trivy": trivy.read,
    "trufflehog": trufflehog.read,
    "kingfisher": kingfisher.read,
}
_VERSION: Final = re.compile(r"v?[0-9][\w.+-]{0,62}|dev")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,20}(?:Z|[+-][0-9:]{5})")


class _Database(Struct, frozen=True, rename="pascal"):
    updated_at: str = ""


class _Version(Struct, frozen=True, rename="pascal"):
    version: str = ""
    database: _Database | None = msgspec.field(default=None, name="VulnerabilityDB")


def report(folder: Path, order: OutletOrder, scanner: RepositoryScanner) -> Report:
    """Raises UnfitError for what is none."""
    notes = [oddities(folder)]
    found = Found(Fingerprints(order.fingerprint_key), order.max_report_bytes)
    with copied(folder / NATIVE_REPORTS[scanner], MAX_NATIVE_BYTES) as source:
        try:
            notes.append(READERS[scanner](source, found))
        except CutError as cut:
            notes.append(str(cut))
    return found.report(notes)


def versions(folder: Path) -> tuple[str, str]:
    """What the scanner says of itself and of its database; empty where it says nothing sensible."""
    try:
        with opened(folder / VERSION_FILE) as file:
            told = msgspec.json.decode(file.read(MAX_VERSION_BYTES), type=_Version)
    except (UnfitError, msgspec.DecodeError, UnicodeDecodeError):
        return "", ""
    updated = told.database.updated_at if told.database else ""
    return (
        told.version if _VERSION.fullmatch(told.version) else "",
        updated if _DATE.fullmatch(updated) else "",
    )
