"""A task under Podman, of an account or a repository: three containers after each other, as the task
definition has them.

They share a network, which is the scanner's machine of a small lab, and three volumes, which are on a small
disk of their own.  What only Fargate has is not here: its metadata endpoints, its 20 GiB of storage, its
kernel; and what Fargate has not is: limits on the number of processes.
"""

from __future__ import annotations

import os
import shlex
import socket
import ssl
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from glovebox.farm.authority import Authority, pem_of
from glovebox.lab.namespaces import Namespaces
from glovebox.lab.plan import INTERNET, S3, S3_ADDRESS, SCANNER, place
from glovebox.lab.template import read_template
from glovebox.local.engines import image_name
from glovebox.scans.model import Manifest
from tests.airlock_account import MANIFEST_KEY, account_order
from tests.airlock_server import Bucket, bucket
from tests.hostile import scanner
from tests.perimeter.small_perimeter import small_perimeter

DISK = 96 << 20
"""Room for the volumes, in place of Fargate's ephemeral storage."""
MOST = 32 << 20
"""Bytes of a report."""
MEMORY = 256 << 20
"""Of the scanner; what it writes counts, since the disk is memory here."""
PROCESSES = 32
"""Few enough Pythons that a fork bomb meets this limit and not the memory's."""
SECONDS = 60
SIGNATURE = "5ignature-0f-0urs-f0r-this-task"
"""In every address of ours, and nowhere else."""
OURS, UPSTREAM = "10001:10001", "1000:10001"
"""The users of the task definition."""
AUTHORITY = "/glovebox/authority.pem"


