"""What others' scanners run: a script of ours for the shell of their unmodified image."""

from __future__ import annotations

from pathlib import Path

from glovebox.scans.repositories import REPOSITORY_SCANNERS

FOLDER = Path(__file__).parent
COMMON = "scan_common.sh"
OF_REPOSITORIES = "scan_repository.sh"


def scan_script(scanner: str) -> str:
    """`<scanner>_scan.sh` for `/bin/sh -c`, behind what it shares with others, without comments: the same
    in AWS, in Podman and in the local cloud.
    """
    lines = scan_source(scanner).splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def scan_source(scanner: str) -> str:
    """The same with its comments."""
    shared = [COMMON, OF_REPOSITORIES] if scanner in REPOSITORY_SCANNERS else [COMMON]
    return "\n".join((FOLDER / part).read_text() for part in (*shared, f"{scanner}_scan.sh"))
