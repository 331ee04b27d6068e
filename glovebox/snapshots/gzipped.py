"""Unpacking gzip in pieces: bounded memory whatever it holds, and an error where it is cut or followed.

RFC 1952.  One member, as hosts make it: whatever comes after it is in no index, so it is refused.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from glovebox.scans.repositories import MAX_ARCHIVE_BYTES, MAX_RATIO, RATIO_FROM
from glovebox.snapshots.errors import SnapshotError

PIECE: Final = 256 << 10
"""Unpacked bytes that come at once."""
_FED: Final = 64 << 10
"""Packed bytes that zlib is given at once: it copies what it has not used at every step."""
_EARLY: Final = 1 << 20
"""Packed bytes that are counted from the start: an archive may begin with what packs best (200 MB of it), and
only of a whole one is it known how well it packs."""
_GZIP: Final = 16 + zlib.MAX_WBITS


class Gunzip:
    """An iterable of unpacked pieces of at most `PIECE` bytes.

    Raises SnapshotError: `snapshot_damaged` for what is no gzip, is cut off or goes on after its end;
    `snapshot_too_large` for too many packed bytes, or a ratio that only bombs have.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """`chunks`: the packed bytes, in pieces of any size."""
        self.packed = 0
        """Bytes that were given so far."""
        self.unpacked = 0
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        unpacker = zlib.decompressobj(_GZIP)
        for fed in self._fed():
            if unpacker.eof:
                raise SnapshotError("snapshot_damaged", "The archive goes on after its end.")
            rest, full = fed, False
            # A full piece may have left more behind, even where all input is used.
            while rest or full:
                try:
                    piece = unpacker.decompress(rest, PIECE)
                except zlib.error as error:
                    raise SnapshotError("snapshot_damaged", "The archive is no sound gzip.") from error
                rest, full = unpacker.unconsumed_tail, len(piece) == PIECE
                if piece:
                    self.unpacked += len(piece)
                    self._require_ratio(max(self.packed, _EARLY))
                    yield piece
                if unpacker.eof:
                    break
            if unpacker.unused_data:
                raise SnapshotError("snapshot_damaged", "The archive goes on after its end.")
        if not unpacker.eof:
            raise SnapshotError("snapshot_damaged", "The archive is cut off.")
        self._require_ratio(self.packed)

    def _fed(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            for start in range(0, len(chunk), _FED):
                fed = chunk[start : start + _FED]
                self.packed += len(fed)
                if self.packed > MAX_ARCHIVE_BYTES:
                    raise SnapshotError(
                        "snapshot_too_large", f"The archive has more than {MAX_ARCHIVE_BYTES >> 20:,} MB."
                    )
                yield fed

    def _require_ratio(self, packed: int) -> None:
        if self.unpacked > RATIO_FROM and self.unpacked > MAX_RATIO * packed:
            raise SnapshotError(
                "snapshot_too_large", f"The archive unpacks to more than {MAX_RATIO} times its size."
            )
