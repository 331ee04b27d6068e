"""Reading a commit's archive as hostile input: a gzipped tar, in one pass and in bounded memory.

What hosts send is what `git archive` writes: POSIX ustar with pax headers (IEEE 1003.1, pax), a global one
with the commit, then folders, files and symbolic links below one folder.  That and nothing else is read here.
A general reader of tar knows sparse files, links of five kinds and numbers in base 256, keeps every member
that it has seen, and reads a header of any size into memory; each of these has been somebody's way in.

    archive = Archive(chunks)
    for member in archive:
        for piece in archive.contents():    # of this member; what is not read is skipped
            …
    archive.commit, archive.files, archive.unpacked

Only the end of the iteration says that the archive is whole.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from glovebox.scans.repositories import MAX_UNPACKED_BYTES
from glovebox.snapshots.errors import SnapshotError
from glovebox.snapshots.gzipped import Gunzip
from glovebox.snapshots.headers import BLOCK, MAX_PAX, Header, read_header, read_pax
from glovebox.snapshots.names import Names, shown

Kind = Literal["file", "folder", "link"]

MAX_PADDING: Final = 1 << 20
"""Zeros after a tar's end: git fills up to 10,240 bytes, others to what their tapes liked."""
_NOWHERE: Final = "/nonexistent/glovebox"
"""Where nothing is: Python's own filter wants a folder to look from."""
_KINDS: Final[dict[bytes, Kind]] = {b"0": "file", b"\0": "file", b"5": "folder", b"2": "link"}
_REFUSED: Final[dict[bytes, str]] = {
    b"1": "a hard link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a FIFO",
    b"S": "a sparse file",
}


@dataclass(frozen=True, slots=True)
class Member:
    """A file, a folder or a symbolic link of the commit, after all rules."""

    path: bytes
    """Below the archive's one top folder; neither `.` nor `..` nor `.git` nor an empty part is in it."""
    kind: Kind
    size: int
    """Bytes of a file; 0 of all else."""
    mode: int
    """Permission bits, as written: 0o644 or 0o755 of a file."""
    target: bytes = b""
    """Where a link points to, which may be anywhere: to be told, never to be followed."""

    @property
    def text(self) -> str:
        """The path as text; bytes that are no UTF-8 as `\\xff`."""
        return shown(self.path)


