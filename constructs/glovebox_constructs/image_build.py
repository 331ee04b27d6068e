"""A CodeBuild project that builds images from the sources of this deployment and pushes them, and no more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from glovebox_constructs.findings import accept
from glovebox_constructs.grants import grant
from glovebox_constructs.runtime_function import retention
from glovebox_constructs.unit_code import image_sources

BUILD_MINUTES = 30
PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
DATED = "$(date -u +%Y%m%dT%H%M%SZ)"
"""A tag, as the builder's shell makes it: each build is another image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildDefaults:
    """What all projects of a stack have in common."""

    key: kms.IKey
    architecture: str
    log_retention_days: int
    disposable: bool


class ImageBuild:
    """One project below `scope`, which may push to `repositories` (image → where) alone.

    `tag`: for all that it builds, else a hash of the sources; `arguments`: of each build.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        description: str,
        repositories: Mapping[str, ecr.IRepository],
        defaults: BuildDefaults,
        tag: str = "",
        arguments: Mapping[str, str] = {},
    ) -> None:
        images = tuple(repositories)
        sources = image_sources(scope, "Sources", images)
        log = logs.LogGroup(
            scope,
            "Log",
            encryption_key=defaults.key,
            retention=retention(defaults.log_retention_days),
            removal_policy=cdk.RemovalPolicy.DESTROY if defaults.disposable else cdk.RemovalPolicy.RETAIN,
        )
        self.role = iam.Role(scope, "BuildRole", assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com"))
        archive = f"{sources.bucket.bucket_arn}/{sources.s3_object_key}"
        grant(self.role, "s3:GetObject", "s3:GetObjectVersion", on=[archive])
        grant(self.role, "logs:CreateLogStream", "logs:PutLogEvents", on=[log.log_group_arn])
        grant(self.role, "ecr:GetAuthorizationToken", on=["*"], because="It takes no resource.")
        grant(self.role, *_PUSH, on=[each.repository_arn for each in repositories.values()])
        project = codebuild.CfnProject
        arm = defaults.architecture == "arm64"
        told = {
            **({} if tag else {"TAG": sources.asset_hash}),
            **{f"REPOSITORY_{image}": each.repository_uri for image, each in repositories.items()},
            **arguments,
        }
        self.project = project(
            scope,
            "Build",
            description=description,
            service_role=self.role.role_arn,
            encryption_key=defaults.key.key_arn,
            source=project.SourceProperty(
                type="S3",
                location=f"{sources.bucket.bucket_name}/{sources.s3_object_key}",
                build_spec=json.dumps(_build_steps(images, tag, tuple(arguments)), indent=1),
            ),
            artifacts=project.ArtifactsProperty(type="NO_ARTIFACTS"),
            environment=project.EnvironmentProperty(
                type="ARM_CONTAINER" if arm else "LINUX_CONTAINER",
                image="aws/codebuild/amazonlinux-aarch64-standard:3.0"
                if arm
                else "aws/codebuild/amazonlinux-x86_64-standard:5.0",
                compute_type="BUILD_GENERAL1_SMALL",
                # The builder runs an engine of its own inside its container.
                privileged_mode=True,
                environment_variables=[
                    project.EnvironmentVariableProperty(name=name, value=value)
                    for name, value in told.items()
                ],
            ),
            logs_config=project.LogsConfigProperty(
                cloud_watch_logs=project.CloudWatchLogsConfigProperty(
                    status="ENABLED", group_name=log.log_group_name
                )
            ),
            timeout_in_minutes=BUILD_MINUTES,
        )
        self.project.node.add_dependency(self.role)
        accept(
            self.project,
            "AwsSolutions-CB3",
            "Building an image needs an engine; the project builds our sources alone.",
        )


_PUSH = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
]


# CodeBuild's own format.  Tags are immutable, so what is built already is left alone.
_ONE_IMAGE = """
repository=$(printenv "REPOSITORY_$image")
shown() {
  aws ecr describe-images --repository-name "${repository#*/}" --image-ids imageTag="$TAG" \\
    --query 'imageDetails[0].imageDigest' --output text
}
if ! shown >/dev/null 2>&1; then
  docker build@ARGUMENTS@ --file "$image/containers/$image/Dockerfile" --tag "$repository:$TAG" "$image"
  docker push --quiet "$repository:$TAG"
fi
echo "$image $(shown)"
"""


def _build_steps(images: tuple[str, ...], tag: str, arguments: tuple[str, ...]) -> dict[str, Any]:
    registry = f"${{REPOSITORY_{images[0]}%%/*}}"
    # Docker takes the value of an argument that is named alone from the environment.
    one = _ONE_IMAGE.replace("@ARGUMENTS@", "".join(f" --build-arg {name}" for name in arguments))
    first = f"TAG={tag}\n" if tag else ""
    each = f"set -euo pipefail\n{first}for image in {' '.join(images)}; do{one}done"
    return {
        "version": "0.2",
        "env": {"shell": "bash"},
        "phases": {
            "pre_build": {
                "commands": [
                    f'aws ecr get-login-password | docker login --username AWS --password-stdin "{registry}"'
                ]
            },
            "build": {"commands": [each]},
        },
    }
