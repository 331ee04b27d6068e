"""From a scanner's report to findings, and to the end of its scan, whatever kind of target it is about.

A scan is recorded once: the record is written with what it changes, and the scan's item is concluded from the
record.  So whoever dies between the two, or comes second, finds the record and concludes from it.
"""

from __future__ import annotations

import mmap
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from glovebox import log
from glovebox.errors import ConflictError, RejectedReportError, UpstreamError
from glovebox.findings.judging import Canary, Judgement, judge
from glovebox.findings.life import Coverage, Quality, Step
from glovebox.findings.model import State
from glovebox.findings.recording import Source, end_acceptances, record, recorded
from glovebox.findings.report import Report, mapped
from glovebox.findings.store import FindingStore, ScanRecord
from glovebox.scans.changing import change
from glovebox.scans.model import MAX_ATTEMPTS, Manifest, ScanState
from glovebox.scans.ports import Clock, Results, ScanStore
from glovebox.scans.state import Scan, ScanFailure, bounded, finished, ingesting, recording
from glovebox.services.concluding import conclude
from glovebox.services.uploaded import Claim, Uploaded, believed, report_of
from glovebox.text import clean, plain

CONFLICT_WAITS: Final = (0.5, 1.0, 2.0, 4.0)
"""Seconds between rounds of `recording.MAX_TRIES` tries: the scans of one target end in the same minute, and
each keeps the others out for the seconds of its own writes.  Then Lambda tries again, minutes later."""
SIGNALLED: Final = 128
"""A shell adds the signal's number to it in the exit code of what was killed."""
MAX_REASON: Final = 1_000
MAX_NAMED_ERRORS: Final = 10
MAX_NAMED_TARGETS: Final = 20

FINDINGS_HELD: Final = "findings_held"
REPORT_DAMAGED: Final = "report_damaged"
_STATES: Final = {
    Quality.COMPLETE: ScanState.COMPLETED,
    Quality.PARTIAL: ScanState.PARTIAL,
    Quality.UNTRUSTED: ScanState.UNTRUSTED,
}
FIXES: Final = {
    "report_foreign": "Believe nothing of this scan, and look at what the scanner reached (the egress "
    "ledger) and at its image's digest before you scan again.",
    FINDINGS_HELD: "See what would be resolved, then decide: glovebox findings --held, "
    "glovebox findings release or dismiss.",
    REPORT_DAMAGED: "Scan again. If it stays so, compare the scanner's version with the one that is read "
    "(docs/findings.md).",
}
"""What to do about each class of a scan that is not as it should be; kinds of targets have more."""


class Trouble(Struct, frozen=True):
    """What a task tells against its own report."""

    failure_class: str
    sentence: str


