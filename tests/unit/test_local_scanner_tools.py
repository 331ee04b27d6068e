"""Which program scans on this machine: a stand-in, or the real one where it is asked for and there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from glovebox.errors import ConfigurationError
from glovebox.local.agent import remove
from glovebox.local.cloud import CHECKOUT
from glovebox.local.scanner_tools import STAND_INS, UPSTREAM, Tools, write_program


def real(checkout: Path, name: str, text: str = "#!/bin/sh\necho the real one\n") -> Path:
    program = checkout / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(text)
    program.chmod(0o755)
    return program


def started(tools: Tools, scanner: str, folder: Path, place: str = "") -> str:
    command = tools.command(scanner, python=sys.executable, code=(str(CHECKOUT),), place=place)
    program = write_program(folder, scanner, command) / scanner
    done = subprocess.run([str(program), "--help"], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("scanner", STAND_INS)
def test_what_nobody_asked_for_is_a_stand_in_and_says_so(scanner: str, tmp_path: Path) -> None:
    assert "stand-in" in started(Tools(), scanner, tmp_path)


def test_a_scanner_without_a_stand_in_says_that_it_is_not_here(tmp_path: Path) -> None:
    assert [scanner for scanner in UPSTREAM if not Tools().scans(scanner)] == ["kingfisher"]
    assert "kingfisher is not installed here" in started(Tools(), "kingfisher", tmp_path)


@pytest.mark.parametrize(
    ("scanner", "program"),
    [
        ("trufflehog", ".glovebox/trufflehog/trufflehog"),
        ("kingfisher", ".glovebox/scanners/lib/python3.11/site-packages/kingfisher/bin/kingfisher"),
    ],
)
def test_a_real_one_that_is_there_is_started(scanner: str, program: str, tmp_path: Path) -> None:
    place = real(tmp_path, program).parent
    tools = Tools(frozenset({scanner}), checkout=tmp_path)
    assert tools.place(scanner) == place
    assert started(tools, scanner, tmp_path / "bin", str(place)) == "the real one\n"


@pytest.mark.parametrize("scanner", UPSTREAM)
def test_a_real_one_that_is_not_there_is_told_before_anything_starts(scanner: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"{scanner} is not installed"):
        Tools(frozenset({scanner}), checkout=tmp_path)


def test_the_real_trivy_wants_a_database(tmp_path: Path) -> None:
    real(tmp_path, ".glovebox/scanners/bin/trivy")
    with pytest.raises(ConfigurationError, match="no database"):
        Tools(frozenset({"trivy"}), checkout=tmp_path)
    (tmp_path / "cache/db").mkdir(parents=True)
    (tmp_path / "cache/db/trivy.db").touch()
    assert Tools(frozenset({"trivy"}), tmp_path / "cache", tmp_path).real == {"trivy"}


def test_a_task_s_folder_goes_with_what_was_made_unwritable_in_it(tmp_path: Path) -> None:
    deep = tmp_path / "task/volumes/in/tree"
    deep.mkdir(parents=True)
    (deep / "file").touch()
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (deep / "link").symlink_to(outside)
    for folder in (deep, deep.parent):
        folder.chmod(0o500)
    remove(tmp_path / "task")
    assert not (tmp_path / "task").exists()
    assert outside.stat().st_mode & 0o777 == 0o755
