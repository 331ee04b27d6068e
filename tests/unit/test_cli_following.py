"""What somebody sees who waits for a run."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from glovebox.cli import following as room
from glovebox.cli.following import following


def test_without_a_terminal_each_change_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with following(2) as tell:
        for ended, states in ((0, "2 running"), (0, "2 running"), (1, "1 completed, 1 running")):
            tell(ended, states)
    said = capsys.readouterr()
    assert said.err == "0/2 ended: 2 running\n1/2 ended: 1 completed, 1 running\n"
    assert said.out == ""


def test_a_terminal_shows_a_bar_that_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = io.StringIO()
    made = Console(file=screen, force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr(room, "console", lambda *, stderr: made)
    with following(40) as tell:
        tell(10, "10 completed, 30 running")
        assert "10/40" in screen.getvalue()
        assert "10 completed, 30 running" in screen.getvalue()
    erased = "\x1b[1A\x1b[2K"
    assert screen.getvalue().endswith(erased)
