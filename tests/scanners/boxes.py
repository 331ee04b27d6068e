"""A box for a real scanner: the folders of a task, our script, no network, and what comes out."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glovebox.local.scanner_tools import CACHE_VARIABLE, Tools
from glovebox.scans.repositories import NATIVE_REPORTS, SOURCE, TREE, RepositoryScanner
from glovebox_constructs.scan_script import scan_script

SECONDS = 120
Finding = tuple[str, str, str]
"""What was found, where, and of which rule."""


@functools.cache
def alone() -> tuple[str, ...]:
    """The words before a command that give it a network of its own, with nothing in it.

    None where the kernel lets nobody do so: there tests of real scanners are not run (tests/conftest.py).
    """
    for words in (("unshare", "--net"), ("unshare", "--map-root-user", "--net")):
        try:
            done = subprocess.run([*words, "true"], capture_output=True, timeout=SECONDS, check=False)
        except FileNotFoundError:
            continue
        if done.returncode == 0:
            return words
    return ()


@dataclass(frozen=True)
class Box:
    root: Path
    scanner: RepositoryScanner
    cache: Path
    user: tuple[str, ...] = ()
    """Words before the script that make it somebody else's."""

    def __post_init__(self) -> None:
        for folder in ("in/tree/repository", "out", "scratch", "bin"):
            (self.root / folder).mkdir(parents=True)
        # What stands in front of it on the PATH is not found by anything that the scanner starts.
        program = Tools().place(self.scanner) / self.scanner
        (self.root / "bin" / self.scanner).symlink_to(program)

    @property
    def tree(self) -> Path:
        return self.root / "in" / TREE

    @property
    def out(self) -> Path:
        return self.root / "out"

    def start(self, **variables: str) -> subprocess.Popen[bytes]:
        """From within the repository, with whatever else is in the environment."""
        return subprocess.Popen(
            [*alone(), *self.user, "/bin/sh", "-c", scan_script(self.scanner)],
            env={
                "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
                "GLOVEBOX_IN": str(self.root / "in"),
                "GLOVEBOX_OUT": str(self.out),
                "TMPDIR": str(self.root / "scratch"),
                CACHE_VARIABLE: str(self.cache),
                **variables,
            },
            cwd=source if (source := self.tree / SOURCE).exists() else self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, **variables: str) -> int:
        with self.start(**variables) as process:
            said, _ = process.communicate(timeout=SECONDS)
        assert said == b"", "nobody reads what the script prints"
        assert self.json("exit.json") == {"exit": process.returncode}
        return process.returncode

    def json(self, name: str) -> Any:
        return json.loads((self.out / name).read_bytes())

    @property
    def log(self) -> str:
        return (self.out / "scanner.log").read_text(errors="replace")

    @property
    def native(self) -> Path:
        return self.out / NATIVE_REPORTS[self.scanner]

    def findings(self) -> Counter[Finding]:
        """Every finding of the native report, by its path below the tree."""
        return Counter(READERS[self.scanner](self))

    def below(self, path: str) -> str:
        return path.removeprefix(f"{self.tree}/")


def _trivy(box: Box) -> Iterator[Finding]:
    for result in box.json("report.trivy.json")["Results"]:
        path = result["Target"]
        for each in result.get("Vulnerabilities", ()):
            yield "vulnerability", path, f"{each['PkgName']} {each['VulnerabilityID']}"
        for each in result.get("Misconfigurations", ()):
            if each["Status"] == "FAIL":
                yield "misconfiguration", path, each["ID"]
        for each in result.get("Secrets", ()):
            yield "secret", path, each["RuleID"]
        for each in result.get("Licenses", ()):
            yield "license", each["PkgName"], each["Name"]


def _trufflehog(box: Box) -> Iterator[Finding]:
    for line in box.native.read_bytes().splitlines():
        found = json.loads(line)
        assert not found["Verified"], "nobody is asked about a secret"
        yield (
            "secret",
            box.below(found["SourceMetadata"]["Data"]["Filesystem"]["file"]),
            found["DetectorName"],
        )


def _kingfisher(box: Box) -> Iterator[Finding]:
    for found in box.json("report.kingfisher.json")["findings"]:
        yield "secret", box.below(found["finding"]["path"]), found["rule"]["id"]


READERS = {"trivy": _trivy, "trufflehog": _trufflehog, "kingfisher": _kingfisher}
