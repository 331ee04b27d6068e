"""Why there is no snapshot: one error with a class, and for each class what to do about it."""

from __future__ import annotations

from typing import Final, Literal

from glovebox.errors import GloveboxError
from glovebox.scans.redaction import redact
from glovebox.scans.repositories import SnapshotFailure
from glovebox.text import visible

FailureClass = Literal[
    "repository_gone",
    "repository_renamed",
    "repository_empty",
    "ref_unknown",
    "access_denied",
    "snapshot_too_large",
    "snapshot_refused",
    "snapshot_damaged",
    "rate_limited",
    "host_unavailable",
]

FIXES: Final[dict[FailureClass, str]] = {
    "repository_gone": "Look whether it was deleted, or is no longer among what the GitHub App is"
    " installed on; then run glovebox targets sync.",
    "repository_renamed": "Run glovebox targets sync, and scan it under its new name.",
    "repository_empty": "Scan it once it has a commit.",
    "ref_unknown": "Name a branch, a tag or a commit that the repository has.",
    "access_denied": "Look whether the GitHub App is installed there, not suspended, and may read contents;"
    " and whether its id and its key are those of the secret.",
    "snapshot_too_large": "Take large generated files out of the repository, or out of its archives by"
    " export-ignore in .gitattributes; the limits are in docs/snapshots.md.",
    "snapshot_refused": "Look at what the repository holds there: an archive that git makes has nothing"
    " of the kind.",
    "snapshot_damaged": "Scan it again; where it stays so, look what stands between Glovebox and the host.",
    "rate_limited": "Wait for the host's next hour, or scan fewer repositories at once.",
    "host_unavailable": "See the host's status page, and the network between.",
}
AGAIN: Final[frozenset[FailureClass]] = frozenset({"snapshot_damaged", "rate_limited", "host_unavailable"})
"""What a later try may do about; all else stays as it is until somebody changes something."""

MAX_REASON: Final = 400
"""Characters: whoever owns the repository can word a part of it."""


class SnapshotError(GloveboxError):
    """There is no snapshot, for a reason that has a class."""

    def __init__(self, failure_class: FailureClass, reason: str) -> None:
        super().__init__(visible(redact(reason), MAX_REASON), fix=FIXES[failure_class])
        self.failure_class: FailureClass = failure_class

    @property
    def failure(self) -> SnapshotFailure:
        return SnapshotFailure(
            failure_class=self.failure_class,
            reason=self.reason,
            fix=self.fix,
            again=self.failure_class in AGAIN,
        )
