"""The fleet as a process of its own, which ends with the block that started it or with its parent."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final, Protocol

import msgspec

import glovebox
from glovebox.errors import ConfigurationError, InputError
from glovebox.farm import openssl
from glovebox.farm.model import Trait
from glovebox.farm.traits import TRAITS
from glovebox.siteaudit.settings import AuditSettings

_PATIENCE: Final = 10.0
OPENSSL_FILE: Final = "openssl.cnf"


AT: Final = "--at"


class Start(Protocol):
    """Starts a process with a pipe to its standard input and one from its standard output."""

    def __call__(
        self, command: Sequence[str], environment: Mapping[str, str], errors: IO[bytes]
    ) -> subprocess.Popen[bytes]: ...


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """The line that the fleet's process prints once every server listens."""

    hosts: list[str]
    addresses: dict[str, str]
    settings: AuditSettings


@dataclass(frozen=True, slots=True)
class Farm:
    """A fleet that runs."""

    hosts: tuple[str, ...]
    settings: AuditSettings
    traits: Mapping[str, Trait]
    """By host name."""
    addresses: Mapping[str, str]
    """By host name; hosts without an address of their own are about DNS."""


def here(
    command: Sequence[str], environment: Mapping[str, str], errors: IO[bytes]
) -> subprocess.Popen[bytes]:
    """On this machine's own network."""
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # its end tells the servers that we are gone, however we went
        stdout=subprocess.PIPE,
        stderr=errors,
        env=environment,
        start_new_session=True,  # a Ctrl-C in the terminal is ours to handle, in order
    )


@contextmanager
def running_farm(
    folder: Path | None = None, *, only: Sequence[str] = (), at: Sequence[str] = (), start: Start = here
) -> Iterator[Farm]:
    """Start the fleet and end it with the block; `only` picks traits by name.

    It lives on loopback, unless `start` starts it elsewhere and `at` says where that is: the arguments of
    `serve`'s `--at`.  `folder` takes the servers' keys (a temporary one by default).  Raises
    ConfigurationError where the fleet does not come up, with what it said, and InputError for an unknown
    trait.
    """
    unknown = sorted(set(only) - {trait.name for trait in TRAITS})
    if unknown:
        raise InputError(
            f"There is no trait {', '.join(unknown)}.", fix="See python -m glovebox.farm --list."
        )
    with tempfile.TemporaryDirectory(prefix="glovebox-farm-") as temporary:
        home = folder or Path(temporary)
        arguments = [*([AT, *at] if at else []), *only]
        with announced("glovebox.farm.serve", home, arguments, start) as line:
            said = msgspec.json.decode(line, type=Announcement)
            traits = {trait.host: trait for trait in TRAITS if trait.host in said.hosts}
            yield Farm(
                tuple(said.hosts), said.settings, MappingProxyType(traits), MappingProxyType(said.addresses)
            )


@contextmanager
def announced(
    module: str, folder: Path, arguments: Sequence[str] = (), start: Start = here
) -> Iterator[bytes]:
    """Run `python -m module FOLDER ARGUMENT...` while the block runs; gives the first line that it prints.

    Such a module serves until its standard input ends (`serve.end_of_input`).  Raises
    ConfigurationError where it ends before it prints, with the end of its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "farm.log").open("w+b") as log:
        command = [sys.executable, "-m", module, str(folder), *arguments]
        process = start(command, environment(folder), log)
        try:
            yield _first_line(process, log)
        finally:
            _end(process)


def environment(folder: Path) -> dict[str, str]:
    """Ours, with an OpenSSL configuration of the fleet's own, written to `folder`."""
    path = folder / OPENSSL_FILE
    path.write_text(openssl.CONFIGURATION)
    root = str(Path(glovebox.__file__).parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"OPENSSL_CONF": str(path), "PYTHONPATH": os.pathsep.join(paths)}


def _first_line(process: subprocess.Popen[bytes], log: IO[bytes]) -> bytes:
    assert process.stdout is not None  # noqa: S101  opened above
    line = process.stdout.readline()
    if not line:
        process.wait(_PATIENCE)
        log.seek(0)
        said = log.read()[-2_000:].decode(errors="replace").strip()
        raise ConfigurationError(f"The fleet did not start (exit code {process.returncode}): {said}")
    return line


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
