"""The folder of an audit: what was asked for, and each record as soon as it is there.

`run.json` holds the list and the date, `output.jsonl` a record a line in the order in which
sites finish.  A crash loses at most the line that was being written, and the next start
goes on from there.  When the audit ends, the publication's files replace the journal.
"""

from __future__ import annotations

import fcntl
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from glovebox.errors import InputError
from glovebox.siteaudit.notes import LineNote
from glovebox.siteaudit.record import Shodan, SiteRecord, from_json, to_json
from glovebox.sites.publication import CSV_FILE, FULL_FILE, JSONL_FILE, write_folder
from glovebox.sites.summary import RunSummary

STATE_FILE = "run.json"
_OURS = (STATE_FILE, CSV_FILE, JSONL_FILE, FULL_FILE)


class RunState(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What `--resume` has to know."""

    run_id: str
    scan_date: str
    hosts: tuple[str, ...]
    rejected: tuple[LineNote, ...] = ()


class Journal:
    """Records on disk, found again by host.  Use as a context manager: the folder is locked meanwhile."""

    def __init__(self, folder: Path, state: RunState, lock: IO[bytes]) -> None:
        self.folder = folder
        self.state = state
        self.skipped: list[int] = []
        """Lines of the journal, from 1, that were no record of this run: their sites are audited again."""
        self._lock = lock
        self._places: dict[str, tuple[int, int]] = {}
        # Unbuffered: each record is handed to the operating system at once, so that our death loses nothing.
        self._file: io.FileIO = (folder / JSONL_FILE).open("a+b", buffering=0)

    @classmethod
    def create(cls, folder: Path, state: RunState) -> Journal:
        """Begin in a new folder or one without an audit; raises InputError."""
        _make(folder)
        for name in _OURS:
            if (folder / name).exists():
                raise InputError(
                    f"{folder} holds an audit already ({name}).",
                    fix="Go on with --resume, or name another folder.",
                )
        (folder / STATE_FILE).write_bytes(msgspec.json.encode(state))
        return cls(folder, state, _locked(folder))

    @classmethod
    def resume(cls, folder: Path) -> Journal:
        """Go on with the audit of a folder; raises InputError where there is none."""
        try:
            text = (folder / STATE_FILE).read_bytes()
            state = msgspec.json.decode(text, type=RunState)
        except FileNotFoundError as error:
            raise InputError(f"{folder} holds no audit.", fix="Start one without --resume.") from error
        except msgspec.DecodeError as error:
            raise InputError(
                f"{folder / STATE_FILE} cannot be read: {error}.", fix="Start again in another folder."
            ) from error
        journal = cls(folder, state, _locked(folder))
        journal._read()
        return journal

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._lock.close()

    @property
    def done(self) -> frozenset[str]:
        """The hosts that have a record."""
        return frozenset(self._places)

    def append(self, record: SiteRecord) -> None:
        line = to_json(record) + b"\n"
        start = self._file.seek(0, io.SEEK_END)
        # One write a line; a full disk may take part of it, and raises with the next attempt.
        written = self._file.write(line)
        while written < len(line):
            written += self._file.write(line[written:])
        self._places[record.fqdn] = (start, len(line))

    def records(self) -> Iterator[SiteRecord]:
        """What is there, in the order of the list."""
        return (self.record(host) for host in self.state.hosts if host in self._places)

    def record(self, fqdn: str) -> SiteRecord:
        """The record of a site that is done; raises KeyError for another."""
        start, length = self._places[fqdn]
        self._file.seek(start)
        return from_json(self._file.read(length))

    def publish(self, run: RunSummary, shodan: Mapping[str, Shodan]) -> list[Path]:
        """Write the run's files, with Shodan's answers by address filled in; answers their paths."""
        return write_folder(
            lambda: (to_json(with_shodan(one, shodan)) for one in self.records()), run, self.folder
        )

    def _read(self) -> None:
        """Find the records of the run, and cut off a line that was not finished."""
        hosts = frozenset(self.state.hosts)
        start = 0
        with (self.folder / JSONL_FILE).open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    self._file.truncate(start)
                    break
                fqdn = self._fqdn(line)
                if fqdn in hosts:
                    self._places[fqdn] = (start, len(line))
                else:
                    self.skipped.append(number)
                start += len(line)

    def _fqdn(self, line: bytes) -> str:
        """The site of a record of this run, else an empty name."""
        try:
            record = from_json(line)
        except msgspec.DecodeError:
            return ""
        return record.fqdn if record.scan_date == self.state.scan_date else ""


def with_shodan(record: SiteRecord, answers: Mapping[str, Shodan]) -> SiteRecord:
    """The record with what is known of its address by now."""
    answer = answers.get(record.ip) if record.ip else None
    return replace(record, shodan=answer) if answer else record


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be made ({error.strerror}).", fix="Name another folder with -o."
        ) from error


def _locked(folder: Path) -> IO[bytes]:
    """A handle that keeps a second `glovebox audit` out of the folder until it is closed."""
    handle = (folder / STATE_FILE).open("rb")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        handle.close()
        raise InputError(
            f"Another audit writes to {folder}.", fix="Wait for it, or name another folder."
        ) from error
    return handle
