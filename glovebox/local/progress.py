"""Following a run until it is over: what a person sees while it goes on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from glovebox.local.agent import Running
from glovebox.local.cloud import LocalCloud
from glovebox.scans.model import REPORT_FILE
from glovebox.scans.state import Run, Scan

POLL_SECONDS = 0.5
QUIET_SECONDS = 30.0
"""From a run's publication to its message: one function's start and a little."""
REPORT_VOLUME = "out"


@dataclass(frozen=True, slots=True)
class View:
    """A run at one moment."""

    run: Run
    scans: Sequence[Scan]
    written: int
    """Records: those that were ingested and those that the tasks have written so far."""
    problems: Sequence[str]
    """What the container agent could not do."""

    @property
    def states(self) -> Counter[str]:
        return Counter(scan.state.value for scan in self.scans)

    @property
    def counts(self) -> Counter[str]:
        """Records by failure class, of the scans that were ingested."""
        return sum((Counter(scan.counts) for scan in self.scans), Counter())

    @property
    def over(self) -> bool:
        """Published, and told about."""
        return self.run.published_at is not None and self.run.notified_at is not None


def follow(cloud: LocalCloud, run_id: str) -> Iterator[View]:
    """The run as it goes on, until it is over, or half a minute after publication if no message follows."""
    published: float | None = None
    most = 0
    while True:
        view = look(cloud, run_id)
        # Between a task's end and its ingest nobody can count its records.
        most = max(most, view.written)
        yield replace(view, written=most)
        if view.run.published_at is not None and published is None:
            published = time.monotonic()
        if view.over or (published is not None and time.monotonic() - published > QUIET_SECONDS):
            return
        time.sleep(POLL_SECONDS)


def look(cloud: LocalCloud, run_id: str) -> View:
    store = cloud.store
    # The run first: of one that is over, the scans have ended.
    run = store.run(run_id)
    scans = store.scans(run_id)
    ingested = sum(sum(scan.counts.values()) for scan in scans)
    waiting = {scan.task_arn for scan in scans if not scan.counts}
    written = sum(_lines(running) for running in cloud.agent.running if running.task.arn in waiting)
    return View(run, scans, ingested + written, cloud.agent.problems)


def _lines(running: Running) -> int:
    """Records that a task has written; a report is a line a record."""
    try:
        with (running.volume(REPORT_VOLUME) / REPORT_FILE).open("rb") as report:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: report.read(1 << 20), b""))
    except OSError:  # Not yet there, or already gone with its task.
        return 0
