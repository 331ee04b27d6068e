"""The report of an account's scan: every item that can be read is written anew, without what must stay.

It is hostile JSON.  Memory: the report once as it came, given back while it is read, and once as it goes,
both of at most the order's bytes; and one item with its values.
"""

from __future__ import annotations

import hashlib
import io
from contextlib import ExitStack
from pathlib import Path

import msgspec

from containers.outlet.inspection import Report, UnfitError, copied, oddities
from glovebox.findings.array import ArrayReader, End, Item
from glovebox.scans.model import OCSF_REPORT_FILE
from glovebox.scans.redaction import redacted

MAX_ITEMS = 100_001
"""One more than ingest reads, which says so itself; a report could be fifty million commas."""
_RAW = "data"
"""Of a resource: what the account's API said of it, which nobody reads outside and which holds secrets."""
_NOTHING = b"null"


def report(folder: Path, max_bytes: int, open_files: ExitStack) -> Report:
    """The report as it goes out, an array always.  Raises UnfitError for what is none."""
    odd = oddities(folder)
    with copied(folder / OCSF_REPORT_FILE, max_bytes) as source:
        reader = ArrayReader(source)
        found = _Rewritten(max_bytes)
        for item in reader.items():
            if item.number > MAX_ITEMS:
                found.cut = f"the report has more than {MAX_ITEMS:,} items; the rest was left"
                break
            if not found.add(item):
                break
        if reader.end in (End.EMPTY, End.NO_ARRAY):
            raise UnfitError(str(reader.end))
    ended = "" if reader.end is End.WHOLE else str(reader.end)
    return found.report("; ".join(filter(None, (odd, ended, found.cut))))


class _Rewritten:
    """The array that goes out, as it grows."""

    def __init__(self, max_bytes: int) -> None:
        self._most = max_bytes - len(b"]")
        self._file = io.BytesIO()
        self._items = 0
        self._withheld = 0
        self.cut = ""

    def add(self, item: Item) -> bool:
        """Whether there was room for it; `cut` says where there was none."""
        written = _rewritten(item)
        separator = b",\n" if self._items else b"["
        if self._file.tell() + len(separator) + len(written or _NOTHING) > self._most:
            self.cut = f"rewritten, the report is larger than {self._most + 1:,} bytes; the rest was left"
            return False
        self._file.write(separator)
        self._file.write(written or _NOTHING)
        self._items += 1
        self._withheld += written is None
        return True

    def report(self, note: str) -> Report:
        self._file.write(b"]" if self._items else b"[]")
        with self._file.getbuffer() as body:
            size, digest = len(body), hashlib.sha256(body).hexdigest()
        self._file.seek(0)
        return Report(self._file, size, digest, self._items, note, self._withheld)


def _rewritten(item: Item) -> bytes | None:
    """`None` for what is no JSON, or is too large or too deep to be looked at."""
    if item.broken is not None:
        return None
    try:
        value = msgspec.json.decode(item.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if isinstance(value, dict) and isinstance(resources := value.get("resources"), list):
        for resource in resources:
            if isinstance(resource, dict):
                resource.pop(_RAW, None)
    return msgspec.json.encode(redacted(value))
