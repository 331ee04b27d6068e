"""The container agent on the small app: what Fargate would do, seen from containers and events."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glovebox.local.adaptations import Object
from glovebox.local.agent import Agent
from glovebox.local.cloud import CHECKOUT
from glovebox.local.engines import ProcessEngine
from tests.e2e.small_app import PATIENCE, Small

pytestmark = pytest.mark.e2e

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ContainerOverrideTypeDef

Commands = dict[str, Sequence[str]]
NOTHING = "pass"


@pytest.fixture
def commands() -> Commands:
    return {name: python(NOTHING) for name in ("inlet", "scanner", "outlet")}


@pytest.fixture
def agent(small: Small, commands: Commands, tmp_path: Path) -> Iterator[Agent]:
    agent = Agent(small.aws, small.outputs["Cluster"], ProcessEngine(CHECKOUT, commands), tmp_path / "tasks")
    with agent.watching():
        yield agent
    assert not agent.problems
    assert not list((tmp_path / "tasks").iterdir()), "folders go with their tasks"


def python(code: str) -> Sequence[str]:
    return (sys.executable, "-I", "-c", code)


def start(small: Small, **files: str) -> str:
    """Run a task; `files`: container → content of its environment file."""
    overrides: list[ContainerOverrideTypeDef] = []
    for container, content in files.items():
        key = f"handoff/{container}-{time.monotonic_ns()}.env"
        small.put(key, content.encode())
        value = f"arn:aws:s3:::{small.outputs['Bucket']}/{key}"
        overrides.append({"name": container, "environmentFiles": [{"type": "s3", "value": value}]})
    task = small.aws.client("ecs").run_task(
        cluster=small.outputs["Cluster"],
        taskDefinition=small.outputs["Task"],
        launchType="FARGATE",
        startedBy="test",
        overrides={"containerOverrides": overrides},
    )
    return task["tasks"][0]["taskArn"]


def about(arn: str, status: str) -> Callable[[Object], bool]:
    def wanted(event: Object) -> bool:
        detail = event.get("detail")
        return isinstance(detail, dict) and (detail.get("taskArn"), detail.get("lastStatus")) == (arn, status)

    return wanted


def ending(small: Small, arn: str) -> Object:
    """The detail of the event that says that the task has stopped."""
    event = small.next_event(about(arn, "STOPPED"))
    assert event is not None
    detail = event["detail"]
    assert isinstance(detail, dict)
    return detail


def exit_codes(detail: Object) -> dict[str, int | None]:
    containers = detail["containers"]
    assert isinstance(containers, list)
    return {each["name"]: each.get("exitCode") for each in containers}  # type: ignore[call-overload, index, union-attr, misc]


@pytest.mark.usefixtures("agent")
def test_containers_run_in_order_with_shared_folders_and_their_own_environment(
    small: Small, commands: Commands, tmp_path: Path
) -> None:
    seen = tmp_path / "seen.json"
    commands["inlet"] = python(
        "import os, pathlib; pathlib.Path(os.environ['GLOVEBOX_IN'], 'x').write_text(os.environ['HANDED'])"
    )
    commands["scanner"] = python(
        "import json, os, pathlib\n"
        "given = pathlib.Path(os.environ['GLOVEBOX_IN'], 'x')\n"
        "mode = oct(given.stat().st_mode & 0o777) + oct(given.parent.stat().st_mode & 0o777)\n"
        "pathlib.Path(os.environ['GLOVEBOX_OUT'], 'y').write_text(json.dumps(\n"
        "    {'given': given.read_text(), 'mode': mode, 'environment': dict(os.environ)}))"
    )
    commands["outlet"] = python(
        "import os, pathlib, shutil\n"
        "assert not pathlib.Path(os.environ['GLOVEBOX_IN']).exists()\n"
        f"shutil.copy(pathlib.Path(os.environ['GLOVEBOX_OUT'], 'y'), {str(seen)!r})"
    )
    arn = start(small, inlet='# who\nHANDED=a=b "c"\n')
    assert small.next_event(about(arn, "RUNNING")) is not None
    detail = ending(small, arn)
    assert exit_codes(detail) == {"inlet": 0, "scanner": 0, "outlet": 0}
    assert (detail["stopCode"], detail["startedBy"]) == ("EssentialContainerExited", "test")
    found = json.loads(seen.read_text())
    assert (found["given"], found["mode"]) == ('a=b "c"', "0o4440o555")
    assert set(found["environment"]) <= {
        "PATH", "LANG", "TZ", "HOME", "TMPDIR", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "GLOVEBOX_IN",
        "GLOVEBOX_OUT", "LC_CTYPE",
    }  # fmt: skip


@pytest.mark.usefixtures("agent")
def test_the_outlet_runs_whatever_became_of_the_scanner(small: Small, commands: Commands) -> None:
    commands["scanner"] = python("import os; os.kill(os.getpid(), 9)")
    assert exit_codes(ending(small, start(small))) == {"inlet": 0, "scanner": 137, "outlet": 0}


@pytest.mark.usefixtures("agent")
def test_without_its_inlet_the_scanner_never_starts(small: Small, commands: Commands) -> None:
    commands["inlet"] = python("raise SystemExit(7)")
    detail = ending(small, start(small))
    assert exit_codes(detail) == {"inlet": 7, "scanner": None, "outlet": None}
    assert detail["stopCode"] == "TaskFailedToStart"


@pytest.mark.usefixtures("agent")
def test_a_file_that_the_execution_role_may_not_read_keeps_the_task_from_starting(small: Small) -> None:
    value = f"arn:aws:s3:::{small.outputs['Bucket']}/results/secret.env"
    small.put("results/secret.env", b"A=b")
    arn = small.aws.client("ecs").run_task(
        cluster=small.outputs["Cluster"],
        taskDefinition=small.outputs["Task"],
        overrides={
            "containerOverrides": [{"name": "inlet", "environmentFiles": [{"type": "s3", "value": value}]}]
        },
    )["tasks"][0]["taskArn"]
    detail = ending(small, arn)
    assert "AccessDenied" in str(detail["stoppedReason"])
    assert set(exit_codes(detail).values()) == {None}


@pytest.mark.usefixtures("agent")
def test_stopping_a_task_ends_even_a_process_that_left_its_session(
    small: Small, commands: Commands, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    commands["scanner"] = python(
        "import os, pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork(): os._exit(0)\n"
        f"    pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(600)"
    )
    arn = start(small)
    wait_until(lambda: pid_file.exists() and bool(pid_file.read_text()))
    small.aws.client("ecs").stop_task(cluster=small.outputs["Cluster"], task=arn, reason="the scan is late")
    detail = ending(small, arn)
    assert (detail["stopCode"], detail["stoppedReason"]) == ("UserInitiated", "the scan is late")
    assert exit_codes(detail) == {"inlet": 0, "scanner": 137, "outlet": None}
    assert not Path(f"/proc/{pid_file.read_text()}").exists()


def test_closing_the_agent_ends_what_runs(small: Small, commands: Commands, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    commands["inlet"] = python(
        f"import os, pathlib, time; pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(600)"
    )
    agent = Agent(small.aws, small.outputs["Cluster"], ProcessEngine(CHECKOUT, commands), tmp_path / "tasks")
    with agent.watching():
        arn = start(small)
        wait_until(lambda: pid_file.exists() and bool(pid_file.read_text()))
    assert not Path(f"/proc/{pid_file.read_text()}").exists()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("task-")]
    small.aws.client("ecs").stop_task(cluster=small.outputs["Cluster"], task=arn)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
