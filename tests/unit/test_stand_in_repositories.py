"""The stand-ins for Trivy and TruffleHog, started by the very scripts that start the real ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from glovebox.local import stand_in_trivy, stand_in_trufflehog
from glovebox.local.cloud import CHECKOUT
from glovebox.local.sample_repositories import CLEAN, COPYLEFT, PARTLY, PLANTED, write_samples
from glovebox.local.scanner_tools import Tools, write_program
from glovebox_constructs.scan_script import scan_script


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    made = {name: tmp_path / name for name in ("in", "out", "scratch", "bin")}
    for place in made.values():
        place.mkdir()
    write_samples(made["in"] / "tree/repository")
    return made


def scanned(places: dict[str, Path], scanner: str) -> int:
    command = Tools().command(scanner, python=sys.executable, code=(str(CHECKOUT),), place="")
    programs = write_program(places["bin"], scanner, command)
    environment = {
        "PATH": os.pathsep.join((str(programs), os.defpath)),
        "GLOVEBOX_IN": str(places["in"]),
        "GLOVEBOX_OUT": str(places["out"]),
        "TMPDIR": str(places["scratch"]),
    }
    return subprocess.run(["/bin/sh", "-c", scan_script(scanner)], env=environment, check=False).returncode


def exit_of(places: dict[str, Path]) -> Any:
    return json.loads((places["out"] / "exit.json").read_bytes())


def test_trivy_finds_what_is_planted_and_no_file_of_the_repository_hides_it(places: dict[str, Path]) -> None:
    assert scanned(places, "trivy") == 0
    assert exit_of(places) == {"exit": 0}
    report = json.loads((places["out"] / "report.trivy.json").read_bytes())
    assert stand_in_trivy.NAME in report["Trivy"]["Name"]
    found = [
        (result["Target"].removeprefix("repository/"), kind, each.get(name))
        for result in report["Results"]
        for kind, name in (
            ("Vulnerabilities", "VulnerabilityID"),
            ("Misconfigurations", "ID"),
            ("Secrets", "RuleID"),
            ("Licenses", "PkgName"),
        )
        for each in result.get(kind, [])
    ]
    assert sorted(found) == [
        (f"{CLEAN}/package-lock.json", "Licenses", "lodash"),
        (f"{PLANTED}/Dockerfile", "Misconfigurations", "DS-0002"),
        (f"{PLANTED}/Dockerfile", "Misconfigurations", "DS-0013"),
        (f"{PLANTED}/deploy/id_ec.pem", "Secrets", "private-key"),
        (f"{PLANTED}/main.tf", "Misconfigurations", "AWS-0065"),
        (f"{PLANTED}/package-lock.json", "Licenses", COPYLEFT),
        (f"{PLANTED}/package-lock.json", "Licenses", "lodash"),
        (f"{PLANTED}/package-lock.json", "Licenses", "own"),
        (f"{PLANTED}/package-lock.json", "Vulnerabilities", "CVE-2018-3721"),
        (f"{PLANTED}/package-lock.json", "Vulnerabilities", "CVE-2019-10744"),
        (f"{PLANTED}/settings.py", "Secrets", "aws-access-key-id"),
    ]
    assert not any(target.startswith(PARTLY) for target, _, _ in found), "a line of its own hides it"


def test_trivy_masks_what_it_takes_for_a_secret_and_shows_the_lines_around(places: dict[str, Path]) -> None:
    _, planted = write_samples(places["in"] / "tree/repository")
    scanned(places, "trivy")
    report = (places["out"] / "report.trivy.json").read_text()
    assert planted.access_key_id not in report
    assert report.count(f"./publish {planted.unknown}'") == 1
    assert f'aws_kms_key.shop[\\"{planted.unknown}\\"]' in report
    assert f"pkg:npm/own@git%2Bhttps:%2F%2F{planted.unknown}%40example.com%2Fown.git" in report
    assert planted.secret_access_key in report, "which is what the outlet has to see to"


def test_trufflehog_writes_the_secrets_and_where_they_stand(places: dict[str, Path]) -> None:
    _, planted = write_samples(places["in"] / "tree/repository")
    assert scanned(places, "trufflehog") == 0
    lines = (places["out"] / "report.trufflehog.jsonl").read_text().splitlines()
    found = {
        (each["DetectorName"], each["RawV2"] or each["Raw"]): each["SourceMetadata"]["Data"]["Filesystem"]
        for each in map(json.loads, lines)
    }
    top = f"{places['in']}/tree/repository/{PLANTED}"
    assert found == {
        ("PrivateKey", planted.private_key): {"file": f"{top}/deploy/id_ec.pem", "line": 1},
        ("AWS", f"{planted.access_key_id}:{planted.secret_access_key}"): {
            "file": f"{top}/settings.py",
            "line": 1,
        },
    }
    assert stand_in_trufflehog.NAME in (places["out"] / "scanner.log").read_text()


@pytest.mark.parametrize("scanner", ["trivy", "trufflehog"])
def test_the_version_says_that_it_is_a_stand_in(places: dict[str, Path], scanner: str) -> None:
    scanned(places, scanner)
    assert json.loads((places["out"] / "version.json").read_bytes())["Version"].endswith("+stand-in")


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (stand_in_trivy.main, ["fs", "--scanners", "vuln", "."]),
        (stand_in_trivy.main, ["image", "alpine"]),
        (stand_in_trufflehog.main, ["filesystem", ".", "--json"]),
        (stand_in_trufflehog.main, ["git", "file://."]),
    ],
)
def test_other_options_than_our_scripts_are_an_error(
    main: Any, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err
