"""What stands for a scanner's upstream image on this machine: the program that its task definition starts.

The images of others are not built here.  Their task definitions start a script of ours with `/bin/sh -c`,
which looks for its scanner on the PATH; so a folder with one small program takes the image's place.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from glovebox.errors import ConfigurationError

CHECKOUT = Path(__file__).resolve().parents[2]
Scanner = Literal["prowler", "trivy", "trufflehog", "kingfisher"]
"""An image of others, and the program in it."""
UPSTREAM: tuple[Scanner, ...] = get_args(Scanner)
PROWLER, TRIVY, TRUFFLEHOG, KINGFISHER = UPSTREAM
STAND_INS: Mapping[str, str] = {
    PROWLER: "glovebox.local.stand_in_prowler",
    TRIVY: "glovebox.local.stand_in_trivy",
    TRUFFLEHOG: "glovebox.local.stand_in_trufflehog",
}
"""Small scanners of this repository; Kingfisher has none, and scans only where the real one does."""
PLACES: Mapping[str, str] = {
    PROWLER: ".glovebox/prowler",
    TRIVY: ".glovebox/scanners/bin",
    TRUFFLEHOG: ".glovebox/trufflehog",
    KINGFISHER: ".glovebox/scanners",
}
"""Where the Makefile puts the real ones: environments of two, and folders of the other two's programs."""
CACHE_VARIABLE = "GLOVEBOX_TRIVY_CACHE"
"""Trivy's folder with its database, which its image has baked in."""
THREADS = 2_048
"""Prowler starts ten for each of its eighty services, and ends none before it is done."""
_START = "import sys; from prowler.__main__ import prowler; sys.exit(prowler())"


@dataclass(frozen=True, slots=True)
class Tools:
    """Which scanners are the real ones; each of the others is a stand-in, where there is one."""

    real: frozenset[str] = frozenset()
    trivy_cache: Path | None = None
    checkout: Path = CHECKOUT

    def __post_init__(self) -> None:
        """Raises ConfigurationError where one that is to be real is not here."""
        for scanner in sorted(self.real):
            self.place(scanner)
        if TRIVY in self.real and (
            self.trivy_cache is None or not (self.trivy_cache / "db/trivy.db").is_file()
        ):
            raise ConfigurationError(
                "The real Trivy finds no database of vulnerabilities here, and fetches none.",
                fix=f"Set {CACHE_VARIABLE} to a folder that `trivy image --download-db-only --cache-dir` "
                "has filled, or scan with the stand-in.",
            )

    def place(self, scanner: str) -> Path:
        """The folder of the real one: of its packages, or of its program.  Raises ConfigurationError."""
        folder = self.checkout / PLACES[scanner]
        if scanner == PROWLER:
            there = (folder / ".ready").exists()
        elif scanner == KINGFISHER:
            # The program that its package puts on the PATH is a Python that starts this one.
            folder = next(folder.glob("lib/python*/site-packages/kingfisher/bin"), folder)
            there = os.access(folder / scanner, os.X_OK)
        else:
            there = os.access(folder / scanner, os.X_OK)
        if not there:
            raise ConfigurationError(
                f"{scanner} is not installed here.",
                fix=f"make demo SCANNER={scanner} installs it; without --scanner {scanner} it is not needed.",
            )
        return packages(folder) if scanner == PROWLER else folder

    def scans(self, scanner: str) -> bool:
        """Whether there is anything here that scans in its name."""
        return scanner in self.real or scanner in STAND_INS

    def python(self, scanner: str, ours: str) -> str:
        """The interpreter of an environment of the scanner's own, else ours."""
        own = scanner == PROWLER and PROWLER in self.real
        return str(self.checkout / PLACES[PROWLER] / "bin/python") if own else ours

    def command(self, scanner: str, *, python: str, code: Sequence[str], place: str) -> list[str]:
        """What to start: with our packages in `code`, and the real one's folder shown at `place`."""
        if scanner not in self.real:
            if scanner not in STAND_INS:
                return ["/bin/sh", "-c", f"echo '{scanner} is not installed here' >&2; exit 127"]
            return [*_with_packages(code), python, "-m", STAND_INS[scanner]]
        if scanner == PROWLER:
            return [*_with_packages([place]), python, "-c", _START]
        return [f"{place}/{scanner}"]


def _with_packages(path: Sequence[str]) -> list[str]:
    return [
        "/usr/bin/env",  # Scanners of repositories are given no PATH.
        f"PYTHONPATH={os.pathsep.join(path)}",
        "PYTHONDONTWRITEBYTECODE=1",
        "PYTHONWARNINGS=ignore",
    ]


def packages(environment: Path) -> Path:
    """Where an environment's packages lie.  Raises ConfigurationError where there are none."""
    found = sorted(environment.glob("lib/python*/site-packages"))
    if not found:
        raise ConfigurationError(f"{environment} holds no packages.", fix="Remove it, and install it anew.")
    return found[0]


def write_program(folder: Path, scanner: str, command: Sequence[str]) -> Path:
    """A folder for the PATH with a program of the scanner's name in it that starts `command`."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / scanner
    program.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    program.chmod(0o755)
    return folder