@dataclass
class Task:
    """One task's volumes and containers; `s3` is the bucket that its addresses lead to."""

    s3: Bucket
    folder: Path
    network: str
    name: str = field(default_factory=lambda: f"glovebox-test-{uuid.uuid4().hex[:8]}")

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def inlet(self, *command: str) -> subprocess.CompletedProcess[str]:
        """The inlet with its addresses; another `command` only takes the volumes into use."""
        given = {
            "GLOVEBOX_REQUEST_URL": self.s3.url("request.json"),
            "GLOVEBOX_CLAIM_URL": self.s3.url("claim.json"),
            "GLOVEBOX_ENVELOPE_URL": self.s3.url("envelope.json"),
            "GLOVEBOX_SNAPSHOT_URL": self.s3.url("archive"),
        }
        mounts = ("in:/glovebox/in", "out:/glovebox/out", "scratch:/glovebox/scratch")
        return self._ran("inlet", mounts, OURS, command, given)

    def scanner(self, *harms: str, options: Sequence[str] = ()) -> int:
        """The hostile scanner by the same entry point that an upstream image gets; its exit code."""
        return self._ended(self._scanner(harms, options))

    def scripted(self, script: str, options: Sequence[str], user: str = "") -> int:
        """Another script for the shell of the scanner's image; its exit code."""
        return self._ended(self._shell(script, options, user or UPSTREAM))

    def _ended(self, command: Sequence[str]) -> int:
        # Podman leaves a note called `oom` where it stands when a container is killed.
        done = subprocess.run(command, timeout=SECONDS, check=False, cwd=self.folder.parent)
        return done.returncode

    def start_scanner(self, *harms: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._scanner(harms, ()))

    def stop_scanner(self, seconds: int) -> None:
        """What ECS does: SIGTERM, and after `seconds` SIGKILL."""
        _quietly("podman", "stop", f"--time={seconds}", self.name)

    def outlet(self, *command: str, order: str = "") -> subprocess.CompletedProcess[str]:
        """The outlet with its order, by default an account's; or another `command` in its place."""
        given = {"GLOVEBOX_ORDER": order or account_order(self.s3, MOST)}
        return self._ran("outlet", ("out:/glovebox/out:ro",), OURS, command, given)

    def manifest(self, order: str = "") -> Manifest:
        """What an outlet uploads, once it has succeeded."""
        done = self.outlet(order=order)
        assert done.returncode == 0, done.stdout + done.stderr
        return msgspec.json.decode(self.s3.objects[MANIFEST_KEY], type=Manifest)

    def _scanner(self, harms: Sequence[str], options: Sequence[str]) -> list[str]:
        source = shlex.quote(Path(scanner.__file__).read_text())
        sourced = "[ ! -r /glovebox/in/environment ] || . /glovebox/in/environment"
        script = f"{sourced}; exec python3 -c {source} {shlex.join(harms)}"
        return self._shell(script, options)

    def _shell(self, script: str, options: Sequence[str], user: str = UPSTREAM) -> list[str]:
        mounts = ("in:/glovebox/in:ro", "out:/glovebox/out", "scratch:/tmp")
        command = ('["/bin/sh","-c"]', script)
        # An image with Python and nothing else of use to it.
        return self._podman("drill", mounts, user, command, (f"--memory={MEMORY}", *options))

    def _ran(
        self, image: str, mounts: Sequence[str], user: str, command: Sequence[str], given: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        options = [f"--env={name}" for name in given]
        options += ["--memory=1g", f"--env=SSL_CERT_FILE={AUTHORITY}"]
        options += [f"--volume={self.folder / 'authority.pem'}:{AUTHORITY}:ro"]
        return subprocess.run(
            self._podman(image, mounts, user, command, options),
            env={**os.environ, **given},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def _podman(
        self, image: str, mounts: Sequence[str], user: str, command: Sequence[str], options: Sequence[str]
    ) -> list[str]:
        return [
            "podman", "run", "--rm", f"--name={self.name}", "--pull=never", f"--network=ns:{self.network}",
            "--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt=no-new-privileges",
            f"--user={user}", f"--pids-limit={PROCESSES}",
            "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024",
            *(f"--volume={self.name}-{mount}" for mount in mounts), *options,
            *([f"--entrypoint={command[0]}"] if command else []), image_name(image), *command[1:],
        ]  # fmt: skip

    @contextmanager
    def volumes(self) -> Iterator[None]:
        """Empty volumes on a small disk; they take owner and mode from the image that mounts them first."""
        options = ("-t", "tmpfs", "-o", f"size={DISK},mode=0755")
        subprocess.run(["mount", *options, "glovebox", self.folder], check=True)
        names = {each: f"{self.name}-{each}" for each in ("in", "out", "scratch")}
        try:
            for each, name in names.items():
                (self.folder / each).mkdir()
                device = f"--opt=device={self.folder / each}"
                _quietly("podman", "volume", "create", "--opt=type=none", "--opt=o=bind", device, name)
            yield
        finally:
            _quietly("podman", "rm", "--force", "--ignore", self.name)
            _quietly("podman", "volume", "rm", "--force", *names.values())
            _quietly("umount", "--lazy", str(self.folder))


def _quietly(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@dataclass(frozen=True)
class Ground:
    """The lab's machines."""

    namespaces: Namespaces
    authority: Authority
    trap: socket.socket
    """Listens where the metadata addresses are, and the rest of the internet: nothing may ever get there."""

    @property
    def network(self) -> str:
        return str(self.namespaces.run_folder / "netns" / SCANNER)

    @contextmanager
    def task(self, folder: Path) -> Iterator[Task]:
        """A task with a bucket of its own, that answers over TLS at S3's address."""
        issued = self.authority.issue([S3_ADDRESS])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.write(folder / "s3.pem")
        context.load_cert_chain(folder / "s3.pem")
        with ExitStack() as stack:
            listener = context.wrap_socket(self.namespaces.listening(S3, 443), server_side=True)
            s3 = stack.enter_context(bucket(listener, signature=SIGNATURE))
            s3.address = f"https://{S3_ADDRESS}"
            volumes = folder / "volumes"
            volumes.mkdir()
            task = Task(s3, volumes, self.network)
            stack.enter_context(task.volumes())
            (volumes / "authority.pem").write_bytes(pem_of(self.authority.chain))
            yield task


@contextmanager
def ground() -> Iterator[Ground]:
    with (
        Namespaces(place(read_template(small_perimeter()))) as namespaces,
        namespaces.listening(INTERNET, 80) as trap,
    ):
        trap.setblocking(False)
        yield Ground(namespaces, Authority.create(common_name="Podman's S3"), trap)
