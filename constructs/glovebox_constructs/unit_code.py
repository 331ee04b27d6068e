"""Bundles a unit without Docker: its own files by closure, its packages by hash-pinned wheels."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3_assets as s3_assets

from glovebox.closure import closure, fingerprint, image_files, stage
from glovebox.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
BUNDLER = "1"
"""Counted up when bundling itself changes, so that unchanged units are bundled anew."""
SOURCE_ONLY = {"enrich": "shodan"}
"""Unit → the one package that its publisher offers as source alone; its builder is pinned in build.txt."""


def function_code(unit: str, *, platform: str, python: str) -> lambda_.Code:
    """The code of `functions/<unit>` for a platform as uv names it and a Python such as 3.13."""
    pins = (ROOT / "requirements" / f"{unit}.txt").read_text()
    files = closure(ROOT, f"functions/{unit}")
    return lambda_.Code.from_asset(
        str(ROOT / "functions" / unit),
        asset_hash=fingerprint(ROOT, files, pins, platform, python, BUNDLER),
        asset_hash_type=cdk.AssetHashType.CUSTOM,
        bundling=_bundling(FunctionBundle(unit, files, platform=platform, python=python)),
    )


def image_sources(scope: Any, id: str, images: tuple[str, ...]) -> s3_assets.Asset:
    """One zip with a build context per image: its Dockerfile, its closure and its pins."""
    files = {image: image_files(ROOT, image) for image in images}
    hashes = [fingerprint(ROOT, files[image], image, BUNDLER) for image in images]
    return s3_assets.Asset(
        scope,
        id,
        path=str(ROOT / "containers"),
        asset_hash=fingerprint(ROOT, [], *hashes),
        asset_hash_type=cdk.AssetHashType.CUSTOM,
        bundling=_bundling(ImageContexts(files)),
    )


def _bundling(bundle: FunctionBundle | ImageContexts) -> cdk.BundlingOptions:
    # No image is ever used: both bundles work without an engine, or raise.
    return cdk.BundlingOptions(
        image=cdk.DockerImage.from_registry("none"), local=cast(cdk.ILocalBundling, bundle)
    )


@jsii.implements(cdk.ILocalBundling)
class FunctionBundle:
    """Puts a unit's files and packages into a folder that Lambda can import from."""

    def __init__(self, unit: str, files: list[Path], *, platform: str, python: str) -> None:
        self._unit = unit
        self._files = files
        self._platform = platform
        self._python = python

    # jsii calls with the options as a keyword mapping that its own types do not describe.
    def try_bundle(self, output_dir: str, options: Any = None, **_: Any) -> bool:
        output = Path(output_dir)
        self._install(output)
        stage(ROOT, self._files, output)
        return True

    def _install(self, output: Path) -> None:
        """Raises ConfigurationError with uv's own words where the packages cannot be had."""
        requirements = ROOT / "requirements"
        target = [
            "--target",
            str(output),
            "--python-platform",
            self._platform,
            "--python-version",
            self._python,
        ]
        pinned = ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
        if self._unit in SOURCE_ONLY:
            pinned += ["--no-binary", SOURCE_ONLY[self._unit]]
            pinned += ["--build-constraints", str(requirements / "build.txt")]
        # The CDK's command line forces colour on its children, which would end up in error messages.
        quiet = ["--no-compile", "--color", "never", "--quiet"]
        command = [
            uv(),
            "pip",
            "install",
            *target,
            *pinned,
            *quiet,
            "-r",
            str(requirements / f"{self._unit}.txt"),
        ]
        # Companies put their own authorities into the system's store; uv's built-in roots do not hold them.
        trusting = {"UV_SYSTEM_CERTS": "1", **os.environ}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=trusting)
        if done.returncode:
            raise ConfigurationError(
                f"uv could not install the packages of {self._unit}: {done.stderr.strip()}",
                fix="Look at the package index that uv uses (UV_DEFAULT_INDEX, UV_SYSTEM_CERTS).",
            )
        for leftover in (".lock", "bin"):
            _remove(output / leftover)


@jsii.implements(cdk.ILocalBundling)
class ImageContexts:
    """Puts a folder per image, complete for `docker build`, side by side."""

    def __init__(self, files: dict[str, list[Path]]) -> None:
        self._files = files

    def try_bundle(self, output_dir: str, options: Any = None, **_: Any) -> bool:
        for image, files in self._files.items():
            stage(ROOT, files, Path(output_dir) / image)
        return True


def uv() -> str:
    """uv beside this Python, else on the path.  Raises ConfigurationError where there is none."""
    beside = Path(sys.executable).with_name("uv")
    found = os.environ.get("UV") or (str(beside) if beside.is_file() else shutil.which("uv"))
    if not found:
        raise ConfigurationError(
            "uv is not installed, and it bundles the functions.", fix="Run `make setup`."
        )
    return found


def _remove(path: Path) -> None:
    """uv's lock file and console scripts, which no function needs."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
