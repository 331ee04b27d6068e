"""The files of a finished run: `output.csv`, `output.jsonl`, `full_output.json`, and the zip that holds them.

Records are streamed: memory stays at one record, whatever the length of the list.  The same
records and summary give the same bytes, so a second publication of a run changes nothing.
"""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, cast

import msgspec

from glovebox.siteaudit.record import SiteRecord, from_json, to_json
from glovebox.sites.columns import COLUMNS
from glovebox.sites.summary import RunSummary

CSV_FILE = "output.csv"
JSONL_FILE = "output.jsonl"
FULL_FILE = "full_output.json"
RUN_FILE = "run.json"
"""The run's summary alone, published beside the others: the page shows its counts."""
PUBLISHED_PREFIX = "files/"
"""Where the publication bucket keeps them; the page's distribution serves this path."""

Lines = Callable[[], Iterable[bytes]]
"""Gives the run's records anew at each call: one JSON line each, with or without its newline."""

_SPOOL_COMPRESSION = 1
"""Records shrink to a tenth even at the quickest level, and 500 MB of a function's disk hold any run."""
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet take a cell for a formula (OWASP, CSV Injection), full-width forms included."""


def zip_name(scan_date: str) -> str:
    """`scan_2026-01-02.zip` for a run of that day (UTC)."""
    return f"scan_{scan_date[:10]}.zip"


def publication_key(run_id: str, scan_date: str) -> str:
    """The zip's key in the publication bucket: two runs of one day do not overwrite each other."""
    return f"{PUBLISHED_PREFIX}scan_{scan_date[:10]}_{run_id}.zip"


def write_publication(records: Iterable[SiteRecord], run: RunSummary, out: IO[bytes]) -> None:
    """Write the zip of a run to `out`, reading `records` once.

    They wait compressed in a temporary file, because each of the three files needs them all.
    """
    with tempfile.TemporaryFile() as spool:
        with gzip.GzipFile(fileobj=spool, mode="wb", compresslevel=_SPOOL_COMPRESSION) as packed:
            for record in records:
                packed.write(to_json(record) + b"\n")

        def lines() -> Iterator[bytes]:
            spool.seek(0)
            with gzip.GzipFile(fileobj=spool, mode="rb") as unpacked:
                yield from unpacked

        _write_zip(lines, run, out)


def write_folder(lines: Lines, run: RunSummary, folder: Path) -> list[Path]:
    """Write the three files and the zip into `folder`, each whole or not at all; answers their paths.

    `lines` may read the very `output.jsonl` that is replaced: that happens last.
    """
    pending: list[tuple[Path, Path]] = []
    for name, chunks in _members(lines, run):
        part = folder / f".{name}.part"
        with part.open("wb") as file:
            file.writelines(chunks)
        pending.append((part, folder / name))
    part = folder / ".zip.part"
    with part.open("wb") as file:
        _write_zip(lines, run, file)
    pending.append((part, folder / zip_name(run.scan_date)))
    for part, path in pending:
        part.replace(path)
    return [path for _, path in pending]


def safe_cell(value: object) -> str:
    """A value as a cell that no spreadsheet takes for a formula.

    Numbers and truth values stay as they are; text that begins like a formula gets an apostrophe in front.
    """
    if value is None:
        return ""
    text = str(value)
    risky = isinstance(value, str) and text.lstrip(" ").startswith(_FORMULA_STARTS)
    return f"'{text}" if risky else text


def _members(lines: Lines, run: RunSummary) -> Iterator[tuple[str, Iterator[bytes]]]:
    yield CSV_FILE, _csv(lines())
    yield JSONL_FILE, _jsonl(lines())
    yield FULL_FILE, _full(lines(), run)


def _csv(lines: Iterable[bytes]) -> Iterator[bytes]:
    """RFC 4180: CRLF, quotes where needed, a header line."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for line in lines:
        record = from_json(line)
        writer.writerow([safe_cell(column(record)) for column in COLUMNS.values()])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode()


def _jsonl(lines: Iterable[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield line.rstrip(b"\n") + b"\n"


def _full(lines: Iterable[bytes], run: RunSummary) -> Iterator[bytes]:
    separator = b'{"results":[\n'
    for line in lines:
        yield separator + line.rstrip(b"\n")
        separator = b",\n"
    opening = separator if separator.startswith(b"{") else b""
    yield opening + b'\n],"run":' + msgspec.json.encode(run) + b"}\n"


def _write_zip(lines: Lines, run: RunSummary, out: IO[bytes]) -> None:
    year, month, day = (int(part) for part in run.scan_date[:10].split("-"))
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, chunks in _members(lines, run):
            # The day of the scan instead of the clock, and one system and mode: equal runs give equal bytes.
            entry = zipfile.ZipInfo(name, (year, month, day, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w", force_zip64=True) as member:
                cast("io.BufferedIOBase", member).writelines(chunks)
