"""What reading and judging a report about an account needs of its scan."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from glovebox.findings.binding import Binding
from glovebox.findings.canaries import planted
from glovebox.findings.denials import expected
from glovebox.findings.judging import Canary
from glovebox.findings.life import Coverage
from glovebox.findings.prowler import ProwlerReport
from glovebox.findings.recording import NO_SOURCE, Source
from glovebox.findings.report import Report
from glovebox.scans.accounts import AccountTarget
from glovebox.scans.model import MAX_OCSF_REPORT_BYTES, Manifest
from glovebox.services import recorded_reports
from glovebox.services.recorded_reports import Trouble, task_troubles

FIXES: Final = {
    **recorded_reports.FIXES,
    "canary_missed": "See that the account has today's audit role, which plants the resource "
    "(docs/audit-role.md). If it has, believe nothing of this scanner.",
    "scanner_killed": "Give the task more memory, or the account more shards: glovebox:regionsPerScan, "
    "glovebox:serviceParts.",
    "scanner_errors": "Where the account denies what Prowler reads, deploy today's audit role there "
    "(docs/audit-role.md); else scan again.",
}


@dataclass(frozen=True, slots=True)
class ReportedAccount:
    """`glovebox.services.recorded_reports.Reported` of an account, or of a shard of it."""

    account: AccountTarget

    @property
    def target(self) -> str:
        return f"aws:{self.account.account}"

    @property
    def coverage(self) -> Coverage:
        """What a scan's report resolves by silence."""
        return Coverage(
            regions=frozenset(self.account.regions),
            services=frozenset(self.account.services) or None,
            without=frozenset(self.account.without),
            elsewhere=frozenset(self.account.elsewhere),
        )

    @property
    def binding(self) -> Binding:
        """What a scan's request allows its report to speak of."""
        return Binding(
            account=self.account.account,
            regions=frozenset(self.account.regions),
            services=frozenset(self.account.services) or None,
            without=frozenset(self.account.without),
        )

    @property
    def max_report_bytes(self) -> int:
        return MAX_OCSF_REPORT_BYTES

    @property
    def source(self) -> Source:
        return NO_SOURCE

    @property
    def fixes(self) -> dict[str, str]:
        return FIXES

    def read(self, data: bytes | mmap.mmap) -> Report:
        return ProwlerReport(self.binding).read(data)

    def canaries(self, manifest: Manifest) -> Sequence[Canary]:
        return planted(self.account.account)

    def troubles(self, manifest: Manifest) -> Iterator[Trouble]:
        return task_troubles(manifest, expected)

    def notes(self, report: Report) -> Iterator[str]:
        return iter(())
