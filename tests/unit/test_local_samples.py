"""The sample repositories: their secrets are made anew each time, and what was planted is there."""

from __future__ import annotations

from pathlib import Path

from glovebox.local.sample_repositories import (
    CLEAN,
    DOCKERFILE,
    KEY_FILE,
    LOCK_FILE,
    PLANTED,
    SETTINGS,
    TERRAFORM,
    repair,
    write_samples,
)


def test_secrets_are_of_this_start_and_lie_where_they_were_planted(tmp_path: Path) -> None:
    folders, planted = write_samples(tmp_path / "one")
    _, others = write_samples(tmp_path / "two")
    assert not set(planted.values) & set(others.values)
    assert all(folder.is_dir() for folder in folders)
    faulty = tmp_path / "one" / PLANTED
    text = (faulty / KEY_FILE).read_text() + (faulty / SETTINGS).read_text()
    assert all(value in text for value in planted.values if value != planted.unknown)
    assert all(planted.unknown in (faulty / name).read_text() for name in (DOCKERFILE, LOCK_FILE, TERRAFORM))
    clean = [path for path in (tmp_path / "one" / CLEAN).rglob("*") if path.is_file()]
    assert clean
    assert not any(value in path.read_text() for path in clean for value in planted.values)


def test_what_was_repaired_is_gone_and_the_rest_stays(tmp_path: Path) -> None:
    write_samples(tmp_path)
    faulty = tmp_path / PLANTED
    repair(faulty)
    assert not (faulty / KEY_FILE).exists()
    assert "USER root" not in (faulty / DOCKERFILE).read_text()
    assert (faulty / SETTINGS).exists()
