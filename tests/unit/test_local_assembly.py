"""The store of assemblies: one synthesis at a time, and none of what another process needs is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from glovebox.errors import UpstreamError
from glovebox.local.assembly import KEPT, synthesized
from glovebox.local.cloud import CHECKOUT

ASKERS = 2
APP = f"""
import os, pathlib, time
with open("runs", "a") as runs:
    runs.write("x")
deadline = time.monotonic() + 60
while len(list(pathlib.Path().glob("asker-*"))) < {ASKERS} and time.monotonic() < deadline:
    time.sleep(0.01)
time.sleep(0.3)  # the other one has said that it asks, and now does
pathlib.Path(os.environ["CDK_OUTDIR"], "manifest.json").write_text("{{}}")
"""
ASK = """
import pathlib, sys
from glovebox.local.assembly import synthesized
checkout = pathlib.Path(sys.argv[1])
(checkout / ("asker-" + sys.argv[2])).touch()
print(synthesized(checkout, checkout / "assemblies", {}).folder)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "cdk.json").write_text("{}")
    return tmp_path


def test_two_processes_at_once_get_one_assembly_of_one_synthesis(checkout: Path) -> None:
    (checkout / "app.py").write_text(APP)
    askers = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, str(checkout), str(number)],
            cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(ASKERS)
    ]  # fmt: skip
    answers = [asker.communicate(timeout=90) for asker in askers]
    assert [asker.returncode for asker in askers] == [0] * ASKERS, answers
    [folder] = {out.strip() for out, _ in answers}
    assert (Path(folder) / "manifest.json").read_text() == "{}"
    assert (checkout / "runs").read_text() == "x"


def test_after_a_failure_the_next_synthesis_starts_from_nothing(checkout: Path) -> None:
    app = checkout / "app.py"
    app.write_text(
        "import os, pathlib\n"
        "pathlib.Path(os.environ['CDK_OUTDIR'], 'half').touch()\n"
        "raise SystemExit('no such stack')\n"
    )
    with pytest.raises(UpstreamError, match="no such stack"):
        synthesized(checkout, checkout / "assemblies", {})
    app.write_text("")
    assert list(synthesized(checkout, checkout / "assemblies", {}).folder.iterdir()) == []


def test_the_assemblies_that_were_used_last_stay(checkout: Path) -> None:
    (checkout / "app.py").write_text("")
    folder = checkout / "assemblies"
    made = [synthesized(checkout, folder, {"number": str(number)}).folder for number in range(KEPT)]
    again = synthesized(checkout, folder, {"number": "0"}).folder
    assert again == made[0]
    new = synthesized(checkout, folder, {"number": "new"}).folder
    assert {path for path in folder.iterdir() if path.is_dir()} == {new, made[0], *made[2:]}
