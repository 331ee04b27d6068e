"""A repository's scan: unpacks its snapshot, and plants beside it what the scanner must find.

The archive is hostile, though its digest is known: whoever may write to the repository chose what it holds.
Nothing of it decides where, or as what, anything is laid down: only folders and files are made, each new,
below folders that are open already, with modes of ours.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from containers.inlet.account import write_new
from containers.inlet.bucket import Bucket
from glovebox import log
from glovebox.errors import ConfigurationError
from glovebox.scans.repositories import (
    CANARY,
    CANARY_DOCKERFILE,
    CANARY_KEY,
    CANARY_LOCK,
    SOURCE,
    TREE,
    RepositoryScanRequest,
)
from glovebox.snapshots.archive import Archive
from glovebox.snapshots.errors import SnapshotError
from glovebox.snapshots.names import MAX_PART, shown

SECONDS: Final = 840.0
"""For all tries: the address works for 15 minutes, and an archive of 1 GB takes one."""
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DOCKERFILE: Final = b"FROM debian:13\nUSER root\n"
_LOCK: Final = b"""{
  "name": "canary",
  "version": "1.0.0",
  "lockfileVersion": 3,
  "requires": true,
  "packages": {
    "": {"name": "canary", "version": "1.0.0", "dependencies": {"lodash": "4.17.4"}},
    "node_modules/lodash": {"version": "4.17.4", "license": "MIT"}
  }
}
"""


def lay_down(bucket: Bucket, url: str, request: RepositoryScanRequest, folder: Path) -> None:
    """Make `tree` in `folder`: the snapshot that the request tells of, and the canary.

    On any failure there is no `tree`.  Raises SnapshotError for an archive that is another one, or none;
    UpstreamError where it cannot be fetched; ConfigurationError where there is no room, or no right to write.
    """
    tree = folder / TREE

    def take(chunks: Iterator[bytes]) -> None:
        # Of a try that broke off nothing is left.
        _remove(tree)
        _unpack(chunks, request, tree)

    with _tried(tree):
        tree.mkdir(0o755)
        bucket.stream(url, take, what="snapshot", seconds=SECONDS)
        plant(tree / CANARY)
        _seal(tree)


def _unpack(chunks: Iterator[bytes], request: RepositoryScanRequest, tree: Path) -> None:
    source = tree / SOURCE
    source.mkdir(0o755, parents=True)
    checked = _Checked(chunks, request)
    archive, links = Archive(checked), 0
    with _Folders(source) as folders, _once():
        for member in archive:
            *above, name = map(_spelled, member.path.split(b"/"))
            if member.kind == "folder":
                folders.at([*above, name])
            elif member.kind == "file":
                _write(folders.at(above), name, archive.contents())
            else:
                links += 1
    checked.finish()
    if archive.files != request.files:
        raise SnapshotError(
            "snapshot_damaged", f"The archive has {archive.files:,} files, and not {request.files:,}."
        )
    # A link may point anywhere, and what it points to in the tree is there by its own name.
    log.info("snapshot unpacked", files=archive.files, bytes=archive.unpacked, linksLeftOut=links)


def _spelled(part: bytes) -> bytes:
    """A name with what is no UTF-8 spelled out: Trivy gives up at such a folder, TruffleHog turns back.

    One that would be too long by that keeps its beginning, and has a digest for the rest.
    """
    text = shown(part)
    if len(text.encode()) <= MAX_PART:
        return text.encode()
    digest = hashlib.sha256(part).hexdigest()[:16]
    return text.encode()[: MAX_PART - 17].decode(errors="ignore").encode() + f"~{digest}".encode()


def _write(parent: int, name: bytes, pieces: Iterator[bytes]) -> None:
    file = os.open(name, _NEW_FILE, 0o444, dir_fd=parent)
    try:
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(file, rest) :]
    finally:
        os.close(file)


class _Checked:
    """The archive's bytes as they pass.  Raises SnapshotError where they are not those of the request."""

    def __init__(self, chunks: Iterator[bytes], request: RepositoryScanRequest) -> None:
        self._chunks = chunks
        self._request = request
        self._digest = hashlib.sha256()
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._size += len(chunk)
            if self._size > self._request.size:
                break
            self._digest.update(chunk)
            yield chunk
        if self._size != self._request.size or self._digest.hexdigest() != self._request.sha256:
            raise SnapshotError("snapshot_damaged", "The archive is not the one that was taken.")

    def finish(self) -> None:
        """Reads what nobody has asked for."""
        for _ in self:
            pass


class _Folders:
    """The folders from `root` to where the last file went, open: what lies deeper than a path may be long can
    be made, and nobody's link is on the way."""

    def __init__(self, root: Path) -> None:
        self._parts: list[bytes] = []
        self._open = [os.open(root, _OPEN_FOLDER)]

    def __enter__(self) -> _Folders:
        return self

    def __exit__(self, *error: object) -> None:
        for each in self._open:
            os.close(each)

    def at(self, parts: list[bytes]) -> int:
        """The folder of that path, made where it is new."""
        if parts == self._parts:
            return self._open[-1]
        same = 0
        while same < min(len(parts), len(self._parts)) and parts[same] == self._parts[same]:
            same += 1
        while len(self._parts) > same:
            self._parts.pop()
            os.close(self._open.pop())
        for part in parts[same:]:
            with suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=self._open[-1])
            self._open.append(os.open(part, _OPEN_FOLDER, dir_fd=self._open[-1]))
            self._parts.append(part)
        return self._open[-1]


def plant(folder: Path) -> None:
    """What every scanner knows for bad.  The key is another one each time, so that it can be on no list."""
    folder.mkdir(0o755)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for name, body in ((CANARY_KEY, pem), (CANARY_DOCKERFILE, _DOCKERFILE), (CANARY_LOCK, _LOCK)):
        write_new(folder / name, body)


def _seal(tree: Path) -> None:
    """Nobody writes there any more, not even we."""
    for _, _, _, folder in os.fwalk(tree, topdown=False):
        os.fchmod(folder, 0o555)


def _remove(tree: Path) -> None:
    if tree.exists():
        for _, _, _, folder in os.fwalk(tree):
            os.fchmod(folder, 0o755)
        shutil.rmtree(tree)


@contextmanager
def _once() -> Iterator[None]:
    """The archive has each name once; one that is spelled as another is written may be there already."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise SnapshotError("snapshot_refused", "Two names in the archive look the same.") from error


@contextmanager
def _tried(tree: Path) -> Iterator[None]:
    """Whatever fails, `tree` goes; an OSError becomes a ConfigurationError."""
    before = os.umask(0)
    try:
        yield
    except BaseException as error:
        with suppress(OSError):
            _remove(tree)
        if isinstance(error, OSError):
            raise _unwritten(tree, error) from error
        raise
    finally:
        os.umask(before)


def _unwritten(tree: Path, error: OSError) -> ConfigurationError:
    if error.errno in _FULL:
        return ConfigurationError(
            f"There is no room for the repository ({error.strerror}).",
            fix="Give the task more ephemeral storage, or take large generated files out of the repository.",
        )
    return ConfigurationError(f"{tree} cannot be written ({error.strerror}).")
