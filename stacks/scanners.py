"""What scanners are: cluster, images, and a task definition per scanner.  Where they run is the perimeter."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from glovebox_constructs.image_factory import ImageFactory
from glovebox_constructs.scanner_task import AirlockImages, ScannerTask
from stacks.outputs import output
from stacks.settings import IMAGES, UNPROMOTED, Settings
from stacks.storage import Storage

SITEAUDIT_CPU, SITEAUDIT_MEMORY = 1024, 2048
"""The auditor keeps one core busy at 100 sites at once, in 200 MB; the rest is for the two of the airlock."""


class Scanners(cdk.Stack):
    """One cluster, our images and the task that audits sites.

    Tasks stand in the networks of the stack `Perimeter`, which knows these roles and repositories.
    """

    def __init__(self, scope: Construct, id: str, *, settings: Settings, storage: Storage) -> None:
        super().__init__(scope, id, description="Glovebox: cluster, images and task definitions")
        self._settings = settings
        # Not the library's own, which comes with a network: ours is another stack's.
        self.cluster = ecs.CfnCluster(
            self,
            "Cluster",
            cluster_settings=[
                ecs.CfnCluster.ClusterSettingsProperty(name="containerInsights", value="enabled")
            ],
        )
        self.images = ImageFactory(
            self,
            "Images",
            images=IMAGES,
            promoted=settings.images,
            unpromoted_tag=UNPROMOTED,
            key=storage.key,
            architecture=settings.architecture,
            log_retention_days=settings.log_retention_days,
            disposable=settings.disposable,
        )
        self.siteaudit = ScannerTask(
            self,
            "SiteAudit",
            images=AirlockImages(
                inlet=self.images.image("inlet"),
                scanner=self.images.image("siteaudit"),
                outlet=self.images.image("outlet"),
            ),
            repositories=self.images.repository_arns,
            handoff=storage.handoff,
            key=storage.key,
            architecture=settings.architecture,
            cpu=SITEAUDIT_CPU,
            memory=SITEAUDIT_MEMORY,
            log_retention_days=settings.log_retention_days,
            disposable=settings.disposable,
        )
        output(self, "Cluster", self.cluster.ref)
        output(self, "TaskDefinition", self.siteaudit.arn)
        output(self, "BuildProject", self.images.project.ref)
