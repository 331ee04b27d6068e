"""Telling people about a published run: what is new since last time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from glovebox import log
from glovebox.dates import iso
from glovebox.errors import ConflictError
from glovebox.findings.store import FindingStore
from glovebox.news import message as targets_message
from glovebox.news.arrivals import Owners, gathered
from glovebox.registry.model import Account, Repository
from glovebox.registry.store import RegistryStore
from glovebox.scans.model import RUN_SORT_KEY
from glovebox.scans.ports import Clock, ScanStore
from glovebox.scans.state import Run, Scan
from glovebox.services.events import changed_items
from glovebox.sites import message as site_message
from glovebox.sites.changes import Changes, compare
from glovebox.sites.ports import SiteStore, Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    store: ScanStore
    sites: SiteStore
    findings: FindingStore
    registry: RegistryStore
    topic: Topic
    page_url: str
    clock: Clock

    def handle(self, event: object) -> None:
        """Send one message for each published run of a stream event.  Raises InputError for another event."""
        for run_id, sort_key in changed_items(event):
            if sort_key == RUN_SORT_KEY:
                self._notify(self.store.run(run_id))

    def _notify(self, run: Run) -> None:
        if run.published_at is None or run.notified_at is not None:
            return
        subject, body = self._of_sites(run) if run.kind == "site" else self._of_targets(run)
        # Sent first and noted then: a crash between the two tells people twice, the other order never.
        self.topic.send(subject, body)
        try:
            self.store.replace_run(run, msgspec.structs.replace(run, notified_at=iso(self.clock())))
        except ConflictError:
            log.warning("a run was notified twice", runId=run.run_id)
            return
        log.info("run notified", runId=run.run_id, subject=subject)

    def _of_sites(self, run: Run) -> tuple[str, str]:
        changes = self._changes(run)
        return site_message.subject(run, changes), site_message.body(run, changes, self.page_url)

    def _changes(self, run: Run) -> Changes:
        hosts = [host for scan in self.store.scans(run.run_id) for host in scan.recorded_hosts]
        return compare(self.sites.summaries(hosts, run.scan_date), self.sites.before(hosts, run.scan_date))

    def _of_targets(self, run: Run) -> tuple[str, str]:
        scans = self.store.scans(run.run_id)
        if run.kind == "account":
            owners = Owners.on_record(self.registry, Account)
        else:
            owners = Owners.on_record(self.registry, Repository)
        at = int(datetime.fromisoformat(run.requested_at).timestamp())
        news = gathered(self.findings, _steps(scans), owners, at=at)
        return targets_message.subject(run, news), targets_message.body(run, scans, news, owners)


def _steps(scans: Sequence[Scan]) -> dict[str, Counter[str]]:
    """What the scans of each target changed."""
    steps: dict[str, Counter[str]] = {}
    for scan in scans:
        steps.setdefault(scan.target, Counter()).update(scan.counts)
    return steps
