"""Archives for tests: as git makes them, and as nobody should."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping

from glovebox.snapshots.archive import Archive, Member

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOP = "acme-shop-0123456"


def entry(
    name: str, *, kind: bytes = tarfile.REGTYPE, body: bytes = b"", target: str = ""
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname, info.mode = kind, len(body), target, 0o644
    return info


def tar(
    entries: Iterable[tuple[tarfile.TarInfo, bytes]],
    *,
    commit: str = COMMIT,
    format: int = tarfile.PAX_FORMAT,  # noqa: A002 (tarfile's own)
) -> bytes:
    """Unpacked, with git's global header where there is a commit."""
    made = io.BytesIO()
    headers = {"comment": commit} if commit else None
    with tarfile.open(fileobj=made, mode="w:", format=format, pax_headers=headers) as archive:
        for info, body in entries:
            archive.addfile(info, io.BytesIO(body))
    return made.getvalue()


def archive_of(files: Mapping[str, bytes], *more: tarfile.TarInfo, commit: str = COMMIT) -> bytes:
    """A gzipped tar of these files below `TOP`, and of `more` as they are."""
    entries = [(entry(f"{TOP}/{name}", body=body), body) for name, body in files.items()]
    folder = entry(TOP, kind=tarfile.DIRTYPE)
    return gzip.compress(
        tar([(folder, b""), *entries, *((each, b"") for each in more)], commit=commit), compresslevel=1
    )


def pieces(data: bytes, size: int = 65_536) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def read(data: bytes, size: int = 65_536) -> tuple[Archive, list[tuple[Member, bytes]]]:
    """All members and their contents."""
    archive = Archive(pieces(data, size))
    return archive, [(member, b"".join(archive.contents())) for member in archive]


def with_headers(raw: bytes, change: Callable[[bytearray], None]) -> bytes:
    """The first header changed, and its checksum made right again."""
    block = bytearray(raw[:512])
    change(block)
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block) + raw[512:]


def empty_files(count: int) -> Iterator[bytes]:
    """Headers of so many empty files, quickly: only digits differ, and by them the checksum."""
    block = bytearray(entry(f"{TOP}/0000000").tobuf(tarfile.USTAR_FORMAT))
    digits = slice(len(TOP) + 1, len(TOP) + 8)
    total = int(block[148:154], 8) - 7 * ord("0")
    for number in range(count):
        name = b"%07d" % number
        block[digits] = name
        block[148:154] = b"%06o" % (total + sum(name))
        yield bytes(block)
