"""A scanner's image with its data: upstream's, by digest, and what it downloads for itself, baked in."""

from __future__ import annotations

from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from glovebox_constructs.grants import grant
from glovebox_constructs.image_build import DATED, PULL, BuildDefaults, ImageBuild


class DataImage(Construct):
    """A project that pulls `base`, which `image` names by digest, builds `containers/<name>` on top of it,
    and pushes that to `repository` under a dated tag.

    It runs when a person starts it, or at `schedule`, as EventBridge writes it; `off` for never.  What it
    made counts for nothing until somebody promotes it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        repository: ecr.IRepository,
        base: ecr.IRepository,
        image: str,
        schedule: str,
        defaults: BuildDefaults,
    ) -> None:
        super().__init__(scope, id)
        build = ImageBuild(
            self,
            description=f"Bakes {name}'s data of the day into an image; prints its digest",
            repositories={name: repository},
            defaults=defaults,
            tag=DATED,
            arguments={name.upper(): image},
        )
        grant(build.role, *PULL, on=[base.repository_arn])
        self.project = build.project
        if schedule != "off":
            rule = events.Rule(self, "Schedule", schedule=events.Schedule.expression(schedule))
            rule.add_target(
                targets.CodeBuildProject(
                    codebuild.Project.from_project_arn(self, "Project", self.project.attr_arn)
                )
            )