class Reported(Protocol):
    """What a scan is about, as far as its report's reading and judging need it."""

    @property
    def target(self) -> str:
        """Its name among findings."""
        ...

    @property
    def coverage(self) -> Coverage: ...

    @property
    def max_report_bytes(self) -> int: ...

    @property
    def source(self) -> Source: ...

    @property
    def fixes(self) -> dict[str, str]:
        """What to do about each class of failure."""
        ...

    def read(self, data: bytes | mmap.mmap) -> Report: ...

    def canaries(self, manifest: Manifest) -> Sequence[Canary]: ...

    def troubles(self, manifest: Manifest) -> Iterator[Trouble]:
        """The gravest class first."""
        ...

    def notes(self, report: Report) -> Iterator[str]:
        """What people should know and what takes nothing from the scan."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedReports:
    store: ScanStore
    findings: FindingStore
    results: Results
    clock: Clock
    sleep: Callable[[float], None] = time.sleep

    def take(self, claim: Claim, about: Reported) -> None:
        """Record what the report changes, and end the scan.

        Raises RejectedReportError where there is no report that can be believed, ConflictError where others
        commit faster, time and again.
        """
        scan = claim.scan
        told = recorded(self.findings, about.target, scan.scan_id)
        report = None
        # A record may also be of a former attempt, whose ingest died before it could say so.
        if told is None or claim.manifest.report_uploaded:
            report = report_of(self.results, claim, scan.report_kind)
            told = told or self._record(claim, about, report)
        if told.quality is Quality.UNTRUSTED:
            # Said before the scan ends, so that a crash between the two says it twice and never not at all.
            log.error(
                "scan untrusted",
                scanId=scan.scan_id,
                attempt=scan.attempt,
                target=about.target,
                reasons=told.reasons,
                examples=told.examples,
            )
        self._conclude(scan, about, told, claim.manifest, report)

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

    def _record(self, claim: Claim, about: Reported, report: Uploaded) -> ScanRecord:
        scan, manifest = claim.scan, claim.manifest
        found = self._read(claim, about, report)
        troubles = [each.sentence for each in about.troubles(manifest)]
        if found.counted not in (None, manifest.report_lines):
            troubles.append(
                f"The manifest counts {manifest.report_lines:,} items, the report has {found.counted:,}."
            )
        verdict = judge(
            found,
            coverage=about.coverage,
            canaries=about.canaries(manifest),
            troubles=troubles,
            notes=about.notes(found),
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
        return self._recorded(scan, about, verdict, found)

    def _read(self, claim: Claim, about: Reported, report: Uploaded) -> Report:
        size = about.max_report_bytes
        with (
            believed(self.results, report.key, report.version, claim.manifest, max_bytes=size) as file,
            mapped(file) as data,
        ):
            return about.read(data)

    def _recorded(self, scan: Scan, about: Reported, verdict: Judgement, found: Report) -> ScanRecord:
        """Its record.  Raises ConflictError after the last wait."""
        for wait in (*CONFLICT_WAITS, None):
            try:
                return record(
                    self.findings,
                    about.target,
                    verdict,
                    scan_id=scan.scan_id,
                    at=int(datetime.fromisoformat(scan.requested_at).timestamp()),
                    coverage=about.coverage,
                    now=int(self.clock().timestamp()),
                    report=found,
                    source=about.source,
                )
            except ConflictError:
                if wait is None:
                    raise
                self.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load, protects nothing
        raise AssertionError("unreachable: the last round returns or raises")

    # ------------------------------------------------------------ concluding

    def _conclude(
        self, scan: Scan, about: Reported, told: ScanRecord, manifest: Manifest, report: Uploaded | None
    ) -> None:
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
                finished(with_counts, state=state, now=now, reason=reason),
                failure=_failure(told, manifest, about),
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


def task_troubles(manifest: Manifest, expected: Callable[[str], bool]) -> Iterator[Trouble]:
    """What any task tells against its own report; `expected` errors of its log are none."""
    if manifest.scanner_exit is None:
        yield Trouble("scanner_killed", "The scanner was killed.")
    elif manifest.scanner_exit != 0:
        killed = manifest.scanner_exit >= SIGNALLED
        said = f"The scanner ended with code {manifest.scanner_exit}."
        yield Trouble("scanner_killed" if killed else "scanner_errors", said)
    errors = [each for each in manifest.logged_errors if not expected(each.what)]
    if errors:
        named = ", ".join(f"{clean(each.what, 128)} ({each.count:,})" for each in errors[:MAX_NAMED_ERRORS])
        more = len(errors) - MAX_NAMED_ERRORS
        more_kinds = f" and {more:,} more kinds" if more > 0 else ""
        yield Trouble("scanner_errors", f"The scanner's log has errors: {named}{more_kinds}.")
    if manifest.reason:
        yield Trouble(REPORT_DAMAGED, f"The outlet says: {clean(manifest.reason, 200)}.")
    if manifest.report_withheld:
        yield Trouble(
            REPORT_DAMAGED,
            f"The outlet withheld {manifest.report_withheld:,} items that it could not read.",
        )


def _wants_another(claim: Claim, found: Report) -> bool:
    """Whether a second attempt costs nothing: of a scanner that did not end well there is nothing to keep.

    Any report that says something counts at once, as far as it goes, and ends the scan.
    """
    nothing = not found.services and not found.observations and not found.refusals.foreign
    return nothing and claim.manifest.scanner_exit != 0 and claim.scan.attempt < MAX_ATTEMPTS


def _failure(told: ScanRecord, manifest: Manifest, about: Reported) -> ScanFailure | None:
    """The gravest of what is wrong; `None` where nothing is."""
    name = _failure_class(told, manifest, about)
    return None if name is None else ScanFailure(failure_class=name, fix=about.fixes[name])


def _failure_class(told: ScanRecord, manifest: Manifest, about: Reported) -> str | None:
    held = FINDINGS_HELD if Step.HELD.value in told.steps else None
    if told.quality is Quality.COMPLETE:
        return held
    if told.quality is Quality.UNTRUSTED:
        return "report_foreign" if told.foreign else "canary_missed"
    classes = [each.failure_class for each in about.troubles(manifest)]
    # A damaged report is what is left where nothing says more.
    told_of = next((each for each in classes if each != REPORT_DAMAGED), None)
    return told_of or held or REPORT_DAMAGED


def _sentence(reasons: tuple[str, ...]) -> str:
    """Reasons as a scan's item holds them."""
    text = plain(" ".join(reasons))
    return text if len(text) <= MAX_REASON else text[: MAX_REASON - 1] + "…"
