"""What each function and image ships of ours: new reach must show in review.

`UPDATE_GOLDEN=1 python -m pytest tests/bundles` writes the lists anew; the diff is what to review.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from glovebox.closure import closure, image_files
from glovebox_constructs.unit_code import ROOT

GOLDEN = Path(__file__).parent / "golden"
FUNCTIONS = sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py"))
IMAGES = sorted(path.parent.name for path in ROOT.glob("containers/*/Dockerfile"))
SHIPPED = {f"functions-{name}": closure(ROOT, f"functions/{name}") for name in FUNCTIONS} | {
    f"containers-{name}": image_files(ROOT, name) for name in IMAGES
}


def _files(unit: str) -> list[str]:
    return [path.as_posix() for path in SHIPPED[unit]]


def test_every_unit_has_its_list_and_no_list_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == SHIPPED.keys()


@pytest.mark.parametrize("unit", SHIPPED)
def test_a_unit_ships_exactly_these_files(unit: str) -> None:
    golden = GOLDEN / f"{unit}.txt"
    found = "\n".join(_files(unit)) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(found)
    assert golden.read_text() == found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_ship_no_code_that_connects_to_sites(name: str) -> None:
    engine = ("glovebox/siteaudit/connect.py", "glovebox/siteaudit/tls/", "glovebox/siteaudit/web/")
    assert not [file for file in _files(f"functions-{name}") if file.startswith(engine)]


@pytest.mark.parametrize("name", IMAGES)
def test_images_ship_neither_services_nor_adapters(name: str) -> None:
    ours = ("glovebox/services/", "glovebox/adapters/", "functions/")
    assert not [file for file in _files(f"containers-{name}") if file.startswith(ours)]


@pytest.mark.parametrize("name", ["inlet", "outlet"])
def test_the_airlock_ships_no_scanner(name: str) -> None:
    engine = ("glovebox/siteaudit/tls/", "glovebox/siteaudit/web/", "containers/siteaudit/")
    assert not [file for file in _files(f"containers-{name}") if file.startswith(engine)]
