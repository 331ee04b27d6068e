"""Changing a scan by a transition: read it, ask the transition, write where nobody was faster, else again."""

from __future__ import annotations

from collections.abc import Callable

from glovebox.errors import ConflictError
from glovebox.scans.ports import ScanStore
from glovebox.scans.state import Scan

MAX_TRIES = 5
"""Two or three units touch a scan in the same second; a fifth collision is a defect."""

Transition = Callable[[Scan], Scan]


def change(store: ScanStore, scan_id: str, transition: Transition) -> Scan:
    """The scan as it is after `transition`, which may give back what it got where nothing is to be done.

    Raises ConflictError where the transition refuses the scan's present state, and NotFoundError.
    """
    for last in (*[False] * (MAX_TRIES - 1), True):
        before = store.scan(scan_id)
        after = transition(before)
        if after is before:
            return before
        try:
            store.replace(before, after)
        except ConflictError:
            if last:
                raise
        else:
            return after
    raise AssertionError("unreachable: the last try returns or raises")