class Archive:
    """Iterates over the members of one archive, once.

    Raises SnapshotError: `snapshot_refused` for what no archive of a commit holds, `snapshot_too_large`
    beyond a limit of `glovebox.scans.repositories`, `snapshot_damaged` for what is cut or garbled.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """`chunks`: the packed bytes, in pieces of any size; whatever they raise passes through."""
        self.commit = ""
        """As the archive says it; known as soon as there is a first member."""
        self.files = 0
        """Regular files so far."""
        self.unpacked = 0
        """Bytes of these files."""
        self._stream = _Stream(Gunzip(chunks))
        self._names = Names()
        self._left = 0
        self._asked = b""
        """The folder that Python has been asked about last."""

    def __iter__(self) -> Iterator[Member]:
        while (header := self._next()) is not None:
            member = self._member(header)
            if member is not None:
                yield member
        self._stream.finish()

    def contents(self) -> Iterator[bytes]:
        """What is left of the member that came last, in pieces of at most 256 KB.

        Whatever is taken is gone: a second call goes on where the first one stopped.
        """
        while self._left:
            piece = self._stream.some(self._left)
            self._left -= len(piece)
            yield piece

    def _next(self) -> Header | None:
        """The next header with its pax records applied; none at the end."""
        extended: dict[bytes, bytes] = {}
        while True:
            for _ in self.contents():
                pass
            self._stream.align()
            header = read_header(self._stream.exactly(BLOCK))
            if header is None:
                if extended or any(self._stream.exactly(BLOCK)):
                    raise SnapshotError("snapshot_damaged", "The archive ends in the middle.")
                return None
            if header.kind not in (b"x", b"g"):
                return header.extended(extended)
            if header.size > MAX_PAX:
                raise SnapshotError(
                    "snapshot_refused", f"A header of {header.size:,} bytes is in the archive."
                )
            records = read_pax(self._stream.exactly(header.size))
            if header.kind == b"x" and not extended:
                extended = records
            elif header.kind == b"g" and not self.commit and not self._names.seen:
                self._read_global(records)
            else:
                raise SnapshotError("snapshot_refused", "The archive repeats or misplaces a pax header.")

    def _read_global(self, records: dict[bytes, bytes]) -> None:
        """It would hold for all members, so that git's comment is all that it may say."""
        if set(records) != {b"comment"}:
            raise SnapshotError("snapshot_refused", "The archive's global header says more than its commit.")
        self.commit = shown(records[b"comment"][:100])

    def _member(self, header: Header) -> Member | None:
        """None for the top folder itself."""
        kind = _KINDS.get(header.kind)
        if kind is None:
            what = _REFUSED.get(header.kind, f"an entry of type {shown(header.kind)}")
            raise SnapshotError("snapshot_refused", f"{shown(header.name)} is {what}.")
        if kind != "file" and header.size:
            raise SnapshotError("snapshot_refused", f"{shown(header.name)} is a {kind} with contents.")
        path = self._names.add(header.name, folder=kind == "folder")
        if path is None:
            return None
        self._left = header.size
        member = Member(
            path=path,
            kind=kind,
            size=header.size,
            mode=header.mode & 0o777,
            target=header.target if kind == "link" else b"",
        )
        if kind == "file":
            self.files += 1
            self.unpacked += header.size
            if self.unpacked > MAX_UNPACKED_BYTES:
                raise SnapshotError(
                    "snapshot_too_large", f"The files have more than {MAX_UNPACKED_BYTES >> 20:,} MB."
                )
        folder = path if kind == "folder" else path.rpartition(b"/")[0]
        if folder != self._asked:
            self._asked = folder
            _ask_python(folder)
        return member


def _ask_python(folder: bytes) -> None:
    """A second opinion, of others' making: whether Python would unpack data into it.  Raises SnapshotError.

    Of folders alone, since it asks the file system about each part: of every file it would be most of the
    time that an archive takes, and a file's own part has nothing that could lead elsewhere.  Pythons before
    3.11.4 have none (PEP 706), as Debian 12's; the rules of `Names` are whole without it.
    """
    if not hasattr(tarfile, "data_filter"):
        return
    info = tarfile.TarInfo(folder.decode("utf-8", "surrogateescape"))
    info.type = tarfile.DIRTYPE
    try:
        tarfile.data_filter(info, _NOWHERE)
    except tarfile.FilterError as error:
        raise SnapshotError("snapshot_refused", f"{shown(folder)} cannot be unpacked.") from error


class _Stream:
    """Unpacked bytes, forwards only."""

    def __init__(self, gunzip: Gunzip) -> None:
        self._pieces = iter(gunzip)
        self._piece = b""
        self._at = 0
        self._taken = 0

    def some(self, most: int) -> bytes:
        """1 to `most` bytes.  Raises SnapshotError where there is none."""
        if self._at == len(self._piece):
            self._piece, self._at = next(self._pieces, b""), 0
            if not self._piece:
                raise SnapshotError("snapshot_damaged", "The archive ends in the middle.")
        taken = self._piece[self._at : self._at + most]
        self._at += len(taken)
        self._taken += len(taken)
        return taken

    def exactly(self, count: int) -> bytes:
        """`count` bytes, which are few: a header, or its records."""
        taken = self.some(count) if count else b""
        while len(taken) < count:
            taken += self.some(count - len(taken))
        return taken

    def align(self) -> None:
        """On to the next block."""
        self.exactly(-self._taken % BLOCK)

    def finish(self) -> None:
        """Reads the zeros up to the end.  Raises SnapshotError for anything else, and for too many."""
        rest, left = self._piece[self._at :], MAX_PADDING
        while rest:
            left -= len(rest)
            if left < 0 or rest.count(0) != len(rest):
                raise SnapshotError("snapshot_damaged", "The archive goes on after its end.")
            rest = next(self._pieces, b"")
