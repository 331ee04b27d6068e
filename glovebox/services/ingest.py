"""From a manifest in the results bucket to records of sites, by way of distrust.

The object's key, its versions and the manifest say which scan and attempt it claims to be of;
the scan's own item says what that attempt may report.  All of it may happen twice, and two
at once: the first version of an object is the only one that counts, so both write the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import msgspec

from glovebox import log
from glovebox.errors import ConflictError, NotFoundError, RefusedError, RejectedReportError
from glovebox.scans.changing import change
from glovebox.scans.model import (
    MANIFEST_FILE,
    MAX_ATTEMPTS,
    SCAN_ID,
    Manifest,
    ScanState,
    report_key,
    run_id_of,
)
from glovebox.scans.ports import Clock, Results, ScanStore
from glovebox.scans.report import ReportReader, bounded_lines
from glovebox.scans.state import Scan, finished, given_up, ingesting
from glovebox.services.events import S3Object, created_object
from glovebox.services.uploaded import believed, manifest_of
from glovebox.siteaudit.record import SiteRecord
from glovebox.sites.item import SiteItem, item_of
from glovebox.sites.ports import Registry, SiteStore
from glovebox.text import plain

_KEY = re.compile(
    rf"results/(?P<scan>{SCAN_ID.pattern})/(?P<attempt>[1-{MAX_ATTEMPTS}])/{re.escape(MANIFEST_FILE)}"
)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a manifest claims to be about, once it is bound to a scan that may have it."""

    scan: Scan
    scan_date: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a report came to."""

    reader: ReportReader
    key: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    store: ScanStore
    sites: SiteStore
    registry: Registry
    results: Results
    bucket: str
    clock: Clock

    def handle(self, event: object) -> None:
        """Ingest what the event announces.

        Raises InputError for an event that is not one of our bucket, RefusedError for a key of nobody's
        making.  Reports that cannot be believed end their attempt and raise nothing.
        """
        found = created_object(event, self.bucket)
        match = _KEY.fullmatch(found.key)
        if match is None:
            raise RefusedError(f"The key {found.key[:120]!r} is none that an upload form allows.")
        scan_id, attempt = match["scan"], int(match["attempt"])
        try:
            claim = self._bind(scan_id, attempt, found)
        except (ConflictError, NotFoundError) as refusal:
            log.warning("manifest refused", scanId=scan_id, attempt=attempt, reason=refusal.reason)
            return
        except RejectedReportError as rejection:
            self._give_up(scan_id, attempt, rejection.reason)
            return
        if claim is not None:
            self._ingest(claim)

    def _bind(self, scan_id: str, attempt: int, found: S3Object) -> _Claim | None:
        """The scan that waits for this manifest; `None` for an upload after the first."""
        versions = self.results.versions(found.key)
        if not versions:
            raise NotFoundError("The announced object is not there.")
        second = len(versions) > 1 if found.version_id is None else versions[0].version_id != found.version_id
        if second:
            log.error("second_upload", scanId=scan_id, attempt=attempt, object=MANIFEST_FILE)
            return None
        run = self.store.run(run_id_of(scan_id))
        scan = change(self.store, scan_id, partial(ingesting, attempt=attempt, now=self.clock()))
        manifest = manifest_of(
            self.results, found.key, versions[0], scan_id=scan.scan_id, attempt=scan.attempt
        )
        return _Claim(scan, run.scan_date, manifest)

    def _ingest(self, claim: _Claim) -> None:
        scan, manifest = claim.scan, claim.manifest
        if not manifest.report_uploaded:
            said = plain(manifest.reason) or "no reason given"
            self._give_up(scan.scan_id, scan.attempt, f"The task sent no report: {said}.")
            return
        try:
            outcome = self._read(claim)
        except RejectedReportError as rejection:
            self._give_up(scan.scan_id, scan.attempt, rejection.reason)
            return
        self._conclude(scan, outcome, _verdict(outcome.reader, manifest))

    def _read(self, claim: _Claim) -> _Outcome:
        """Write every good record; counts and names of the rest are with the reader."""
        scan = claim.scan
        key = report_key(scan.scan_id, scan.attempt)
        versions = self.results.versions(key)
        if not versions:
            raise RejectedReportError("The manifest speaks of a report that is not there.")
        if len(versions) > 1:
            log.error("second_upload", scanId=scan.scan_id, attempt=scan.attempt, object="report.jsonl")
        reader = ReportReader(scan.open_hosts, claim.scan_date)
        with believed(self.results, key, versions[0], claim.manifest) as report:
            domains: dict[str, str] = {}
            records = reader.records(bounded_lines(report))
            self.sites.put(self._items(records, scan, domains))
        self.registry.note(domains, claim.scan_date)
        return _Outcome(reader, key, versions[0].version_id)

    @staticmethod
    def _items(records: Iterator[SiteRecord], scan: Scan, domains: dict[str, str]) -> Iterator[SiteItem]:
        for record in records:
            domains[record.fqdn] = record.domain
            yield item_of(record, run_id_of(scan.scan_id))

    def _conclude(self, scan: Scan, outcome: _Outcome, trouble: str | None) -> None:
        """End the scan; or, where hosts are missing and an attempt is left, ask for those."""
        reader = outcome.reader
        try:
            after = change(
                self.store, scan.scan_id, lambda found: self._told(found, scan.attempt, outcome, trouble)
            )
        except ConflictError as error:
            log.info("somebody else concluded this attempt", scanId=scan.scan_id, reason=error.reason)
            return
        log.info(
            "report ingested",
            scanId=scan.scan_id,
            attempt=scan.attempt,
            state=after.state.value,
            records=sum(reader.counts.values()),
            missing=len(reader.missing),
            rejected=reader.rejected_count,
        )

    def _told(self, found: Scan, attempt: int, outcome: _Outcome, trouble: str | None) -> Scan:
        now, reader = self.clock(), outcome.reader
        told = msgspec.structs.replace(
            ingesting(found, attempt=attempt, now=now),
            counts={
                name: found.counts.get(name, 0) + reader.counts[name]
                for name in sorted({*found.counts, *reader.counts})
            },
            missing=reader.missing,
            rejected=tuple(reader.rejected),
            rejected_count=found.rejected_count + reader.rejected_count,
            report_key=outcome.key,
            report_version=outcome.version,
        )
        if reader.missing:
            return given_up(told, now=now, reason=trouble or "Hosts are missing from the report.")
        state = ScanState.PARTIAL if trouble else ScanState.COMPLETED
        return finished(told, state=state, now=now, reason=trouble)

    def _give_up(self, scan_id: str, attempt: int, reason: str) -> None:
        """The attempt is worth nothing: watch starts the next one, or the scan has failed."""
        log.warning("report rejected", scanId=scan_id, attempt=attempt, reason=reason)
        now = self.clock()

        def transition(scan: Scan) -> Scan:
            return given_up(ingesting(scan, attempt=attempt, now=now), now=now, reason=reason)

        try:
            change(self.store, scan_id, transition)
        except ConflictError as error:
            log.info("the scan went on meanwhile", scanId=scan_id, reason=error.reason)


def _verdict(reader: ReportReader, manifest: Manifest) -> str | None:
    """What is wrong with a report that was read, in one sentence; `None` where nothing is."""
    troubles = []
    if manifest.scanner_exit is None:
        troubles.append("the scanner was killed")
    elif manifest.scanner_exit != 0:
        troubles.append(f"the scanner ended with code {manifest.scanner_exit}")
    if manifest.reason:
        troubles.append(plain(manifest.reason))
    if reader.rejected_count:
        troubles.append(f"{reader.rejected_count:,} lines of the report were rejected")
    if reader.missing:
        troubles.append(f"{len(reader.missing):,} hosts have no record")
    sentence = "; ".join(troubles)
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else None
