"""The compiled requirements: exact, hashed, without addresses, and in step with pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
FILES = {path.stem: path.read_text() for path in (ROOT / "requirements").glob("*.txt")}
INTERNAL = {"infrastructure", "fleet"}
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


def _asked(group: str) -> list[Requirement]:
    found: list[Requirement] = []
    for entry in GROUPS[group]:
        found += _asked(entry["include-group"]) if isinstance(entry, dict) else [Requirement(entry)]
    return found


def _pinned(name: str) -> dict[str, set[str]]:
    pins: dict[str, set[str]] = {}
    for package, version in _PIN.findall(FILES[name]):
        pins.setdefault(canonicalize_name(package), set()).add(version)
    return pins


def test_every_group_is_compiled() -> None:
    assert FILES.keys() == (GROUPS.keys() - INTERNAL) | {"project"}


@pytest.mark.parametrize("name", FILES)
def test_every_package_is_exact_and_hashed(name: str) -> None:
    entries = re.split(r"(?<!\\)\n", FILES[name])
    packages = [entry for entry in entries if entry.strip() and not entry.startswith("#")]
    assert packages
    for entry in packages:
        assert _PIN.match(entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


@pytest.mark.parametrize("name", FILES)
def test_no_address_stands_in_a_requirements_file(name: str) -> None:
    assert not re.search(r"https?://|--index|--extra-index|--find-links|@ ", FILES[name])


@pytest.mark.parametrize("name", sorted(GROUPS.keys() - INTERNAL))
def test_pins_answer_what_the_project_asks_for(name: str) -> None:
    pins = _pinned(name)
    for requirement in _asked(name):
        versions = pins.get(canonicalize_name(requirement.name), set())
        assert versions, f"make pins: {requirement} is missing in {name}.txt"
        assert all(requirement.specifier.contains(version) for version in versions), (
            f"make pins: {requirement}"
        )


def test_units_ship_the_versions_that_the_tests_run() -> None:
    tested = _pinned("dev")
    for name in FILES.keys() - {"dev", "ministack", "node", "prowler", "scanners", "uv", "build"}:
        for package, versions in _pinned(name).items():
            assert versions <= tested.get(package, set()), f"{name}.txt has another {package}"


def test_the_cdks_command_line_is_the_one_that_fits() -> None:
    """npm's newest is an accident that refuses this library's assemblies."""
    package = (ROOT / "package.json").read_text()
    assert '"aws-cdk": "2.1148.1"' in package
    assert '"resolved"' not in (ROOT / "package-lock.json").read_text()
