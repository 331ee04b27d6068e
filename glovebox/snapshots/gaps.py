"""What a snapshot lacks of its commit: its members against the tree that the host tells of.

`.gitattributes` leaves files out of archives (`export-ignore`), submodules are other repositories, and of
files in LFS an archive holds pointers (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md).
"""

from __future__ import annotations

from typing import Final

from glovebox.scans.repositories import MAX_GAPS, Gap, GapKind
from glovebox.snapshots.archive import Kind, Member
from glovebox.snapshots.errors import SnapshotError
from glovebox.snapshots.ports import Tree
from glovebox.text import visible

POINTER: Final = b"version https://git-lfs.github.com/spec/v1\n"
MAX_POINTER: Final = 1_024
"""Bytes: a pointer is smaller, by its specification."""
MAX_SHOWN: Final = 1_024
"""Characters of a gap's path: a hundred of these go through an invocation's answer."""
_SUBMODULE: Final = "160000"


class Comparison:
    """Sees each file and link of an archive; then tells the gaps."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._seen: set[str] = set()
        self._gaps: list[Gap] = []
        self._counts: dict[GapKind, int] = {}

    def see(self, member: Member, head: bytes) -> None:
        """`head`: a file's first bytes, `len(POINTER)` if it has them.

        Raises SnapshotError for what the commit does not have, or has as something else.
        """
        path = member.path.decode("utf-8", "replace")
        mode = self._tree.modes.get(path)
        if mode is None and not self._tree.truncated:
            raise SnapshotError("snapshot_refused", f"{member.text} is in the archive and not in the commit.")
        if mode is not None and _kind(mode) != member.kind:
            raise SnapshotError("snapshot_refused", f"{member.text} is something else in the commit.")
        self._seen.add(path)
        if member.size < MAX_POINTER and head.startswith(POINTER):
            self._add("lfs", path)

    def finish(self) -> tuple[list[Gap], dict[GapKind, int]]:
        """At most `MAX_GAPS` by name, and how many of each kind there are."""
        if self._tree.truncated:
            self._add("uncompared", "")
        for path in sorted(self._tree.modes.keys() - self._seen):
            self._add("submodule" if self._tree.modes[path] == _SUBMODULE else "export-ignored", path)
        return self._gaps, self._counts

    def _add(self, kind: GapKind, path: str) -> None:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if len(self._gaps) < MAX_GAPS:
            self._gaps.append(Gap(kind=kind, path=visible(path, MAX_SHOWN)))


def _kind(mode: str) -> Kind | None:
    if mode == "120000":
        return "link"
    return "file" if mode.startswith("100") else None
