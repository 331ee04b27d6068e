"""Running one container: with Podman or Docker, or as a local process under limits.

docs/local-cloud.md says what each of them holds and does not hold.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Literal, Protocol

from glovebox.closure import fingerprint, image_files
from glovebox.errors import ConfigurationError
from glovebox.local import processes
from glovebox.local.aws import clean_environment
from glovebox.local.scanner_tools import (
    CACHE_VARIABLE,
    PROWLER,
    THREADS,
    TRIVY,
    UPSTREAM,
    Tools,
    write_program,
)
from glovebox.local.tasks import Container, Mount, Task

EngineName = Literal["auto", "podman", "docker", "process"]
IN = "/glovebox/in"
OUT = "/glovebox/out"
IMAGE_TAG = "local"
SOURCES_LABEL = "glovebox.sources"
"""Fingerprint of the files that an image was built from, so that a stale image is never run."""
PROBE_SECONDS = 10
"""A Docker client waits long for a daemon that hangs."""

SOURCED = "environment"
"""What the inlet writes for the scanner's shell (containers/inlet/account.py)."""
IN_SCRATCH = "/tmp"  # noqa: S108  where a scanner's task definition mounts its own
IMAGES = ("inlet", "siteaudit", "outlet")
"""Ours that `glovebox up` runs; the entry point of each is `python -m containers.<image>`."""

OPEN_FILES = 4_096
"""The auditor holds 100 sites at once, with at most a few connections each."""
FILE_BYTES = 256 << 20
"""Four times the largest report that an upload admits."""
CPU_SECONDS = 3_600
"""A task has a deadline of its own; this ends a loop that nobody watches."""
PROCESSES = 64
"""Threads count as well; the auditor needs a handful."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one container of one task runs on this machine."""

    task: Task
    container: Container
    image: str
    """What its image is called here: one of ours, or an upstream scanner's."""
    scanner: str
    """The same of the task's scanner."""
    volumes: Mapping[str, Path]
    environment: Mapping[str, str]
    """Of the definition, the override and the environment files."""
    folder: Path
    """Its own, for temporary files."""
    authority: Path
    endpoint: str
    """The emulator's address, and whom to trust about it."""

    @property
    def upstream(self) -> bool:
        """Whether somebody else's image is to run, with a program of the task definition's own."""
        return self.image in UPSTREAM


