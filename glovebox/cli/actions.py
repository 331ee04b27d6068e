"""Commands with actions of their own, as in `glovebox targets add`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from glovebox.cli.remote import add_connection_options

Actions = argparse._SubParsersAction  # argparse has no public name for what `add_subparsers` answers
Run = Callable[[argparse.Namespace], int]


def action(
    actions: Actions[argparse.ArgumentParser],
    name: str,
    run: Run,
    *,
    help: str,  # noqa: A002 - argparse's word
    inherits: bool = False,
) -> argparse.ArgumentParser:
    """A parser for one action, with the options that say where the deployment is.

    `inherits`: the command itself has these, too, and what was said there stands unless it is said again.
    """
    parser = actions.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    parser.set_defaults(run=run)
    add_connection_options(parser, inherits=inherits)
    return parser


def json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON to standard output")
