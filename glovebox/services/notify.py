"""Telling people about a published run: what is new since last time."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from glovebox import log
from glovebox.dates import iso
from glovebox.errors import ConflictError
from glovebox.scans.model import RUN_SORT_KEY
from glovebox.scans.ports import Clock, ScanStore
from glovebox.scans.state import Run
from glovebox.services.events import changed_items
from glovebox.sites.changes import Changes, compare
from glovebox.sites.message import body, subject
from glovebox.sites.ports import SiteStore, Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    store: ScanStore
    sites: SiteStore
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
        changes = self._changes(run)
        # Sent first and noted then: a crash between the two tells people twice, the other order never.
        self.topic.send(subject(run, changes), body(run, changes, self.page_url))
        try:
            self.store.replace_run(run, msgspec.structs.replace(run, notified_at=iso(self.clock())))
        except ConflictError:
            log.warning("a run was notified twice", runId=run.run_id)
            return
        log.info("run notified", runId=run.run_id, newFailures=len(changes.new_failures))

    def _changes(self, run: Run) -> Changes:
        hosts = [host for scan in self.store.scans(run.run_id) for host in scan.recorded_hosts]
        return compare(self.sites.summaries(hosts, run.scan_date), self.sites.before(hosts, run.scan_date))
