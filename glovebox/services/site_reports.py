"""From a report of sites to their records, and to the end of its scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from glovebox.scans.model import Manifest, ScanState, run_id_of
from glovebox.scans.ports import Clock, Results, ScanStore
from glovebox.scans.report import ReportReader, bounded_lines
from glovebox.scans.state import Scan, finished, given_up, ingesting
from glovebox.services.concluding import conclude
from glovebox.services.uploaded import Claim, Uploaded, believed, report_of
from glovebox.siteaudit.record import SiteRecord
from glovebox.sites.item import SiteItem, item_of
from glovebox.sites.ports import Registry, SiteStore
from glovebox.text import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReports:
    store: ScanStore
    sites: SiteStore
    registry: Registry
    results: Results
    clock: Clock

    def take(self, claim: Claim) -> None:
        """Write every good record, and end the scan or ask for what is missing.

        Raises RejectedReportError where there is no report that can be believed.
        """
        report = report_of(self.results, claim, "site")
        reader = self._read(claim, report)
        self._conclude(claim.scan, reader, report, _verdict(reader, claim.manifest))

    def _read(self, claim: Claim, report: Uploaded) -> ReportReader:
        """Write every good record; counts and names of the rest are with the reader."""
        scan, date = claim.scan, claim.run.scan_date
        reader = ReportReader(scan.open_hosts, date)
        with believed(self.results, report.key, report.version, claim.manifest) as file:
            domains: dict[str, str] = {}
            records = reader.records(bounded_lines(file))
            self.sites.put(self._items(records, scan, domains))
        self.registry.note(domains, date)
        return reader

    @staticmethod
    def _items(records: Iterator[SiteRecord], scan: Scan, domains: dict[str, str]) -> Iterator[SiteItem]:
        for record in records:
            domains[record.fqdn] = record.domain
            yield item_of(record, run_id_of(scan.scan_id))

    def _conclude(self, scan: Scan, reader: ReportReader, report: Uploaded, trouble: str | None) -> None:
        """End the scan; or, where hosts are missing and an attempt is left, ask for those."""

        def told(found: Scan) -> Scan:
            return self._told(found, scan.attempt, reader, report, trouble)

        conclude(
            self.store,
            scan,
            told,
            records=sum(reader.counts.values()),
            missing=len(reader.missing),
            rejected=reader.rejected_count,
        )

    def _told(
        self, found: Scan, attempt: int, reader: ReportReader, report: Uploaded, trouble: str | None
    ) -> Scan:
        now = self.clock()
        told = msgspec.structs.replace(
            ingesting(found, attempt=attempt, now=now),
            counts={
                name: found.counts.get(name, 0) + reader.counts[name]
                for name in sorted({*found.counts, *reader.counts})
            },
            missing=reader.missing,
            rejected=tuple(reader.rejected),
            rejected_count=found.rejected_count + reader.rejected_count,
            report_key=report.key,
            report_version=report.version.version_id,
        )
        if reader.missing:
            return given_up(told, now=now, reason=trouble or "Hosts are missing from the report.")
        state = ScanState.PARTIAL if trouble else ScanState.COMPLETED
        return finished(told, state=state, now=now, reason=trouble)


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
