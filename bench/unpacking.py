"""What it costs the inlet to unpack a large repository: many small files, as monorepos are made of.

python -m bench.unpacking
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, cast

from msgspec import Struct

from containers.inlet.bucket import Bucket
from containers.inlet.repository import lay_down
from glovebox.local.agent import remove
from tests.tarballs import of_files, snapshot_request

FILES: Final = 100_000
FILE_BYTES: Final = 1_200
_PIECE: Final = 1 << 16


class Costs(Struct, frozen=True, kw_only=True):
    files: int
    packed_bytes: int
    seconds: float
    """By the clock: the disk is the larger half of it."""
    processor_seconds: float


def measured(folder: Path, files: int = FILES) -> Costs:
    """An archive of so many files, unpacked into this folder as in a task."""
    archive = of_files({f"package-{n % 97}/module-{n % 1_013}/file-{n}.py": _file(n) for n in range(files)})
    request = snapshot_request(archive, files)
    began, worked = time.monotonic(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        lay_down(cast(Bucket, _Whole(archive)), "", request, folder)
    return Costs(
        files=files,
        packed_bytes=len(archive),
        seconds=time.monotonic() - began,
        processor_seconds=time.process_time() - worked,
    )


class _Whole:
    """A bucket whose object is here already: what the network takes is another figure."""

    def __init__(self, archive: bytes) -> None:
        self._archive = archive

    def stream(self, url: str, take: Callable[[Iterator[bytes]], None], **_: object) -> None:
        archive = self._archive
        take(archive[start : start + _PIECE] for start in range(0, len(archive), _PIECE))


def _file(number: int) -> bytes:
    line = f"def function_{number}() -> int: return {number}\n".encode()
    return (line * (FILE_BYTES // len(line) + 1))[:FILE_BYTES]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="glovebox-bench-") as temporary:
        folder = Path(temporary) / "in"
        folder.mkdir()
        found = measured(folder)
        remove(folder)
    print(
        f"{found.files:,} files of {found.packed_bytes >> 20} MB packed: {found.seconds:.1f} s, "
        f"{found.processor_seconds:.1f} s of processor time"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
