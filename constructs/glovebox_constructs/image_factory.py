"""Builds our images in an account of our own: no laptop's engine, no mutable tag, promotion by digest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
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

KEPT_UNTAGGED_DAYS = 7
BUILD_MINUTES = 30


class ImageFactory(Construct):
    """A repository per image, and one project that builds ours from the sources of this deployment.

    Nothing is built by deploying: a person starts the project, looks at the scan's findings, and promotes a
    digest through the setting `images`.  Images of others (`upstream`) are copied as they are, by a person;
    the project may not write where they lie.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        images: tuple[str, ...],
        upstream: tuple[str, ...],
        promoted: Mapping[str, str],
        unpromoted_tag: str,
        key: kms.IKey,
        architecture: str,
        log_retention_days: int,
        disposable: bool,
    ) -> None:
        super().__init__(scope, id)
        self._promoted = promoted
        self._unpromoted_tag = unpromoted_tag
        self.repositories = {
            image: self._repository(image, key, disposable) for image in (*images, *upstream)
        }
        self.project = self._project(images, key, architecture, log_retention_days, disposable)

    def image(self, name: str) -> str:
        """What a task names: the promoted digest, else a tag that no image ever carries."""
        repository = self.repositories[name]
        digest = self._promoted.get(name)
        if digest:
            return f"{repository.repository_uri}@{digest}"
        return f"{repository.repository_uri}:{self._unpromoted_tag}"

    def repository_arns(self, images: Iterable[str]) -> list[str]:
        return [self.repositories[image].repository_arn for image in images]

    def _repository(self, image: str, key: kms.IKey, disposable: bool) -> ecr.Repository:
        return ecr.Repository(
            self,
            image.capitalize(),
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            image_scan_on_push=True,
            encryption=ecr.RepositoryEncryption.KMS,
            encryption_key=key,
            removal_policy=cdk.RemovalPolicy.DESTROY if disposable else cdk.RemovalPolicy.RETAIN,
            lifecycle_rules=[
                ecr.LifecycleRule(
                    tag_status=ecr.TagStatus.UNTAGGED, max_image_age=cdk.Duration.days(KEPT_UNTAGGED_DAYS)
                )
            ],
        )

    def _project(
        self,
        images: tuple[str, ...],
        key: kms.IKey,
        architecture: str,
        log_retention_days: int,
        disposable: bool,
    ) -> codebuild.CfnProject:
        sources = image_sources(self, "Sources", images)
        log = logs.LogGroup(
            self,
            "Log",
            encryption_key=key,
            retention=retention(log_retention_days),
            removal_policy=cdk.RemovalPolicy.DESTROY if disposable else cdk.RemovalPolicy.RETAIN,
        )
        role = iam.Role(self, "BuildRole", assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com"))
        archive = f"{sources.bucket.bucket_arn}/{sources.s3_object_key}"
        grant(role, "s3:GetObject", "s3:GetObjectVersion", on=[archive])
        grant(role, "logs:CreateLogStream", "logs:PutLogEvents", on=[log.log_group_arn])
        grant(role, "ecr:GetAuthorizationToken", on=["*"], because="It takes no resource.")
        grant(role, *_PUSH, on=self.repository_arns(images))
        project = codebuild.CfnProject
        build = project(
            self,
            "Build",
            description="Builds and pushes Glovebox's own images; prints their digests",
            service_role=role.role_arn,
            encryption_key=key.key_arn,
            source=project.SourceProperty(
                type="S3",
                location=f"{sources.bucket.bucket_name}/{sources.s3_object_key}",
                build_spec=json.dumps(_build_steps(images), indent=1),
            ),
            artifacts=project.ArtifactsProperty(type="NO_ARTIFACTS"),
            environment=project.EnvironmentProperty(
                type="ARM_CONTAINER" if architecture == "arm64" else "LINUX_CONTAINER",
                image="aws/codebuild/amazonlinux-aarch64-standard:3.0"
                if architecture == "arm64"
                else "aws/codebuild/amazonlinux-x86_64-standard:5.0",
                compute_type="BUILD_GENERAL1_SMALL",
                # The builder runs an engine of its own inside its container.
                privileged_mode=True,
                environment_variables=[
                    project.EnvironmentVariableProperty(name=name, value=value)
                    for name, value in {
                        "TAG": sources.asset_hash,
                        **{
                            f"REPOSITORY_{image}": self.repositories[image].repository_uri for image in images
                        },
                    }.items()
                ],
            ),
            logs_config=project.LogsConfigProperty(
                cloud_watch_logs=project.CloudWatchLogsConfigProperty(
                    status="ENABLED", group_name=log.log_group_name
                )
            ),
            timeout_in_minutes=BUILD_MINUTES,
        )
        build.node.add_dependency(role)
        accept(
            build,
            "AwsSolutions-CB3",
            "Building an image needs an engine; the project builds our sources alone.",
        )
        return build


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
  docker build --file "$image/containers/$image/Dockerfile" --tag "$repository:$TAG" "$image"
  docker push --quiet "$repository:$TAG"
fi
echo "$image $(shown)"
"""


def _build_steps(images: tuple[str, ...]) -> dict[str, Any]:
    registry = f"${{REPOSITORY_{images[0]}%%/*}}"
    each = f"set -euo pipefail\nfor image in {' '.join(images)}; do{_ONE_IMAGE}done"
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
