"""The airlock as a Fargate task: inlet, then the scanner, then outlet, and no AWS role in any of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from glovebox_constructs.findings import accept
from glovebox_constructs.grants import grant, key_grant, objects, revisions, tasks
from glovebox_constructs.runtime_function import RuntimeFunction, retention

IN = "/glovebox/in"
OUT = "/glovebox/out"
SCRATCH, TEMPORARY = "/glovebox/scratch", "/tmp"  # noqa: S108 - a volume of the task's own
"""One volume: as the inlet's image declares it, and where the scanner finds it."""
UNPRIVILEGED = "10001:10001"
"""The user of all our images, and the owner of the volumes that the inlet's image declares."""
OPEN_FILES = 20_000
STOP_SECONDS = 30
"""From SIGTERM to SIGKILL: enough for an outlet to end an upload, too little to be hidden in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AirlockImages:
    """Each as `repository@sha256:…`."""

    inlet: str
    scanner: str
    outlet: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamScanner:
    """What somebody else's image needs: a script for its shell, and the user that its files are for."""

    script: str
    user: str


class ScannerTask(Construct):
    """A task definition for one kind of scanner; an `upstream` one gets a folder for temporary files.

    `cpu` in units of 1/1024, `memory` in MiB, as Fargate pairs them.  The scanner's standard output goes
    nowhere: it could carry secrets, and its log reaches us redacted and bounded through the outlet.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        images: AirlockImages,
        repositories: list[str],
        handoff: s3.IBucket,
        key: kms.IKey,
        architecture: str,
        cpu: int,
        memory: int,
        log_retention_days: int,
        disposable: bool,
        upstream: UpstreamScanner | None = None,
    ) -> None:
        super().__init__(scope, id)
        scratch = upstream is not None
        self.log_group = logs.LogGroup(
            self,
            "Log",
            encryption_key=key,
            retention=retention(log_retention_days),
            removal_policy=cdk.RemovalPolicy.DESTROY if disposable else cdk.RemovalPolicy.RETAIN,
        )
        self.execution_role = self._execution_role(repositories, handoff, key)
        # Named, because each change makes a new revision with an ARN of its own: a stack that imported that
        # ARN would keep this one from ever changing, and with it every promotion of an image.
        self.family = f"{cdk.Stack.of(self).stack_name}-{id}"
        # The library's own task definition always makes a task role; here there is to be none.
        definition = ecs.CfnTaskDefinition(
            self,
            "Definition",
            family=self.family,
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(cpu),
            memory=str(memory),
            execution_role_arn=self.execution_role.role_arn,
            runtime_platform=ecs.CfnTaskDefinition.RuntimePlatformProperty(
                cpu_architecture=architecture.upper(), operating_system_family="LINUX"
            ),
            volumes=[
                # Without a source these live in the task's own storage and end with it.
                ecs.CfnTaskDefinition.VolumeProperty(name=name)
                for name in ("in", "out", *(["scratch"] if scratch else []))
            ],
            container_definitions=[
                _container(
                    "inlet",
                    images.inlet,
                    mounts={IN: ("in", True), OUT: ("out", True), **_scratch(SCRATCH, scratch)},
                    log=self.log_group,
                ),
                _container(
                    "scanner",
                    images.scanner,
                    mounts={IN: ("in", False), OUT: ("out", True), **_scratch(TEMPORARY, scratch)},
                    after={"inlet": "SUCCESS"},
                    upstream=upstream,
                ),
                _container(
                    "outlet",
                    images.outlet,
                    mounts={OUT: ("out", False)},
                    after={"scanner": "COMPLETE"},
                    essential=True,
                    log=self.log_group,
                ),
            ],
        )
        definition.node.add_dependency(self.execution_role)
        accept(
            definition, "AwsSolutions-ECS7", "What the scanner prints may hold secrets, so it goes nowhere."
        )
        self.arn = definition.ref
        """Of the present revision, for people; whoever runs tasks names the family and gets the latest."""

    def may_be_started_by(self, unit: RuntimeFunction, *, cluster: ecs.CfnCluster) -> None:
        """Lets `unit` run this task in `cluster`, without a shell in it, and hand it its execution role."""
        unit.may(
            "ecs:RunTask",
            on=[revisions(self.family)],
            when={
                "ArnEquals": {"ecs:cluster": cluster.attr_arn},
                "BoolIfExists": {"ecs:enable-execute-command": "false"},
            },
            because="Each promotion of an image makes a revision, and the latest one is run.",
        )
        unit.may(
            "ecs:TagResource",
            on=[tasks(cluster)],
            when={"StringEquals": {"ecs:CreateAction": "RunTask"}},
            because="Tasks and objects of a scan get their names when it starts.",
        )
        unit.may(
            "iam:PassRole",
            on=[self.execution_role.role_arn],
            when={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        )

    def _execution_role(self, repositories: list[str], handoff: s3.IBucket, key: kms.IKey) -> iam.Role:
        """What Fargate does for the task, before any of its containers runs."""
        role = iam.Role(self, "ExecutionRole", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
        names = "A scan's environment files stand under names that are made when it starts."
        grant(
            role,
            "ecr:GetAuthorizationToken",
            on=["*"],
            because="It takes no resource; what it opens is limited to our repositories.",
        )
        grant(
            role,
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetDownloadUrlForLayer",
            on=repositories,
        )
        grant(role, "logs:CreateLogStream", "logs:PutLogEvents", on=[self.log_group.log_group_arn])
        files = [objects(handoff, f"handoff/*/*/{side}.env") for side in ("inlet", "outlet")]
        grant(role, "s3:GetObject", on=files, because=names)
        grant(role, "s3:GetBucketLocation", on=[handoff.bucket_arn])
        key_grant(role, key, "s3")
        return role


def _scratch(path: str, wanted: bool) -> Mapping[str, tuple[str, bool]]:
    return {path: ("scratch", True)} if wanted else {}


def _container(
    name: str,
    image: str,
    *,
    mounts: Mapping[str, tuple[str, bool]],
    after: Mapping[str, str] = {},
    essential: bool = False,
    log: logs.ILogGroup | None = None,
    upstream: UpstreamScanner | None = None,
) -> ecs.CfnTaskDefinition.ContainerDefinitionProperty:
    """`mounts`: path → volume and whether it may be written; `after`: container → condition."""
    definition = ecs.CfnTaskDefinition
    return definition.ContainerDefinitionProperty(
        name=name,
        image=image,
        essential=essential,
        readonly_root_filesystem=True,
        user=upstream.user if upstream else UNPRIVILEGED,
        entry_point=["/bin/sh", "-c"] if upstream else None,
        command=[upstream.script] if upstream else None,
        privileged=False,
        linux_parameters=definition.LinuxParametersProperty(
            capabilities=definition.KernelCapabilitiesProperty(drop=["ALL"]), init_process_enabled=True
        ),
        mount_points=[
            definition.MountPointProperty(container_path=path, source_volume=volume, read_only=not writable)
            for path, (volume, writable) in mounts.items()
        ],
        depends_on=[
            definition.ContainerDependencyProperty(container_name=other, condition=condition)
            for other, condition in after.items()
        ]
        or None,
        ulimits=[definition.UlimitProperty(name="nofile", soft_limit=OPEN_FILES, hard_limit=OPEN_FILES)],
        stop_timeout=STOP_SECONDS,
        log_configuration=None
        if log is None
        else definition.LogConfigurationProperty(
            log_driver="awslogs",
            options={
                "awslogs-group": log.log_group_name,
                "awslogs-region": cdk.Aws.REGION,
                "awslogs-stream-prefix": name,
                # A log that cannot be written must not stop an upload.
                "mode": "non-blocking",
            },
        ),
    )
