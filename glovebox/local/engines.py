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
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal, Protocol

from glovebox.closure import fingerprint, image_files
from glovebox.errors import ConfigurationError
from glovebox.local import processes
from glovebox.local.aws import clean_environment
from glovebox.local.tasks import Container, Mount, Task

EngineName = Literal["auto", "podman", "docker", "process"]
IN = "/glovebox/in"
OUT = "/glovebox/out"
IMAGE_TAG = "local"
SOURCES_LABEL = "glovebox.sources"
"""Fingerprint of the files that an image was built from, so that a stale image is never run."""
PROBE_SECONDS = 10
"""A Docker client waits long for a daemon that hangs."""

MODULES = {"inlet": "containers.inlet", "scanner": "containers.siteaudit", "outlet": "containers.outlet"}
"""A task's container → the entry point of its image."""
IMAGES = {"inlet": "inlet", "scanner": "siteaudit", "outlet": "outlet"}

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
    volumes: Mapping[str, Path]
    environment: Mapping[str, str]
    """Of the definition, the override and the environment files."""
    folder: Path
    """Its own, for temporary files."""
    authority: Path


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
    """Container → another command than its image's own: the tests' hostile scanners."""

    @property
    def name(self) -> str:
        return "local processes"

    def start(self, place: Place, output: IO[bytes]) -> subprocess.Popen[bytes]:
        name = place.container.name
        command = self.commands.get(name) or (sys.executable, "-m", MODULES[name])
        for mount in place.container.mounts:
            _set_writable(place.volumes[mount.volume], writable=not mount.read_only)
        return processes.start(
            command,
            environment=clean_environment(
                {
                    "HOME": str(place.folder),
                    "TMPDIR": str(place.folder),
                    "PYTHONPATH": str(self.checkout),
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "GLOVEBOX_IN": self._folder(place, IN),
                    "GLOVEBOX_OUT": self._folder(place, OUT),
                    **_trust(place, str(place.authority)),
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
                processes=PROCESSES,
            ),
        )

    def end(self, place: Place, process: subprocess.Popen[bytes]) -> int:
        return processes.end(process)

    def left(self, task: Task) -> None:
        """Nothing is kept."""

    @staticmethod
    def _folder(place: Place, path: str) -> str:
        """The volume's folder, or one that does not exist for a container that may not see it."""
        volume = place.container.folder_of(path)
        return str(place.volumes[volume] if volume else place.folder / "not-mounted")


def _set_writable(folder: Path, *, writable: bool) -> None:
    """Mode bits of a volume; the containers that wrote into it have ended. Never follows a link."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            continue
        mode = path.stat().st_mode & 0o777
        path.chmod(mode | 0o222 if writable else mode & ~0o222)


@dataclass(frozen=True, slots=True)
class ContainerEngine:
    """Podman or Docker, with the limits that Fargate would set."""

    tool: Literal["podman", "docker"]

    @property
    def name(self) -> str:
        return self.tool

    def start(self, place: Place, output: IO[bytes]) -> subprocess.Popen[bytes]:
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
            image_name(IMAGES[place.container.name]),
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


def choose_engine(wanted: EngineName, checkout: Path) -> tuple[Engine, list[str]]:
    """The engine to use, and why not each better one.

    Raises:
        ConfigurationError: the one that was asked for cannot be used.
    """
    reasons: list[str] = []
    for tool in ("podman", "docker") if wanted == "auto" else (wanted,):
        if tool == "process" or tool == "auto":
            break
        lacking = _lacking(tool, checkout)
        if lacking is None:
            return ContainerEngine(tool), reasons
        reasons.append(f"{tool}: {lacking}")
    if wanted in ("podman", "docker"):
        raise ConfigurationError(f"{reasons[0]}.", fix="Run with --engine process, or leave --engine away.")
    return ProcessEngine(checkout), reasons


def _lacking(tool: Literal["podman", "docker"], checkout: Path) -> str | None:
    """What keeps this engine from running our images, or `None`."""
    if shutil.which(tool) is None:
        return "not installed"
    for image in IMAGES.values():
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
