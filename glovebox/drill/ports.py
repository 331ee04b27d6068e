"""What the drill in AWS needs of the world around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

Addresses = Callable[[str], Sequence[str]]
"""The IPv4 addresses of a name.  Raises UpstreamError."""


class Drills(Protocol):
    """What is kept of each drill: its order and its verdict."""

    def put(self, drill_id: str, name: str, body: bytes) -> None: ...

    def read(self, drill_id: str, name: str) -> bytes:
        """Raises NotFoundError."""
        ...

    def latest(self, name: str) -> datetime | None:
        """When an object of this name was last written, for whichever drill."""
        ...


class Logs(Protocol):
    def lines(self, group: str, began: datetime, ended: datetime, terms: Sequence[str]) -> Iterator[str]:
        """The lines of this time that have one of the terms in them, in no order.

        Raises UpstreamError where there are more than anybody reads: a part of them proves nothing.
        """
        ...


class TaskAddresses(Protocol):
    def address(self, task_arn: str) -> str:
        """A task's address in its network, also of one that ended within the hour.  Raises UpstreamError."""
        ...
