"""`glovebox targets`: the accounts and repositories that may be scanned."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glovebox.cli import remote, repository_targets
from glovebox.cli.actions import Actions, action, json_option
from glovebox.cli.exit_codes import OK
from glovebox.cli.repository_targets import is_repository

if TYPE_CHECKING:
    from glovebox.registry.importing import ImportPlan
    from glovebox.registry.model import Account, Repository
    from glovebox.registry.owners import Ownership
    from glovebox.registry.registry import Registry

COLUMNS = ("account", "name", "unit", "team", "regions", "state")
_ID = "the account's or repository's id"
SHOWN_CHANGES = 50
"""Accounts of an import that a terminal shows; --json has them all."""


def add_parser(subparsers: Actions[argparse.ArgumentParser]) -> None:
    """Declare the command, its actions and their options."""
    parser = subparsers.add_parser(
        "targets",
        help="the accounts and repositories that may be scanned",
        description="Keep the accounts and repositories that may be scanned.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = action(actions, "list", _list, help="list the targets with their owners")
    listing.add_argument("--team", metavar="TEAM", help="only those that this team owns")
    listing.add_argument("--unowned", action="store_true", help="only those that nobody owns")
    json_option(listing)
    adding = action(actions, "add", _add, help="put an account or a repository on record")
    adding.add_argument("id", metavar="ID", help=f"{_ID}: twelve digits, or github.com/acme/shop")
    _add_field_options(adding)
    setting = action(actions, "set", _set, help="change what is on record of a target")
    setting.add_argument("id", metavar="ID", help=_ID)
    _add_field_options(setting)
    switch = setting.add_mutually_exclusive_group()
    switch.add_argument("--enable", action="store_true", help="scan it again")
    switch.add_argument("--disable", action="store_true", help="do not scan it, whatever an import says")
    showing = action(actions, "show", _show, help="show a target, and why it is whose")
    showing.add_argument("id", metavar="ID", help=_ID)
    json_option(showing)
    removing = action(actions, "remove", _remove, help="take a target off record; its findings stay")
    removing.add_argument("id", metavar="ID", help=_ID)
    _add_import(actions)
    syncing = action(actions, "sync", _sync, help="bring in the repositories of the GitHub App")
    syncing.add_argument(
        "--force", action="store_true", help="even if it disables more than half of all repositories"
    )
    json_option(syncing)


def _add_import(actions: Actions[argparse.ArgumentParser]) -> None:
    parser = action(actions, "import", _import, help="bring accounts in, and show what changes")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--from-organizations", action="store_true", help="all of the AWS organization")
    source.add_argument(
        "--file", type=Path, metavar="CSV", help="those of a file; docs/registry.md has its form"
    )
    parser.add_argument(
        "--organizations-profile",
        metavar="NAME",
        help="AWS profile of the management account or a delegate, where it is not that of --profile",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would change")
    parser.add_argument(
        "--force", action="store_true", help="even if it disables more than half of all accounts"
    )
    json_option(parser)


def _add_field_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", metavar="TEXT", help="what people call it")
    parser.add_argument("--ou", metavar="PATH", help="organizational unit, such as Root/Prod/Payments")
    parser.add_argument("--tag", metavar="KEY=VALUE", action="append", help="a tag; may be repeated")
    parser.add_argument(
        "--scan-region", metavar="REGION", action="append", help="scan only this one; repeatable"
    )
    parser.add_argument("--team", metavar="TEAM", help="its owner, whatever the owner rules say")
    parser.add_argument(
        "--external-id", metavar="ID", help="its audit role's, where it is not the deployment's"
    )
    parser.add_argument(
        "--scanners", metavar="NAMES", help="of a repository: trivy,trufflehog,kingfisher, or some of them"
    )


def _fields(args: argparse.Namespace) -> dict[str, Any]:  # the types of Account's fields
    """What the options say; an empty text takes a value away.  Raises InputError for a repository's."""
    from glovebox.errors import InputError
    from glovebox.registry.model import parse_ou, parse_tag

    if args.scanners is not None:
        raise InputError("--scanners is of repositories.", fix="Accounts are scanned by Prowler.")

    said: dict[str, Any] = {
        "name": args.name,
        "team": args.team,
        "external_id": args.external_id,
        "ou": None if args.ou is None else parse_ou(args.ou),
        "tags": None if args.tag is None else dict(parse_tag(each) for each in args.tag if each),
        "regions": None if args.scan_region is None else tuple(each for each in args.scan_region if each),
    }
    return {name: value for name, value in said.items() if value is not None}


