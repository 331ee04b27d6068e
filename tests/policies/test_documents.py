"""The policy files as such: every statement has its name, its paragraph and its place in a template."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from glovebox.errors import ConfigurationError
from glovebox_constructs.policies import FOLDER, statements

FILES = sorted(FOLDER.glob("*.json"))
SECTIONS = re.findall(r"^### (\S+)$", (FOLDER / "README.md").read_text(), re.MULTILINE)


def _statements(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())["Statement"]
    return found


def test_every_statement_is_explained_and_nothing_else_is() -> None:
    sids = [statement["Sid"] for path in FILES for statement in _statements(path)]
    assert sorted(sids) == sorted(SECTIONS)
    assert len(set(sids)) == len(sids)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_names_of_statements_say_who_may_or_may_not_do_what(path: Path) -> None:
    for statement in _statements(path):
        verb = "Let" if statement["Effect"] == "Allow" else "Deny"
        assert re.fullmatch(rf"{verb}([A-Z][a-z0-9]*)+", re.sub(r"[A-Z]{2,}", "X", statement["Sid"]))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_who_is_let_in_is_held_by_a_condition(path: Path) -> None:
    for statement in _statements(path):
        if statement["Effect"] == "Allow":
            assert statement["Condition"], statement["Sid"]


def test_a_place_without_a_value_and_a_value_without_a_place_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="Bucket"):
        statements("bucket_policy", {})
    with pytest.raises(ConfigurationError, match="Key"):
        statements("bucket_policy", {"Bucket": "arn:aws:s3:::b", "Key": "k"})
