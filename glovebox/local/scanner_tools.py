"""What stands for a scanner's upstream image on this machine: the program that its task definition starts.

The images of others are not built here.  Their task definitions start a script of ours with `/bin/sh -c`,
which looks for its scanner on the PATH; so a folder with one small program takes the image's place.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from glovebox.errors import ConfigurationError

PROWLER = "prowler"
"""The image, and the program in it."""
UPSTREAM = (PROWLER,)
"""Images of others."""
ProwlerName = Literal["stand-in", "prowler"]
"""The small one of this repository, or the real one in an environment of its own."""
PROWLERS: tuple[ProwlerName, ...] = get_args(ProwlerName)
STAND_IN = "glovebox.local.stand_in_prowler"
THREADS = 2_048
"""Prowler starts ten for each of its eighty services, and ends none before it is done."""
_START = "import sys; from prowler.__main__ import prowler; sys.exit(prowler())"


def installed(checkout: Path) -> Path:
    """The environment that the real Prowler is in.  Raises ConfigurationError where there is none."""
    place = checkout / ".glovebox" / "prowler"
    if not (place / ".ready").exists():
        raise ConfigurationError(
            "Prowler is not installed here.",
            fix="make demo SCANNER=prowler installs it (270 packages), or scan with the stand-in.",
        )
    return place


def packages(environment: Path) -> Path:
    """Where an environment's packages lie.  Raises ConfigurationError where there are none."""
    found = sorted(environment.glob("lib/python*/site-packages"))
    if not found:
        raise ConfigurationError(f"{environment} holds no packages.", fix="Remove it, and install it anew.")
    return found[0]


def write_program(folder: Path, which: ProwlerName, python: str, path: Sequence[str]) -> Path:
    """A folder for the PATH with `prowler` in it, run by `python` with its packages from `path`."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / PROWLER
    start = ["-m", STAND_IN] if which == "stand-in" else ["-c", _START]
    places = f"PYTHONPATH={os.pathsep.join(path)}"
    line = shlex.join([places, "PYTHONDONTWRITEBYTECODE=1", "PYTHONWARNINGS=ignore", python, *start])
    program.write_text(f'#!/bin/sh\nexec env {line} "$@"\n')
    program.chmod(0o755)
    return folder
