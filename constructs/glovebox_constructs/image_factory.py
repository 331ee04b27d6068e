"""Builds our images in an account of our own: no laptop's engine, no mutable tag, promotion by digest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from constructs import Construct

from glovebox_constructs.image_build import BuildDefaults, ImageBuild

KEPT_UNTAGGED_DAYS = 7
KEPT_BAKED = 10
"""Images of which a new one comes every day, of a gigabyte each: more than a week to promote one."""


class ImageFactory(Construct):
    """A repository per image, and one project that builds ours from the sources of this deployment.

    Nothing is built by deploying: a person starts the project, looks at the scan's findings, and promotes a
    digest through the setting `images`.  Images of others (`upstream`) are copied as they are, by a person;
    the project may not write where they lie, nor where those lie that others make by the day (`baked`).
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        images: tuple[str, ...],
        upstream: tuple[str, ...],
        baked: tuple[str, ...],
        promoted: Mapping[str, str],
        unpromoted_tag: str,
        defaults: BuildDefaults,
    ) -> None:
        super().__init__(scope, id)
        self._promoted = promoted
        self._unpromoted_tag = unpromoted_tag
        self.repositories = {
            **{image: self._repository(image, defaults) for image in (*images, *upstream)},
            **{image: self._repository(image, defaults, kept=KEPT_BAKED) for image in baked},
        }
        self.project = ImageBuild(
            self,
            description="Builds and pushes Glovebox's own images; prints their digests",
            repositories={image: self.repositories[image] for image in images},
            defaults=defaults,
        ).project

    def image(self, name: str) -> str:
        """What a task names: the promoted digest, else a tag that no image ever carries."""
        repository = self.repositories[name]
        digest = self._promoted.get(name)
        if digest:
            return f"{repository.repository_uri}@{digest}"
        return f"{repository.repository_uri}:{self._unpromoted_tag}"

    def repository_arns(self, images: Iterable[str]) -> list[str]:
        return [self.repositories[image].repository_arn for image in images]

    def _repository(self, image: str, defaults: BuildDefaults, *, kept: int = 0) -> ecr.Repository:
        """`kept`: how many images stay, else all that have a tag."""
        rules = [
            ecr.LifecycleRule(
                tag_status=ecr.TagStatus.UNTAGGED, max_image_age=cdk.Duration.days(KEPT_UNTAGGED_DAYS)
            )
        ]
        if kept:
            rules.append(ecr.LifecycleRule(tag_status=ecr.TagStatus.ANY, max_image_count=kept))
        return ecr.Repository(
            self,
            image.capitalize(),
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            image_scan_on_push=True,
            encryption=ecr.RepositoryEncryption.KMS,
            encryption_key=defaults.key,
            removal_policy=cdk.RemovalPolicy.DESTROY if defaults.disposable else cdk.RemovalPolicy.RETAIN,
            lifecycle_rules=rules,
        )
