"""From a scanner's report about an account to findings, and to the end of its scan.

A scan is recorded once: the record is written with what it changes, and the scan's item is concluded from the
record.  So whoever dies between the two, or comes second, finds the record and concludes from it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from msgspec.structs import replace

from glovebox import log
from glovebox.errors import ConflictError, RejectedReportError, UpstreamError
from glovebox.findings.array import End
from glovebox.findings.binding import Binding
from glovebox.findings.canaries import planted
from glovebox.findings.denials import expected
from glovebox.findings.judging import Judgement, judge
from glovebox.findings.life import Coverage, Quality, Step
from glovebox.findings.model import State
from glovebox.findings.prowler import ProwlerReport, mapped
from glovebox.findings.recording import end_acceptances, record, recorded
from glovebox.findings.store import FindingStore, ScanRecord
from glovebox.scans.accounts import AccountTarget
from glovebox.scans.changing import change
from glovebox.scans.model import MAX_ATTEMPTS, MAX_OCSF_REPORT_BYTES, Manifest, ScanState
from glovebox.scans.ports import Clock, Results, ScanStore
from glovebox.scans.state import Scan, ScanFailure, bounded, finished, ingesting, recording
from glovebox.services.concluding import conclude
from glovebox.services.uploaded import Claim, Uploaded, believed, report_of
from glovebox.text import clean, plain

CONFLICT_WAITS: Final = (0.5, 1.0, 2.0, 4.0)
"""Seconds between rounds of `recording.MAX_TRIES` tries: the shards of an account end in the same minute, and
each keeps the others out for the seconds of its own writes.  Then Lambda tries again, minutes later."""
SIGNALLED: Final = 128
"""A shell adds the signal's number to it in the exit code of what was killed."""
MAX_REASON: Final = 1_000
MAX_NAMED_ERRORS: Final = 10
MAX_NAMED_TARGETS: Final = 20

_STATES: Final = {
    Quality.COMPLETE: ScanState.COMPLETED,
    Quality.PARTIAL: ScanState.PARTIAL,
    Quality.UNTRUSTED: ScanState.UNTRUSTED,
}
FIXES: Final = {
    "report_foreign": "Believe nothing of this scan, and look at what the scanner reached (the egress "
    "ledger) and at its image's digest before you scan again.",
    "canary_missed": "See that the account has today's audit role, which plants the resource "
    "(docs/audit-role.md). If it has, believe nothing of this scanner.",
    "scanner_killed": "Give the task more memory, or the account more shards: glovebox:regionsPerScan, "
    "glovebox:serviceParts.",
    "scanner_errors": "Where the account denies what Prowler reads, deploy today's audit role there "
    "(docs/audit-role.md); else scan again.",
    "findings_held": "See what would be resolved, then decide: glovebox findings --held, "
    "glovebox findings release or dismiss.",
    "report_damaged": "Scan again. If it stays so, compare the scanner's version with the one that is read "
    "(docs/findings.md).",
}
"""What to do about each class of a scan that is not as it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReports:
    store: ScanStore
    findings: FindingStore
    results: Results
    clock: Clock
    sleep: Callable[[float], None] = time.sleep

    def take(self, claim: Claim) -> None:
        """Record what the report changes, and end the scan.

        Raises RejectedReportError where there is no report that can be believed, ConflictError where others
        commit faster, time and again.
        """
        scan = claim.scan
        assert scan.account is not None  # noqa: S101 - the caller asks for the kind
        told = recorded(self.findings, _target(scan.account), scan.scan_id)
        report = None
        # A record may also be of a former attempt, whose ingest died before it could say so.
        if told is None or claim.manifest.report_uploaded:
            report = report_of(self.results, claim, "account")
            told = told or self._record(claim, scan.account, report)
        if told.quality is Quality.UNTRUSTED:
            # Said before the scan ends, so that a crash between the two says it twice and never not at all.
            log.error(
                "scan untrusted",
                scanId=scan.scan_id,
                attempt=scan.attempt,
                account=scan.account.account,
                reasons=told.reasons,
                examples=told.examples,
            )
        self._conclude(scan, told, claim.manifest, report)

    def end_acceptances(self) -> None:
        """Open again, in every target, what was accepted until today.

        One target that fails costs no other.  Raises UpstreamError at the end, which names those that failed.
        """
        now, failed = int(self.clock().timestamp()), []
        for summary in self.findings.targets():
            if State.ACCEPTED.value not in summary.tally.states:
                continue
            try:
                end_acceptances(self.findings, summary.target, now=now)
            except (ConflictError, UpstreamError) as error:
                log.error("acceptances not ended", target=summary.target, reason=error.reason)
                failed.append(summary.target)
        if failed:
            named = ", ".join(failed[:MAX_NAMED_TARGETS])
            raise UpstreamError(
                f"Acceptances of {len(failed):,} targets were not ended: {named}.",
                fix="The next scan of each does it, as does this, tried again.",
            )

    # ------------------------------------------------------------ reading

    def _record(self, claim: Claim, target: AccountTarget, report: Uploaded) -> ScanRecord:
        scan, coverage = claim.scan, coverage_of(target)
        found = self._read(claim, target, report)
        verdict = judge(
            found,
            account=target.account,
            coverage=coverage,
            canaries=planted(target.account),
            troubles=troubles(claim.manifest, found),
        )
        if _wants_another(claim, found):
            raise RejectedReportError(_sentence(verdict.reasons))
        begun = partial(
            recording,
            attempt=scan.attempt,
            report_key=report.key,
            report_version=report.version.version_id,
        )
        change(self.store, scan.scan_id, begun)
        return self._recorded(scan, target, verdict, found)

    def _read(self, claim: Claim, target: AccountTarget, report: Uploaded) -> ProwlerReport:
        found = ProwlerReport(binding_of(target))
        size = MAX_OCSF_REPORT_BYTES
        with (
            believed(self.results, report.key, report.version, claim.manifest, max_bytes=size) as file,
            mapped(file) as data,
        ):
            return found.read(data)

    def _recorded(
        self, scan: Scan, target: AccountTarget, verdict: Judgement, found: ProwlerReport
    ) -> ScanRecord:
        """Its record.  Raises ConflictError after the last wait."""
        for wait in (*CONFLICT_WAITS, None):
            try:
                return record(
                    self.findings,
                    _target(target),
                    verdict,
                    scan_id=scan.scan_id,
                    at=int(datetime.fromisoformat(scan.requested_at).timestamp()),
                    coverage=coverage_of(target),
                    now=int(self.clock().timestamp()),
                    report=found,
                )
            except ConflictError:
                if wait is None:
                    raise
                self.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, protects nothing
        raise AssertionError("unreachable: the last round returns or raises")

    # ------------------------------------------------------------ concluding

    def _conclude(self, scan: Scan, told: ScanRecord, manifest: Manifest, report: Uploaded | None) -> None:
        def ended(found: Scan) -> Scan:
            now = self.clock()
            with_counts = replace(
                ingesting(found, attempt=scan.attempt, now=now),
                counts=told.steps,
                rejected=bounded(told.examples),
                rejected_count=sum(told.refused.values()),
                report_key=report.key if report else None,
                report_version=report.version.version_id if report else None,
            )
            state, reason = _STATES[told.quality], _sentence(told.reasons) or None
            return replace(
                finished(with_counts, state=state, now=now, reason=reason), failure=_failure(told, manifest)
            )

        conclude(
            self.store,
            scan,
            ended,
            items=told.items,
            changes=sum(told.steps.values()),
            rejected=sum(told.refused.values()),
            reasons=told.reasons,
        )


def binding_of(target: AccountTarget) -> Binding:
    """What a scan's request allows its report to speak of."""
    return Binding(
        account=target.account,
        regions=frozenset(target.regions),
        services=frozenset(target.services) or None,
        without=frozenset(target.without),
    )


