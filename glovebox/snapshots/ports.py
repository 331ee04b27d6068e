"""What a snapshot needs of the repository's host and of the bucket.  GitHub stands there; another could."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from msgspec import Struct

from glovebox.scans.repositories import Snapshot

RECORD: Final = "/snapshot.json"
"""How the name of a snapshot's record ends, beside its archive."""


class Blob(NamedTuple):
    """A file's or a link's contents as git has them."""

    name: str
    """Hexadecimal: SHA-1 or SHA-256 of `blob <size>`, a zero byte and the contents."""
    size: int
    """Bytes."""


class Tree(Struct, frozen=True):
    """What a commit holds, as its host says."""

    modes: Mapping[str, str]
    """Path → git's mode: `100644`, `100755`, `120000` a link, `160000` a submodule; no folders.  Bytes of a
    path that are no UTF-8 are U+FFFD."""
    blobs: Mapping[str, Blob] = {}
    """Of each file and link."""
    truncated: bool = False
    """The host has cut it off."""


class HostRepository(Struct, frozen=True, kw_only=True):
    """A repository as its host has it."""

    id: str
    """`github.com/acme/shop`, in lower case; it may still be none of ours (`REPOSITORY_ID`)."""
    number: int
    installation: int
    default_branch: str = ""
    private: bool = True
    archived: bool = False
    topics: tuple[str, ...] = ()
    codeowners: tuple[str, ...] = ()


class Source(Protocol):
    """One repository, by a right to read it and nothing else.  Every method raises SnapshotError."""

    def commit(self, ref: str) -> str:
        """The commit that a branch, a tag or a commit's name means; empty: the default branch."""
        ...

    def tree(self, commit: str) -> Tree: ...

    def archive(self, commit: str) -> AbstractContextManager[Iterator[bytes]]:
        """The gzipped tar as it comes."""
        ...


class SourceHost(Protocol):
    def open(
        self, repository: str, *, number: int = 0, installation: int = 0
    ) -> AbstractContextManager[Source]:
        """`number` and `installation`: as the registry knows them; 0: by its name.  Raises SnapshotError."""
        ...

    def repositories(self) -> Iterator[HostRepository]:
        """All that we may read, in whatever order.  Raises SnapshotError, never half an answer."""
        ...


class Upload(Protocol):
    def write(self, data: bytes) -> None:
        """Raises UpstreamError."""
        ...


class SnapshotStore(Protocol):
    """The bucket of snapshots.  Every method raises UpstreamError."""

    def recorded(self, key: str) -> Snapshot | None:
        """What stands in a `snapshot.json`."""
        ...

    def record(self, key: str, snapshot: Snapshot) -> bool:
        """Write it if nobody has; whether it was written."""
        ...

    def upload(self, key: str) -> AbstractContextManager[Upload]:
        """The object is there when the block ends, and nothing of it where the block raises."""
        ...

    def remove(self, key: str) -> None: ...

    def readable_url(self, key: str, seconds: int) -> str: ...

    def sweep(self, before: datetime) -> int:
        """Delete the snapshots that were recorded before then, each record before its archive, and what was
        written before then and has no record; how many objects."""
        ...
