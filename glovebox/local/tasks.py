"""What a task is asked to do, read from ECS's own answers: containers, their order, volumes and limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from glovebox.errors import ConfigurationError

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import (
        ContainerDefinitionOutputTypeDef,
        ContainerOverrideOutputTypeDef,
        TaskDefinitionTypeDef,
        TaskTypeDef,
    )

Condition = Literal["START", "COMPLETE", "SUCCESS", "HEALTHY"]


@dataclass(frozen=True, slots=True)
class Mount:
    volume: str
    path: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Dependency:
    container: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a task, with the overrides of its RunTask applied."""

    name: str
    image: str
    essential: bool
    entry_point: tuple[str, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    environment_files: tuple[str, ...]
    """ARNs of objects."""
    mounts: tuple[Mount, ...]
    depends_on: tuple[Dependency, ...]

    @property
    def arguments(self) -> tuple[str, ...]:
        """What its definition starts instead of the image's own program; empty where that is to run.

        An entry point takes the place of the image's, and its command with it; a command alone is for the
        image's own, which no container of ours has.
        """
        return (*self.entry_point, *self.command) if self.entry_point else ()

    def folder_of(self, path: str) -> str | None:
        """The volume that is mounted at `path`."""
        return next((mount.volume for mount in self.mounts if mount.path == path), None)


@dataclass(frozen=True, slots=True)
class Task:
    """One task as RunTask recorded it."""

    arn: str
    execution_role: str
    memory: int
    """Bytes for the whole task."""
    cpus: float
    volumes: tuple[str, ...]
    containers: tuple[Container, ...]

    @property
    def id(self) -> str:
        return self.arn.rsplit("/", 1)[-1]


def task_from(task: TaskTypeDef, definition: TaskDefinitionTypeDef) -> Task:
    """Raises ConfigurationError if the definition lost what a task cannot run without."""
    overrides = {
        override.get("name", ""): override
        for override in task.get("overrides", {}).get("containerOverrides", [])
    }
    made = Task(
        arn=task.get("taskArn", ""),
        execution_role=definition.get("executionRoleArn", ""),
        memory=int(task.get("memory", "512")) << 20,
        cpus=int(task.get("cpu", "256")) / 1024,
        volumes=tuple(volume.get("name", "") for volume in definition.get("volumes", [])),
        containers=tuple(
            _container(each, overrides.get(each.get("name", ""), {}))
            for each in definition.get("containerDefinitions", [])
        ),
    )
    names = {container.name for container in made.containers}
    for container in made.containers:
        unknown = {dependency.container for dependency in container.depends_on} - names
        unknown |= {mount.volume for mount in container.mounts} - set(made.volumes)
        if unknown:
            raise ConfigurationError(
                f"Container {container.name} refers to {sorted(unknown)}, which its task does not have.",
                fix="Volumes and dependsOn must be in the spelling of the ECS API: see adaptations.py.",
            )
    return made


def _container(
    definition: ContainerDefinitionOutputTypeDef, override: ContainerOverrideOutputTypeDef
) -> Container:
    environment = [*definition.get("environment", []), *override.get("environment", [])]
    files = [*definition.get("environmentFiles", []), *override.get("environmentFiles", [])]
    return Container(
        name=definition.get("name", ""),
        image=definition.get("image", ""),
        essential=definition.get("essential", True),
        entry_point=tuple(definition.get("entryPoint", [])),
        command=tuple(override.get("command", definition.get("command", []))),
        environment={pair.get("name", ""): pair.get("value", "") for pair in environment},
        environment_files=tuple(file["value"] for file in files),
        mounts=tuple(
            Mount(mount.get("sourceVolume", ""), mount.get("containerPath", ""), mount.get("readOnly", False))
            for mount in definition.get("mountPoints", [])
        ),
        depends_on=tuple(
            Dependency(each.get("containerName", ""), each.get("condition", "START"))
            for each in definition.get("dependsOn", [])
        ),
    )


def repository_of(image: str) -> str:
    """`name` of `registry/name:tag` and of `registry/name@sha256:…`."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def parse_environment_file(text: str) -> dict[str, str]:
    """One `NAME=value` a line, as ECS reads such files: no quotes, no expansion, `#` begins a comment line.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/use-environment-file.html
    """
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, separator, value in pairs if separator and name}


def startable(
    waiting: Iterable[Container], started: set[str], exits: Mapping[str, int]
) -> tuple[list[Container], str | None]:
    """Which containers may start now, and why one never will (its dependency ended badly)."""
    ready: list[Container] = []
    for container in waiting:
        states = [_met(dependency, started, exits) for dependency in container.depends_on]
        if None in states:
            failed = container.depends_on[states.index(None)].container
            return [], f"Container {container.name} cannot start: {failed} ended with {exits[failed]}."
        if all(states):
            ready.append(container)
    return ready, None


def _met(dependency: Dependency, started: set[str], exits: Mapping[str, int]) -> bool | None:
    """Whether it is met; `None` if it can never be."""
    name = dependency.container
    if dependency.condition in ("START", "HEALTHY"):
        return name in started
    if name not in exits:
        return False
    if dependency.condition == "SUCCESS" and exits[name] != 0:
        return None
    return True
