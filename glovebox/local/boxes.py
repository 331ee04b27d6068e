"""Containers as boxed processes on machines of the lab: there the perimeter holds for real."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from glovebox.closure import closure, stage
from glovebox.lab.lab import CHECKOUT, PACKAGES, Lab
from glovebox.lab.plan import task_machines, ticketless_machines
from glovebox.lab.probe import closed_above
from glovebox.lab.sandbox import BOX, USER, Limits, Shown, sandboxed
from glovebox.local.agent import MAX_TASKS
from glovebox.local.aws import clean_environment
from glovebox.local.endpoint import Buckets
from glovebox.local.engines import (
    CPU_SECONDS,
    FILE_BYTES,
    IMAGES,
    IN,
    IN_SCRATCH,
    OPEN_FILES,
    OUT,
    PROCESSES,
    Place,
    command_of,
)
from glovebox.local.scanner_tools import (
    CACHE_VARIABLE,
    STAND_INS,
    THREADS,
    TRIVY,
    UPSTREAM,
    Tools,
    write_program,
)
from glovebox.local.tasks import Task
from glovebox.scans.repositories import REPOSITORY_SCANNERS

PYTHON = os.path.realpath(sys.executable)
ADDRESS_SPACE = 8 << 30
"""Mapped libraries and stacks of threads count; what the process asks for itself has the task's own limit."""


@dataclass(slots=True)
class Boxes:
    """An `Engine`: a machine of the lab for each task, and a box on it for each of its containers.

    `folder` gets the code of each image, `trust` is the folder with `authority.pem` of the lab's endpoint.
    """

    lab: Lab
    folder: Path
    trust: Path
    buckets: Buckets
    commands: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Image or container → another command than its own: the tests' hostile scanners."""
    tools: Tools = field(default_factory=Tools)
    _machines: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        units = {image: f"containers/{image}" for image in IMAGES}
        units |= {scanner: module.replace(".", "/") for scanner, module in STAND_INS.items()}
        for image, unit in units.items():
            place = self.folder / image
            place.mkdir(parents=True)
            stage(CHECKOUT, closure(CHECKOUT, unit), place)
        code = (f"{BOX}/code", f"{BOX}/packages")
        for scanner in UPSTREAM:
            command = self.tools.command(scanner, python=PYTHON, code=code, place=f"{BOX}/scanner")
            write_program(self.folder / "bin" / scanner, scanner, command)

    @property
    def name(self) -> str:
        return "boxed processes in the lab"

    def machine_of(self, task: Task, *, ticket: bool) -> str:
        """The task's own machine, from its first container to its end."""
        with self._lock:
            if task.id not in self._machines:
                machines = task_machines if ticket else ticketless_machines
                free = set(machines(MAX_TASKS)) - set(self._machines.values())
                self._machines[task.id] = min(free)
            return self._machines[task.id]

    def start(self, place: Place, output: IO[bytes]) -> subprocess.Popen[bytes]:
        command = command_of(place, self.commands, PYTHON)
        limits = Limits(
            address_space=ADDRESS_SPACE,
            data=place.task.memory,
            file_bytes=FILE_BYTES,
            cpu_seconds=CPU_SECONDS,
            # The kernel counts all processes of the boxes' user, whatever their task.
            processes=THREADS if place.upstream else PROCESSES * MAX_TASKS,
            open_files=OPEN_FILES,
        )
        box = sandboxed(command, limits, self._shown(place))
        return self.lab.namespaces.start(
            # The emulator keeps no security groups of a task, so its scanner tells which machines are its.
            self.machine_of(place.task, ticket=place.scanner not in REPOSITORY_SCANNERS),
            ["env", "-C", "/", *box],
            environment=self._environment(place),
            output=output,
            errors=subprocess.STDOUT,
        )

    def end(self, place: Place, process: subprocess.Popen[bytes]) -> int:
        """Its box ends with it: the kernel kills all that is in there."""
        if process.poll() is None:
            process.kill()
        return process.wait()

    def left(self, task: Task) -> None:
        with self._lock:
            self._machines.pop(task.id, None)

    def _shown(self, place: Place) -> list[Shown]:
        shown = [
            Shown("code", str(self.folder / place.image)),
            Shown("packages", PACKAGES),
            Shown("trust", str(self.trust)),
        ]
        if place.upstream:
            shown.append(Shown("bin", str(self.folder / "bin" / place.image)))
        if place.image in self.tools.real:
            shown.append(Shown("scanner", str(self.tools.place(place.image))))
        if place.image == TRIVY and self.tools.trivy_cache:
            shown.append(Shown("trivy-cache", str(self.tools.trivy_cache)))
        closed = closed_above(Path(PYTHON))
        if closed is not None:
            # A Python may stand in somebody's home, and knows its libraries by that path.
            shown.append(Shown("python", sys.base_prefix, closed=str(closed)))
        for mount in place.container.mounts:
            volume = place.volumes[mount.volume]
            os.chown(volume, USER, USER)
            shown.append(Shown(Path(mount.path).name, str(volume), writable=not mount.read_only))
        return shown

    def _environment(self, place: Place) -> dict[str, str]:
        handed = {name: self.buckets.translated(value) for name, value in place.environment.items()}
        authority = f"{BOX}/trust/authority.pem"
        # Whoever was handed an address of the lab's endpoint must trust it; the scanner was not.
        trust = (
            {"SSL_CERT_FILE": authority, "REQUESTS_CA_BUNDLE": authority}
            if place.container.environment_files
            else {}
        )
        return clean_environment(
            {
                "HOME": "/tmp",  # noqa: S108  the box's own
                "PYTHONPATH": f"{BOX}/code:{BOX}/packages",
                "PYTHONDONTWRITEBYTECODE": "1",
                "GLOVEBOX_IN": f"{BOX}/{Path(IN).name}",
                "GLOVEBOX_OUT": f"{BOX}/{Path(OUT).name}",
                **trust,
                **(_for_upstream(place) if place.upstream else {}),
                **handed,
            }
        )


def _for_upstream(place: Place) -> dict[str, str]:
    """The program on the PATH, and the task's scratch in the place of the image's /tmp."""
    tools = os.pathsep.join((f"{BOX}/bin", clean_environment()["PATH"]))
    scratch = place.container.folder_of(IN_SCRATCH)
    return {
        "PATH": tools,
        **({"TMPDIR": f"{BOX}/{Path(IN_SCRATCH).name}"} if scratch else {}),
        **({CACHE_VARIABLE: f"{BOX}/trivy-cache"} if place.image == TRIVY else {}),
    }
