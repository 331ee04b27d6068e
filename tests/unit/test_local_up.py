"""`glovebox up` before anything starts: its options, and which engine it takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glovebox.cli.exit_codes import BAD_INPUT
from glovebox.cli.main import main
from glovebox.closure import fingerprint, image_files
from glovebox.errors import ConfigurationError
from glovebox.local.cloud import CHECKOUT
from glovebox.local.engines import SOURCES_LABEL, ContainerEngine, ProcessEngine, choose_engine


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "٤"])
def test_a_port_that_is_none_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["up", "--port", port])
    assert ended.value.code == BAD_INPUT
    assert "port" in capsys.readouterr().err


def test_a_list_that_cannot_be_read_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up", "--engine", "process", "--hosts", str(tmp_path / "none.txt")]) == BAD_INPUT
    assert "cannot be read" in capsys.readouterr().err


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which a program is looked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def engine(tools: Path, name: str, *, labels: dict[str, str] | None = None, code: int = 0) -> None:
    """An engine whose every image has these labels."""
    program = tools / name
    program.write_text(f"#!/bin/sh\necho '{json.dumps(labels)}'\necho 'no such image' >&2\nexit {code}\n")
    program.chmod(0o755)


def test_without_an_engine_containers_are_processes_and_it_is_told_why(tools: Path) -> None:
    engine(tools, "docker", code=1)
    chosen, reasons = choose_engine("auto", CHECKOUT)
    assert isinstance(chosen, ProcessEngine)
    assert reasons == [
        "podman: not installed",
        "docker: cannot run localhost/glovebox/inlet:local (no such image)",
    ]


def test_an_image_of_other_sources_is_not_run(tools: Path) -> None:
    engine(tools, "podman", labels={SOURCES_LABEL: "older"})
    with pytest.raises(ConfigurationError, match="not built from these sources"):
        choose_engine("podman", CHECKOUT)


def test_an_engine_with_the_images_of_these_sources_is_taken(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = fingerprint(CHECKOUT, image_files(CHECKOUT, "inlet"))
    monkeypatch.setattr("glovebox.local.engines.IMAGES", ("inlet",))
    engine(tools, "podman", labels={SOURCES_LABEL: current})
    assert choose_engine("auto", CHECKOUT) == (
        ContainerEngine("podman", ProcessEngine(CHECKOUT)),
        [],
    )


@pytest.mark.usefixtures("tools")
def test_an_engine_that_is_asked_for_and_not_there_is_an_error_with_a_way_out() -> None:
    with pytest.raises(ConfigurationError) as refused:
        choose_engine("docker", CHECKOUT)
    assert "--engine process" in refused.value.fix
