"""`glovebox audit` as a whole: the real command, the real engine, real servers on loopback."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from glovebox.cli import exit_codes
from glovebox.farm.running import Farm, running_farm

pytestmark = pytest.mark.engine


def command(farm: Farm, folder: Path, *more: str) -> list[str]:
    settings = farm.settings
    roots = folder / "roots.pem"
    roots.write_text(settings.extra_roots)
    networks = [part for network in settings.allowed_networks for part in ("--allow-network", network)]
    ports = ["--http-port", str(settings.http_port), "--https-port", str(settings.https_port)]
    test_network = ["--resolver", str(settings.resolver), "--roots", str(roots), *ports, *networks]
    return [sys.executable, "-m", "glovebox.cli.main", "audit", *farm.hosts, *test_network, *more]


def test_a_fleet_gets_records_files_and_json_lines(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with running_farm(tmp_path / "farm", only=["good", "expired"]) as farm:
        done = subprocess.run(
            command(farm, tmp_path, "-o", str(folder), "--json"),
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == exit_codes.OK, done.stderr
    printed = {record["FQDN"]: record for record in map(json.loads, done.stdout.splitlines())}
    assert {name: record.get("failureClass") for name, record in printed.items()} == {
        "good.fleet.test": None,
        "expired.fleet.test": "expired",
    }
    with (folder / "output.csv").open(newline="") as file:
        rows = {row["FQDN"]: row for row in csv.DictReader(file)}
    assert rows["good.fleet.test"]["certificateValid"] == "True"
    assert rows["expired.fleet.test"]["certificateValid"] == "False"
    assert json.loads((folder / "full_output.json").read_bytes())["run"]["counts"] == {"ok": 1, "expired": 1}
