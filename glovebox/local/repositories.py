"""The repositories that the local cloud scans: folders of this machine, under the names of a host's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glovebox.adapters.dynamodb_targets import DynamoTargets
from glovebox.adapters.secrets import AwsSafe
from glovebox.errors import InputError
from glovebox.local.aws import ACCOUNT, LocalAws
from glovebox.local.deployment import Deployment
from glovebox.local.functions import invoked, set_variables
from glovebox.local.github import AppKey, HostedRepository, LookAlike
from glovebox.local.sample_repositories import OWNER, TEAM, PlantedSecrets, write_samples
from glovebox.registry.model import Team
from glovebox.registry.registry import Registry
from glovebox.scans.repositories import REPOSITORY_ID
from glovebox.services.github_app import put_app

HOST = "github.com"
"""As which the look-alike answers: ids begin with it."""
FOLDERS_OWNER = "local"
"""Whose the user's own folders are."""


@dataclass(frozen=True, slots=True)
class Repositories:
    """What the look-alike serves."""

    folders: Mapping[str, Path]
    """`owner/name` → working tree."""
    planted: PlantedSecrets | None = None
    """Of the samples."""

    @property
    def ids(self) -> list[str]:
        return [f"{HOST}/{name}" for name in self.folders]

    @contextmanager
    def hosted(self, aws: LocalAws, deployment: Deployment) -> Iterator[LookAlike]:
        """Serve them while the block runs, to a deployment that has the App's key and them on record.

        Raises UpstreamError where they cannot be put on record.
        """
        app = AppKey.made()
        numbered = enumerate(self.folders.items(), 1)
        host = LookAlike(
            app, {name: HostedRepository(number=number, files=place) for number, (name, place) in numbered}
        )
        registry = Registry(
            DynamoTargets(aws.client("dynamodb"), deployment.output("RegistryTable")), ACCOUNT
        )
        for team in self.teams:
            registry.add_team(Team(name=team))
        with host.serving() as api:
            snapshot = deployment.output("SnapshotFunction")
            secret = AwsSafe(aws.client("secretsmanager"), deployment.output("GitHubAppSecret"))
            put_app(secret, app.id, app.private_key)
            set_variables(aws, snapshot, {"GITHUB_API": api})
            invoked(aws, snapshot, b'{"sync": true}', what="snapshot")
            yield host

    @property
    def teams(self) -> tuple[str, ...]:
        """Whom their CODEOWNERS name."""
        return (TEAM,) if self.planted else ()


def samples(folder: Path) -> Repositories:
    """Write those that are here where none is given."""
    folders, planted = write_samples(folder)
    return Repositories({f"{OWNER}/{each.name}": each for each in folders}, planted)


def given(paths: Sequence[Path]) -> Repositories:
    """Folders of the user's, each under its own name.  Raises InputError for what cannot be served."""
    folders: dict[str, Path] = {}
    for path in paths:
        folder = _folder(path)
        name = f"{FOLDERS_OWNER}/{folder.name.lower()}"
        if REPOSITORY_ID.fullmatch(f"{HOST}/{name}") is None:
            raise InputError(
                f"A repository cannot be called {folder.name!r}.",
                fix="Give a folder whose name has letters, digits, dots, hyphens and underscores.",
            )
        if name in folders:
            raise InputError(
                f"Two folders would be the repository {name}: {folders[name]} and {folder}.",
                fix="Rename one, or scan one after the other.",
            )
        folders[name] = folder
    return Repositories(folders)


def _folder(path: Path) -> Path:
    fix = "Give the folder of a repository's working tree."
    if not path.is_dir():
        what = "is no folder" if path.exists() else "is not there"
        raise InputError(f"The repository {path} {what}.", fix=fix)
    folder = path.resolve()
    if not os.access(folder, os.R_OK | os.X_OK):
        raise InputError(f"The repository {path} cannot be read.", fix=fix)
    if not any(each.name != ".git" for each in folder.iterdir()):
        raise InputError(f"The repository {path} has no files.", fix="Check out a branch, or give another.")
    return folder
