"""What `glovebox targets` says and changes of repositories."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from glovebox.cli import remote
from glovebox.cli.exit_codes import OK

if TYPE_CHECKING:
    from glovebox.registry.model import Repository
    from glovebox.registry.owners import Ownership
    from glovebox.services.repository_sync import Synced

COLUMNS = ("repository", "team", "scanners", "branch", "state")
_OF_ACCOUNTS = ("name", "ou", "tag", "scan_region", "external_id")


def is_repository(target_id: str) -> bool:
    """Whether the id is rather a repository's than an account's; it may be neither."""
    return "/" in target_id


def fields(args: argparse.Namespace) -> dict[str, Any]:  # the types of Repository's fields
    """What the options say.  Raises InputError for those of accounts."""
    from glovebox.errors import InputError

    for name in _OF_ACCOUNTS:
        if getattr(args, name) is not None:
            raise InputError(
                f"--{name.replace('_', '-')} is of accounts.", fix="A repository has --team and --scanners."
            )
    said: dict[str, Any] = {
        "team": args.team,
        "scanners": None
        if args.scanners is None
        else tuple(dict.fromkeys(each.strip() for each in args.scanners.split(",") if each.strip())),
    }
    return {name: value for name, value in said.items() if value is not None}


def add(args: argparse.Namespace) -> int:
    from glovebox.cli.output import say
    from glovebox.registry.model import Repository

    # Hosts do not tell capitals apart, and the registry has none.
    repository = Repository(id=args.id.lower(), **fields(args))
    remote.connect(args).registry.add_repository(repository)
    say(f"{repository.id} is on record. The GitHub App must be installed there: docs/deploy.md. "
        f"Then: glovebox scan repository {repository.id}")  # fmt: skip
    return OK


def show(args: argparse.Namespace) -> int:
    from glovebox.cli.output import print_json, print_table
    from glovebox.registry.owners import Subject

    registry = remote.connect(args).registry
    repository = registry.repository(args.id.lower())
    owner = registry.owner(Subject.of(repository))
    if args.json:
        print_json(as_json(repository, owner))
        return OK
    others = [(f"else {rule.team}", rule.name) for rule in owner.others]
    print_table(
        ("what", "value"),
        [
            ("repository", repository.id),
            ("scanners", _scanners(repository)),
            ("branch", repository.default_branch or "–"),
            ("private", "yes" if repository.private else "no"),
            ("topics", ", ".join(repository.topics)),
            ("code owners of everything", ", ".join(repository.codeowners)),
            ("state", state(repository)),
            ("source", repository.source.value),
            ("team", f"{owner.team or '–'} ({owner.because})"),
            *others,
        ],
    )
    return OK


def changes(done: Synced) -> list[tuple[str, str, str]]:
    """Of a sync: what happened, to which repository, and more about it."""
    return [
        *(("+ added", each, "") for each in done.added),
        *(("~ changed", each.id, ", ".join(each.fields)) for each in done.changed),
        *(("- vanished", each, "disabled, kept") for each in done.vanished),
        *(("  left out", each.id, each.reason) for each in done.left_out),
    ]


def summed(done: Synced) -> str:
    return (
        f"{len(done.added):,} added, {len(done.changed):,} changed, {len(done.vanished):,} vanished, "
        f"{len(done.left_out):,} left out, {done.unchanged:,} as they were."
    )


def row(repository: Repository, owner: Ownership) -> tuple[str, ...]:
    """In the order of `COLUMNS`."""
    scanners = _scanners(repository)
    return (repository.id, owner.team or "–", scanners, repository.default_branch or "–", state(repository))


def as_json(repository: Repository, owner: Ownership) -> dict[str, object]:
    """A repository as programs read it: all fields, also empty ones."""
    return {
        "id": repository.id,
        "kind": "repository",
        "scanners": repository.scanners,
        "defaultBranch": repository.default_branch,
        "private": repository.private,
        "archived": repository.archived,
        "topics": repository.topics,
        "codeowners": repository.codeowners,
        "team": owner.team,
        "teamBecause": owner.because,
        "enabled": repository.enabled,
        "disabledBecause": repository.disabled.value if repository.disabled else None,
        "source": repository.source.value,
    }


def state(repository: Repository) -> str:
    if repository.disabled is not None:
        return f"disabled: {repository.disabled.value}"
    return "enabled, archived" if repository.archived else "enabled"


def _scanners(repository: Repository) -> str:
    return ", ".join(repository.scanners) or "the deployment's"
