"""Reading what a task uploaded: never more than was agreed, and only what its own manifest announced.

The first version of an object is the only one that counts: whoever kept a form can write another.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import msgspec

from glovebox.errors import RejectedReportError
from glovebox.scans.model import MAX_MANIFEST_BYTES, MAX_REPORT_BYTES, Manifest
from glovebox.scans.ports import Results, StoredVersion
from glovebox.text import plain

_SPOOL = 8 << 20
"""Most reports stay in memory; a large one waits on the function's disk."""


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

    Raises RejectedReportError.
    """
    if version.size > max_bytes or version.size != manifest.report_bytes:
        raise RejectedReportError(
            f"The report has {version.size:,} bytes; the manifest says {manifest.report_bytes:,}."
        )
    digest = hashlib.sha256()
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL) as file:
        with results.read(key, version) as chunks:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != manifest.report_sha256:
            raise RejectedReportError("The report's digest is not that of the manifest.")
        file.seek(0)
        yield file