def _list(args: argparse.Namespace) -> int:
    from glovebox.cli.output import print_json, print_table, say

    registry = remote.connect(args).registry

    def wanted(owner: Ownership) -> bool:
        return (not args.team or owner.team == args.team) and not (args.unowned and owner.owned)

    accounts = [each for each in owned_accounts(registry) if wanted(each[1])]
    repositories = [each for each in owned_repositories(registry) if wanted(each[1])]
    if args.json:
        of_repositories = [repository_targets.as_json(*each) for each in repositories]
        print_json([*(as_json(*each) for each in accounts), *of_repositories])
        return OK
    if accounts:
        print_table(COLUMNS, [_row(*each) for each in accounts])
    if repositories:
        print_table(repository_targets.COLUMNS, [repository_targets.row(*each) for each in repositories])
    if not accounts and not repositories:
        say("No target. To bring some in: glovebox targets import --from-organizations --dry-run, "
            "or glovebox targets sync")  # fmt: skip
    return OK


def owned(registry: Registry) -> list[tuple[Account | Repository, Ownership]]:
    """Every target with its owner."""
    return [*owned_accounts(registry), *owned_repositories(registry)]


def owned_accounts(registry: Registry) -> list[tuple[Account, Ownership]]:
    """The rules are read once."""
    from glovebox.registry.owners import Subject, owner_of

    rules = registry.rules()
    return [(each, owner_of(Subject.of(each), rules)) for each in registry.accounts()]


def owned_repositories(registry: Registry) -> list[tuple[Repository, Ownership]]:
    """The rules and teams are read once."""
    from glovebox.registry.owners import Subject, owner_of

    rules, teams = registry.rules(), {each.name for each in registry.teams()}
    return [(each, owner_of(Subject.of(each), rules, teams)) for each in registry.repositories()]


def _row(account: Account, owner: Ownership) -> tuple[str, ...]:
    unit, team = "/".join(account.ou), owner.team or "–"
    return (account.id, account.name, unit, team, _regions(account), _state(account))


def as_json(account: Account, owner: Ownership) -> dict[str, object]:
    """An account as programs read it: all fields, also empty ones."""
    return {
        "id": account.id,
        "kind": "account",
        "name": account.name,
        "ou": "/".join(account.ou),
        "tags": account.tags,
        "regions": account.regions,
        "team": owner.team,
        "teamBecause": owner.because,
        "enabled": account.enabled,
        "disabledBecause": account.disabled.value if account.disabled else None,
        "externalId": account.external_id,
        "source": account.source.value,
    }


def _add(args: argparse.Namespace) -> int:
    from glovebox.cli.output import say
    from glovebox.registry.model import Account

    if is_repository(args.id):
        return repository_targets.add(args)
    account = Account(id=args.id, **_fields(args))
    remote.connect(args).registry.add(account)
    say(f"{account.id} is on record. It needs its audit role: docs/audit-role.md. "
        f"Then: glovebox scan account {account.id}")  # fmt: skip
    return OK


def _set(args: argparse.Namespace) -> int:
    from glovebox.cli.output import say
    from glovebox.errors import InputError
    from glovebox.registry.model import Disabled

    of_repository = is_repository(args.id)
    values = repository_targets.fields(args) if of_repository else _fields(args)
    if args.enable or args.disable:
        values["disabled"] = Disabled.BY_HAND if args.disable else None
    if not values:
        raise InputError("Nothing to change was named.", fix="See glovebox targets set --help.")
    registry = remote.connect(args).registry
    if of_repository:
        registry.change_repository(args.id.lower(), **values)
    else:
        registry.change(args.id, **values)
    say(f"{args.id} is changed: {', '.join(sorted(values))}.")
    return OK


