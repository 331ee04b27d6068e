"""The scripts that run scanners of repositories, as texts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from glovebox.scans.repositories import NATIVE_REPORTS, REPOSITORY_SCANNERS, RepositoryScanner
from glovebox_constructs.scan_script import scan_script, scan_source


@pytest.mark.parametrize("scanner", REPOSITORY_SCANNERS)
def test_shellcheck_finds_nothing(scanner: str) -> None:
    tool = str(Path(sys.executable).with_name("shellcheck"))
    done = subprocess.run(
        [tool, "--shell=sh", "-"],
        input=scan_source(scanner),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("scanner", REPOSITORY_SCANNERS)
def test_the_report_has_the_name_that_the_outlet_looks_for(scanner: RepositoryScanner) -> None:
    assert f"$out/{NATIVE_REPORTS[scanner]}" in scan_script(scanner)
