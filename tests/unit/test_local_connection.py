"""How a second terminal finds the local cloud, and nothing but that."""

from __future__ import annotations

import argparse
import json
import stat
from pathlib import Path

import pytest

from glovebox.cli import remote
from glovebox.errors import ConfigurationError, InputError, RefusedError
from glovebox.local.aws import Credentials, LocalAws
from glovebox.local.connection import FILE, LocalClients, announced, running


def cloud(folder: Path, port: int = 4566) -> LocalAws:
    return LocalAws(f"https://127.0.0.1:{port}", folder / "authority.pem", Credentials("key", "secret"))


def test_a_cloud_is_found_while_it_runs_and_not_after(tmp_path: Path) -> None:
    run = tmp_path / "20261122T000000Z"
    run.mkdir()
    with announced(cloud(run), run):
        assert running(tmp_path) == cloud(run)
        assert stat.S_IMODE((run / FILE).stat().st_mode) == 0o600
    with pytest.raises(ConfigurationError, match="glovebox up"):
        running(tmp_path)


def test_of_several_the_latest_is_taken(tmp_path: Path) -> None:
    for name, port in (("20261122T000000Z", 1), ("20261123T000000Z", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / FILE).write_text(told(f"https://127.0.0.1:{port}"))
    assert running(tmp_path).endpoint == "https://127.0.0.1:2"


def told(endpoint: str) -> str:
    return json.dumps({"endpoint": endpoint, "authority": "a.pem", "keyId": "k", "secret": "s"})


@pytest.mark.parametrize(
    "endpoint", ["https://cloudformation.us-east-1.amazonaws.com", "https://localhost:1", "https://10.0.0.1"]
)
def test_a_file_that_leads_away_from_this_machine_is_refused(tmp_path: Path, endpoint: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / FILE).write_text(told(endpoint))
    with pytest.raises(RefusedError):
        running(tmp_path)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"endpoint": 1}'])
def test_a_file_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / FILE).write_text(content)
    with pytest.raises(ConfigurationError, match=r"connection\.json cannot be used"):
        running(tmp_path)


def test_the_local_cloud_is_no_organization(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--file"):
        LocalClients(cloud(tmp_path)).organizations()


def test_local_takes_no_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "local_runs", lambda: tmp_path)
    with pytest.raises(InputError):
        remote.connect(argparse.Namespace(local=True, profile="p", region=None))
    with pytest.raises(ConfigurationError, match="No local cloud runs"):
        remote.connect(argparse.Namespace(local=True, profile=None, region=None))
