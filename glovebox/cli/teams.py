"""`glovebox teams`: who owns targets, and whom to tell."""

from __future__ import annotations

import argparse
from typing import Any

from glovebox.cli import remote
from glovebox.cli.actions import Actions, action, json_option
from glovebox.cli.exit_codes import OK


def add_parser(subparsers: Actions[argparse.ArgumentParser]) -> None:
    """Declare the command, its actions and their options."""
    parser = subparsers.add_parser(
        "teams", help="who owns targets", description="Keep the teams that own targets."
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    json_option(action(actions, "list", _list, help="list the teams"))
    for name, run, sentence in (
        ("add", _add, "put a team on record"),
        ("set", _set, "change what is on record of a team"),
    ):
        keeping = action(actions, name, run, help=sentence)
        keeping.add_argument("name", metavar="NAME", help="such as payments")
        keeping.add_argument(
            "--contact", metavar="CONTACT", action="append", help="mail address or #channel; may be repeated"
        )
        keeping.add_argument(
            "--acceptance-days",
            metavar="N",
            type=int,
            help="the longest acceptance of its findings, 1 to 366",
        )
    removing = action(actions, "remove", _remove, help="take a team that owns nothing off record")
    removing.add_argument("name", metavar="NAME", help="the team")


def _fields(args: argparse.Namespace) -> dict[str, Any]:  # the types of Team's fields
    said: dict[str, Any] = {
        "contacts": None if args.contact is None else tuple(each for each in args.contact if each),
        "acceptance_days": args.acceptance_days,
    }
    return {name: value for name, value in said.items() if value is not None}


def _list(args: argparse.Namespace) -> int:
    from glovebox.cli.output import print_json, print_table, say

    teams = remote.connect(args).registry.teams()
    if args.json:
        print_json(
            [
                {"name": each.name, "contacts": each.contacts, "acceptanceDays": each.acceptance_days}
                for each in teams
            ]
        )
    elif teams:
        rows = [(each.name, ", ".join(each.contacts), each.acceptance_days) for each in teams]
        print_table(("team", "contacts", "acceptance days"), rows)
    else:
        say("No team. To put one on record: glovebox teams add NAME --contact '#channel'")
    return OK


def _add(args: argparse.Namespace) -> int:
    from glovebox.cli.output import say
    from glovebox.registry.model import Team

    remote.connect(args).registry.add_team(Team(name=args.name, **_fields(args)))
    say(f"The team {args.name} is on record. What it owns: glovebox owners add --team {args.name} --ou PATH")
    return OK


def _set(args: argparse.Namespace) -> int:
    from glovebox.cli.output import say
    from glovebox.errors import InputError

    values = _fields(args)
    if not values:
        raise InputError("Nothing to change was named.", fix="See glovebox teams set --help.")
    remote.connect(args).registry.change_team(args.name, **values)
    say(f"The team {args.name} is changed: {', '.join(sorted(values))}.")
    return OK


def _remove(args: argparse.Namespace) -> int:
    from glovebox.cli.output import say

    remote.connect(args).registry.remove_team(args.name)
    say(f"The team {args.name} is off record.")
    return OK
