"""From a manifest in the results bucket to what is kept of its report, by way of distrust.

The object's key, its versions and the manifest say which scan and attempt it claims to be of;
the scan's own item says what that attempt may report, and of which kind.  All of it may happen
twice, and two at once: the first version of an object is the only one that counts, so both write
the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from glovebox import log
from glovebox.errors import ConflictError, NotFoundError, RefusedError, RejectedReportError
from glovebox.scans.changing import change
from glovebox.scans.model import MANIFEST_FILE, MAX_ATTEMPTS, SCAN_ID, ScanState, run_id_of
from glovebox.scans.ports import Clock, Results, ScanStore
from glovebox.scans.state import Scan, ScanFailure, given_up, ingesting
from glovebox.services.account_reports import ReportedAccount
from glovebox.services.events import S3Object, created_object, is_daily
from glovebox.services.recorded_reports import RecordedReports, Trouble
from glovebox.services.repository_reports import FIXES, ReportedRepository, unreported
from glovebox.services.site_reports import SiteReports
from glovebox.services.uploaded import Claim, manifest_of

_KEY = re.compile(
    rf"results/(?P<scan>{SCAN_ID.pattern})/(?P<attempt>[1-{MAX_ATTEMPTS}])/{re.escape(MANIFEST_FILE)}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    store: ScanStore
    results: Results
    bucket: str
    sites: SiteReports
    findings: RecordedReports
    clock: Clock

    def handle(self, event: object) -> None:
        """Ingest what the event announces; once a day end the acceptances whose day has come.

        Raises InputError for an event that is none of ours, RefusedError for a key of nobody's making.
        Reports that cannot be believed end their attempt and raise nothing.  ConflictError and
        UpstreamError are worth another try.
        """
        if is_daily(event):
            self.findings.end_acceptances()
            return
        found = created_object(event, self.bucket)
        match = _KEY.fullmatch(found.key)
        if match is None:
            raise RefusedError(f"The key {found.key[:120]!r} is none that an upload form allows.")
        scan_id, attempt = match["scan"], int(match["attempt"])
        claim = None
        try:
            claim = self._bound(scan_id, attempt, found)
            if claim is not None:
                self._take(claim)
        except RejectedReportError as rejection:
            trouble = None if claim is None else unreported(claim.scan, claim.manifest)
            self._give_up(scan_id, attempt, rejection.reason, trouble)

    def _take(self, claim: Claim) -> None:
        if claim.scan.repository is not None:
            self.findings.take(claim, ReportedRepository.of(claim.scan))
        elif claim.scan.account is not None:
            self.findings.take(claim, ReportedAccount(claim.scan.account))
        else:
            self.sites.take(claim)

    def _bound(self, scan_id: str, attempt: int, found: S3Object) -> Claim | None:
        """What waits for this manifest; `None` where nothing does."""
        try:
            return self._bind(scan_id, attempt, found)
        except (ConflictError, NotFoundError) as refusal:
            log.warning("manifest refused", scanId=scan_id, attempt=attempt, reason=refusal.reason)
            return None

    def _bind(self, scan_id: str, attempt: int, found: S3Object) -> Claim | None:
        """The scan that waits for this manifest; `None` for an upload after the first."""
        versions = self.results.versions(found.key)
        if not versions:
            raise NotFoundError("The announced object is not there.")
        first = versions[0].version_id
        second = first != found.version_id if found.version_id else len(versions) > 1
        if second:
            log.error("second_upload", scanId=scan_id, attempt=attempt, object=MANIFEST_FILE)
            return None
        run = self.store.run(run_id_of(scan_id))
        scan = change(self.store, scan_id, partial(ingesting, attempt=attempt, now=self.clock()))
        manifest = manifest_of(
            self.results, found.key, versions[0], scan_id=scan.scan_id, attempt=scan.attempt
        )
        return Claim(run, scan, manifest)

    def _give_up(self, scan_id: str, attempt: int, reason: str, trouble: Trouble | None) -> None:
        """The attempt is worth nothing: watch starts the next one, or the scan has failed."""
        failure = None
        if trouble is not None:
            reason = f"{trouble.sentence} {reason}"
            failure = ScanFailure(failure_class=trouble.failure_class, fix=FIXES[trouble.failure_class])
        log.warning("report rejected", scanId=scan_id, attempt=attempt, reason=reason)
        now = self.clock()

        def transition(scan: Scan) -> Scan:
            after = given_up(ingesting(scan, attempt=attempt, now=now), now=now, reason=reason)
            return replace(after, failure=failure) if after.state is ScanState.FAILED else after

        try:
            change(self.store, scan_id, transition)
        except ConflictError as error:
            log.info("the scan went on meanwhile", scanId=scan_id, reason=error.reason)
