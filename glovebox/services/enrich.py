"""Adding what Shodan knows to the records of a scan that has ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial

import msgspec

from glovebox import log
from glovebox.errors import ConflictError
from glovebox.scans import ports
from glovebox.scans.changing import change
from glovebox.scans.model import RUN_SORT_KEY, SCAN_ID
from glovebox.scans.ports import ScanStore
from glovebox.scans.state import Scan, enriched
from glovebox.services.events import changed_items
from glovebox.siteaudit.record import Shodan, SiteRecord, from_json
from glovebox.sites import shodan
from glovebox.sites.item import item_of
from glovebox.sites.ports import SiteStore

CLOSING_SECONDS = 60.0
"""Kept back from the function's time for writing what was learnt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrich:
    store: ScanStore
    sites: SiteStore
    port: shodan.ShodanPort
    cache: shodan.ShodanCache
    pace: shodan.Clock
    clock: ports.Clock

    def handle(self, event: object, seconds: float) -> None:
        """Enrich the scans of a stream event within `seconds`.  Raises InputError for another event.

        What could not be asked in time stays `pending` on its record, and the scan says how many.
        """
        deadline = self.pace.monotonic() + seconds - CLOSING_SECONDS
        for run_id, scan_id in changed_items(event):
            if scan_id != RUN_SORT_KEY and SCAN_ID.fullmatch(scan_id):
                scan = self.store.scan(scan_id)
                if scan.state.ended and scan.enrichment and scan.enriched_at is None:
                    self._enrich(scan, run_id, deadline)

    def _enrich(self, scan: Scan, run_id: str, deadline: float) -> None:
        scan_date = self.store.run(run_id).scan_date
        records = [from_json(line) for line in self.sites.records(scan.hosts, scan_date)]
        answers = self._answers(records, max(0.0, deadline - self.pace.monotonic()))
        self.sites.put(item_of(_with(record, answers), run_id) for record in records)
        statuses: Counter[str] = Counter(answer.status for answer in answers.values())
        try:
            change(self.store, scan.scan_id, partial(enriched, now=self.clock(), note=_note(statuses)))
        except ConflictError as error:
            log.info("the scan went on meanwhile", scanId=scan.scan_id, reason=error.reason)
            return
        log.info("scan enriched", scanId=scan.scan_id, addresses=len(answers), **statuses)

    def _answers(self, records: list[SiteRecord], budget: float) -> dict[str, Shodan]:
        addresses = (record.ip for record in records if record.ip is not None)
        return dict(shodan.look_up(addresses, self.port, self.cache, self.pace, budget))


def _with(record: SiteRecord, answers: dict[str, Shodan]) -> SiteRecord:
    answer = answers.get(record.ip or "")
    return msgspec.structs.replace(record, shodan=answer) if answer else record


def _note(statuses: Counter[str]) -> str | None:
    """What did not work out, for the scan's item; `None` where everything did."""
    parts = [
        f"{statuses[status]:,} addresses {status}" for status in ("pending", "failed") if statuses[status]
    ]
    return "; ".join(parts) or None
