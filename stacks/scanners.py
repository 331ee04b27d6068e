"""What scanners are: cluster, images, and a task definition per scanner.  Where they run is the perimeter."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from glovebox_constructs.data_image import DataImage
from glovebox_constructs.image_build import BuildDefaults
from glovebox_constructs.image_factory import ImageFactory
from glovebox_constructs.prowler_script import prowler_script
from glovebox_constructs.scan_script import scan_script
from glovebox_constructs.scanner_task import UNPRIVILEGED, AirlockImages, ScannerTask, UpstreamScanner
from stacks.outputs import output
from stacks.settings import DATA_IMAGE, IMAGES, TRIVY_UPSTREAM, UNPROMOTED, UPSTREAM_IMAGES, Settings
from stacks.storage import Storage

SITEAUDIT_CPU, SITEAUDIT_MEMORY = 1024, 2048
"""The auditor keeps one core busy at 100 sites at once, in 200 MB; the rest is for the two of the airlock."""
DRILL_CPU, DRILL_MEMORY = 256, 512
"""The least that Fargate has."""
PROWLER_CPU, PROWLER_MEMORY = 1024, 4096
"""700 MB for all services of an empty account; what it keeps grows with the account's resources."""
PROWLER_USER = "1000:10001"
"""The image's own user, because everything lies in his home, which nobody else may enter; in our group, whom
the volumes are open to."""
TRIVY_CPU, TRIVY_MEMORY = 1024, 4096
"""200 MB on a small repository; it keeps all packages of a large one, and their advisories."""
TRUFFLEHOG_CPU, TRUFFLEHOG_MEMORY = 1024, 4096
"""160 MB on a small tree; it looks into archives in archives, 64 MB each, several at once."""
KINGFISHER_CPU, KINGFISHER_MEMORY = 1024, 2048
"""160 MB on a small tree, most of it rules; the largest file that it reads has 256 MB."""


class Scanners(cdk.Stack):
    """One cluster, the images, a task a scanner, and the one that tries to get out.

    Tasks stand in the networks of the stack `Perimeter`, which knows these roles and repositories.
    """

    def __init__(self, scope: Construct, id: str, *, settings: Settings, storage: Storage) -> None:
        super().__init__(scope, id, description="Glovebox: cluster, images and task definitions")
        self._settings, self._storage = settings, storage
        # Not the library's own, which comes with a network: ours is another stack's.
        self.cluster = ecs.CfnCluster(
            self,
            "Cluster",
            cluster_settings=[
                ecs.CfnCluster.ClusterSettingsProperty(name="containerInsights", value="enabled")
            ],
        )
        builds = BuildDefaults(
            key=storage.key,
            architecture=settings.architecture,
            log_retention_days=settings.log_retention_days,
            disposable=settings.disposable,
        )
        self.images = ImageFactory(
            self,
            "Images",
            images=IMAGES,
            upstream=UPSTREAM_IMAGES,
            baked=(DATA_IMAGE,),
            promoted=settings.images,
            unpromoted_tag=UNPROMOTED,
            defaults=builds,
        )
        self.trivy_data = DataImage(
            self,
            "TrivyData",
            name=DATA_IMAGE,
            repository=self.images.repositories[DATA_IMAGE],
            base=self.images.repositories[TRIVY_UPSTREAM],
            image=self.images.image(TRIVY_UPSTREAM),
            schedule=settings.trivy_database,
            defaults=builds,
        )
        self.siteaudit = self._task("SiteAudit", "siteaudit", SITEAUDIT_CPU, SITEAUDIT_MEMORY)
        self.prowler = self._task(
            "Prowler",
            "prowler",
            PROWLER_CPU,
            PROWLER_MEMORY,
            upstream=UpstreamScanner(script=prowler_script(), user=PROWLER_USER),
        )
        self.drill = self._task("Drill", "drill", DRILL_CPU, DRILL_MEMORY)
        self.trivy = self._on_repositories("Trivy", DATA_IMAGE, TRIVY_CPU, TRIVY_MEMORY)
        self.trufflehog = self._on_repositories("TruffleHog", "trufflehog", TRUFFLEHOG_CPU, TRUFFLEHOG_MEMORY)
        self.kingfisher = self._on_repositories("Kingfisher", "kingfisher", KINGFISHER_CPU, KINGFISHER_MEMORY)
        output(self, "Cluster", self.cluster.ref)
        output(self, "TaskDefinition", self.siteaudit.arn)
        output(self, "ProwlerTaskDefinition", self.prowler.arn)
        output(self, "DrillTaskDefinition", self.drill.arn)
        output(self, "TrivyTaskDefinition", self.trivy.arn)
        output(self, "TruffleHogTaskDefinition", self.trufflehog.arn)
        output(self, "KingfisherTaskDefinition", self.kingfisher.arn)
        for name in (*UPSTREAM_IMAGES, DATA_IMAGE):
            output(self, f"{name.capitalize()}Repository", self.images.repositories[name].repository_uri)
        output(self, "BuildProject", self.images.project.ref)
        output(self, "TrivyDataProject", self.trivy_data.project.ref)

    @property
    def tasks(self) -> tuple[ScannerTask, ...]:
        return self.siteaudit, self.prowler, self.drill, *self.of_repositories

    @property
    def of_repositories(self) -> tuple[ScannerTask, ...]:
        """They get no ticket, and run in the group that has no way to the gateway."""
        return self.trivy, self.trufflehog, self.kingfisher

    def _on_repositories(self, id: str, image: str, cpu: int, memory: int) -> ScannerTask:
        scanner = UpstreamScanner(script=scan_script(image), user=UNPRIVILEGED)
        return self._task(id, image, cpu, memory, upstream=scanner)

    def _task(
        self, id: str, image: str, cpu: int, memory: int, upstream: UpstreamScanner | None = None
    ) -> ScannerTask:
        settings, images = self._settings, self.images
        return ScannerTask(
            self,
            id,
            images=AirlockImages(
                inlet=images.image("inlet"), scanner=images.image(image), outlet=images.image("outlet")
            ),
            repositories=images.repository_arns(("inlet", image, "outlet")),
            handoff=self._storage.handoff,
            key=self._storage.key,
            architecture=settings.architecture,
            cpu=cpu,
            memory=memory,
            upstream=upstream,
            log_retention_days=settings.log_retention_days,
            disposable=settings.disposable,
        )
