"""Closing a run whose last step is done; writing the files for the public, of a run over sites."""

from __future__ import annotations

import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

import msgspec

from glovebox import log
from glovebox.dates import iso
from glovebox.errors import ConflictError
from glovebox.findings.model import name_of
from glovebox.scans.model import RUN_SORT_KEY, RunState, ScanState
from glovebox.scans.ports import Clock, ScanStore
from glovebox.scans.state import Run, Scan, bounded
from glovebox.services.events import changed_items
from glovebox.siteaudit.record import SiteRecord, from_json
from glovebox.sites.ports import Publication, SiteStore
from glovebox.sites.publication import (
    CSV_FILE,
    FULL_FILE,
    JSONL_FILE,
    RUN_FILE,
    publication_key,
    write_publication,
)
from glovebox.sites.summary import RunSummary

NO_REPORT = frozenset({ScanState.FAILED, ScanState.EXPIRED, ScanState.CANCELLED})
"""Ends of a scan of an account or a repository that never had a report."""
_TYPES = {
    CSV_FILE: "text/csv; charset=utf-8",
    JSONL_FILE: "application/x-ndjson",
    FULL_FILE: "application/json",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    store: ScanStore
    sites: SiteStore
    publication: Publication
    clock: Clock

    def handle(self, event: object) -> None:
        """Publish the runs of a stream event that wait for it.  Raises InputError for another event."""
        for run_id, sort_key in changed_items(event):
            if sort_key == RUN_SORT_KEY:
                self._publish(run_id)

    def _publish(self, run_id: str) -> None:
        run = self.store.run(run_id)
        if run.pending > 0 or run.published_at is not None:
            return
        scans = self.store.scans(run_id)
        # What is found in accounts and repositories is for their owners alone: no files.
        for_all = run.kind == "site" and any(scan.counts for scan in scans)
        files = self._write(run, scans) if for_all else ()
        now = iso(self.clock())
        end = (closed if run.kind == "site" else closed_targets)(run, scans, now)
        published = msgspec.structs.replace(end, published_at=now, files=files)
        try:
            self.store.replace_run(run, published)
        except ConflictError:
            # The files are the same, byte by byte, whoever wrote them last.
            log.info("somebody else published this run", runId=run_id)
            return
        log.info("run published", runId=run_id, state=published.state.value, missing=published.missing_count)

    def _write(self, run: Run, scans: Sequence[Scan]) -> tuple[str, ...]:
        """The zip, and its files beside it; the zip last, because the list of scans shows zips."""
        key = publication_key(run.run_id, run.scan_date)
        with tempfile.TemporaryFile() as out:
            summary = summary_of_run(run, scans)
            write_publication(self._records(run, scans), summary, out)
            out.seek(0)
            keys = []
            with zipfile.ZipFile(out) as archive:
                for name, content_type in _TYPES.items():
                    keys.append(f"{key.removesuffix('.zip')}/{name}")
                    with archive.open(name) as member:
                        self.publication.put(keys[-1], member, content_type)
            # Of the whole JSON the page needs only the end, and reads it before the list of scans names it.
            self.publication.put(
                f"{key.removesuffix('.zip')}/{RUN_FILE}",
                BytesIO(msgspec.json.encode(summary)),
                "application/json",
            )
            out.seek(0)
            self.publication.put(key, out, "application/zip")
        return (key, *keys)

    def _records(self, run: Run, scans: Sequence[Scan]) -> Iterator[SiteRecord]:
        hosts = (host for scan in scans for host in scan.recorded_hosts)
        return (from_json(line) for line in self.sites.records(hosts, run.scan_date))


def summary_of_run(run: Run, scans: Sequence[Scan]) -> RunSummary:
    """The run as its files and its mail tell it."""
    missing = [host for scan in scans for host in scan.missing or ()]
    counts = _counts(scans)
    return RunSummary(
        run_id=run.run_id,
        scan_date=run.scan_date,
        hosts=run.hosts,
        records=sum(counts.values()),
        counts=counts,
        missing=missing,
        rejected_lines=list(run.rejected_lines),
        rejected_count=run.rejected_count,
        partial=bool(missing),
    )


def closed(run: Run, scans: Sequence[Scan], now: str) -> Run:
    """The run with its end: what its scans came to."""
    missing = [host for scan in scans for host in scan.missing or ()]
    counts = _counts(scans)
    if not counts:
        state = RunState.FAILED
    elif missing or any(scan.state is not ScanState.COMPLETED for scan in scans):
        state = RunState.PARTIAL
    else:
        state = RunState.COMPLETED
    return msgspec.structs.replace(
        run, state=state, counts=counts, missing=bounded(missing), missing_count=len(missing), ended_at=now
    )


def closed_targets(run: Run, scans: Sequence[Scan], now: str) -> Run:
    """A run with its end: what its scans of accounts or repositories changed, and which are not whole.

    A report that is not believed still counts for what it adds, so it makes the run partial, as a partial
    one does; a run of which no scan has a report has failed, and one without any scan has not.
    """
    states = {scan.state for scan in scans}
    missing = sorted({name_of(scan.target) for scan in scans if scan.state in NO_REPORT})
    if scans and states <= NO_REPORT:
        state = RunState.FAILED
    else:
        state = RunState.COMPLETED if states <= {ScanState.COMPLETED} else RunState.PARTIAL
    return msgspec.structs.replace(
        run,
        state=state,
        counts=_counts(scans),
        missing=bounded(missing),
        missing_count=len(missing),
        untrusted=bounded(scan.scan_id for scan in scans if scan.state is ScanState.UNTRUSTED),
        ended_at=now,
    )


def _counts(scans: Sequence[Scan]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for scan in scans:
        total.update(scan.counts)
    return dict(total.most_common())
