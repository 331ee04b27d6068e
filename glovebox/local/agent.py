"""The container agent: does for the emulator's tasks what Fargate does in AWS, over public calls alone.

It lists new tasks, reads their definition, fetches their environment files as the execution role,
runs their containers in `dependsOn` order with volumes as folders, and stops the task with its
reason.  The exit codes travel in the "ECS Task State Change" event, as in AWS; the emulator's own
record of a stopped task has none of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError

from glovebox.errors import ConfigurationError, GloveboxError
from glovebox.local.aws import Credentials, LocalAws
from glovebox.local.engines import Engine, Place
from glovebox.local.events import EventSender
from glovebox.local.tasks import (
    Container,
    Task,
    parse_environment_file,
    repository_of,
    startable,
    task_from,
)

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

    from glovebox.local.adaptations import Object

POLL_SECONDS = 0.2
"""A list of tasks costs the emulator eight milliseconds."""
SHUTDOWN_SECONDS = 15.0
"""For all tasks to be ended side by side: a supervisor takes two seconds at most."""

StopCode = Literal["EssentialContainerExited", "TaskFailedToStart", "UserInitiated"]
MAX_TASKS = 4
"""At once: Fargate has a machine for each, here they share one. The others wait for their turn."""
SCANNER = "scanner"
"""The container of each task that is not ours to trust."""
KILLED = 137
"""What ECS shows for a container that was stopped before it ended: 128 + SIGKILL."""


@dataclass(slots=True)
class Running:
    """A task that the agent has taken on."""

    task: Task
    folder: Path
    stop: threading.Event = field(default_factory=threading.Event)
    exits: dict[str, int] = field(default_factory=dict)

    def volume(self, name: str) -> Path:
        return self.folder / "volumes" / name


@dataclass(frozen=True, slots=True)
class Ending:
    code: StopCode
    reason: str


_STOPPED = Ending("UserInitiated", "The task was stopped.")


class Agent:
    """Runs the tasks of one cluster until it is closed."""

    def __init__(
        self,
        aws: LocalAws,
        cluster: str,
        engine: Engine,
        folder: Path,
        *,
        images: Mapping[str, str] = {},
        keep: bool = False,
    ) -> None:
        """`images`: repository → what its image is called here."""
        self._aws = aws
        self._cluster = cluster
        self.engine = engine
        self._folder = folder
        self._images = images
        self.keep = keep
        self._closing = threading.Event()
        self._running: dict[str, Running] = {}
        self._threads: list[threading.Thread] = []
        self._problems: dict[str, None] = {}
        self._slots = threading.BoundedSemaphore(MAX_TASKS)

    @property
    def running(self) -> list[Running]:
        return list(self._running.values())

    @property
    def problems(self) -> list[str]:
        """What the agent itself could not do; the tasks' own failures are in their events."""
        return list(self._problems)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Take on tasks while the block runs; at its end every container is ended."""
        watcher = threading.Thread(target=self._watch, name="container-agent")
        watcher.start()
        try:
            yield
        finally:
            self._closing.set()
            watcher.join(SHUTDOWN_SECONDS)
            for running in self.running:
                running.stop.set()
            for thread in self._threads:
                thread.join(SHUTDOWN_SECONDS)

    def _watch(self) -> None:
        ecs = self._aws.client("ecs")
        known: set[str] = set()
        while not self._closing.wait(POLL_SECONDS):
            try:
                alive = set(_list_tasks(ecs, self._cluster))
                for arn in alive - known:
                    known.add(arn)
                    self._take_on(ecs, arn)
            except (BotoCoreError, ClientError, GloveboxError) as error:
                self._problems[str(error)] = None
                continue
            for arn, running in list(self._running.items()):
                if arn not in alive:
                    running.stop.set()

    def _take_on(self, ecs: ECSClient, arn: str) -> None:
        described = ecs.describe_tasks(cluster=self._cluster, tasks=[arn])["tasks"][0]
        definition = ecs.describe_task_definition(taskDefinition=described.get("taskDefinitionArn", ""))[
            "taskDefinition"
        ]
        try:
            task = task_from(described, definition)
        except ConfigurationError as error:
            ecs.stop_task(cluster=self._cluster, task=arn, reason=error.reason[:255])
            raise
        running = Running(task, self._folder / task.id)
        self._running[arn] = running
        # Not a daemon: its children follow the thread that started them, and must not lose it first.
        thread = threading.Thread(target=self._run, args=(running,), name=f"task-{task.id[:8]}")
        self._threads.append(thread)
        thread.start()

    def _run(self, running: Running) -> None:
        """One task, from its turn to its last event."""
        ecs = self._aws.client("ecs")
        sender = EventSender.on(self._aws)
        try:
            with self._turn(running) as granted:
                ending = self._attempt(ecs, sender, running) if granted else _STOPPED
            if not self._closing.is_set():
                ecs.stop_task(cluster=self._cluster, task=running.task.arn, reason=ending.reason[:255])
                self._tell(ecs, sender, running, ending)
        except (BotoCoreError, ClientError, GloveboxError) as error:
            self._problems[str(error)] = None
        finally:
            del self._running[running.task.arn]
            self.engine.left(running.task)
            if not self.keep:
                remove(running.folder)

    @contextmanager
    def _turn(self, running: Running) -> Iterator[bool]:
        """Wait for a place; false if the task was stopped before it got one."""
        while not self._slots.acquire(timeout=POLL_SECONDS):
            if running.stop.is_set():
                yield False
                return
        try:
            yield True
        finally:
            self._slots.release()

    def _attempt(self, ecs: ECSClient, sender: EventSender, running: Running) -> Ending:
        try:
            self._prepare(running)
            environments = self._environments(running.task)
            self._tell(ecs, sender, running, None)
            return self._run_containers(running, environments)
        except (BotoCoreError, ClientError, OSError) as error:
            return Ending("TaskFailedToStart", f"ResourceInitializationError: {error}")

    def _prepare(self, running: Running) -> None:
        running.folder.mkdir(parents=True, mode=0o700)
        for name in running.task.volumes:
            running.volume(name).mkdir(parents=True)
        for container in running.task.containers:
            (running.folder / container.name).mkdir()

    def _environments(self, task: Task) -> dict[str, dict[str, str]]:
        """Each container's environment; files are fetched by the execution role, as ECS does it."""
        storage = self._as_execution_role(task).client("s3")
        environments = {}
        for container in task.containers:
            environment = dict(container.environment)
            for arn in container.environment_files:
                bucket, _, key = arn.removeprefix("arn:aws:s3:::").partition("/")
                body = storage.get_object(Bucket=bucket, Key=key)["Body"].read()
                environment |= parse_environment_file(body.decode())
            environments[container.name] = environment
        return environments

    def _as_execution_role(self, task: Task) -> LocalAws:
        session = self._aws.client("sts").assume_role(RoleArn=task.execution_role, RoleSessionName=task.id)
        keys = session["Credentials"]
        return self._aws.acting_as(
            Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        )

    def _run_containers(self, running: Running, environments: dict[str, dict[str, str]]) -> Ending:
        waiting = list(running.task.containers)
        alive: dict[str, tuple[Place, subprocess.Popen[bytes]]] = {}
        try:
            while True:
                ready, impossible = startable(waiting, set(alive) | set(running.exits), running.exits)
                if impossible:
                    return Ending("TaskFailedToStart", impossible)
                for container in ready:
                    waiting.remove(container)
                    place = self._place(running, container, environments[container.name])
                    alive[container.name] = place, self._start(running, place)
                ended = self._wait(running, alive)
                if ended is None:
                    return _STOPPED
                place, process = alive.pop(ended)
                running.exits[ended] = self.engine.end(place, process)
                if place.container.essential:
                    return Ending("EssentialContainerExited", "Essential container in task exited")
        finally:
            for name, (place, process) in alive.items():
                self.engine.end(place, process)
                running.exits[name] = KILLED

    def _place(self, running: Running, container: Container, environment: dict[str, str]) -> Place:
        return Place(
            task=running.task,
            container=container,
            image=self._image(container),
            scanner=next((self._image(each) for each in running.task.containers if each.name == SCANNER), ""),
            volumes={name: running.volume(name) for name in running.task.volumes},
            environment=environment,
            folder=running.folder / container.name,
            authority=self._aws.authority,
            endpoint=self._aws.endpoint,
        )

    def _image(self, container: Container) -> str:
        return self._images.get(repository_of(container.image), container.name)

    def _start(self, running: Running, place: Place) -> subprocess.Popen[bytes]:
        with (running.folder / f"{place.container.name}.log").open("wb") as log:
            return self.engine.start(place, log)

    @staticmethod
    def _wait(running: Running, alive: dict[str, tuple[Place, subprocess.Popen[bytes]]]) -> str | None:
        """The name of a container that has ended, or `None` once the task is to stop."""
        while not running.stop.is_set():
            for name, (_, process) in alive.items():
                if process.poll() is not None:
                    return name
            running.stop.wait(0.05)
        return None

    def _tell(self, ecs: ECSClient, sender: EventSender, running: Running, ending: Ending | None) -> None:
        """Send the event that ECS sends when a task changes its state."""
        described = ecs.describe_tasks(cluster=self._cluster, tasks=[running.task.arn])["tasks"][0]
        detail: Object = {
            "taskArn": running.task.arn,
            "clusterArn": described.get("clusterArn", ""),
            "taskDefinitionArn": described.get("taskDefinitionArn", ""),
            "group": described.get("group", ""),
            "startedBy": described.get("startedBy", ""),
            "launchType": described.get("launchType", "FARGATE"),
            "lastStatus": "STOPPED" if ending else "RUNNING",
            "desiredStatus": "STOPPED" if ending else "RUNNING",
            "createdAt": _moment(described.get("createdAt")),
            "startedAt": _moment(described.get("startedAt")),
            "version": described.get("version", 1),
            "containers": [
                self._container_detail(container, running) for container in running.task.containers
            ],
        }
        if ending:
            detail |= {
                "stopCode": ending.code,
                "stoppedReason": described.get("stoppedReason") or ending.reason,
                "stoppedAt": _moment(described.get("stoppedAt")),
            }
        sender.send("aws.ecs", "ECS Task State Change", [running.task.arn], detail)

    @staticmethod
    def _container_detail(container: Container, running: Running) -> Object:
        """A container that never ran has no exit code, as in AWS."""
        detail: Object = {"name": container.name, "image": container.image, "taskArn": running.task.arn}
        if container.name in running.exits:
            return detail | {"lastStatus": "STOPPED", "exitCode": running.exits[container.name]}
        return detail | {"lastStatus": "PENDING"}


def remove(folder: Path) -> None:
    """Delete a task's folder, also what its containers made unwritable: snapshots hold others' secrets."""
    for place, folders, _ in os.walk(folder):
        for each in (Path(place, name) for name in folders):
            with suppress(OSError):  # The engines' users own some; those go with their engine's rights.
                if not each.is_symlink():
                    each.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _moment(time: datetime | None) -> str:
    return time.isoformat() if time else ""


def _list_tasks(ecs: ECSClient, cluster: str) -> Iterator[str]:
    for page in ecs.get_paginator("list_tasks").paginate(cluster=cluster, desiredStatus="RUNNING"):
        yield from page["taskArns"]
