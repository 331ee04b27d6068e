"""What reading and judging a report about a repository needs of its scan."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from glovebox.errors import RejectedReportError
from glovebox.findings.canaries import planted_files
from glovebox.findings.judging import Canary
from glovebox.findings.life import Coverage
from glovebox.findings.recording import Source
from glovebox.findings.report import Report
from glovebox.findings.repository_report import RepositoryReport
from glovebox.findings.services import SERVICES
from glovebox.scans.model import MAX_FOUND_BYTES, Manifest
from glovebox.scans.redaction import redact
from glovebox.scans.repositories import GapKind, RepositoryScanner, RepositoryTarget, Snapshot
from glovebox.scans.state import Scan
from glovebox.services import recorded_reports
from glovebox.services.recorded_reports import Trouble, task_troubles
from glovebox.text import visible

MAX_DATABASE_HOURS: Final = 48
"""Trivy's database is made every six hours and baked into its image every day; two bakes may fail."""
MAX_NAMED_GAPS: Final = 5
MAX_GAP: Final = 120

FIXES: Final = {
    **recorded_reports.FIXES,
    "report_foreign": "Believe nothing of this scan, and look at its scanner's image and digest before you "
    "scan again.",
    "canary_missed": "See that the scanner ended well and has its rules and its database; the inlet lays "
    "what must be found beside each snapshot. If it has, believe nothing of this scanner.",
    "scanner_killed": "Give the scanner's task more memory, or look at what in the repository keeps it busy.",
    "scanner_errors": "Look at the scanner's log in the manifest, then scan again.",
    "database_missing": "See that Trivy's image was built with its database, then scan again.",
    "database_stale": "See why the database was not baked into Trivy's image for two days, then scan again.",
    "snapshot_incomplete": "See which files the archive lacks: glovebox scan show RUN --json. Take "
    "export-ignore out of .gitattributes, and put submodules on record as repositories of their own.",
}
NO_DATABASE: Final = Trouble("database_missing", "Trivy had no database of vulnerabilities.")
_GAPS: Final[Mapping[GapKind, str]] = {
    "export-ignored": "left out by export-ignore",
    "submodule": "in submodules",
    "lfs": "in LFS",
    "rewritten": "not as in the commit",
    "uncompared": "not compared, as the host cut the tree off",
}
_NAMES: Final[Mapping[RepositoryScanner, str]] = {
    "trivy": "Trivy",
    "trufflehog": "TruffleHog",
    "kingfisher": "Kingfisher",
}


@dataclass(frozen=True, slots=True)
class ReportedRepository:
    """`glovebox.services.recorded_reports.Reported` of a repository that one scanner looked at."""

    repository: RepositoryTarget
    snapshot: Snapshot
    requested_at: datetime

    @classmethod
    def of(cls, scan: Scan) -> ReportedRepository:
        """Raises RejectedReportError where nobody knows what the scanner was shown."""
        assert scan.repository is not None  # noqa: S101 - the caller asks for the kind
        if scan.snapshot is None:
            raise RejectedReportError("The scan has no snapshot on record, so nobody knows what was scanned.")
        return cls(scan.repository, scan.snapshot, datetime.fromisoformat(scan.requested_at))

    @property
    def target(self) -> str:
        return self.repository.target

    @property
    def coverage(self) -> Coverage:
        """What a scan's report resolves by silence."""
        return Coverage(regions=frozenset(), services=frozenset(SERVICES[self.repository.scanner]))

    @property
    def max_report_bytes(self) -> int:
        return MAX_FOUND_BYTES

    @property
    def source(self) -> Source:
        return Source(scanner=self.repository.scanner, commit=self.snapshot.commit)

    @property
    def fixes(self) -> dict[str, str]:
        return FIXES

    def read(self, data: bytes | mmap.mmap) -> Report:
        return RepositoryReport(self.target, self.repository.scanner).read(data)

    def canaries(self, manifest: Manifest) -> Sequence[Canary]:
        return planted_files(self.repository.scanner, database=bool(manifest.database_updated))

    def troubles(self, manifest: Manifest) -> Iterator[Trouble]:
        yield from task_troubles(manifest, lambda what: False)
        if self.repository.scanner == "trivy":
            yield from self._database_troubles(manifest.database_updated)
        if self.snapshot.gap_counts:
            yield Trouble("snapshot_incomplete", _gaps(self.snapshot))

    def notes(self, report: Report) -> Iterator[str]:
        for scanner, count in sorted(self.snapshot.ignores.items()):
            if scanner == self.repository.scanner and count:
                yield _hidden(scanner, count)
        if isinstance(report, RepositoryReport):
            yield from report.notes

    def _database_troubles(self, updated: str) -> Iterator[Trouble]:
        if not updated:
            yield NO_DATABASE
            return
        made = _moment(updated)
        if made is None:
            said = f"Trivy's database says {visible(updated, 40)} of its age, which is no time."
            yield Trouble("database_stale", said)
            return
        age = self.requested_at - made
        if not -timedelta(hours=MAX_DATABASE_HOURS) <= age <= timedelta(hours=MAX_DATABASE_HOURS):
            hours = abs(age) // timedelta(hours=1)
            side = "old" if age > timedelta() else "ahead of the scan"
            yield Trouble("database_stale", f"Trivy's database is {hours:,} hours {side}.")


def unreported(scan: Scan, manifest: Manifest) -> Trouble | None:
    """Why there is no report, where the task's manifest tells; `None` where it does not.

    Without a database Trivy ends before it looks at anything, and what it leaves is no report.
    """
    of_trivy = scan.repository is not None and scan.repository.scanner == "trivy"
    return NO_DATABASE if of_trivy and not (manifest.report_uploaded or manifest.database_updated) else None


def _moment(text: str) -> datetime | None:
    """RFC 3339, as Trivy writes it; `None` for anything else."""
    try:
        made = datetime.fromisoformat(text)
    except ValueError:
        return None
    return made if made.tzinfo else made.replace(tzinfo=UTC)


def _gaps(snapshot: Snapshot) -> str:
    counts = ", ".join(
        f"{snapshot.gap_counts[kind]:,} {words}"
        for kind, words in _GAPS.items()
        if snapshot.gap_counts.get(kind)
    )
    names = [visible(redact(each.path), MAX_GAP) for each in snapshot.gaps[:MAX_NAMED_GAPS]]
    more = sum(snapshot.gap_counts.values()) - len(names)
    named = ", ".join(names) + (f" and {more:,} more" if names and more > 0 else "")
    return f"The snapshot lacks files of its commit: {counts}" + (f" ({named})." if named else ".")


def _hidden(scanner: RepositoryScanner, count: int) -> str:
    if scanner == "kingfisher":
        return f"{count:,} files lie in node_modules, where Kingfisher searches nothing."
    return f"{count:,} lines of the sources hide what follows from {_NAMES[scanner]}."
