"""A run and its scans as they are stored, and the only ways in which a scan may change.

Every change is a pure function from one `Scan` to the next.  The store writes the next one
only where the former still stands (`revision`), so events may repeat, overtake each other
and run twice at once: the loser raises ConflictError and nothing has changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec import Struct

from glovebox.dates import iso
from glovebox.errors import ConflictError
from glovebox.scans.accounts import AccountTarget
from glovebox.scans.model import MAX_ATTEMPTS, ReportKind, RunKind, RunState, ScanState
from glovebox.scans.repositories import RepositoryTarget, Snapshot
from glovebox.siteaudit.notes import LineNote

MAX_NOTES = 1_000
"""Entries of a list inside an item that only informs: rejected lines, missing names of a run."""
MAX_NOTE_BYTES = 100_000
"""A DynamoDB item holds 400 KB; three such lists and a shard's names fit."""
RECORDING_LOST = "The report of an earlier attempt was being recorded: findings of it may stand."
LISTED_REJECTIONS = 100
"""Rejected lines of a report that a scan names; all are counted."""


class ScanFailure(Struct, frozen=True, kw_only=True, rename="camel"):
    """Beside a scan's `reason`, where it is known what kind of failure it was and what to do about it."""

    failure_class: str
    fix: str


class ClaimedError(ConflictError):
    """The attempt has been claimed.  `repeated`: by the very same claim, so its event only came again."""

    def __init__(self, reason: str, *, repeated: bool) -> None:
        super().__init__(reason)
        self.repeated = repeated


