"""Scans of repositories: what they are about, the snapshot that a task unpacks, and what its inlet is told.

A **snapshot** is the archive of one commit.  It is taken by the function `snapshot` before the task starts,
so neither the task nor `launch` has any access to the repository's host.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from glovebox.scans.model import MAX_ATTEMPTS

RepositoryScanner = Literal["trivy", "trufflehog", "kingfisher"]
"""Each scan of a repository is one of these, on one snapshot."""
REPOSITORY_SCANNERS: Final[tuple[RepositoryScanner, ...]] = ("trivy", "trufflehog", "kingfisher")
NATIVE_REPORTS: Final[dict[RepositoryScanner, str]] = {
    "trivy": "report.trivy.json",
    "trufflehog": "report.trufflehog.jsonl",
    "kingfisher": "report.kingfisher.json",
}
"""What each leaves in `out`; the outlet makes lines of it (`glovebox.scans.repository_lines`)."""

_REPOSITORY_ID: Final = (
    r"\A[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?"
    r"/[a-z0-9][a-z0-9_-]{0,99}/(?!\.{1,2}\Z)[a-z0-9._-]{1,100}\Z"
)
RepositoryId = Annotated[str, Meta(pattern=_REPOSITORY_ID)]
"""`github.com/acme/shop`: host, owner and name, in lower case, because hosts do not tell capitals apart."""
REPOSITORY_ID: Final = re.compile(_REPOSITORY_ID)
Commit = Annotated[str, Meta(pattern=r"\A(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")]
"""A whole object name, of SHA-1 or SHA-256."""
Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Ref = Annotated[str, Meta(pattern=r"\A(?!-)[^\x00-\x20~^:?*\[\\\x7f]{0,255}\Z")]
"""A branch, tag or commit as git allows it; empty: the default branch."""

MAX_ARCHIVE_BYTES: Final = 1 << 30
"""Compressed.  GitHub recommends repositories below 1 GB with all their history; this is one commit's."""
MAX_UNPACKED_BYTES: Final = 6 << 30
"""A task has 20 GiB for images, snapshot and scratch."""
MAX_FILES: Final = 250_000
"""Five times the Linux kernel's, and a quarter of what a bomb is made of."""
MAX_DEPTH: Final = 64
"""Folders in folders; the deepest of common monorepos is at about 30."""
MAX_PATH_BYTES: Final = 4_096
"""PATH_MAX of Linux."""
MAX_RATIO: Final = 200
"""Unpacked bytes to packed ones, over the whole archive: sources pack 3 to 10 fold, zeros 1,000 fold."""
RATIO_FROM: Final = 16 << 20
"""Unpacked bytes below which nobody asks for the ratio: a small generated file packs as well as a bomb."""
MAX_GAPS: Final = 100
"""Files of a commit that a snapshot lacks, by name; all are counted."""

SNAPSHOT_VARIABLE: Final = "GLOVEBOX_SNAPSHOT_URL"
"""Of the inlet's environment: a presigned GET of the archive."""
TREE: Final = "tree"
"""What the inlet unpacks into `in`, and the only folder that a scanner is shown: `tree/repository`, which is
the snapshot, and beside it `tree/canary`, which the inlet makes anew for each task."""
SOURCE: Final = "repository"
CANARY: Final = "canary"
CANARY_KEY, CANARY_DOCKERFILE, CANARY_LOCK = "key.pem", "Dockerfile", "package-lock.json"
CANARY_FILES: Final = (CANARY_KEY, CANARY_DOCKERFILE, CANARY_LOCK)
"""A private key that is new each time, an image that runs as root, a package with known vulnerabilities."""

GapKind = Literal["export-ignored", "submodule", "lfs", "rewritten", "uncompared"]
"""Left out of archives by `.gitattributes`; another repository's commit; a pointer where the content should
be; other content than the commit's; or a tree that the host cut off, so that nobody knows."""


