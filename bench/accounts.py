"""`ingest` as deployed, on a table of dictionaries and reports in files: what it costs, and what it bears."""

from __future__ import annotations

import contextlib
import hashlib
import io
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from glovebox.scans.model import Manifest, manifest_key, report_key
from glovebox.scans.ports import StoredVersion
from glovebox.scans.state import Scan
from tests.account_flow import order
from tests.findings import small_findings
from tests.flow import Flow, created
from tests.small_dynamodb import SmallDynamoDB

_CHUNK: Final = 1 << 20
DAY: Final = 86_400


class Files:
    """`glovebox.scans.ports.Results` over files, so that a report is not in memory before it is read."""

    def __init__(self) -> None:
        self.paths: dict[str, Path] = {}
        self.bodies: dict[str, bytes] = {}

    def versions(self, key: str) -> Sequence[StoredVersion]:
        size = self.paths[key].stat().st_size if key in self.paths else len(self.bodies[key])
        return [StoredVersion("v1", size)]

    @contextmanager
    def read(self, key: str, version: StoredVersion) -> Iterator[Iterator[bytes]]:
        with self.paths[key].open("rb") if key in self.paths else io.BytesIO(self.bodies[key]) as file:
            yield iter(lambda: file.read(_CHUNK), b"")


class Forgetful(SmallDynamoDB):
    """Keeps the ledger and no findings, whose memory would be the table's and not `ingest`'s."""

    def update_item(self, **call: Any) -> dict[str, Any]:
        return {}


class Taken(Struct, frozen=True, kw_only=True):
    """A scan's end, and what it cost `ingest`."""

    scan: Scan
    seconds: float
    """Of processor time."""
    written: dict[str, int]
    """Write units of the table of findings, by the kind of item."""


def ingested(reports: Sequence[tuple[Path, int]], table: SmallDynamoDB) -> list[Taken]:
    """One scan a day, each with its report of so many items."""
    results: Any = Files()
    flow, taken = Flow(findings=small_findings(table), results=results), list[Taken]()
    for path, items in reports:
        with contextlib.redirect_stdout(io.StringIO()):
            [scan] = flow.store.scans(order(flow))
        told = Manifest(
            scan_id=scan.scan_id,
            attempt=1,
            report_uploaded=True,
            report_bytes=path.stat().st_size,
            report_sha256=_digest(path),
            report_lines=items,
            scanner_exit=0,
        )
        results.paths[report_key(scan.scan_id, 1, "account")] = path
        results.bodies[manifest_key(scan.scan_id, 1)] = msgspec.json.encode(told)
        table.written.clear()
        began = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            flow.ingest.handle(created(manifest_key(scan.scan_id, 1), "v1"))
        seconds = time.process_time() - began
        taken.append(Taken(scan=flow.store.scan(scan.scan_id), seconds=seconds, written=dict(table.written)))
        flow.clock.pass_seconds(DAY)
    return taken


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
