"""What a snapshot lacks of its commit: its members against the tree that the host tells of.

`.gitattributes` leaves files out of archives (`export-ignore`), submodules are other repositories, and of
files in LFS an archive holds pointers (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md).  It also
has files rewritten: in another encoding (`working-tree-encoding`), with words filled in (`export-subst`,
`ident`), which can hide from a scanner what is there.  Line ends are the one thing that may differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

from glovebox.scans.redaction import redact
from glovebox.scans.repositories import MAX_GAPS, Gap, GapKind
from glovebox.snapshots.archive import Kind, Member
from glovebox.snapshots.errors import SnapshotError
from glovebox.snapshots.ports import Blob, Tree
from glovebox.text import visible

POINTER: Final = b"version https://git-lfs.github.com/spec/v1\n"
MAX_POINTER: Final = 1_024
"""Bytes: a pointer is smaller, by its specification."""
MAX_SHOWN: Final = 256
"""Characters of a gap's path, of up to four bytes: a hundred of these lie with the scan in one item of
DynamoDB, which may have 400 KB in all."""
_SHA256: Final = 64
"""Digits of a name that is no SHA-1."""
_SUBMODULE: Final = "160000"


class Comparison:
    """Sees each file and link of an archive; then tells the gaps."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._seen: set[str] = set()
        self._gaps: list[Gap] = []
        self._counts: dict[GapKind, int] = {}

    def see(self, member: Member, pieces: Iterable[bytes]) -> None:
        """`pieces`: a file's contents; all of them are taken unless this raises.

        Raises SnapshotError for what the commit does not have, or has as something else.
        """
        path = member.path.decode("utf-8", "replace")
        mode = self._tree.modes.get(path)
        if mode is None and not self._tree.truncated:
            raise SnapshotError("snapshot_refused", f"{member.text} is in the archive and not in the commit.")
        if mode is not None and _kind(mode) != member.kind:
            raise SnapshotError("snapshot_refused", f"{member.text} is something else in the commit.")
        self._seen.add(path)
        blob = self._tree.blobs.get(path)
        if member.kind == "link":
            read = _Contents(len(member.target), (member.target,), blob)
        else:
            read = _Contents(member.size, pieces, blob)
        if blob is not None and read.name != blob.name:
            self._add("rewritten", path)
        elif member.size < MAX_POINTER and read.head == POINTER:
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
            self._gaps.append(Gap(kind=kind, path=visible(redact(path), MAX_SHOWN)))


class _Contents:
    """How a file begins, and what git would call it: one look at each byte."""

    def __init__(self, size: int, pieces: Iterable[bytes], blob: Blob | None) -> None:
        """`size`: the archive's; where it is more than git has, line ends may be why (`eol=crlf`)."""
        self.head = b""
        is_sha256 = blob is not None and len(blob.name) == _SHA256
        digest = hashlib.sha256() if is_sha256 else hashlib.sha1(usedforsecurity=False)
        digest.update(b"blob %d\0" % (blob.size if blob else size))
        for piece in _unix(pieces) if blob and size > blob.size else pieces:
            if len(self.head) < len(POINTER):
                self.head += piece[: len(POINTER) - len(self.head)]
            digest.update(piece)
        self.name = digest.hexdigest()


def _unix(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """With `\\n` for each `\\r\\n`, wherever pieces begin and end."""
    carried = b""
    for piece in pieces:
        data = carried + piece
        carried = b"\r" if data.endswith(b"\r") else b""
        yield data.removesuffix(b"\r").replace(b"\r\n", b"\n")
    yield carried


def _kind(mode: str) -> Kind | None:
    if mode == "120000":
        return "link"
    return "file" if mode.startswith("100") else None
