"""TruffleHog's report: lines of JSON, each a secret with its value in up to six places."""

from __future__ import annotations

import mmap
import re
from typing import Final

import msgspec
from msgspec import Struct

from containers.outlet.repository import texts
from containers.outlet.repository.found import Found, strings
from containers.outlet.repository.texts import NotToldError
from glovebox.findings.array import MAX_ITEM_BYTES, End
from glovebox.scans.repository_lines import Secret

_BLANK: Final = re.compile(rb"[ \t\r\n]*+")


class _Place(Struct, frozen=True):
    file: str
    line: int = 0


class _Data(Struct, frozen=True):
    place: _Place = msgspec.field(name="Filesystem")


class _Metadata(Struct, frozen=True, rename="pascal"):
    data: _Data


class _Result(Struct, frozen=True, rename="pascal"):
    source_metadata: _Metadata
    detector_name: str
    detector_description: str = ""
    raw: str = ""
    raw_v2: str = msgspec.field(default="", name="RawV2")
    secret_parts: dict[str, object] | None = None


_RESULT: Final = msgspec.json.Decoder(_Result)


def read(source: mmap.mmap, found: Found) -> str:
    """Put every line that can be told into `found`; what is odd about the report.  Raises CutError."""
    end = _after_blanks(source, 0)
    while end < len(source):
        start = end
        end = source.find(b"\n", start)
        last = end < 0
        end = len(source) if last else end
        found.part()
        try:
            _tell(source[start:end] if end - start <= MAX_ITEM_BYTES else b"", found)
        except (NotToldError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            found.withhold()
            if last and isinstance(error, msgspec.DecodeError):
                return End.TRUNCATED
        end = _after_blanks(source, end)
    return ""


def _tell(body: bytes, found: Found) -> None:
    told = _RESULT.decode(body)
    value, more = (told.raw, told.raw_v2) if told.raw else (told.raw_v2, "")
    # AWS's second form is `key id:secret key`: the rest is a secret of its own.
    rest = more.replace(value, "").strip(":;, ") if more else ""
    fingerprint = found.fingerprint(value, more, rest, *strings(told.secret_parts))
    place = told.source_metadata.data.place
    found.add(
        Secret(
            path=texts.path(place.file),
            rule=texts.name(told.detector_name),
            fingerprint=fingerprint,
            line=texts.number(place.line),
            # It has no severities, and what it found is a secret by its form.
            severity="HIGH",
            title=texts.text(told.detector_description),
        )
    )


def _after_blanks(source: mmap.mmap, start: int) -> int:
    match = _BLANK.match(source, start)
    return match.end() if match else start
