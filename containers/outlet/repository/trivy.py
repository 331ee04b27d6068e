"""Trivy's report, schema 2: one object, whose results have arrays of what was found in one file each.

Never told: `Match`, `Code` and `Message`, which show lines of the source, and with them secrets that no rule
knows.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from containers.outlet.inspection import UnfitError
from containers.outlet.repository import texts
from containers.outlet.repository.found import Found
from containers.outlet.repository.texts import NotToldError
from glovebox.findings.array import Cursor, End
from glovebox.scans.purl import safe_purl
from glovebox.scans.repository_lines import License, Misconfiguration, Package, Secret, Vulnerability

SCHEMA: Final = b"2"
_KEYS: Final = re.compile(r"(?s)\[(?![0-9]{1,9}\])(.*\]|.*)")
"""`module.a["one"].aws_s3_bucket.b["two"]`: from the first to the last, because a key may hold brackets."""


class _Item(Struct, frozen=True, rename="pascal"):
    """Only what goes out, or makes what goes out; all else is passed over."""


class _Identifier(Struct, frozen=True):
    purl: str = msgspec.field(default="", name="PURL")


class _Vulnerability(_Item, frozen=True):
    id: str = msgspec.field(name="VulnerabilityID")
    pkg_name: str
    pkg_path: str = ""
    pkg_identifier: _Identifier = _Identifier()
    installed_version: str = ""
    fixed_version: str = ""
    status: str = ""
    severity: str = ""
    title: str = ""
    description: str = ""
    url: str = msgspec.field(default="", name="PrimaryURL")


class _Cause(_Item, frozen=True):
    resource: str = ""
    start_line: int = 0
    end_line: int = 0


class _Misconfiguration(_Item, frozen=True):
    id: str = msgspec.field(name="ID")
    status: str
    severity: str = ""
    title: str = ""
    description: str = ""
    resolution: str = ""
    url: str = msgspec.field(default="", name="PrimaryURL")
    cause_metadata: _Cause = _Cause()


class _Secret(_Item, frozen=True):
    rule_id: str = msgspec.field(name="RuleID")
    severity: str = ""
    title: str = ""
    start_line: int = 0
    match: str = ""


class _License(_Item, frozen=True):
    name: str
    severity: str = ""
    category: str = ""
    pkg_name: str = ""
    file_path: str = ""


class _Package(_Item, frozen=True):
    name: str
    version: str = ""
    identifier: _Identifier = _Identifier()
    licenses: list[str] | None = None
    relationship: str = ""
    file_path: str = ""


def read(source: mmap.mmap, found: Found) -> str:
    """Put every item that can be told into `found`; what is odd about the report's frame.

    Raises UnfitError for what is no report of this schema, CutError from `found`.
    """
    return _Reader(source, found).read()


class _Reader:
    def __init__(self, source: mmap.mmap, found: Found) -> None:
        self._cursor = Cursor(source)
        self._found = found
        self._target = self._type = ""

    def read(self) -> str:
        cursor, schema = self._cursor, b""
        if not cursor.opens(b"{"):
            raise UnfitError(str(End.EMPTY if cursor.at_the_end() else End.NO_OBJECT))
        for name in cursor.members():
            self._found.part()
            if name == b"SchemaVersion":
                item = cursor.value()
                schema = item.body if item else b""
                _expect(schema)
            elif name == b"Results" and cursor.opens(b"["):
                _expect(schema)
                self._results()
        _expect(schema)
        if cursor.end is End.WHOLE and not cursor.at_the_end():
            return End.FOLLOWED
        return "" if cursor.end is End.WHOLE else cursor.end

    def _results(self) -> None:
        cursor = self._cursor
        for _ in cursor.elements():
            self._found.part()
            if cursor.opens(b"{"):
                self._result()
            elif cursor.value() is not None:
                self._found.withhold()

    def _result(self) -> None:
        cursor = self._cursor
        self._target = self._type = ""
        for name in cursor.members():
            self._found.part()
            if name in (b"Target", b"Type"):
                item = cursor.value()
                told = _string(item.body) if item else ""
                if name == b"Target":
                    self._target = told
                else:
                    self._type = told
            elif (tell := _TOLD.get(name)) and cursor.opens(b"["):
                self._items(tell)

    def _items(self, tell: _Tell) -> None:
        for item in self._cursor.items():
            self._found.part()
            try:
                tell(self, item.body)
            except (NotToldError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._found.withhold()

    def vulnerability(self, body: bytes) -> None:
        told = _VULNERABILITY.decode(body)
        self._found.add(
            Vulnerability(
                path=self._path(told.pkg_path),
                id=texts.name(told.id),
                package=texts.name(told.pkg_name),
                installed=texts.word(told.installed_version),
                fixed=texts.word(told.fixed_version),
                purl=safe_purl(told.pkg_identifier.purl),
                status=texts.word(told.status),
                severity=texts.severity(told.severity),
                title=texts.text(told.title),
                description=texts.text(told.description),
                url=texts.link(told.url),
            )
        )

    def misconfiguration(self, body: bytes) -> None:
        """Only what failed: the others say that all is well."""
        told = _MISCONFIGURATION.decode(body)
        if told.status != "FAIL":
            return
        self._found.add(
            Misconfiguration(
                path=self._path(),
                id=texts.name(told.id),
                type=texts.word(self._type),
                resource=texts.word(_KEYS.sub(self._sealed, told.cause_metadata.resource)),
                line=texts.number(told.cause_metadata.start_line),
                end_line=texts.number(told.cause_metadata.end_line),
                severity=texts.severity(told.severity),
                title=texts.text(told.title),
                description=texts.text(told.description),
                resolution=texts.text(told.resolution),
                url=texts.link(told.url),
            )
        )

    def secret(self, body: bytes) -> None:
        told = _SECRET.decode(body)
        self._found.add(
            Secret(
                path=self._path(),
                rule=texts.name(told.rule_id),
                # Trivy masks the value itself, so equal lines with other values are one.
                fingerprint=self._found.fingerprint_of_mask(f"{told.rule_id}\0{told.match}"),
                line=texts.number(told.start_line),
                severity=texts.severity(told.severity),
                title=texts.text(told.title),
            )
        )

    def license(self, body: bytes) -> None:
        told = _LICENSE.decode(body)
        self._found.add(
            License(
                path=self._path(told.file_path),
                name=texts.name(texts.word(told.name)),
                package=texts.word(told.pkg_name),
                category=texts.word(told.category),
                severity=texts.severity(told.severity),
            )
        )

    def package(self, body: bytes) -> None:
        told = _PACKAGE.decode(body)
        self._found.add(
            Package(
                path=self._path(told.file_path),
                name=texts.name(told.name),
                version=texts.word(told.version),
                purl=safe_purl(told.identifier.purl),
                type=texts.word(self._type),
                licenses=texts.words(told.licenses),
                direct=told.relationship == "direct",
            )
        )

    def _sealed(self, match: re.Match[str]) -> str:
        """What `for_each` makes a resource's name of is the repository's: any text, and often a secret's."""
        return f"[{self._found.sealed(match[1])}]"

    def _path(self, own: str = "") -> str:
        """Of the result's file; where its target is a kind (`Node.js`), of the item's own."""
        try:
            return texts.path(self._target)
        except NotToldError:
            return texts.path(own)


_Tell = Callable[[_Reader, bytes], None]
_VULNERABILITY: Final = msgspec.json.Decoder(_Vulnerability)
_MISCONFIGURATION: Final = msgspec.json.Decoder(_Misconfiguration)
_SECRET: Final = msgspec.json.Decoder(_Secret)
_LICENSE: Final = msgspec.json.Decoder(_License)
_PACKAGE: Final = msgspec.json.Decoder(_Package)
_STRING: Final = msgspec.json.Decoder(str)
_TOLD: Final[dict[bytes, _Tell]] = {
    b"Vulnerabilities": _Reader.vulnerability,
    b"Misconfigurations": _Reader.misconfiguration,
    b"Secrets": _Reader.secret,
    b"Licenses": _Reader.license,
    b"Packages": _Reader.package,
}


def _expect(schema: bytes) -> None:
    if schema != SCHEMA:
        raise UnfitError(f"the report is not of Trivy's schema {SCHEMA.decode()}")


def _string(body: bytes) -> str:
    try:
        return _STRING.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
