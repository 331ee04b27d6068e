"""Working trees as the look-alike of GitHub serves them: commit, tree and archive of a folder or a map.

A commit's name is a digest of what is there, so it changes with it; it is no commit of git's.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import IO

_SPOOLED = 16 << 20
"""Bytes of an archive that stay in memory."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A file, a link or a submodule of a tree."""

    mode: str
    body: bytes | Path = b""
    """A file's contents or where they are; a link's target; a submodule's commit."""

    @property
    def data(self) -> bytes:
        return self.body.read_bytes() if isinstance(self.body, Path) else self.body

    @property
    def blob(self) -> tuple[str, int]:
        """Its name, as git makes it, and its bytes; not of a submodule."""
        data = self.data
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest(), len(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedRepository:
    """What the look-alike has of one repository; `files` is a working tree's folder, or path → contents."""

    number: int
    files: Path | Mapping[str, bytes]
    links: Mapping[str, str] = field(default_factory=dict)
    submodules: Mapping[str, str] = field(default_factory=dict)
    """Path → commit."""
    branches: tuple[str, ...] = ()
    """Beside the default one; all of them mean the one commit."""
    default_branch: str = "main"
    private: bool = True
    archived: bool = False
    topics: tuple[str, ...] = ()

    def tree(self) -> dict[str, Leaf]:
        """Path → leaf, in order; of a folder all but `.git`."""
        if isinstance(self.files, Path):
            leaves = dict(_leaves(self.files))
        else:
            leaves = {path: Leaf("100644", body) for path, body in self.files.items()}
        leaves |= {path: Leaf("120000", os.fsencode(target)) for path, target in self.links.items()}
        leaves |= {path: Leaf("160000", commit.encode()) for path, commit in self.submodules.items()}
        return dict(sorted(leaves.items()))

    def commit(self) -> str:
        digest = hashlib.sha1(usedforsecurity=False)
        for path, leaf in self.tree().items():
            digest.update(f"{leaf.mode} {path}".encode("utf-8", "surrogateescape") + b"\0")
            digest.update(hashlib.sha256(leaf.data).digest())
        return digest.hexdigest()

    def archive(self, top: str, commit: str) -> IO[bytes]:
        """A gzipped tar as `git archive` makes it, at its beginning; without what `export-ignore` names."""
        tree = self.tree()
        attributes = tree.get(".gitattributes")
        ignored = _ignored(attributes.data.decode("utf-8", "replace")) if attributes else []
        made = tempfile.SpooledTemporaryFile(_SPOOLED)  # noqa: SIM115 (whoever sends it closes it)
        with tarfile.open(
            fileobj=made,
            mode="w:gz",
            compresslevel=1,
            format=tarfile.PAX_FORMAT,
            pax_headers={"comment": commit},
        ) as tar:
            folders: set[str] = set()
            for path, leaf in tree.items():
                if _is_ignored(path, ignored):
                    continue
                parts = f"{top}/{path}".split("/")
                for folder in ("/".join(parts[:depth]) for depth in range(1, len(parts))):
                    if folder not in folders:
                        folders.add(folder)
                        tar.addfile(_folder(folder))
                _add(tar, f"{top}/{path}", leaf)
        made.seek(0)
        return made


def _leaves(root: Path) -> Iterator[tuple[str, Leaf]]:
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name != ".git" and name not in links)
        for name in sorted({*files, *links}):
            path = here / name
            status = path.lstat()
            place = path.relative_to(root).as_posix()
            if stat.S_ISLNK(status.st_mode):
                yield place, Leaf("120000", os.fsencode(path.readlink()))
            elif stat.S_ISREG(status.st_mode) and name != ".git":
                yield place, Leaf("100755" if status.st_mode & stat.S_IXUSR else "100644", path)


def _ignored(attributes: str) -> list[str]:
    lines = (line.split() for line in attributes.splitlines() if not line.startswith("#"))
    return [words[0].strip("/") for words in lines if "export-ignore" in words[1:]]


def _is_ignored(path: str, patterns: list[str]) -> bool:
    """By the plain patterns: a name anywhere, or a path, of a file or of a folder above it."""
    parts = path.split("/")
    names = {*parts, *("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))}
    return any(fnmatch(name, pattern) for name in names for pattern in patterns)


def _folder(path: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info


def _add(tar: tarfile.TarFile, path: str, leaf: Leaf) -> None:
    info = tarfile.TarInfo(path)
    info.mode = int(leaf.mode[-3:], 8) or 0o777
    if leaf.mode == "160000":
        tar.addfile(_folder(path))
    elif leaf.mode == "120000":
        info.type, info.linkname = tarfile.SYMTYPE, os.fsdecode(leaf.data)
        tar.addfile(info)
    elif isinstance(leaf.body, Path):
        info.size = leaf.body.stat().st_size
        with leaf.body.open("rb") as body:
            tar.addfile(info, body)
    else:
        info.size = len(leaf.body)
        tar.addfile(info, io.BytesIO(leaf.body))