class Engine(Protocol):
    """Runs containers and says what it is."""

    @property
    def name(self) -> str: ...

    def start(self, place: Place, output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start it; the process ends with the container's exit code."""
        ...

    def end(self, place: Place, process: subprocess.Popen[bytes]) -> int:
        """Stop it if it still runs, leave nothing behind, and give its exit code."""
        ...

    def left(self, task: Task) -> None:
        """The task has ended: what was kept for it is free."""
        ...


def _trust(place: Place, authority: str) -> dict[str, str]:
    """Whoever was handed an address of the local cloud must trust its authority; the scanner was not."""
    if not place.container.environment_files:
        return {}
    return {"SSL_CERT_FILE": authority, "REQUESTS_CA_BUNDLE": authority}


@dataclass(frozen=True, slots=True)
class ProcessEngine:
    """Each container as a local process: environment, folders and limits of its own, the user's rights."""

    checkout: Path
    commands: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Image or container → another command than its own: the tests' hostile scanners."""
    tools: Tools = field(default_factory=Tools)

    @property
    def name(self) -> str:
        return "local processes"

    def start(self, place: Place, output: IO[bytes]) -> subprocess.Popen[bytes]:
        for mount in place.container.mounts:
            _set_writable(place.volumes[mount.volume], writable=not mount.read_only)
        return processes.start(
            command_of(place, self.commands, sys.executable),
            environment=clean_environment(
                {
                    "HOME": str(place.folder),
                    "TMPDIR": str(place.folder),
                    "PYTHONPATH": str(self.checkout),
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "GLOVEBOX_IN": self._folder(place, IN),
                    "GLOVEBOX_OUT": self._folder(place, OUT),
                    **_trust(place, str(place.authority)),
                    **(self._for_upstream(place) if place.upstream else {}),
                    **place.environment,
                }
            ),
            folder=place.folder,
            output=output,
            limits=processes.Limits(
                data=place.task.memory,
                files=OPEN_FILES,
                file_bytes=FILE_BYTES,
                cpu_seconds=CPU_SECONDS,
                processes=THREADS if place.upstream else PROCESSES,
            ),
        )

    def _for_upstream(self, place: Place) -> dict[str, str]:
        """No gateway stands here, so whoever asks AWS is led to the emulator."""
        scanner, tools = place.image, self.tools
        command = tools.command(
            scanner,
            python=tools.python(scanner, sys.executable),
            code=(str(self.checkout),),
            place=str(tools.place(scanner)) if scanner in tools.real else "",
        )
        programs = write_program(place.folder / "bin", scanner, command)
        return {
            "PATH": os.pathsep.join((str(programs), clean_environment()["PATH"])),
            "TMPDIR": self._folder(place, IN_SCRATCH),
            **({"AWS_ENDPOINT_URL": place.endpoint} if scanner == PROWLER else {}),
            **({CACHE_VARIABLE: str(tools.trivy_cache)} if scanner == TRIVY and tools.trivy_cache else {}),
        }

    def end(self, place: Place, process: subprocess.Popen[bytes]) -> int:
        return processes.end(process)

    def left(self, task: Task) -> None:
        """Nothing is kept."""

    @staticmethod
    def _folder(place: Place, path: str) -> str:
        """The volume's folder, or one that does not exist for a container that may not see it."""
        volume = place.container.folder_of(path)
        return str(place.volumes[volume] if volume else place.folder / "not-mounted")


def command_of(place: Place, commands: Mapping[str, Sequence[str]], python: str) -> Sequence[str]:
    """What to start: a test's own, the task definition's, or the image's."""
    container = place.container
    own = commands.get(place.image) or commands.get(container.name) or container.arguments
    return own or (python, "-m", f"containers.{place.image}")


def _set_writable(folder: Path, *, writable: bool) -> None:
    """Mode bits of a volume; the containers that wrote into it have ended. Never follows a link."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            continue
        mode = path.stat().st_mode & 0o777
        path.chmod(mode | 0o222 if writable else mode & ~0o222)


def _out_of_container(place: Place) -> Place:
    """For a process what a container wrote for a container: files name each other by the volume's path."""
    volume = place.container.folder_of(IN)
    if volume is None:
        return place
    copied = place.folder / Path(IN).name
    shutil.copytree(place.volumes[volume], copied)
    told = copied / SOURCED
    if told.exists():
        text = told.read_text(encoding="utf-8").replace(f"{IN}/", f"{copied}/")
        told.unlink()
        told.write_text(text, encoding="utf-8")
    return replace(place, volumes={**place.volumes, volume: copied})


def _set_readable(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o777 | 0o444)


@dataclass(frozen=True, slots=True)
class ContainerEngine:
    """Podman or Docker, with the limits that Fargate would set."""

    tool: Literal["podman", "docker"]
    beside: ProcessEngine
    """Runs what others' images would: those are not built here."""

    @property
    def name(self) -> str:
        return self.tool

    def start(self, place: Place, output: IO[bytes]) -> subprocess.Popen[bytes]:
        if place.upstream:
            return self.beside.start(_out_of_container(place), output)
        for mount in place.container.mounts:
            # The images' user is not ours; the folder above is closed to everybody else.
            place.volumes[mount.volume].chmod(0o777)
        trust = _trust(place, "/glovebox/authority.pem")
        environment = {**trust, **place.environment}
        # The values go through our own environment: an argument could be read by every user of the machine.
        command = [
            *self._limits(place),
            *(f"--env={name}" for name in environment),
            *(_volume(place.volumes[mount.volume], mount) for mount in place.container.mounts),
            *([f"--volume={place.authority}:/glovebox/authority.pem:ro"] if trust else []),
            image_name(place.image),
        ]  # fmt: skip
        return processes.start(
            command,
            environment={**_client_environment(), **environment},
            folder=place.folder,
            output=output,
        )

    def _limits(self, place: Place) -> list[str]:
        return [
            self.tool, "run", "--rm", "--name", _container_name(place),
            "--pull=never", "--network=host", "--read-only", "--tmpfs=/tmp",
            "--cap-drop=ALL", "--security-opt=no-new-privileges",
            f"--memory={place.task.memory}", f"--cpus={place.task.cpus}", f"--pids-limit={PROCESSES}",
            f"--ulimit=nofile={OPEN_FILES}:{OPEN_FILES}",
            # Named, because the engines' own default is more than a sandboxed root may set.
            f"--ulimit=nproc={OPEN_FILES}:{OPEN_FILES}",
        ]  # fmt: skip

    def end(self, place: Place, process: subprocess.Popen[bytes]) -> int:
        code = processes.end(process)
        if place.upstream:
            # What a process of ours wrote is for the images' user, too.
            for mount in place.container.mounts:
                _set_readable(place.volumes[mount.volume])
            return code
        # The client's end is not the container's.
        subprocess.run(
            [self.tool, "rm", "--force", _container_name(place)],
            env=_client_environment(),
            capture_output=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
        return code

    def left(self, task: Task) -> None:
        """Nothing is kept."""


def _client_environment() -> dict[str, str]:
    """What an engine's client needs to find its engine and its store, and nothing else of ours."""
    kept = ("PATH", "HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST", "CONTAINER_HOST")
    return clean_environment({name: os.environ[name] for name in kept if name in os.environ})


def _volume(folder: Path, mount: Mount) -> str:
    return f"--volume={folder}:{mount.path}:{'ro' if mount.read_only else 'rw'}"


def image_name(image: str) -> str:
    """The name of an image as built on this machine."""
    return f"localhost/glovebox/{image}:{IMAGE_TAG}"


def _container_name(place: Place) -> str:
    return f"glovebox-{place.task.id}-{place.container.name}"


def choose_engine(
    wanted: EngineName, checkout: Path, *, tools: Tools | None = None
) -> tuple[Engine, list[str]]:
    """The engine to use, and why not each better one.

    Raises:
        ConfigurationError: the one that was asked for cannot be used.
    """
    reasons: list[str] = []
    processes_here = ProcessEngine(checkout, tools=tools or Tools())
    for tool in ("podman", "docker") if wanted == "auto" else (wanted,):
        if tool == "process" or tool == "auto":
            break
        lacking = _lacking(tool, checkout)
        if lacking is None:
            return ContainerEngine(tool, processes_here), reasons
        reasons.append(f"{tool}: {lacking}")
    if wanted in ("podman", "docker"):
        raise ConfigurationError(f"{reasons[0]}.", fix="Run with --engine process, or leave --engine away.")
    return processes_here, reasons


def _lacking(tool: Literal["podman", "docker"], checkout: Path) -> str | None:
    """What keeps this engine from running our images, or `None`."""
    if shutil.which(tool) is None:
        return "not installed"
    for image in IMAGES:
        try:
            probe = subprocess.run(
                [tool, "image", "inspect", "--format={{json .Config.Labels}}", image_name(image)],
                env=_client_environment(),
                capture_output=True,
                text=True,
                timeout=PROBE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "does not answer"
        if probe.returncode != 0:
            said = (probe.stderr.strip().splitlines() or ["no image"])[-1]
            return f"cannot run {image_name(image)} ({said})"
        built_from = (json.loads(probe.stdout) or {}).get(SOURCES_LABEL)
        if built_from != fingerprint(checkout, image_files(checkout, image)):
            return f"{image_name(image)} is not built from these sources; build it with `make images`"
    return None
