"""The command `glovebox`: one module a sub-command, one place for errors and exit codes.

A sub-command is a module with `add_parser(subparsers)`, which also says
`set_defaults(run=run)`, and `run(args) -> int`, which answers the exit code.  Heavy imports
belong inside `run`, so that `glovebox --help` stays quick.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import cast

from glovebox.cli import audit, cost, drill, findings, github_app, owners, scan, targets, teams, up
from glovebox.cli.exit_codes import BAD_INPUT, FAILED, INTERRUPTED, REFUSED
from glovebox.errors import ConfigurationError, ConflictError, GloveboxError, InputError, RefusedError
from glovebox.text import visible

COMMANDS = (audit, up, targets, github_app, teams, owners, scan, findings, drill, cost)
"""In the order of `glovebox --help`."""
MAX_ERROR_CHARACTERS = 2_000
"""An error is a sentence or two; the rest would push them off the screen."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the answer is the exit code (docs/cli.md lists them)."""
    args = build_parser().parse_args(arguments)
    run = cast("Callable[[argparse.Namespace], int]", args.run)
    try:
        return run(args)
    except GloveboxError as error:
        print(f"glovebox: {visible(str(error), MAX_ERROR_CHARACTERS)}", file=sys.stderr)
        return _code(error)
    except KeyboardInterrupt:
        print("glovebox: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (head, less) has gone. Python flushes at exit and would fail once more:
        # https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERRUPTED


def _code(error: GloveboxError) -> int:
    match error:
        case InputError() | ConfigurationError():
            return BAD_INPUT
        case RefusedError() | ConflictError():
            return REFUSED
        case _:
            return FAILED


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; the documentation's test walks it."""
    parser = argparse.ArgumentParser(
        prog="glovebox",
        description="Run security scanners as if they were hostile, and audit lists of public web sites.",
    )
    parser.add_argument("--version", action="version", version=f"glovebox {version('glovebox')}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