def _show(args: argparse.Namespace) -> int:
    from glovebox.cli.output import print_json, print_table
    from glovebox.registry.owners import Subject

    if is_repository(args.id):
        return repository_targets.show(args)
    registry = remote.connect(args).registry
    account = registry.account(args.id)
    owner = registry.owner(Subject.of(account))
    if args.json:
        print_json(as_json(account, owner))
        return OK
    others = [(f"else {rule.team}", rule.name) for rule in owner.others]
    print_table(
        ("what", "value"),
        [
            ("account", account.id),
            ("name", account.name),
            ("unit", "/".join(account.ou)),
            ("tags", ", ".join(f"{key}={value}" for key, value in sorted(account.tags.items()))),
            ("regions", _regions(account)),
            ("external id", account.external_id or "the deployment's"),
            ("state", _state(account)),
            ("source", account.source.value),
            ("team", f"{owner.team or '–'} ({owner.because})"),
            *others,
        ],
    )
    return OK


def _remove(args: argparse.Namespace) -> int:
    from glovebox.cli.output import say

    registry = remote.connect(args).registry
    if is_repository(args.id):
        registry.remove_repository(args.id.lower())
        say(f"{args.id} is off record. Its findings stay; where the App is installed there, the next sync "
            "brings it back: to leave it out, disable it.")  # fmt: skip
        return OK
    registry.remove(args.id)
    say(f"{args.id} is off record. Its findings stay; its audit role is there until its stack is deleted.")
    return OK


def _import(args: argparse.Namespace) -> int:
    from glovebox.cli.output import print_json, say
    from glovebox.registry.spreadsheet import read_accounts

    there = remote.connect(args)
    if args.file is not None:
        plan = there.registry.plan_file(read_accounts(_content(args.file)))
    else:
        organization = there.organization_of(args.organizations_profile)
        plan = there.registry.plan_organization(organization.members())
    if args.json:
        print_json({**_plan_json(plan), "dryRun": args.dry_run})
    else:
        _show_plan(plan)
    if args.dry_run:
        say("Nothing was changed (--dry-run).")
    else:
        there.registry.carry_out(plan, force=args.force)
        say(f"Done: {len(list(plan.writes)):,} accounts written.")
    return OK


def _sync(args: argparse.Namespace) -> int:
    from glovebox.cli.output import print_json, print_table, say

    there = remote.connect(args)
    say("Asking GitHub for every repository of the App: up to five minutes.")
    done = there.sync_repositories(force=args.force)
    if args.json:
        print_json(done)
        return OK
    rows = repository_targets.changes(done)
    if rows:
        print_table(("", "repository", "what"), rows[:SHOWN_CHANGES])
    if len(rows) > SHOWN_CHANGES:
        say(f"… and {len(rows) - SHOWN_CHANGES:,} more; --json shows all.")
    say(repository_targets.summed(done))
    return OK


def _content(path: Path) -> bytes:
    from glovebox.errors import InputError
    from glovebox.registry.spreadsheet import MAX_BYTES

    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"The file cannot be read: {error}.", fix="Give a CSV file of accounts.") from error


def _show_plan(plan: ImportPlan) -> None:
    from glovebox.cli.output import print_table, say

    rows = [("+ added", each.id, each.name, "/".join(each.ou)) for each in plan.added]
    rows += [("~ changed", each.after.id, each.after.name, ", ".join(each.fields)) for each in plan.changed]
    rows += [("- vanished", each.after.id, each.after.name, "disabled, kept") for each in plan.vanished]
    rows += [("  left out", each.id, each.name, each.reason) for each in plan.left_out]
    if rows:
        print_table(("", "account", "name", "what"), rows[:SHOWN_CHANGES])
    if len(rows) > SHOWN_CHANGES:
        say(f"… and {len(rows) - SHOWN_CHANGES:,} more; --json shows all.")
    say(
        f"{len(plan.added):,} added, {len(plan.changed):,} changed, {len(plan.vanished):,} vanished, "
        f"{len(plan.left_out):,} left out, {plan.unchanged:,} as they were."
    )


def _plan_json(plan: ImportPlan) -> dict[str, object]:
    def changed(before: Account, after: Account, fields: list[str]) -> dict[str, object]:
        return {"id": after.id, "fields": fields, "before": before, "after": after}

    return {
        "added": plan.added,
        "changed": [changed(each.before, each.after, each.fields) for each in plan.changed],
        "vanished": [changed(each.before, each.after, each.fields) for each in plan.vanished],
        "leftOut": plan.left_out,
        "unchanged": plan.unchanged,
    }


def _regions(account: Account) -> str:
    return ", ".join(account.regions) or "the deployment's"


def _state(account: Account) -> str:
    return "enabled" if account.disabled is None else f"disabled: {account.disabled.value}"
