"""What the outlet lets out of a report about a repository: JSON lines, each one thing that was found.

The scanners' own reports hold secrets, sources and colours.  The outlet reads them item by item, makes a
fingerprint of each secret, and writes nothing but these fields; ingest reads nothing else.  Paths begin with
`repository/` or `canary/`, as the scanner was shown them, and are as text whatever their bytes were.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from glovebox.scans.repositories import Digest

MAX_LINE: Final = 64 << 10
"""Bytes of a line: texts of 4,000 characters, escaped, and the rest."""
MAX_NAME: Final = 256
MAX_TEXT: Final = 4_000
MAX_PLACE: Final = 4_096
MAX_LICENSES: Final = 20

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
Word = Annotated[str, Meta(max_length=MAX_NAME)]
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Url = Annotated[str, Meta(max_length=1_024)]
"""https, or nothing."""
Path = Annotated[str, Meta(min_length=1, max_length=MAX_PLACE)]
Purl = Annotated[str, Meta(max_length=1_024)]
"""Of the package-url specification; empty where the scanner gives none."""
LineNumber = Annotated[int, Meta(ge=0, le=1 << 31)]
"""From 1; 0 where the scanner gives none."""
Severity = Literal["UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL"]


class _Line(Struct, frozen=True, kw_only=True, rename="camel", tag_field="kind", omit_defaults=True):
    path: Path


class Vulnerability(_Line, frozen=True, kw_only=True, tag="vulnerability"):
    """A known vulnerability of a package; `path` is the file that names the package."""

    id: Name
    """CVE, GHSA, …"""
    package: Name
    installed: Word
    fixed: Word = ""
    purl: Purl = ""
    status: Word = ""
    severity: Severity
    title: Text = ""
    description: Text = ""
    url: Url = ""


class Misconfiguration(_Line, frozen=True, kw_only=True, tag="misconfiguration"):
    """A check of a configuration file that failed; what Trivy says of this one quotes the file."""

    id: Name
    """`DS-0002`"""
    type: Word = ""
    """`dockerfile`, `terraform`, …"""
    resource: Word = ""
    line: LineNumber = 0
    end_line: LineNumber = 0
    severity: Severity
    title: Text = ""
    description: Text = ""
    resolution: Text = ""
    url: Url = ""


class Secret(_Line, frozen=True, kw_only=True, tag="secret"):
    """A secret in the sources; its value is gone."""

    rule: Name
    fingerprint: Digest
    """HMAC-SHA-256 of the value under the repository's key, or, of a scanner that does not tell the value
    (Trivy), of what it tells in its place."""
    line: LineNumber = 0
    severity: Severity
    title: Text = ""


class License(_Line, frozen=True, kw_only=True, tag="license"):
    """A license that asks for something."""

    name: Name
    package: Word = ""
    category: Word = ""
    severity: Severity


class Package(_Line, frozen=True, kw_only=True, tag="package"):
    """A package that the repository uses: no finding, but the bill of materials."""

    name: Name
    version: Word = ""
    purl: Purl = ""
    type: Word = ""
    """`npm`, `pip`, …"""
    licenses: Annotated[list[Word], Meta(max_length=MAX_LICENSES)] = []
    direct: bool = False


Line = Vulnerability | Misconfiguration | Secret | License | Package
