"""A small scanner in TruffleHog's place: private keys and key pairs of AWS, its command line, its JSON lines.

    trufflehog filesystem TREE --json …

Findings bear the names of TruffleHog's own detectors; of its eight hundred others nothing is said.  The log
names it as what it is.  An option that TruffleHog would take and this does not know is an error: what our
tasks start is to be understood wholly.  As TruffleHog does, it writes the secrets themselves.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

NAME = "Glovebox stand-in for TruffleHog"
VERSION = "3.90.0+stand-in"
"""The number is that of the lines' form."""
FAILED = 1
LARGEST = 10 << 20
"""Bytes of a file that is looked into."""
NEAR = 256
"""Characters between the halves of a key pair."""
_FLAGS = ("--json", "--no-color", "--no-update", "--no-verification", "--fail-on-scan-errors")
_SETTINGS = {"--archive-max-size": "64MB", "--archive-max-depth": "3", "--archive-timeout": "30s"}
"""Each is given, or it is an error: what TruffleHog would do without one, this cannot."""
KEY = re.compile(
    r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[A-Za-z0-9+/=\s]+-----END (?:[A-Z]+ )?PRIVATE KEY-----\n?"
)
KEY_ID = re.compile(r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b")
SECRET = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/])")

Json = dict[str, object]


def _files(tree: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(tree):
        folders.sort()
        for path in (Path(folder, name) for name in sorted(names)):
            if not path.is_symlink() and path.is_file() and path.stat().st_size <= LARGEST:
                yield path


def found_in(path: Path) -> Iterator[Json]:
    text = path.read_text(encoding="utf-8", errors="replace")
    for match in KEY.finditer(text):
        yield _line(path, text, match.start(), "PrivateKey", 15, match[0], redacted=match[0][:64])
    for match in KEY_ID.finditer(text):
        secret = SECRET.search(text, match.end(), match.end() + NEAR)
        if secret is not None:
            pair = f"{match[0]}:{secret[0]}"
            yield _line(path, text, match.start(), "AWS", 2, match[0], pair=pair, redacted=match[0])


def _line(
    path: Path, text: str, at: int, detector: str, number: int, raw: str, *, pair: str = "", redacted: str
) -> Json:
    place = {"file": str(path), "line": text.count("\n", 0, at) + 1}
    return {
        "SourceMetadata": {"Data": {"Filesystem": place}},
        "SourceID": 1,
        "SourceType": 15,
        "SourceName": "trufflehog - filesystem",
        "DetectorType": number,
        "DetectorName": detector,
        "DetectorDescription": f"{detector}, as the {NAME} knows it.",
        "DecoderName": "PLAIN",
        "Verified": False,
        "VerificationFromCache": False,
        "Raw": raw,
        "RawV2": pair,
        "Redacted": redacted,
        "ExtraData": None,
        "StructuredData": None,
    }


def _log(message: str, **fields: object) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    line = {"level": "info-0", "ts": now, "logger": "trufflehog", "msg": message, **fields}
    sys.stderr.write(json.dumps(line) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trufflehog", description=NAME, allow_abbrev=False)
    # Ends there and then, before the rest of the line is read.
    parser.add_argument("--version", action="version", version=f"{NAME} {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True)
    scan = commands.add_parser("filesystem", allow_abbrev=False)
    for flag in _FLAGS:
        scan.add_argument(flag, action="store_true", required=True)
    for option, value in _SETTINGS.items():
        scan.add_argument(option, choices=(value,), required=True)
    scan.add_argument("tree", type=Path)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    if not args.tree.is_dir():
        _log("no such folder")
        return FAILED
    count = 0
    for path in _files(args.tree):
        for each in found_in(path):
            sys.stdout.write(json.dumps(each) + "\n")
            count += 1
    _log(
        "finished scanning",
        unverified_secrets=count,
        verified_secrets=0,
        trufflehog_version=f"{NAME} {VERSION}",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
