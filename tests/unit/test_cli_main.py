"""The frame of the command line: errors as sentences, exit codes, and documentation of everything."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from glovebox.cli import audit, exit_codes, main
from glovebox.errors import (
    ConfigurationError,
    ConflictError,
    GloveboxError,
    InputError,
    RefusedError,
    UpstreamError,
)

DOCUMENT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Each command's parser by its name, and each of its actions' by both names."""
    return dict(nested("", main.build_parser()))


def nested(name: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for one in parser._actions:
        if isinstance(one, argparse._SubParsersAction):
            for choice, below in one.choices.items():
                full = f"{name} {choice}".strip()
                yield full, below
                yield from nested(full, below)


def section(command: str) -> str:
    """The text of the document under the heading of a command."""
    level = "###" if " " in command else "##"
    text = under(f"{level} `glovebox {command}`")
    return text.partition("\n### `glovebox ")[0]


def connection() -> str:
    """The options that all commands on a deployment share."""
    return under("## Commands on a deployment")


def under(heading: str) -> str:
    match = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert match, f"docs/cli.md has no heading {heading}"
    return match.group(1)


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        if action.help == argparse.SUPPRESS or "--help" in action.option_strings:
            continue
        yield from action.option_strings or [str(action.metavar or action.dest)]


@pytest.mark.parametrize("command", sorted(parsers()))
def test_every_option_of_a_command_is_documented(command: str) -> None:
    text = section(command)
    known = list(options(parsers()[command]))
    if "--local" in known and "--profile" in known:
        text += connection().partition("| `--json`")[0]
    missing = [option for option in known if not re.search(rf"`[^`]*{option}\b[^`]*`", text)]
    assert missing == []


@pytest.mark.parametrize("command", sorted(parsers()))
def test_no_option_is_documented_that_a_command_does_not_have(command: str) -> None:
    known = set(options(parsers()[command]))
    documented = set(re.findall(r"^\| `(?:-\w, )?(--[\w-]+)", section(command), re.MULTILINE))
    assert documented <= known


def test_every_exit_code_is_documented() -> None:
    codes = {value for name, value in vars(exit_codes).items() if name.isupper()}
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", DOCUMENT, re.MULTILINE)}
    assert documented == codes


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("The list is bad.", fix="Mend it."), exit_codes.BAD_INPUT),
        (ConfigurationError("A setting is bad."), exit_codes.BAD_INPUT),
        (RefusedError("A rule says no.", fix="Ask."), exit_codes.REFUSED),
        (ConflictError("It is there already."), exit_codes.REFUSED),
        (UpstreamError("A service failed.\x1b[2J"), exit_codes.FAILED),
        (KeyboardInterrupt(), exit_codes.INTERRUPTED),
    ],
)
def test_an_error_is_a_sentence_and_an_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(audit, "_settings", fail)
    assert main.main(["audit", "www.example.com"]) == code
    said = capsys.readouterr().err
    assert said.startswith("glovebox: ")
    assert said.count("\n") == 1
    assert "\x1b" not in said
    if isinstance(error, GloveboxError):
        assert error.fix in said


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["audit", "--no-such-option"]])
def test_a_command_line_that_makes_no_sense_exits_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(arguments)
    assert caught.value.code == exit_codes.BAD_INPUT
    assert "usage: glovebox" in capsys.readouterr().err