def coverage_of(target: AccountTarget) -> Coverage:
    """What a scan's report resolves by silence."""
    return Coverage(
        regions=frozenset(target.regions),
        services=frozenset(target.services) or None,
        without=frozenset(target.without),
        elsewhere=frozenset(target.elsewhere),
    )


def troubles(manifest: Manifest, found: ProwlerReport) -> Iterator[str]:
    """What the task tells against its own report, one sentence each."""
    if manifest.scanner_exit is None:
        yield "The scanner was killed."
    elif manifest.scanner_exit != 0:
        yield f"The scanner ended with code {manifest.scanner_exit}."
    if manifest.reason:
        yield f"The outlet says: {clean(manifest.reason, 200)}."
    if manifest.report_withheld:
        yield f"The outlet withheld {manifest.report_withheld:,} items that it could not read."
    if found.end is End.WHOLE and not found.over_limit and found.items != manifest.report_lines:
        yield f"The manifest counts {manifest.report_lines:,} items, the report has {found.items:,}."
    errors = [each for each in manifest.logged_errors if not expected(each.what)]
    if errors:
        named = ", ".join(f"{clean(each.what, 128)} ({each.count:,})" for each in errors[:MAX_NAMED_ERRORS])
        more = len(errors) - MAX_NAMED_ERRORS
        yield f"The scanner's log has errors: {named}{f' and {more:,} more kinds' if more > 0 else ''}."


def _wants_another(claim: Claim, found: ProwlerReport) -> bool:
    """Whether a second attempt costs nothing: of a scanner that did not end well there is nothing to keep.

    Any report that says something counts at once, as far as it goes, and ends the scan.
    """
    nothing = not found.services and not found.foreign
    return nothing and claim.manifest.scanner_exit != 0 and claim.scan.attempt < MAX_ATTEMPTS


def _failure(told: ScanRecord, manifest: Manifest) -> ScanFailure | None:
    """The gravest of what is wrong; `None` where nothing is."""
    name = _failure_class(told, manifest)
    return None if name is None else ScanFailure(failure_class=name, fix=FIXES[name])


def _failure_class(told: ScanRecord, manifest: Manifest) -> str | None:
    if told.quality is Quality.COMPLETE:
        return "findings_held" if Step.HELD.value in told.steps else None
    if told.quality is Quality.UNTRUSTED:
        return "report_foreign" if told.foreign else "canary_missed"
    if manifest.scanner_exit is None or manifest.scanner_exit >= SIGNALLED:
        return "scanner_killed"
    if manifest.scanner_exit or not all(expected(each.what) for each in manifest.logged_errors):
        return "scanner_errors"
    return "findings_held" if Step.HELD.value in told.steps else "report_damaged"


def _sentence(reasons: tuple[str, ...]) -> str:
    """Reasons as a scan's item holds them."""
    text = plain(" ".join(reasons))
    return text if len(text) <= MAX_REASON else text[: MAX_REASON - 1] + "…"


def _target(target: AccountTarget) -> str:
    return f"aws:{target.account}"