class Scan(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One shard of a run, at its present attempt."""

    scan_id: str
    state: ScanState
    attempt: int
    hosts: tuple[str, ...]
    requested_at: str
    changed_at: str
    """When `state` or `attempt` last changed."""
    attempt_since: str
    """When the present attempt was first asked for, however often it was tried to start it."""
    enrichment: bool = False
    """Whether a step for Shodan follows the audit."""
    launches: int = 0
    """Tasks that could not be started, so that the next one is asked for under a new token."""
    task_arn: str | None = None
    deadline: int | None = None
    """Epoch seconds."""
    started_at: str | None = None
    stopped_at: str | None = None
    """When the task was seen to stop, where its manifest is still awaited."""
    ended_at: str | None = None
    counts: dict[str, int] = {}
    """Records by failure class, `ok` for none."""
    missing: tuple[str, ...] | None = None
    """Hosts without a record; `None` before the first report."""
    rejected: tuple[str, ...] = ()
    rejected_count: int = 0
    reason: str | None = None
    """Why it ended as it did, or why it was tried again."""
    report_key: str | None = None
    report_version: str | None = None
    enriched_at: str | None = None
    enrichment_note: str | None = None
    account: AccountTarget | None = None
    """What a scan of an account is about; it has no `hosts`."""
    repository: RepositoryTarget | None = None
    """What a scan of a repository is about; it has neither `hosts` nor `account`."""
    snapshot: Snapshot | None = None
    """What the present attempt's task is given to look at; on record before the task starts."""
    external_id: str = ""
    """That of the account's audit role; empty: the deployment's.  Its task is not told."""
    claim: str | None = None
    """The digest of the claim that got this attempt's credentials; never taken back, so there is no other."""
    claimed_at: str | None = None
    failure: ScanFailure | None = None
    revision: int = 0

    @property
    def kind(self) -> RunKind:
        """That of its run."""
        if self.account is not None:
            return "account"
        return "site" if self.repository is None else "repository"

    @property
    def report_kind(self) -> ReportKind:
        """What its task runs and uploads."""
        if self.repository is not None:
            return self.repository.scanner
        return "site" if self.account is None else "account"

    @property
    def target(self) -> str:
        """What it is about, as its findings name it; empty for hosts."""
        if self.repository is not None:
            return self.repository.target
        return f"aws:{self.account.account}" if self.account is not None else ""

    @property
    def open_hosts(self) -> tuple[str, ...]:
        """The hosts that the present attempt is about: those without a record so far."""
        return self.hosts if self.missing is None else self.missing

    @property
    def recorded_hosts(self) -> tuple[str, ...]:
        """The hosts that `counts` counts.

        A host that is missing may have a record all the same, of an ingest that died before its last
        write; such a record is no part of the run's result, or its numbers would not add up.
        """
        absent = frozenset(self.open_hosts)
        return tuple(host for host in self.hosts if host not in absent)

    @property
    def open_steps(self) -> int:
        """What the run still waits for from this scan."""
        return (not self.state.ended) + (self.enrichment and self.enriched_at is None)


class Run(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What was asked for as a whole."""

    run_id: str
    state: RunState
    requested_at: str
    requested_by: str
    scan_date: str
    hosts: int
    shards: int
    pending: int
    kind: RunKind = "site"
    accounts: int = 0
    """In a run of kind `account`, those that are scanned; `hosts` is 0 then."""
    repositories: int = 0
    """In a run of kind `repository`, those that are scanned."""
    rejected_lines: tuple[LineNote, ...] = ()
    """Lines of the list that gave no host, or accounts that are not scanned, with the reason."""
    rejected_count: int = 0
    counts: dict[str, int] = {}
    missing: tuple[str, ...] = ()
    """At most `MAX_NOTES` names; `missing_count` says how many there are, each scan names its own."""
    missing_count: int = 0
    """Hosts without a record, or accounts of which not every scan has a report."""
    untrusted: tuple[str, ...] = ()
    """Scans of accounts whose report nobody believes."""
    ended_at: str | None = None
    published_at: str | None = None
    files: tuple[str, ...] = ()
    notified_at: str | None = None
    nudged_at: str | None = None
    """When `watch` last woke the publication of a run whose steps are all done."""
    revision: int = 0


def seconds_since(text: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(text)).total_seconds()


def launching(scan: Scan, *, now: datetime, deadline: int) -> Scan:
    """This attempt is being started, by whoever writes this first."""
    _expect(scan, ScanState.REQUESTED)
    return msgspec.structs.replace(
        scan, state=ScanState.LAUNCHING, changed_at=iso(now), deadline=deadline, task_arn=None
    )


def snapshotted(scan: Scan, *, attempt: int, launches: int, snapshot: Snapshot) -> Scan:
    """What this attempt's task will be given; a snapshot that is not whole makes the scan partial.

    Raises ConflictError where somebody took this launch for lost while the snapshot was being made.
    """
    _expect_attempt(scan, attempt)
    _expect(scan, ScanState.LAUNCHING)
    if scan.launches != launches:
        raise ConflictError(f"Another launch of scan {scan.scan_id} is under way.")
    # What kept it from its snapshot has passed; of an earlier attempt it is still told why there was another.
    reason = None if scan.failure is not None else scan.reason
    return msgspec.structs.replace(scan, snapshot=snapshot, failure=None, reason=reason)


def launched(scan: Scan, *, attempt: int, task_arn: str) -> Scan:
    """The task exists.  Its own events may have come first, so any living state is fine."""
    _expect_attempt(scan, attempt)
    return scan if scan.task_arn else msgspec.structs.replace(scan, task_arn=task_arn)


def released(scan: Scan, *, now: datetime, reason: str) -> Scan:
    """No task was started, as far as we know; the same attempt waits for the next tick.

    The deadline stays: should a task of this launch turn up after all, its time is bound as well.
    """
    _expect(scan, ScanState.LAUNCHING)
    return msgspec.structs.replace(
        scan,
        state=ScanState.REQUESTED,
        changed_at=iso(now),
        launches=scan.launches + 1,
        reason=reason,
        failure=None,
    )


def unready(scan: Scan, *, now: datetime, reason: str, failure: ScanFailure, again: bool) -> Scan:
    """There is nothing that its task could be given: the attempt waits (`again`), or the scan ends."""
    _expect(scan, ScanState.LAUNCHING)
    after = (released if again else failed)(scan, now=now, reason=reason)
    return msgspec.structs.replace(after, failure=failure)


def abandoned(scan: Scan, *, now: datetime) -> Scan:
    """It waited for too long.  What kept it is the end's reason, and its failure where that is known."""
    after = failed(scan, now=now, reason=scan.reason or "Nobody started the task.")
    return msgspec.structs.replace(after, failure=scan.failure)


def running(scan: Scan, *, attempt: int, task_arn: str, now: datetime) -> Scan:
    """The task runs; later states stay."""
    _expect_attempt(scan, attempt, task_arn)
    if scan.state not in (ScanState.REQUESTED, ScanState.LAUNCHING):
        return scan
    moment = iso(now)
    return msgspec.structs.replace(
        scan, state=ScanState.RUNNING, changed_at=moment, started_at=moment, task_arn=task_arn
    )


def stopped(scan: Scan, *, attempt: int, task_arn: str, now: datetime) -> Scan:
    """The task ended well and its manifest is on the way."""
    _expect_attempt(scan, attempt, task_arn)
    return scan if scan.stopped_at else msgspec.structs.replace(scan, stopped_at=iso(now))


def ingesting(scan: Scan, *, attempt: int, now: datetime) -> Scan:
    """A manifest arrived.  A second ingest of the same one may go on: it writes the same items."""
    _expect_attempt(scan, attempt)
    if scan.state is ScanState.INGESTING:
        return scan
    return msgspec.structs.replace(scan, state=ScanState.INGESTING, changed_at=iso(now))


def recording(scan: Scan, *, attempt: int, report_key: str, report_version: str) -> Scan:
    """From here on findings of this report may stand, though its ingest should die before it can say so."""
    _expect_attempt(scan, attempt)
    return msgspec.structs.replace(scan, report_key=report_key, report_version=report_version)


def claimed(scan: Scan, *, attempt: int, claim: str, now: datetime) -> Scan:
    """This claim, and no other, gets the attempt's credentials: whoever writes this first.

    Raises ClaimedError, or ConflictError for a scan that waits for no claim.
    """
    if scan.attempt == attempt and scan.claim is not None:
        raise ClaimedError(
            f"Attempt {attempt} of scan {scan.scan_id} is claimed already.", repeated=scan.claim == claim
        )
    _expect_attempt(scan, attempt)
    # A task may be seen to run before its claim is read.
    if scan.account is None or scan.state not in (ScanState.LAUNCHING, ScanState.RUNNING):
        raise ConflictError(f"Scan {scan.scan_id} is {scan.state} and waits for no claim.")
    if scan.deadline is None or now.timestamp() >= scan.deadline:
        raise ConflictError(f"Attempt {attempt} of scan {scan.scan_id} is past its deadline.")
    return msgspec.structs.replace(scan, claim=claim, claimed_at=iso(now))


def unredeemed(
    scan: Scan, *, attempt: int, now: datetime, reason: str, failure: ScanFailure, again: bool
) -> Scan:
    """The attempt was claimed and gets no credentials: another is made (`again`), or the scan ends."""
    _expect_attempt(scan, attempt)
    after = (given_up if again else failed)(scan, now=now, reason=reason)
    return msgspec.structs.replace(after, failure=failure)


def given_up(scan: Scan, *, now: datetime, reason: str, end: ScanState = ScanState.FAILED) -> Scan:
    """The attempt is lost: the next one begins with what is missing, or the scan ends.

    A scan that has records of an earlier attempt ends `partial`, else as `end` says.
    """
    if scan.state.ended:
        raise ConflictError(f"Scan {scan.scan_id} has ended already.")
    if scan.attempt < MAX_ATTEMPTS:
        return msgspec.structs.replace(
            scan,
            state=ScanState.REQUESTED,
            attempt=scan.attempt + 1,
            changed_at=iso(now),
            attempt_since=iso(now),
            task_arn=None,
            deadline=None,
            stopped_at=None,
            claim=None,
            claimed_at=None,
            failure=None,
            reason=reason,
        )
    return failed(scan, now=now, reason=reason, end=end)


def failed(scan: Scan, *, now: datetime, reason: str, end: ScanState = ScanState.FAILED) -> Scan:
    """The scan ends without another attempt; hosts without a record are missing.

    Of a scan with findings that was being recorded some may stand, so it has not failed altogether.
    """
    if scan.kind != "site" and scan.report_key is not None:
        return finished(scan, state=ScanState.PARTIAL, now=now, reason=f"{reason} {RECORDING_LOST}")
    state = ScanState.PARTIAL if scan.counts else end
    return finished(scan, state=state, now=now, reason=reason)


def finished(scan: Scan, *, state: ScanState, now: datetime, reason: str | None) -> Scan:
    """The audit's last word.  Where nothing was recorded there is nothing to enrich either."""
    if scan.state.ended:
        raise ConflictError(f"Scan {scan.scan_id} has ended already.")
    moment = iso(now)
    return msgspec.structs.replace(
        scan,
        state=state,
        changed_at=moment,
        ended_at=moment,
        reason=reason,
        failure=None,
        missing=scan.open_hosts,
        enriched_at=moment if scan.enrichment and not scan.counts else scan.enriched_at,
    )


def enriched(scan: Scan, *, now: datetime, note: str | None) -> Scan:
    """The step for Shodan is done, or given up with a note."""
    if not scan.state.ended:
        raise ConflictError(f"Scan {scan.scan_id} has not ended yet.")
    if scan.enriched_at is not None:
        return scan
    return msgspec.structs.replace(scan, enriched_at=iso(now), enrichment_note=note)


def bounded(texts: Iterable[str]) -> tuple[str, ...]:
    """The first of `texts` that fit the part of an item which only informs."""
    kept: list[str] = []
    room = MAX_NOTE_BYTES
    for text in texts:
        room -= len(text.encode()) + 8
        if room < 0 or len(kept) == MAX_NOTES:
            break
        kept.append(text)
    return tuple(kept)


def bounded_lines(lines: Iterable[LineNote]) -> tuple[LineNote, ...]:
    """The first rejected lines that fit the run's item."""
    kept = list(lines)
    shown = bounded(f"{line.line:48}{line.text}{line.reason}" for line in kept[:MAX_NOTES])
    return tuple(kept[: len(shown)])


def _expect(scan: Scan, state: ScanState) -> None:
    if scan.state is not state:
        raise ConflictError(f"Scan {scan.scan_id} is {scan.state}, not {state}.")


def _expect_attempt(scan: Scan, attempt: int, task_arn: str | None = None) -> None:
    """What is reported must be about the attempt, and the task, that counts now."""
    if scan.state.ended:
        raise ConflictError(f"Scan {scan.scan_id} has ended already.")
    if scan.attempt != attempt:
        raise ConflictError(f"Scan {scan.scan_id} is at attempt {scan.attempt}, not {attempt}.")
    if task_arn and scan.task_arn and scan.task_arn != task_arn:
        raise ConflictError(f"Scan {scan.scan_id} runs in another task.")
