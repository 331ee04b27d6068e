"""Ending a scan, or its attempt, by what its report said."""

from __future__ import annotations

from glovebox import log
from glovebox.errors import ConflictError
from glovebox.scans.changing import Transition, change
from glovebox.scans.ports import ScanStore
from glovebox.scans.state import Scan


def conclude(store: ScanStore, scan: Scan, transition: Transition, **told: log.Field) -> None:
    """Make the transition, which refuses an attempt that is over; `told` goes into the log."""
    try:
        after = change(store, scan.scan_id, transition)
    except ConflictError as error:
        log.info("somebody else concluded this attempt", scanId=scan.scan_id, reason=error.reason)
        return
    log.info("report ingested", scanId=scan.scan_id, attempt=scan.attempt, state=after.state.value, **told)
