"""Minting and changing what the gateway needs: the keys that sign tickets, and the leaf that it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from glovebox import log
from glovebox.errors import UpstreamError
from glovebox.rotation import (
    Board,
    Found,
    MakePending,
    Private,
    Promote,
    Publish,
    Rule,
    Safe,
    Stage,
    Step,
    entries_of,
    is_overdue,
    next_step,
)

MAX_STEPS = 8
"""The first keys take four writes; more than twice as many means that somebody else writes as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """One secret and the board on which its public half stands."""

    name: str
    safe: Safe
    board: Board
    rule: Rule
    read: Callable[[str], Private | None]
    """What a secret's text holds; `None` for anything that we did not write."""
    make: Callable[[datetime], str]
    """A new secret's text."""

    def found(self) -> Found:
        current, pending = (self.safe.read(stage) for stage in (Stage.CURRENT, Stage.PENDING))
        return Found(
            current=self.read(current) if current else None,
            pending=self.read(pending) if pending else None,
            published=entries_of(self.board.read()),
        )

    def take(self, step: Step, now: datetime) -> str:
        """Does it; gives it in words."""
        match step:
            case MakePending(why):
                self.safe.write(Stage.PENDING, self.make(now))
                return f"made a successor: {why}"
            case Publish():
                self.board.write(step.text())
                return f"published {len(step.entries)}"
            case Promote(private):
                self.safe.write(Stage.CURRENT, private.text)
                return "took the successor into use"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The only writer of all of them.  It may run at any time, and as often as one likes."""

    rotations: Sequence[Rotation]
    clock: Callable[[], datetime]

    def handle(self) -> None:
        """Takes every step that is due.

        Raises UpstreamError where one of them failed; the other rotations have had their turn.
        """
        failed: list[UpstreamError] = []
        fresh = True
        for rotation in self.rotations:
            try:
                fresh &= self._rotate(rotation)
            except UpstreamError as error:
                log.error("rotation failed", rotation=rotation.name, reason=error.reason)
                failed.append(error)
        if failed:
            raise failed[0]
        if fresh:
            # An alarm is raised where this line does not come for hours.
            log.info("keys are fresh")

    def _rotate(self, rotation: Rotation) -> bool:
        """Whether nothing is overdue."""
        for _ in range(MAX_STEPS):
            found, now = rotation.found(), self.clock()
            step = next_step(found, rotation.rule, now)
            if step is None:
                if is_overdue(found, rotation.rule, now):
                    log.error("rotation overdue", rotation=rotation.name)
                    return False
                return True
            log.info("rotation", rotation=rotation.name, step=rotation.take(step, now))
        raise UpstreamError(f"The {rotation.name} does not come to rest.", fix="See who else writes it.")
