"""Reading what a task uploaded: never more than was agreed, and only what its own manifest announced.

The first version of an object is the only one that counts: whoever kept a form can write another.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import msgspec

from glovebox import log
from glovebox.errors import RejectedReportError
from glovebox.scans.model import (
    MAX_MANIFEST_BYTES,
    MAX_REPORT_BYTES,
    REPORT_FILES,
    Manifest,
    ReportKind,
    report_key,
)
from glovebox.scans.ports import Results, StoredVersion
from glovebox.scans.state import Run, Scan
from glovebox.text import plain

_SPOOL = 8 << 20
"""Most reports stay in memory; a large one waits on the function's disk."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a manifest claims to be about, once it is bound to a scan that may have it."""

    run: Run
    scan: Scan
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An attempt's report: the one version that counts."""

    key: str
    version: StoredVersion


def manifest_of(
    results: Results, key: str, version: StoredVersion, *, scan_id: str, attempt: int
) -> Manifest:
    """The manifest of this scan's attempt.  Raises RejectedReportError for anything else."""
    if version.size > MAX_MANIFEST_BYTES:
        raise RejectedReportError("The manifest is larger than any manifest.")
    with results.read(key, version) as chunks:
        body = b"".join(chunks)
    try:
        manifest = msgspec.json.decode(body, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RejectedReportError(f"The manifest cannot be read: {plain(str(error))[:160]}.") from error
    if (manifest.scan_id, manifest.attempt) != (scan_id, attempt):
        raise RejectedReportError("The manifest is about another scan or attempt than its key.")
    return manifest


def report_of(results: Results, claim: Claim, kind: ReportKind) -> Uploaded:
    """Where the report is that the manifest speaks of; one that was uploaded later raises an alarm.

    Raises RejectedReportError where there is none.
    """
    scan = claim.scan
    if not claim.manifest.report_uploaded:
        said = plain(claim.manifest.reason) or "no reason given"
        raise RejectedReportError(f"The task sent no report: {said}.")
    key = report_key(scan.scan_id, scan.attempt, kind)
    versions = results.versions(key)
    if not versions:
        raise RejectedReportError("The manifest speaks of a report that is not there.")
    if len(versions) > 1:
        log.error("second_upload", scanId=scan.scan_id, attempt=scan.attempt, object=REPORT_FILES[kind])
    return Uploaded(key, versions[0])


@contextmanager
def believed(
    results: Results,
    key: str,
    version: StoredVersion,
    manifest: Manifest,
    *,
    max_bytes: int = MAX_REPORT_BYTES,
) -> Iterator[IO[bytes]]:
    """The report as a file, once its size and digest are those of the manifest.

    Whoever asks for the file's number gets a real file.  Raises RejectedReportError.
    """
    if version.size > max_bytes or version.size != manifest.report_bytes:
        raise RejectedReportError(
            f"The report has {version.size:,} bytes; the manifest says {manifest.report_bytes:,}"
            f" and {max_bytes:,} are read at most."
        )
    digest = hashlib.sha256()
    room = version.size
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL) as file:
        with results.read(key, version) as chunks:
            for chunk in chunks:
                room -= len(chunk)
                if room < 0:
                    raise RejectedReportError("The report is longer than the bucket says.")
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != manifest.report_sha256:
            raise RejectedReportError("The report's digest is not that of the manifest.")
        file.seek(0)
        yield file
