"""The real scanners by our scripts, without a network, on a tree of faults that wants them to look away."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from containers.outlet.inspection import log_tail
from containers.outlet.logged import logged_errors, shown_lines
from containers.outlet.repository.report import report
from glovebox.local.sample_repositories import PlantedSecrets
from glovebox.scans.model import OutletOrder, UploadForm
from glovebox.scans.repositories import SOURCE, RepositoryScanner
from glovebox.scans.repository_lines import MAX_PLACE, Line, Secret
from glovebox.text import visible
from tests.native_reports import KEY
from tests.scanners.boxes import SECONDS, Box, Finding, alone
from tests.scanners.trees import KEYS, NOT_OBEYED, OBEYED, STEERING, WORDS, faults, lay
from tests.scanners.trivy_database import write_cache

SCANNERS = [
    pytest.param("trivy", marks=pytest.mark.scanners),
    pytest.param("kingfisher", marks=pytest.mark.scanners),
    pytest.param("trufflehog", marks=pytest.mark.trufflehog),
]
KEY_RULES = {"trivy": "private-key", "trufflehog": "PrivateKey", "kingfisher": "betterleaks.private-key"}
TOKEN_RULES = {"trivy": "github-pat", "trufflehog": "Github", "kingfisher": "betterleaks.github-pat"}
NOT_SEARCHED_BY_TRIVY = {b".git/own.pem"}
Maker = Callable[[RepositoryScanner], Box]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory, trivy_cache: Path) -> Maker:
    return lambda scanner: Box(tmp_path_factory.mktemp(scanner) / "box", scanner, trivy_cache)


@pytest.fixture(scope="module", params=SCANNERS)
def scanner(request: pytest.FixtureRequest) -> RepositoryScanner:
    name: RepositoryScanner = request.param
    return name


@pytest.fixture(scope="module")
def plain(scanner: RepositoryScanner, make: Maker, planted: PlantedSecrets) -> Box:
    """The scan of a tree that steers nobody."""
    box = make(scanner)
    lay(box.tree, faults(planted))
    assert box.run() == 0, box.log
    return box


@pytest.fixture(scope="module")
def steered(scanner: RepositoryScanner, make: Maker, planted: PlantedSecrets, plain: Box) -> Box:
    """The scan of the same tree with everything that a scanner might obey, started within, and with an
    environment full of options.
    """
    box = make(scanner)
    path, line = NOT_OBEYED
    ignored = "".join(line.format(token=planted.token, word=word) for word in WORDS)
    lay(box.tree, {**faults(planted), **STEERING, path: ignored})
    assert box.run(**STEERING_VARIABLES) == 0, box.log
    return box


STEERING_VARIABLES = {
    "TRIVY_SEVERITY": "UNKNOWN",
    "TRIVY_SKIP_DIRS": "**",
    "TRIVY_FORMAT": "table",
    "TRIVY_DISABLE_TELEMETRY": "false",
    "TRUFFLEHOG_EXCLUDE_PATHS": "kingfisher.yaml",
    "KF_RULE_CACHE_DIR": ".",
    "KINGFISHER_ALERT_REPORT_URL": "https://example.com",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "GIT_CONFIG_GLOBAL": ".git/config",
}


def _within(findings: Counter[Finding], folder: str) -> Counter[Finding]:
    return Counter({each: count for each, count in findings.items() if each[1].startswith(folder)})


def test_every_scanner_finds_the_canary(plain: Box) -> None:
    found = _within(plain.findings(), "canary/")
    assert ("secret", "canary/key.pem", KEY_RULES[plain.scanner]) in found
    if plain.scanner == "trivy":
        assert ("misconfiguration", "canary/Dockerfile", "DS-0002") in found
        assert ("vulnerability", "canary/package-lock.json", "lodash CVE-2019-10744") in found


def test_secrets_are_found_under_whatever_name_and_wherever_they_lie(plain: Box) -> None:
    rule = KEY_RULES[plain.scanner]
    found = {path for kind, path, named in plain.findings() if (kind, named) == ("secret", rule)}
    expected = KEYS - (NOT_SEARCHED_BY_TRIVY if plain.scanner == "trivy" else set())
    assert found - {"canary/key.pem"} == {_as_told(plain.scanner, name) for name in expected}


def _as_told(scanner: str, name: bytes) -> str:
    """TruffleHog has a way of its own with a byte that is no text."""
    text = f"repository/{name.decode(errors='replace')}"
    return text.replace("\N{REPLACEMENT CHARACTER}", "\u2757") if scanner == "trufflehog" else text


def test_secrets_of_several_kinds_are_found(plain: Box) -> None:
    assert ("secret", "repository/settings.py", TOKEN_RULES[plain.scanner]) in plain.findings()


@pytest.mark.parametrize("scanner", [SCANNERS[0]], indirect=True)
def test_trivy_finds_vulnerabilities_misconfigurations_and_licenses(plain: Box) -> None:
    found = plain.findings()
    for expected in (
        ("vulnerability", "repository/package-lock.json", "lodash CVE-2018-3721"),
        ("vulnerability", "repository/requirements.txt", "Django CVE-2019-14234"),
        ("misconfiguration", "repository/Dockerfile", "DS-0002"),
        ("misconfiguration", "repository/dev/Dockerfile", "DS-0002"),
        ("misconfiguration", "repository/main.tf", "AWS-0089"),
        ("license", "copyleft", "GPL-3.0-only"),
    ):
        assert expected in found, expected


def test_nothing_in_a_repository_or_in_the_environment_steers_a_scanner(plain: Box, steered: Box) -> None:
    of_both, more = plain.findings(), steered.findings()
    assert of_both - more == Counter()
    path = NOT_OBEYED[0].decode()
    assert {place for _, place, _ in more - of_both} <= {f"repository/{path}"} | _PLACES_OF_STEERING


_PLACES_OF_STEERING = {f"repository/{name.decode()}" for name in STEERING}


@pytest.mark.scanners
def test_the_same_files_do_steer_a_trivy_that_is_started_otherwise(
    tmp_path: Path, trivy_cache: Path, planted: PlantedSecrets
) -> None:
    box = Box(tmp_path / "box", "trivy", trivy_cache)
    lay(box.tree, {**faults(planted), **STEERING})
    offline = ["--skip-db-update", "--skip-check-update", "--offline-scan", "--cache-dir", str(trivy_cache)]
    subprocess.run(
        [
            *alone(),
            str(box.root / "bin/trivy"),
            "fs",
            "-q",
            "-f",
            "json",
            "-o",
            str(box.native),
            *offline,
            ".",
        ],
        cwd=box.tree / SOURCE,
        check=True,
        timeout=SECONDS,
    )
    assert "Results" not in box.json(box.native.name)


def test_lines_that_say_of_themselves_that_they_are_no_secret_are_told(steered: Box) -> None:
    path = f"repository/{NOT_OBEYED[0].decode()}"
    assert steered.findings()[("secret", path, TOKEN_RULES[steered.scanner])] >= 1


def test_nothing_of_a_repository_is_run(steered: Box) -> None:
    assert {each.name for each in steered.tree.iterdir()} == {"canary", "repository"}
    assert {each.name for each in steered.tree.parent.iterdir()} == {"tree"}


def test_what_comes_out_are_our_files_and_the_outlets_group_reads_them(plain: Box) -> None:
    names = {each.name for each in plain.out.iterdir()}
    assert names == {plain.native.name, "exit.json", "version.json", "scanner.log"}
    assert {each.stat().st_mode & 0o777 for each in plain.out.iterdir()} == {0o640}


def test_the_log_of_a_good_scan_tells_of_no_errors(plain: Box) -> None:
    assert logged_errors(plain.out, plain.scanner) == ([], "")


def test_the_outlet_tells_all_of_it_and_none_of_the_secrets(plain: Box, planted: PlantedSecrets) -> None:
    form = UploadForm(url="https://example.com/", fields={})
    order = OutletOrder(
        scan_id="x", attempt=1, kind=plain.scanner, report=form, manifest=form, fingerprint_key=KEY
    )
    made = report(plain.out, order, plain.scanner)
    sent = made.file.read()
    canary = (plain.tree / "canary/key.pem").read_text().splitlines()[1]
    assert [value for value in (*planted.values, canary) if value in sent.decode()] == []
    assert (made.withheld, made.note) == (0, "")
    lines = [msgspec.json.decode(line, type=Line) for line in sent.splitlines()]
    assert _secrets(lines) == _secret_places(plain)
    assert {_kind(line) for line in lines if line.path.startswith("canary/")} == CANARIES[plain.scanner]
    assert Counter(map(_kind, lines))["Vulnerability"] == _count(plain, "vulnerability")
    assert Counter(map(_kind, lines))["Misconfiguration"] == _count(plain, "misconfiguration")


CANARIES = {
    "trivy": {"Secret", "Misconfiguration", "Vulnerability", "Package", "License"},
    "trufflehog": {"Secret"},
    "kingfisher": {"Secret"},
}


def _kind(line: Line) -> str:
    return type(line).__name__


def _count(box: Box, kind: str) -> int:
    return sum(count for (each, _, _), count in box.findings().items() if each == kind)


def _secrets(lines: list[Line]) -> set[tuple[str, str]]:
    return {(line.path, line.rule) for line in lines if isinstance(line, Secret)}


def _secret_places(box: Box) -> set[tuple[str, str]]:
    """As the outlet writes them: nothing in a path moves a terminal."""
    return {(visible(path, MAX_PLACE), rule) for kind, path, rule in box.findings() if kind == "secret"}


def test_the_version_is_told(plain: Box) -> None:
    told = plain.json("version.json")
    assert told["Version"][0].isdigit()
    if plain.scanner == "trivy":
        made = datetime.fromisoformat(told["VulnerabilityDB"]["UpdatedAt"])
        assert timedelta(0) < datetime.now(UTC) - made < timedelta(hours=3)


@pytest.mark.scanners
def test_an_old_database_scans_and_its_age_is_told(tmp_path: Path) -> None:
    box = Box(tmp_path / "box", "trivy", write_cache(tmp_path / "cache", age=timedelta(days=300)))
    lay(box.tree, {})
    assert box.run() == 0
    made = datetime.fromisoformat(box.json("version.json")["VulnerabilityDB"]["UpdatedAt"])
    assert datetime.now(UTC) - made > timedelta(days=299)


@pytest.mark.scanners
def test_without_a_database_trivy_fails_and_says_why(tmp_path: Path) -> None:
    box = Box(tmp_path / "box", "trivy", tmp_path / "no-cache")
    lay(box.tree, {})
    assert box.run() == 1
    assert "--skip-db-update cannot be specified on the first run" in box.log
    assert "VulnerabilityDB" not in box.json("version.json")
    assert not (tmp_path / "no-cache").exists(), "and none is fetched"


@pytest.mark.scanners
def test_of_a_file_that_trivy_cannot_parse_it_tells_lines_and_the_logs_tail_none(
    tmp_path: Path, trivy_cache: Path, planted: PlantedSecrets
) -> None:
    box = Box(tmp_path / "box", "trivy", trivy_cache)
    broken = f'resource "aws_db_instance" "shop" {{\n  password = "{planted.unknown}\n}}\n'
    lay(box.tree, {b"main.tf": broken})
    assert box.run() == 0
    assert planted.unknown in box.log
    tail = log_tail(box.out, shown=shown_lines("trivy"))
    assert "ERROR [terraform parser]\n" in tail
    assert planted.unknown not in tail
    [errors] = logged_errors(box.out, "trivy")[0]
    assert errors.what == "other"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's are not."""
    with TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.mark.scanners
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_trivy_needs_neither_to_be_root_nor_to_write_to_its_cache(
    open_folder: Path, trivy_cache: Path, planted: PlantedSecrets
) -> None:
    cache = open_folder / "cache"
    shutil.copytree(trivy_cache, cache)
    for path in (cache, *cache.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    user = ("setpriv", "--reuid=10001", "--regid=10001", "--clear-groups", "--no-new-privs")
    box = Box(open_folder / "box", "trivy", cache, user)
    program = box.root / "bin/trivy"
    place = program.resolve()
    program.unlink()
    shutil.copy(place, program)  # What leads to the checkout may be nobody else's to enter.
    lay(box.tree, {b"Dockerfile": faults(planted)[b"Dockerfile"], b"own.pem": planted.private_key})
    for name in ("out", "scratch"):
        os.chown(box.root / name, 10001, 10001)
    before = sorted(cache.rglob("*"))
    assert box.run() == 0, box.log
    assert {each.stat().st_uid for each in box.out.iterdir()} == {10001}
    assert logged_errors(box.out, "trivy") == ([], "")
    assert {kind for kind, _, _ in box.findings()} == {
        "secret",
        "misconfiguration",
        "vulnerability",
        "license",
    }
    assert sorted(cache.rglob("*")) == before


@pytest.mark.scanners
def test_trivy_fetches_no_terraform_module_and_runs_no_git(tmp_path: Path, trivy_cache: Path) -> None:
    box = Box(tmp_path / "box", "trivy", trivy_cache)
    marker = tmp_path / "git-was-run"
    git = box.root / "bin/git"
    git.write_text(f"#!/bin/sh\ntouch '{marker}'\n")
    git.chmod(0o755)
    module = 'module "their" {\n  source = "git::https://example.com/module.git"\n}\n'
    lay(box.tree, {b"main.tf": module + faults(PlantedSecrets.made())[b"main.tf"]})
    assert box.run() == 0
    assert "git must be available" in box.log
    assert not marker.exists()
    assert logged_errors(box.out, "trivy") == ([], "")
    assert ("misconfiguration", "repository/main.tf", "AWS-0089") in box.findings()


@pytest.mark.parametrize("scanner", [SCANNERS[0], SCANNERS[2]], indirect=True)
def test_what_no_switch_keeps_a_scanner_from_obeying(
    scanner: RepositoryScanner, make: Maker, planted: PlantedSecrets
) -> None:
    """Should this fail, upstream obeys something else: snapshots count such lines, and would count others."""
    box = make(scanner)
    path, text = OBEYED[scanner]
    lay(box.tree, {path: text.format(token=planted.token)})
    assert box.run() == 0
    hidden = {"trivy": "DS-0002", "trufflehog": "Github"}[scanner]
    rules = {rule for _, place, rule in box.findings() if place == f"repository/{path.decode()}"}
    assert hidden not in rules


@pytest.mark.parametrize("scanner", [SCANNERS[0], SCANNERS[2]], indirect=True)
def test_a_folder_whose_name_is_no_text_is_why_the_inlet_spells_such_names_out(
    scanner: RepositoryScanner, make: Maker, planted: PlantedSecrets
) -> None:
    """Should this fail, it reads such folders by now; when both do, the inlet may leave them alone."""
    box = make(scanner)
    files = faults(planted)
    lay(box.tree, {b"\xff/Dockerfile": files[b"Dockerfile"], b"\xff/own.pem": planted.private_key})
    code, (errors, _) = box.run(), logged_errors(box.out, scanner)
    assert {"trivy": code == 1, "trufflehog": code == 0 and bool(errors)}[scanner]


PLACES = frozenset(
    f"repository/{place}"
    for place in (
        "tests/own.pem",
        "examples/own.pem",
        "vendor/x/own.pem",
        "node_modules/x/own.pem",
        ".git/own.pem",
        "README.md",
    )
)
UNSEARCHED = {"trivy": PLACES, "kingfisher": {"repository/node_modules/x/own.pem"}, "trufflehog": set()}


def test_where_each_scanner_searches_no_secrets_by_rules_of_its_own(
    scanner: RepositoryScanner, make: Maker, planted: PlantedSecrets
) -> None:
    """Should this fail, upstream searches more or less than it did, which docs/decisions/0009 tells."""
    box = make(scanner)
    lay(box.tree, {place.removeprefix("repository/").encode(): planted.private_key for place in PLACES})
    assert box.run() == 0
    found = {path for kind, path, _ in box.findings() if kind == "secret"}
    assert found - {"canary/key.pem"} == PLACES - UNSEARCHED[scanner]


def test_without_a_tree_nothing_is_scanned(scanner: RepositoryScanner, make: Maker) -> None:
    box = make(scanner)
    (box.tree / SOURCE).rmdir()
    box.tree.rmdir()
    assert box.run() == 2
    assert not box.native.exists()


def test_a_task_that_is_stopped_tells_of_it_and_leaves_nothing_running(
    scanner: RepositoryScanner, make: Maker, planted: PlantedSecrets
) -> None:
    box = make(scanner)
    lay(box.tree, faults(planted))
    with box.start() as process:
        group = _held(process.pid, scanner)
        process.terminate()
        assert process.wait(SECONDS) == 143
    assert box.json("exit.json") == {"exit": 143}
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


def test_a_scanner_that_is_killed_is_told_of(
    scanner: RepositoryScanner, make: Maker, planted: PlantedSecrets
) -> None:
    box = make(scanner)
    lay(box.tree, faults(planted))
    with box.start() as process:
        group = _held(process.pid, scanner)
        os.kill(group, signal.SIGKILL)
        assert process.wait(SECONDS) == 137
    assert box.json("exit.json") == {"exit": 137}
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


def _held(script: int, name: str) -> int:
    """The group of the scanner that a script runs, stopped in the middle of whatever it was doing."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        for child in map(int, Path(f"/proc/{script}/task/{script}/children").read_text().split()):
            with suppress(FileNotFoundError, ProcessLookupError):
                program = Path(f"/proc/{child}/comm").read_text().strip()
                if program == name and os.getpgid(child) == child:
                    os.killpg(child, signal.SIGSTOP)
                    return child
        time.sleep(0.01)
    raise AssertionError(f"{name} was not started")
