"""Findings as files: whole or not there, and for their owner's eyes."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from glovebox.errors import InputError, NotFoundError
from glovebox.findings.cyclonedx import cyclonedx
from glovebox.findings.export import TABLE_COLUMNS, csv_lines, json_lines, ocsf, table_rows
from glovebox.findings.model import arguments_of, name_of, repository_of
from glovebox.findings.sarif import sarif

if TYPE_CHECKING:
    from glovebox.findings.model import Finding
    from glovebox.findings.store import FindingStore

LATEST_SCANS = 30
"""Among so many each scanner that is in use has one."""


def encoded(found: Iterable[Finding], kind: str) -> Iterator[bytes]:
    """`kind` is one of the formats of `glovebox findings`; a table in a file has tabs between its cells."""
    match kind:
        case "csv":
            return (line.encode() for line in csv_lines(found))
        case "ocsf":
            return ocsf(found)
        case "jsonl":
            return json_lines(found)
        case "json":
            return _array(json_lines(found))
        case _:
            return _tabbed(found)


def of_repository(
    found: Iterable[Finding],
    kind: str,
    store: FindingStore,
    target: str,
    *,
    services: Collection[str] | None,
    now: int,
) -> Iterator[bytes]:
    """`kind` is `sarif` or `cyclonedx`; what was looked at is that of the latest scans.

    `services`: those that `found` is of, `None` for all.  Raises NotFoundError for what was never scanned,
    which is not the same as nothing found.
    """
    commits: dict[str, str] = {}
    for scan in store.scans(target, limit=LATEST_SCANS):
        if scan.scanner and scan.commit:
            commits.setdefault(scan.scanner, scan.commit)
    if not commits:
        raise NotFoundError(
            f"{name_of(target)} was never scanned.",
            fix=f"First: glovebox scan repository {arguments_of(target)}",
        )
    repository = repository_of(target)
    if kind == "sarif":
        return sarif(found, repository, commits, services)
    return cyclonedx(store.components(target), found, repository, commits.get("trivy", ""), now=now)


def to_stdout(pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def to_file(pieces: Iterable[bytes], path: Path) -> None:
    """Write beside it and move it there, so that nobody finds half a file; readable by its owner alone.

    Raises InputError where it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
        Path(name).replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        Path(name).unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be written: {error.strerror}.", fix="Name another file with -o.")


def _array(lines: Iterable[bytes]) -> Iterator[bytes]:
    before = b"["
    for line in lines:
        yield before + line.rstrip(b"\n")
        before = b",\n"
    yield b"[]\n" if before == b"[" else b"]\n"


def _tabbed(found: Iterable[Finding]) -> Iterator[bytes]:
    yield "\t".join(("id", "target", *TABLE_COLUMNS)).encode() + b"\n"
    for finding in found:
        [cells] = table_rows([finding])
        yield "\t".join((finding.id, name_of(finding.target), *cells)).encode() + b"\n"
