"""Real bundles, made with uv, and imported with nothing else in reach."""

from __future__ import annotations

import importlib.util
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from glovebox.closure import closure, image_files
from glovebox.errors import ConfigurationError
from glovebox_constructs.unit_code import ROOT, FunctionBundle, ImageContexts

HOST = f"{platform.machine()}-manylinux_2_28"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
LAMBDA_BRINGS = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")


def _bundle(unit: str, output: Path, *, target: str = HOST, python: str = PYTHON) -> Path:
    files = closure(ROOT, f"functions/{unit}")
    assert FunctionBundle(unit, files, platform=target, python=python).try_bundle(str(output))
    return output


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Lambda's own runtime brings beside Python, out of this environment."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in LAMBDA_BRINGS:
        found = importlib.util.find_spec(name)
        assert found is not None, name
        assert found.origin is not None, name
        origin = Path(found.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (folder / source.name).symlink_to(source)
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="the bundle under test is one for Linux")
@pytest.mark.parametrize("unit", ["launch", "ingest", "drill", "enrich", "audit_api"])
def test_a_bundle_imports_without_anything_but_lambdas_runtime(
    unit: str, runtime: Path, tmp_path: Path
) -> None:
    """No site-packages, nothing of the user's environment, and not the checkout."""
    folder = _bundle(unit, tmp_path / "bundle")
    program = (
        "import sys\n"
        f"sys.path[:0] = [{str(folder)!r}, {str(runtime)!r}]\n"
        f"import functions.{unit}.handler as handler, glovebox\n"
        "assert callable(handler.handle)\n"
        f"assert glovebox.__file__.startswith({str(folder)!r}), glovebox.__file__\n"
    )
    command = [sys.executable, "-I", "-S", "-B", "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_bundle_for_another_machine_holds_its_binaries(tmp_path: Path) -> None:
    folder = _bundle("watch", tmp_path / "bundle", target="aarch64-manylinux_2_28", python="3.13")
    names = {path.name for path in (folder / "msgspec").glob("*.so")}
    assert names
    assert all("cpython-313-aarch64" in name for name in names), names


def test_a_bundle_holds_no_bytecode_and_no_scripts(tmp_path: Path) -> None:
    folder = _bundle("watch", tmp_path / "bundle")
    assert not list(folder.rglob("*.pyc"))
    assert not (folder / "bin").exists()
    assert not (folder / ".lock").exists()


def test_uvs_refusal_is_told_with_the_unit(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="packages of watch") as refusal:
        _bundle("watch", tmp_path / "bundle", python="2.7")
    assert refusal.value.fix


def test_image_contexts_are_complete_for_their_dockerfiles(tmp_path: Path) -> None:
    files = {"outlet": image_files(ROOT, "outlet")}
    assert ImageContexts(files).try_bundle(str(tmp_path))
    dockerfile = (tmp_path / "outlet" / "containers" / "outlet" / "Dockerfile").read_text()
    copied = [
        line.split()[1]
        for line in dockerfile.splitlines()
        if line.startswith("COPY ") and "--from" not in line
    ]
    assert copied
    for source in copied:
        assert (tmp_path / "outlet" / source).exists(), source
