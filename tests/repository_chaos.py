"""Scans of repositories under bad weather: snapshots that fail or kill their launch, boxes that report."""

from __future__ import annotations

from dataclasses import dataclass

from glovebox.errors import UpstreamError
from glovebox.registry.model import Disabled
from glovebox.scans.repositories import RepositoryTarget, SnapshotAnswer, SnapshotOrder
from glovebox.scans.repository_lines import Line
from tests import box_chaos
from tests.chaos import Task, World
from tests.fakes import FakeSnapshots, no_snapshot
from tests.registry import repository
from tests.repository_flow import DATABASE, encoded, misconfiguration, planted_lines, secret, vulnerability

FAILING = 0.15
GONE = "github.com/acme/r1"
"""In some worlds."""


@dataclass
class Box(box_chaos.Box):
    """One task's three containers, with what `snapshot` gave them."""

    world: RepositoryWorld

    def report(self) -> str:
        lines = self.survived(lines_of(self.target))
        return self.reported(encoded(lines), len(lines), self.target.scanner)

    @property
    def said(self) -> dict[str, object]:
        return {"database_updated": DATABASE} if self.target.scanner == "trivy" else {}

    @property
    def target(self) -> RepositoryTarget:
        target = self.world.flow.store.all_scans[self.scan_id].repository
        assert target is not None
        return target


def lines_of(target: RepositoryTarget) -> list[Line]:
    """What an honest scanner says of this repository: a fault or two, then what was planted."""
    found: list[Line]
    match target.scanner:
        case "trivy":
            found = [vulnerability(), misconfiguration()]
        case scanner:
            found = [secret(1, rule=f"{scanner}-rule")]
    return [*found, *planted_lines(target.scanner)]


@dataclass
class RepositoryWorld(box_chaos.BoxWorld):
    """Some repositories, looked at by one scanner or several."""

    def __post_init__(self) -> None:
        super().__post_init__()
        flow = self.flow
        self.gone = self.random.random() < 0.2
        self.snapshots = flow.snapshots = Snapshots(self)
        flow.scanners = self.random.choice(
            [("trivy",), ("trivy", "trufflehog"), ("trivy", "trufflehog", "kingfisher")]
        )
        for number in range(1, 1 + self.random.randrange(1, 4)):
            flow.targets.put(repository(f"r{number}"), revision=0)
        flow.targets.put(repository("off", disabled=Disabled.BY_HAND), revision=0)

    def box(self, task: Task) -> Box:
        return Box(task, self)


class Snapshots(FakeSnapshots):
    """Takes its time, in which everything else goes on."""

    def __init__(self, world: RepositoryWorld) -> None:
        super().__init__()
        self.world: World = world
        self.gone = world.gone

    def take(self, order: SnapshotOrder) -> SnapshotAnswer:
        self.world.pause()
        self.world.flow.clock.pass_seconds(self.world.random.choice([1, 1, 5, 60, 300]))
        if self.gone and order.repository == GONE:
            self.world.seen["repository gone"] += 1
            return no_snapshot("repository_gone")
        if self.world.happens(FAILING):
            self.world.seen["no snapshot"] += 1
            if self.world.happens(0.3):
                raise UpstreamError("snapshot failed: out of memory")
            return no_snapshot("host_unavailable", again=True)
        self.world.pause()
        return super().take(order)
