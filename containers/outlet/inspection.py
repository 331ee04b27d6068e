"""Looking at what a hostile scanner left in its folder, without believing that it is what it seems."""

from __future__ import annotations

import hashlib
import io
import mmap
import os
import re
import stat
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated

import msgspec
from msgspec import Meta, Struct

from glovebox.findings.array import End
from glovebox.scans.model import EXIT_FILE, LOG_FILE, REPORT_FILE
from glovebox.scans.redaction import WITHHELD, redact
from glovebox.text import plain

MAX_ENTRIES = 64
"""The auditor leaves four files; a folder full of them is a scanner that is up to something."""
TAIL_BYTES = 8_192
MAX_TAIL = 4_000
"""Characters; in JSON they stay below what a manifest admits."""
_CHUNK = 1 << 20
_CUT_KEY = re.compile(r"(?s:(?!-----BEGIN).)*?-----END [A-Z0-9 ]{0,32}PRIVATE KEY-----")
"""The rest of a private key that began before the tail."""


class UnfitError(Exception):
    """Why there is no report to upload."""


@dataclass(frozen=True, slots=True)
class Report:
    file: IO[bytes]
    """A copy of our own: what is hashed is what is sent, whoever still writes to the original."""
    size: int
    sha256: str
    lines: int
    """Or items."""
    note: str
    """What is odd about it, and no reason to keep it back."""
    withheld: int = 0
    """Items of which nothing goes out."""
    forget: Callable[[str], str] = str
    """Takes out of a text what the report told of secrets."""


class _Exit(Struct, frozen=True):
    exit: Annotated[int, Meta(ge=-255, le=255)]


def report(folder: Path, max_bytes: int, open_files: ExitStack) -> Report:
    """The report, copied and hashed.  Raises UnfitError."""
    note = oddities(folder)
    source = open_files.enter_context(opened(folder / REPORT_FILE))
    # The root file system is read-only, so the copy lives in memory.
    copy = io.BytesIO()
    digest, size, lines, last = hashlib.sha256(), 0, 0, b"\n"
    while chunk := source.read(_CHUNK):
        size += len(chunk)
        if size > max_bytes:
            raise UnfitError(f"the report is larger than {max_bytes:,} bytes")
        digest.update(chunk)
        lines += chunk.count(b"\n")
        last = chunk[-1:]
        copy.write(chunk)
    if size == 0:
        raise UnfitError("the report is empty")
    copy.seek(0)
    return Report(copy, size, digest.hexdigest(), lines + (last != b"\n"), note)


def exit_code(folder: Path) -> int | None:
    """What the scanner's launcher wrote; `None` where it was killed, or wrote something else."""
    try:
        with opened(folder / EXIT_FILE) as file:
            return msgspec.json.decode(file.read(1_024), type=_Exit).exit
    except (UnfitError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def log_tail(
    folder: Path, forget: Callable[[str], str] = str, shown: Callable[[list[str]], list[str]] = list
) -> str:
    """The end of the scanner's log without controls, without what looks like a secret or is known for one.

    Of its lines that which `shown` gives.
    """
    try:
        with opened(folder / LOG_FILE) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            raw = file.read(TAIL_BYTES)
    except UnfitError:
        return ""
    lines = raw.decode(errors="replace").splitlines()
    if size > TAIL_BYTES:
        lines = lines[1:]  # The first one is cut somewhere, perhaps in the middle of a secret.
    text = "\n".join(shown([plain(line) for line in lines]))
    if cut_key := _CUT_KEY.match(text):
        text = WITHHELD + text[cut_key.end() :]
    return redact(forget(text))[-MAX_TAIL:]


def oddities(folder: Path) -> str:
    """What else lies in the folder that a scanner has no reason to leave."""
    with os.scandir(folder) as entries:
        for count, entry in enumerate(entries, start=1):
            if count > MAX_ENTRIES:
                return f"the scanner left more than {MAX_ENTRIES} files"
            if not entry.is_file(follow_symlinks=False) and not entry.is_dir(follow_symlinks=False):
                return "the scanner left links or devices"
    return ""


def copied(path: Path, max_bytes: int) -> mmap.mmap:
    """The file in memory of our own, of which the reader gives back what it has read.

    Raises UnfitError for one that is too large or empty, or that shrinks while it is read.
    """
    with opened(path) as source:
        size = os.fstat(source.fileno()).st_size
        if size > max_bytes:
            raise UnfitError(f"the report is larger than {max_bytes:,} bytes")
        if not size:
            raise UnfitError(str(End.EMPTY))
        # Not the file itself: who cuts a mapped file short kills us.  Private, since shared memory stays.
        copy = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if source.readinto(memoryview(copy)) != size:
            raise UnfitError("the report changed while it was read")
    return copy


def opened(path: Path) -> io.BufferedReader:
    """A plain file, opened without following a link or waiting for a pipe.  Raises UnfitError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise UnfitError(f"there is no {path.name}") from error
    except OSError as error:
        raise UnfitError(f"{path.name} cannot be opened ({error.strerror})") from error
    about = os.fstat(descriptor)
    # A second name for a file could be one of ours, or grow while we read.
    if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1:
        os.close(descriptor)
        raise UnfitError(f"{path.name} is no plain file")
    return os.fdopen(descriptor, "rb")
