"""`glovebox owners`: rules that say whose a target is."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from glovebox.cli import remote
from glovebox.cli.actions import Actions, action, json_option
from glovebox.cli.exit_codes import OK

if TYPE_CHECKING:
    from glovebox.registry.owners import By, Subject
    from glovebox.registry.registry import Registry


def add_parser(subparsers: Actions[argparse.ArgumentParser]) -> None:
    """Declare the command, its actions and their options."""
    parser = subparsers.add_parser(
        "owners",
        help="rules that say whose a target is",
        description="Keep the rules that say whose a target is. The most specific one wins.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    json_option(action(actions, "list", _list, help="list the rules"))
    adding = action(actions, "add", _add, help="give what a rule matches to a team")
    adding.add_argument("--team", metavar="TEAM", required=True, help="whose it shall be")
    _add_selectors(adding)
    _add_selectors(action(actions, "remove", _remove, help="take a rule back"))
    explaining = action(actions, "explain", _explain, help="say whose a target is, and why")
    what = explaining.add_mutually_exclusive_group(required=True)
    what.add_argument("--account", metavar="ID", help="an account on record")
    what.add_argument("--repository", metavar="NAME", help="such as acme/shop")
    json_option(explaining)


def _add_selectors(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--account", metavar="ID", help="this account")
    group.add_argument("--ou", metavar="PATH", help="a unit and all below it, such as Root/Prod")
    group.add_argument("--tag", metavar="KEY[=VALUE]", help="accounts with this tag")
    group.add_argument("--repository", metavar="PATTERN", help="repositories, such as acme/pay-*")


def _selector(args: argparse.Namespace) -> tuple[By, str]:
    from glovebox.registry.owners import By

    [by] = [each for each in By if getattr(args, each.value) is not None]
    return by, getattr(args, by.value)


def _list(args: argparse.Namespace) -> int:
    from glovebox.cli.output import print_json, print_table, say

    rules = remote.connect(args).registry.rules()
    if args.json:
        print_json(rules)
    elif rules:
        print_table(("by", "value", "team"), [(each.by.value, each.value, each.team) for each in rules])
    else:
        say("No rule. To make one: glovebox owners add --team TEAM --ou Root/Prod")
    return OK


def _add(args: argparse.Namespace) -> int:
    from glovebox.cli.output import say
    from glovebox.registry.owners import OwnerRule

    by, value = _selector(args)
    rule = OwnerRule(by=by, value=value, team=args.team)
    remote.connect(args).registry.add_rule(rule)
    say(f"{rule.name} belongs to {rule.team}.")
    return OK


def _remove(args: argparse.Namespace) -> int:
    from glovebox.cli.output import say
    from glovebox.registry.owners import require_selector

    by, value = _selector(args)
    require_selector(by, value)
    remote.connect(args).registry.remove_rule(by, value)
    say(f"The rule for {by.value}:{value} is gone.")
    return OK


def _repository(registry: Registry, name: str) -> Subject:
    """As it is on record, with its host or without; else by its name alone."""
    from glovebox.registry.owners import Subject

    lowered = name.lower()
    for each in registry.repositories():
        if lowered in (each.id, each.id.partition("/")[2]):
            return Subject.of(each)
    return Subject(repository=name)


def _explain(args: argparse.Namespace) -> int:
    from glovebox.cli.output import print_json, print_table
    from glovebox.registry.owners import Subject

    registry = remote.connect(args).registry
    if args.account is not None:
        subject = Subject.of(registry.account(args.account))
    else:
        subject = _repository(registry, args.repository)
    owner = registry.owner(subject)
    if args.json:
        print_json(owner)
        return OK
    rows = [(owner.team or "–", owner.because), *((f"else {each.team}", each.name) for each in owner.others)]
    print_table(("team", "because"), rows)
    return OK
