"""What others' scanners run: a script of ours for the shell of their unmodified image."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def scan_script(scanner: str) -> str:
    """`<scanner>_scan.sh` for `/bin/sh -c`, without its comments: the same in AWS, in Podman and in the local
    cloud.
    """
    lines = (FOLDER / f"{scanner}_scan.sh").read_text().splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))
