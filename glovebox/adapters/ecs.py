"""ECS: one Fargate task a scan's attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from glovebox.adapters.aws import calling, error_code, error_message
from glovebox.errors import RefusedError, UpstreamError
from glovebox.scans.model import ReportKind
from glovebox.scans.ports import NoCapacityError, TaskOrder
from glovebox.scans.repositories import REPOSITORY_SCANNERS

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import ContainerOverrideTypeDef

_NEVER = {
    "AccessDeniedException",
    "ClientException",
    "ClusterNotFoundException",
    "InvalidParameterException",
    "PlatformTaskDefinitionIncompatibilityException",
    "PlatformUnknownException",
    "UnsupportedFeatureException",
}
"""What another try with the same order would meet again."""
_LATER = ("capacity", "limit", "throttl", "rate exceeded")
"""ECS says in words, under several codes, that there is no room at the moment."""


class EcsTasks:
    """`glovebox.scans.ports.Tasks` on one cluster."""

    def __init__(
        self,
        client: ECSClient,
        *,
        cluster: str,
        task_definition: str,
        other_task_definitions: Mapping[ReportKind, str] | None = None,
        subnets: Sequence[str],
        security_groups: Sequence[str],
        unticketed_security_groups: Sequence[str] = (),
    ) -> None:
        """Families, of which the latest revision runs: that of sites, and of what else is scanned.

        Tasks that get no ticket run in the unticketed groups, which have no way to the gateway.
        """
        self._client = client
        self._cluster = cluster
        self._task_definitions: dict[ReportKind, str] = {
            **(other_task_definitions or {}),
            "site": task_definition,
        }
        self._subnets = list(subnets)
        self._security_groups: dict[ReportKind, list[str]] = {
            kind: list(unticketed_security_groups if kind in REPOSITORY_SCANNERS else security_groups)
            for kind in self._task_definitions
        }

    def start(self, order: TaskOrder) -> str:
        if order.kind not in self._task_definitions:
            raise RefusedError(f"There is no task for {order.kind}.", fix="Deploy the broker's stack again.")
        try:
            with calling("Starting a task"):
                answer = self._client.run_task(
                    cluster=self._cluster,
                    taskDefinition=self._task_definitions[order.kind],
                    launchType="FARGATE",
                    count=1,
                    clientToken=order.token,
                    startedBy=order.started_by,
                    enableExecuteCommand=False,
                    tags=[{"key": "scanId", "value": order.scan_id}],
                    networkConfiguration={
                        "awsvpcConfiguration": {
                            "subnets": self._subnets,
                            "securityGroups": self._security_groups[order.kind],
                            # Tasks stand where no gateway to the internet is; their way out is Squid.
                            "assignPublicIp": "DISABLED",
                        }
                    },
                    # The control plane shows the ARNs only; what they hold is for the containers.
                    overrides={
                        "containerOverrides": [
                            _from_file("inlet", order.inlet_environment),
                            _from_file("outlet", order.outlet_environment),
                        ]
                    },
                )
        except UpstreamError as error:
            raise _judged(error) from error.__cause__
        if not answer["tasks"]:
            said = "; ".join(failure.get("reason", "no reason") for failure in answer["failures"])
            raise NoCapacityError(f"ECS placed no task: {said or 'no reason'}.", fix="It is tried again.")
        return answer["tasks"][0].get("taskArn", "")


class EcsTaskAddresses:
    """`glovebox.drill.ports.TaskAddresses` on one cluster."""

    def __init__(self, client: ECSClient, cluster: str) -> None:
        self._client = client
        self._cluster = cluster

    def address(self, task_arn: str) -> str:
        with calling("Looking up a task"):
            tasks = self._client.describe_tasks(cluster=self._cluster, tasks=[task_arn])["tasks"]
        for task in tasks:
            for attachment in task.get("attachments", []):
                for detail in attachment.get("details", []):
                    if detail.get("name") == "privateIPv4Address":
                        return detail.get("value", "")
        raise UpstreamError("ECS does not say which address the task had.", fix="It forgets within hours.")


class EcsStopper:
    """`glovebox.scans.ports.Stopper` on one cluster."""

    def __init__(self, client: ECSClient, cluster: str) -> None:
        self._client = client
        self._cluster = cluster

    def stop(self, task_arn: str, reason: str) -> None:
        try:
            with calling("Stopping a task"):
                self._client.stop_task(cluster=self._cluster, task=task_arn, reason=reason)
        except UpstreamError as error:
            cause = error.__cause__
            # ECS forgets a stopped task within the hour.
            if not (isinstance(cause, ClientError) and error_code(cause) == "InvalidParameterException"):
                raise


def _judged(error: UpstreamError) -> UpstreamError | RefusedError:
    """What ECS's refusal means for the scan: later, never, or nobody knows."""
    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return error
    said = error_message(cause).lower()
    if any(word in said for word in _LATER):
        return NoCapacityError(error.reason, fix="It is tried again.")
    if error_code(cause) in _NEVER:
        return RefusedError(error.reason, fix="Promote an image, or deploy the scanners' stack again.")
    return error


def _from_file(name: str, arn: str) -> ContainerOverrideTypeDef:
    return {"name": name, "environmentFiles": [{"type": "s3", "value": arn}]}
