"""The flow with the images in Podman, as `glovebox up --engine podman` runs it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from glovebox.farm.running import running_farm
from glovebox.local.cloud import CHECKOUT, Plan, running_cloud
from glovebox.local.engines import choose_engine
from glovebox.scans.model import RunState, ScanState
from tests.e2e.conftest import Platform

pytestmark = [pytest.mark.e2e, pytest.mark.containers, pytest.mark.usefixtures("images")]


def test_a_run_in_podman_is_complete_and_leaves_no_container(tmp_path: Path) -> None:
    engine, _ = choose_engine("podman", CHECKOUT)
    with running_farm(tmp_path / "fleet", only=["good", "expired"]) as farm:
        plan = Plan(folder=tmp_path, engine=engine, audit_settings=farm.settings)
        with running_cloud(plan) as cloud:
            cloud.upload_list("\n".join(farm.hosts).encode())
            platform = Platform(cloud, farm)
            view = platform.completed(cloud.fire_schedule())
            account = platform.completed(cloud.scan_accounts().run_id)
    assert [scan.state for scan in account.scans] == [ScanState.COMPLETED], account.scans
    assert view.run.state is RunState.COMPLETED, view
    assert view.run.counts == {"ok": 1, "expired": 1}
    left = subprocess.run(
        ["podman", "ps", "--all", "--quiet", "--filter=name=glovebox-"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert left.stdout == ""
