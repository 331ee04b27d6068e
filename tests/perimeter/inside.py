"""The local cloud inside its perimeter, once for all tests that start tasks in it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glovebox.local.cloud import CHECKOUT, LocalCloud, Plan, running_cloud
from glovebox.local.engines import ProcessEngine
from glovebox.local.perimeter import Perimeter
from glovebox.local.progress import View, follow

TRAITS = ("good", "expired", "incomplete-aia", "redirect-loop", "refused", "nxdomain")
"""Quick ones of each kind; `test_site_audit` takes them all through a gateway."""
RUN_SECONDS = 90.0


@dataclass(frozen=True)
class Inside:
    """The local cloud inside its perimeter, and what runs instead of its images."""

    cloud: LocalCloud
    perimeter: Perimeter
    folder: Path
    commands: dict[str, Sequence[str]]

    def completed(self, run_id: str, *, seconds: float = RUN_SECONDS) -> View:
        deadline = time.monotonic() + seconds
        views = list(itertools.takewhile(lambda _: time.monotonic() < deadline, follow(self.cloud, run_id)))
        return views[-1]


@contextmanager
def running_inside(folder: Path) -> Iterator[Inside]:
    commands: dict[str, Sequence[str]] = {}
    plan = Plan(
        folder=folder,
        engine=ProcessEngine(CHECKOUT),
        shard_hosts=4,
        keep=True,
        perimeter=True,
        traits=TRAITS,
        commands=commands,
    )
    with running_cloud(plan) as cloud:
        assert cloud.perimeter is not None
        yield Inside(cloud, cloud.perimeter, folder, commands)
