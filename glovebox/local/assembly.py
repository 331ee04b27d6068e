"""Reading what `app.py` synthesized: stacks in the order of their dependencies, and their files.

The format is AWS's cloud assembly (`manifest.json`, one assets manifest a stack); of it we read
what a deployment needs and refuse what we do not know.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from glovebox.errors import ConfigurationError, UpstreamError
from glovebox.local.aws import ACCOUNT, REGION

T = TypeVar("T")

SYNTH_SECONDS = 300
"""The first synthesis fetches and unpacks the functions' dependencies; a later one takes seconds."""
KEPT = 3
"""How many assemblies stay, with the newest: another process may still be deploying that of a moment ago."""
UNFINISHED = "unfinished"
TEMPLATE = "template.json"
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can express: the same files give the same bytes."""


class _Source(Struct):
    path: str
    packaging: Literal["file", "zip"] = "file"


class _Destination(Struct, rename={"bucket": "bucketName", "key": "objectKey"}):
    bucket: str
    key: str


class _File(Struct):
    source: _Source
    destinations: dict[str, _Destination]


class _AssetManifest(Struct):
    files: dict[str, _File] = {}
    docker_images: Annotated[dict[str, object], Meta(max_length=0)] = msgspec.field(
        name="dockerImages", default_factory=dict
    )


class _Properties(Struct, rename={"template_file": "templateFile", "stack_name": "stackName"}):
    template_file: str = ""
    stack_name: str = ""
    file: str = ""


class _Artifact(Struct):
    type: str
    dependencies: list[str] = []
    properties: _Properties = msgspec.field(default_factory=_Properties)


class _Manifest(Struct):
    artifacts: dict[str, _Artifact]


@dataclass(frozen=True, slots=True)
class Asset:
    """One file or folder that goes to a bucket before the stacks are made."""

    path: Path
    is_folder: bool
    bucket: str
    key: str

    def content(self) -> bytes:
        return _zip(self.path) if self.is_folder else self.path.read_bytes()


@dataclass(frozen=True, slots=True)
class StackTemplate:
    name: str
    template: Path


SOURCES = (
    "app.py",
    "tools/audit-role-template",
    "cdk.json",
    "stacks",
    "constructs",
    "functions",
    "containers",
    "glovebox",
    "policies",
    "squid",
    "page",
    "requirements",
    "pyproject.toml",
)
"""What the assembly is made from: templates, bundles and the archive that the images are built from."""


def synthesized(checkout: Path, folder: Path, context: Mapping[str, object]) -> Assembly:
    """The assembly of the checkout as it is now: made anew only if a source or the context has changed.

    Whoever asks at the same moment, from this process or another, waits and gets the same assembly.

    Raises:
        UpstreamError: synthesis failed.
    """
    return Assembly(_made(checkout, folder, context, lambda place: synthesize(checkout, place, context)))


def audit_role_template(checkout: Path, folder: Path) -> str:
    """The template of what a target account deploys, which takes parameters; made anew as an assembly is.

    Raises:
        UpstreamError: synthesis failed.
    """

    def make(place: Path) -> None:
        _run(checkout, ["tools/audit-role-template", str(place.absolute() / TEMPLATE)], {})

    return (_made(checkout, folder, {}, make) / TEMPLATE).read_text(encoding="utf-8")


def _made(checkout: Path, folder: Path, context: Mapping[str, object], make: Callable[[Path], None]) -> Path:
    """What `make` wrote into a folder when the sources were as they are now."""
    output = folder / _fingerprint(checkout, context)
    with _alone(folder):
        if not output.exists():
            _make_room(folder)
            unfinished = folder / UNFINISHED
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(output)
        output.touch()
    return output


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The block runs for one caller at a time; the kernel lets the next one in even if this one is killed."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_room(folder: Path) -> None:
    """Drops what a failure left unfinished, and all assemblies but those that were used last."""
    finished = sorted(
        (path for path in folder.iterdir() if path.is_dir() and path.name != UNFINISHED),
        key=lambda path: path.stat().st_mtime_ns,
    )
    for path in [folder / UNFINISHED, *finished[: 1 - KEPT]]:
        shutil.rmtree(path, ignore_errors=True)


def _fingerprint(checkout: Path, context: Mapping[str, object]) -> str:
    digest = hashlib.sha256(json.dumps(context, sort_keys=True).encode())
    for source in SOURCES:
        top = checkout / source
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(checkout)}\0{path.stat().st_mode}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]


def synthesize(checkout: Path, output: Path, context: Mapping[str, object]) -> None:
    """Run the checkout's `app.py` with `context` on top of that of cdk.json; the assembly goes to `output`.

    The child gets the user's environment without anything of AWS: synthesis makes no AWS call.

    Raises:
        UpstreamError: it failed; says how its output ends.
    """
    configured = json.loads((checkout / "cdk.json").read_text()).get("context", {})
    _run(
        checkout,
        ["app.py"],
        {
            "CDK_CONTEXT_JSON": json.dumps({**configured, **context}),
            "CDK_OUTDIR": str(output.absolute()),
            "CDK_DEFAULT_ACCOUNT": ACCOUNT,
            "CDK_DEFAULT_REGION": REGION,
        },
    )


def _run(checkout: Path, command: Sequence[str], told: Mapping[str, str]) -> None:
    surroundings = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))
    }
    environment = surroundings | {
        **told,
        # The library's own validation of every template takes two thirds of the time; `make check` has it on.
        "CDK_VALIDATION": "false",
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }
    try:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SYNTH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UpstreamError(
            f"Synthesis took longer than {SYNTH_SECONDS} s.", fix="Run: make synth"
        ) from error
    if done.returncode != 0:
        tail = (done.stdout + done.stderr)[-3_000:]
        raise UpstreamError(f"Synthesis failed:\n{tail}", fix="Run: make synth")


@dataclass(frozen=True, slots=True)
class Assembly:
    """A folder that holds a synthesized app."""

    folder: Path

    def stacks(self) -> list[StackTemplate]:
        """Each after those that it depends on."""
        artifacts = self._artifacts()
        order = TopologicalSorter(
            {name: each.dependencies for name, each in artifacts.items()}
        ).static_order()
        return [
            StackTemplate(
                artifact.properties.stack_name or name, self.folder / artifact.properties.template_file
            )
            for name in order
            if (artifact := artifacts.get(name)) and artifact.type == "aws:cloudformation:stack"
        ]

    def assets(self) -> Iterator[Asset]:
        """Files and folders to upload; the templates themselves are among them."""
        for artifact in self._artifacts().values():
            if artifact.type != "cdk:asset-manifest":
                continue
            manifest = self._read(self.folder / artifact.properties.file, _AssetManifest)
            for file in manifest.files.values():
                for destination in file.destinations.values():
                    yield Asset(
                        self.folder / file.source.path,
                        file.source.packaging == "zip",
                        _resolved(destination.bucket),
                        _resolved(destination.key),
                    )

    def _artifacts(self) -> dict[str, _Artifact]:
        return self._read(self.folder / "manifest.json", _Manifest).artifacts

    @staticmethod
    def _read(path: Path, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError as error:
            raise ConfigurationError(f"{path} is missing.", fix="Run: make synth") from error
        except msgspec.DecodeError as error:
            raise ConfigurationError(f"{path} is not what a cloud assembly holds: {error}.") from error


def _resolved(text: str) -> str:
    known = {"AccountId": ACCOUNT, "Region": REGION, "Partition": "aws"}
    for name, value in known.items():
        text = text.replace(f"${{AWS::{name}}}", value)
    return text


def _zip(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _FIXED_TIME)
                entry.external_attr = (path.stat().st_mode & 0o777) << 16
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=1)
    return packed.getvalue()
