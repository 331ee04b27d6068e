"""Which files an import reaches: on a small tree made for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from glovebox.closure import closure, fingerprint

TREE = {
    "glovebox/__init__.py": "",
    "glovebox/direct.py": "import glovebox.below.deep\n",
    "glovebox/below/__init__.py": "from glovebox.by_package import thing\n",
    "glovebox/below/deep.py": "from . import sibling\nfrom ..relative import thing\n",
    "glovebox/below/sibling.py": "TABLE = 'table.json'\n",
    "glovebox/below/table.json": "{}",
    "glovebox/below/other.json": "{}",
    "glovebox/by_package.py": "thing = 1\n",
    "glovebox/relative.py": "thing = 2\n",
    "glovebox/in_function.py": "",
    "glovebox/types_alone.py": "",
    "glovebox/never.py": "",
    "functions/__init__.py": "",
    "functions/unit/__init__.py": "",
    "functions/unit/handler.py": (
        "from typing import TYPE_CHECKING\n"
        "import json, requests\n"
        "from glovebox import direct\n"
        "if TYPE_CHECKING:\n"
        "    from glovebox import types_alone\n"
        "def handle():\n"
        "    from glovebox import in_function\n"
    ),
    "functions/unit/bootstrap.py": "",
    "functions/other/__init__.py": "",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in TREE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def _reached(tree: Path) -> set[str]:
    return {path.as_posix() for path in closure(tree, "functions/unit")}


def test_a_unit_ships_itself_what_it_imports_and_their_packages(tree: Path) -> None:
    assert _reached(tree) == {
        "functions/__init__.py",
        "functions/unit/__init__.py",
        "functions/unit/bootstrap.py",
        "functions/unit/handler.py",
        "glovebox/__init__.py",
        "glovebox/below/__init__.py",
        "glovebox/below/deep.py",
        "glovebox/below/sibling.py",
        "glovebox/below/table.json",
        "glovebox/by_package.py",
        "glovebox/direct.py",
        "glovebox/in_function.py",
        "glovebox/relative.py",
    }


def test_modules_that_import_each_other_come_to_an_end(tree: Path) -> None:
    (tree / "glovebox" / "relative.py").write_text("import glovebox.direct\n")
    assert "glovebox/relative.py" in _reached(tree)


def test_a_unit_without_modules_is_an_error(tree: Path) -> None:
    with pytest.raises(FileNotFoundError, match="functions/missing"):
        closure(tree, "functions/missing")


def test_the_fingerprint_follows_names_contents_and_target(tree: Path) -> None:
    files = closure(tree, "functions/unit")
    before = fingerprint(tree, files, "pins")
    assert fingerprint(tree, files, "pins") == before
    assert fingerprint(tree, files, "other pins") != before
    assert fingerprint(tree, files[1:], "pins") != before
    (tree / "glovebox" / "never.py").write_text("# nobody ships this\n")
    assert fingerprint(tree, files, "pins") == before
    (tree / "glovebox" / "direct.py").write_text("import glovebox.below.deep  # changed\n")
    assert fingerprint(tree, files, "pins") != before
