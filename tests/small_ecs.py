"""A cluster under moto as the stacks make it, as far as `launch` looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient


def make_cluster(ecs: ECSClient, name: str, *, families: tuple[str, ...]) -> None:
    """A task definition a family, each with the three containers of a scan."""
    ecs.create_cluster(clusterName=name)
    for family in families:
        ecs.register_task_definition(
            family=family,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=[
                {"name": each, "image": each, "memory": 128} for each in ("inlet", "scanner", "outlet")
            ],
        )
