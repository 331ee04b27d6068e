"""Folders of the user's as repositories: what can be one, and what is said of what cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from glovebox.cli.exit_codes import BAD_INPUT
from glovebox.cli.main import main
from glovebox.errors import InputError
from glovebox.local.repositories import given, samples


def tree(folder: Path, name: str) -> Path:
    place = folder / name
    place.mkdir(parents=True)
    (place / "README.md").touch()
    return place


def test_a_folder_is_a_repository_of_its_own_name(tmp_path: Path) -> None:
    place = tree(tmp_path, "My.Shop")
    assert given([place]).folders == {"local/my.shop": place}
    assert given([place]).ids == ["github.com/local/my.shop"]


def test_the_samples_are_written_where_none_is_given(tmp_path: Path) -> None:
    served = samples(tmp_path)
    assert served.planted is not None
    assert [place.is_dir() for place in served.folders.values()] == [True] * 3


@pytest.mark.parametrize(
    ("name", "said"),
    [("none", "is not there"), ("file", "is no folder"), ("empty", "has no files"), ("my shop", "be called")],
)
def test_what_cannot_be_one_is_told(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty/.git").mkdir(parents=True)
    tree(tmp_path, "my shop")
    with pytest.raises(InputError, match=said):
        given([tmp_path / name])


def test_two_of_one_name_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Two folders"):
        given([tree(tmp_path, "a/shop"), tree(tmp_path, "b/Shop")])


def test_up_starts_nothing_for_a_repository_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up", "--engine", "process", "--repository", str(tmp_path / "none")]) == BAD_INPUT
    assert "is not there" in capsys.readouterr().err