class _Message(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Crosses a boundary as JSON: strict when read."""


class RepositoryTarget(_Message, frozen=True, kw_only=True):
    """One repository and the scanner that looks at it."""

    repository: RepositoryId
    scanner: RepositoryScanner
    ref: Ref = ""

    @property
    def target(self) -> str:
        """Its name among findings."""
        return target_of(self.repository, self.ref)


class Gap(_Message, frozen=True, kw_only=True):
    """A file of the commit that the snapshot does not have as it is."""

    kind: GapKind
    path: Annotated[str, Meta(max_length=MAX_PATH_BYTES)]


class Snapshot(_Message, frozen=True, kw_only=True):
    """What is known of an archive, from whoever took it; on record with the scan before its task starts."""

    repository: RepositoryId
    ref: Ref = ""
    """As it was asked for."""
    commit: Commit
    key: Annotated[str, Meta(max_length=512)]
    """The archive in the bucket of snapshots, a gzipped tar."""
    size: Annotated[int, Meta(ge=1, le=MAX_ARCHIVE_BYTES)]
    sha256: Digest
    files: Annotated[int, Meta(ge=0, le=MAX_FILES)]
    unpacked: Annotated[int, Meta(ge=0, le=MAX_UNPACKED_BYTES)]
    """Bytes of all files."""
    gaps: Annotated[list[Gap], Meta(max_length=MAX_GAPS)] = []
    gap_counts: dict[GapKind, int] = {}
    """All of them, by kind; empty: the snapshot is the whole commit."""
    ignores: dict[RepositoryScanner, int] = {}
    """Lines in the sources by which somebody hides what follows from a scanner (`trivy:ignore`, …); of
    Kingfisher, files that it does not search."""
    taken_at: Annotated[str, Meta(max_length=32)]


class SnapshotOrder(_Message, frozen=True, kw_only=True):
    """What `launch` asks `snapshot` for.  The scanners of one run share one snapshot a repository and ref."""

    run_id: Annotated[str, Meta(max_length=64)]
    repository: RepositoryId
    ref: Ref = ""


class SnapshotFailure(_Message, frozen=True, kw_only=True):
    """Why there is none."""

    failure_class: Annotated[str, Meta(max_length=64)]
    """`repository_gone`, `repository_renamed`, `repository_empty`, `ref_unknown`, `access_denied`,
    `snapshot_too_large`, `snapshot_refused`, `snapshot_damaged`, `rate_limited`, `host_unavailable`."""
    reason: Annotated[str, Meta(max_length=1_000)]
    fix: Annotated[str, Meta(max_length=1_000)]
    again: bool
    """Whether a later try may do."""


class SnapshotAnswer(_Message, frozen=True, kw_only=True):
    """Exactly one of `failure` and the other three."""

    snapshot: Snapshot | None = None
    url: Annotated[str, Meta(max_length=8_192)] = ""
    """A presigned GET of the archive, for this one scan."""
    fingerprint_key: Annotated[str, Meta(max_length=64)] = ""
    """64 hexadecimal digits: of this repository, and the same for all its scans.  With it the outlet makes
    fingerprints of secrets, so that equal ones are known for equal and nobody can try values on them."""
    failure: SnapshotFailure | None = None


class RepositoryScanRequest(_Message, frozen=True, kw_only=True):
    """What the inlet hands to a repository's scanner as `request.json`; told from others by its `kind`."""

    kind: Literal["repository"] = "repository"
    scan_id: Annotated[str, Meta(max_length=64)]
    attempt: Annotated[int, Meta(ge=1, le=MAX_ATTEMPTS)]
    target: RepositoryTarget
    commit: Commit
    size: Annotated[int, Meta(ge=1, le=MAX_ARCHIVE_BYTES)]
    sha256: Digest
    """Of the archive, which the inlet checks before the scanner may start."""
    files: Annotated[int, Meta(ge=0, le=MAX_FILES)]


def target_of(repository: str, ref: str = "") -> str:
    """A repository's name among findings, or that of another ref than its default branch.

    No id of a repository holds an `@`, so the first one begins the ref, whatever that holds.
    """
    return f"repo:{repository}@{ref}" if ref else f"repo:{repository}"
