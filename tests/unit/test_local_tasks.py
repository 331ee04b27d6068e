"""The order of containers, environment files, and task definitions that lost something."""

from __future__ import annotations

import pytest

from glovebox.errors import ConfigurationError
from glovebox.local.tasks import Container, Dependency, parse_environment_file, startable, task_from


def container(name: str, *after: tuple[str, str]) -> Container:
    depends_on = tuple(Dependency(other, condition) for other, condition in after)  # type: ignore[arg-type]
    return Container(name, "image", True, (), (), {}, (), (), depends_on)


INLET = container("inlet")
SCANNER = container("scanner", ("inlet", "SUCCESS"))
OUTLET = container("outlet", ("scanner", "COMPLETE"))


@pytest.mark.parametrize(
    ("waiting", "started", "exits", "ready"),
    [
        ([INLET, SCANNER, OUTLET], set(), {}, [INLET]),
        ([SCANNER, OUTLET], {"inlet"}, {}, []),
        ([SCANNER, OUTLET], {"inlet"}, {"inlet": 0}, [SCANNER]),
        ([OUTLET], {"inlet", "scanner"}, {"inlet": 0, "scanner": 137}, [OUTLET]),
        ([container("x", ("inlet", "START"))], {"inlet"}, {}, [container("x", ("inlet", "START"))]),
    ],
)
def test_a_container_starts_once_its_conditions_hold(
    waiting: list[Container], started: set[str], exits: dict[str, int], ready: list[Container]
) -> None:
    assert startable(waiting, started, exits) == (ready, None)


def test_a_condition_that_can_never_hold_is_told() -> None:
    ready, why = startable([SCANNER, OUTLET], {"inlet"}, {"inlet": 3})
    assert ready == []
    assert why == "Container scanner cannot start: inlet ended with 3."


def test_environment_files_are_read_as_ecs_reads_them() -> None:
    text = '# comment\n\nA=b\nB="c d" = e\n  C=f  \nnothing\n=value\nD=\n'
    assert parse_environment_file(text) == {"A": "b", "B": '"c d" = e', "C": "f", "D": ""}


@pytest.mark.parametrize(
    "broken",
    [
        {"dependsOn": [{}]},
        {"mountPoints": [{"sourceVolume": "in", "containerPath": "/in"}]},
    ],
)
def test_a_definition_that_lost_its_order_or_its_volumes_is_refused(broken: dict[str, object]) -> None:
    definition = {"family": "f", "containerDefinitions": [{"name": "scanner", **broken}], "volumes": [{}]}
    with pytest.raises(ConfigurationError, match="scanner refers to"):
        task_from({"taskArn": "arn:task/c/1"}, definition)  # type: ignore[arg-type]
