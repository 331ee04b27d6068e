"""Which names an archive may hold: below one folder, each once, none through what is no folder."""

from __future__ import annotations

from enum import Enum, auto
from hashlib import blake2b
from typing import Final

from glovebox.scans.repositories import MAX_DEPTH, MAX_FILES, MAX_PATH_BYTES
from glovebox.snapshots.errors import SnapshotError

MAX_PART: Final = 255
"""NAME_MAX of Linux."""
_NEVER: Final = frozenset({b"", b".", b".."})
_GIT: Final = b".git"
"""No commit holds one, and what lies there (hooks, configuration) is obeyed by programs."""


class _Seen(Enum):
    IMPLIED = auto()
    """A folder that something lies in, and that has not been named itself."""
    FOLDER = auto()
    LEAF = auto()


def shown(name: bytes) -> str:
    """A name as text; bytes that are no UTF-8 as `\\xff`."""
    return name.decode("utf-8", "backslashreplace")


class Names:
    """Remembers 16 bytes of each name: 250,000 of 4,096 bytes would be a gigabyte."""

    def __init__(self) -> None:
        self._seen: dict[bytes, _Seen] = {}
        self._top = b""

    @property
    def seen(self) -> bool:
        """Whether there was any."""
        return bool(self._top)

    def add(self, name: bytes, *, folder: bool) -> bytes | None:
        """The path below the top folder; none for that itself.  Raises SnapshotError."""
        if len(name) > MAX_PATH_BYTES:
            raise SnapshotError("snapshot_too_large", f"A path has more than {MAX_PATH_BYTES:,} bytes.")
        parts = (name.removesuffix(b"/") if folder else name).split(b"/")
        for part in parts:
            if part in _NEVER or part.lower() == _GIT:
                raise SnapshotError("snapshot_refused", f"{shown(name)} is no path of a commit.")
            if len(part) > MAX_PART:
                raise SnapshotError("snapshot_refused", f"{shown(name)} has a part that is too long.")
        if len(parts) > MAX_DEPTH + 1:
            raise SnapshotError("snapshot_too_large", f"{shown(name)} is more than {MAX_DEPTH} deep.")
        top, *below = parts
        self._top = self._top or top
        if top != self._top or not (below or folder):
            raise SnapshotError("snapshot_refused", f"{shown(name)} lies outside of the archive's folder.")
        self._remember(parts, folder=folder)
        return b"/".join(below) or None

    def _remember(self, parts: list[bytes], *, folder: bool) -> None:
        own = _key(parts)
        seen = self._seen.get(own)
        if not (seen is None or (folder and seen is _Seen.IMPLIED)):
            raise SnapshotError("snapshot_refused", f"{shown(b'/'.join(parts))} is there twice.")
        self._seen[own] = _Seen.FOLDER if folder else _Seen.LEAF
        for depth in range(len(parts) - 1, 0, -1):
            above = self._seen.setdefault(_key(parts[:depth]), _Seen.IMPLIED)
            if above is _Seen.LEAF:
                raise SnapshotError(
                    "snapshot_refused", f"{shown(b'/'.join(parts))} lies in what is no folder."
                )
            if above is _Seen.FOLDER:
                # Whatever is above a named folder was looked at with it.
                break
        if len(self._seen) > MAX_FILES:
            raise SnapshotError("snapshot_too_large", f"There are more than {MAX_FILES:,} files and folders.")


def _key(parts: list[bytes]) -> bytes:
    return blake2b(b"/".join(parts), digest_size=16).digest()
