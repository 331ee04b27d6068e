"""What the services need of the world around them; the adapters and the tests' fakes give it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from glovebox.errors import UpstreamError
from glovebox.scans.model import ReportKind, UploadForm
from glovebox.scans.repositories import SnapshotAnswer, SnapshotOrder
from glovebox.scans.state import Run, Scan
from glovebox.siteaudit.resolution import Resolution

Clock = Callable[[], datetime]
"""Now, with a time zone."""


class NoCapacityError(UpstreamError):
    """The task could not be placed now; later it may be."""


class ScanStore(Protocol):
    """Runs and scans.  Methods that read raise NotFoundError for what does not exist."""

    def create(self, run: Run, scans: Sequence[Scan], *, once: str = "") -> None:
        """Write a new run and its scans, and list the run as open.

        Scans that exist already are left as they are, so that a creation which was cut off can be
        repeated.  Raises ConflictError where the run itself exists, or another one that was created `once`
        under the same text.
        """
        ...

    def created_once(self, once: str) -> str | None:
        """The run that was."""
        ...

    def run(self, run_id: str) -> Run: ...

    def scan(self, scan_id: str) -> Scan: ...

    def scans(self, run_id: str) -> Sequence[Scan]: ...

    def open_runs(self) -> Sequence[str]:
        """Runs that are not published yet."""
        ...

    def replace(self, before: Scan, after: Scan) -> None:
        """Write `after` if `before` still stands, and count the run down by the steps that this closes.

        Both happen in one transaction.  Raises ConflictError, and then nothing was written.
        """
        ...

    def replace_run(self, before: Run, after: Run) -> None:
        """Write `after` if `before` still stands; a run with `publishedAt` is no longer open.

        Raises ConflictError, and then nothing was written.
        """
        ...


class HandOff(Protocol):
    """The bucket for what a task gets: hours to live."""

    def put(self, key: str, body: bytes, content_type: str) -> None: ...

    def readable_url(self, key: str, seconds: int) -> str:
        """A presigned GET."""
        ...

    def arn(self, key: str) -> str: ...

    def delete(self, keys: Iterable[str]) -> None:
        """What is gone already is fine."""
        ...


class Uploads(Protocol):
    """The right to put one object into the results bucket."""

    def form(self, key: str, *, content_type: str, max_bytes: int, seconds: int) -> UploadForm: ...


@dataclass(frozen=True, slots=True)
class TaskOrder:
    """One task to start."""

    scan_id: str
    attempt: int
    token: str
    """Two orders with one token start one task."""
    inlet_environment: str
    """ARN of the object with the inlet's environment."""
    outlet_environment: str
    kind: ReportKind = "site"
    """Which task definition."""

    @property
    def started_by(self) -> str:
        """What the task's events say of their origin; at most 36 characters."""
        return f"{self.scan_id}-{self.attempt}"


class Tasks(Protocol):
    def start(self, order: TaskOrder) -> str:
        """The task's ARN.

        Raises NoCapacityError, RefusedError where it can never start as it is (no promoted image,
        a wrong subnet), or UpstreamError.
        """
        ...


class Stopper(Protocol):
    def stop(self, task_arn: str, reason: str) -> None:
        """A task that is gone already is fine."""
        ...


class Launcher(Protocol):
    def retry(self, scan_id: str, attempt: int) -> None:
        """Ask `launch`, without waiting, to start this attempt."""
        ...


class Names(Protocol):
    """DNS, asked once for all names of an attempt."""

    def resolve(self, hosts: Sequence[str]) -> Mapping[str, Resolution]:
        """What DNS says of each host, failures included, with addresses that an audit may reach alone.

        Raises UpstreamError where the resolver itself fails, which is no fact about any name.
        """
        ...


class Snapshots(Protocol):
    """The function that alone reaches the hosts of repositories."""

    def take(self, order: SnapshotOrder) -> SnapshotAnswer:
        """Wait, for minutes, until the snapshot is there; why there is none is an answer, too.

        Raises UpstreamError where the function itself fails.
        """
        ...


class Lists(Protocol):
    def read(self, key: str, limit: int) -> bytes:
        """At most `limit` + 1 bytes of the list, so that the reader sees that it is too long.

        Raises NotFoundError.
        """
        ...


@dataclass(frozen=True, slots=True)
class StoredVersion:
    version_id: str
    size: int


class Results(Protocol):
    """The bucket that tasks upload to."""

    def versions(self, key: str) -> Sequence[StoredVersion]:
        """All versions of this one key, the oldest first; none where there is no such object."""
        ...

    def read(self, key: str, version: StoredVersion) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes in chunks."""
        ...
