"""Where scanners run: network, cluster, images, and a task definition per scanner."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_logs as logs
from constructs import Construct

from glovebox_constructs.image_factory import ImageFactory
from glovebox_constructs.policies import statements
from glovebox_constructs.runtime_function import retention
from glovebox_constructs.scanner_task import AirlockImages, ScannerTask
from stacks.outputs import output
from stacks.settings import IMAGES, UNPROMOTED, Settings
from stacks.storage import Storage

NETWORK = "10.42.0.0/20"
"""4,091 addresses: a run of 250 tasks and the next one fit many times."""
ZONES = 2
SITEAUDIT_CPU, SITEAUDIT_MEMORY = 1024, 2048
"""The auditor keeps one core busy at 100 sites at once, in 200 MB; the rest is for the two of the airlock."""


class Scanners(cdk.Stack):
    """The network, one cluster, our images and the task that audits sites.

    This is the first cut of the network: tasks stand in public subnets, with addresses of their own and
    nothing that may come in, because site audits must reach the internet and the egress gateway is not
    built yet.  When it is, in a perimeter stack, tasks move to the isolated subnets.
    """

    def __init__(self, scope: Construct, id: str, *, settings: Settings, storage: Storage) -> None:
        super().__init__(scope, id, description="Glovebox: network, cluster, images and task definitions")
        self._settings = settings
        self.vpc = self._network(storage)
        self.ingest_group = self._ingest_group(storage)
        self.scan_group = self._scan_group()
        self.cluster = ecs.Cluster(
            self, "Cluster", vpc=self.vpc, container_insights_v2=ecs.ContainerInsights.ENABLED
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
        output(self, "Cluster", self.cluster.cluster_name)
        output(self, "TaskDefinition", self.siteaudit.arn)
        output(self, "BuildProject", self.images.project.ref)

    @property
    def task_subnets(self) -> list[str]:
        return [subnet.subnet_id for subnet in self.vpc.public_subnets]

    def _network(self, storage: Storage) -> ec2.Vpc:
        vpc = ec2.Vpc(
            self,
            "Network",
            ip_addresses=ec2.IpAddresses.cidr(NETWORK),
            max_azs=ZONES,
            nat_gateways=0,
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="Tasks",
                    subnet_type=ec2.SubnetType.PUBLIC,
                    cidr_mask=23,
                    map_public_ip_on_launch=False,
                ),
                ec2.SubnetConfiguration(
                    name="Isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24
                ),
            ],
        )
        log = logs.LogGroup(
            self,
            "FlowLog",
            encryption_key=storage.key,
            retention=retention(self._settings.log_retention_days),
            removal_policy=cdk.RemovalPolicy.DESTROY
            if self._settings.disposable
            else cdk.RemovalPolicy.RETAIN,
        )
        vpc.add_flow_log("Flows", destination=ec2.FlowLogDestination.to_cloud_watch_logs(log))
        self._endpoint(
            vpc,
            "S3",
            ec2.GatewayVpcEndpointAwsService.S3,
            "s3_endpoint_policy",
            {
                "ResultsBucket": storage.results.bucket_arn,
            },
        )
        self._endpoint(
            vpc,
            "DynamoDb",
            ec2.GatewayVpcEndpointAwsService.DYNAMODB,
            "dynamodb_endpoint_policy",
            {
                "ScansTable": storage.scans.table_arn,
                "SitesTable": storage.sites.table_arn,
                "RegistryTable": storage.registry.table_arn,
            },
        )
        return vpc

    def _endpoint(
        self,
        vpc: ec2.Vpc,
        id: str,
        service: ec2.GatewayVpcEndpointAwsService,
        policy: str,
        places: dict[str, str],
    ) -> None:
        """Isolated subnets alone get the route, so the policy is about ingest and nobody else."""
        endpoint = vpc.add_gateway_endpoint(
            id, service=service, subnets=[ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)]
        )
        for statement in statements(policy, {"Account": cdk.Aws.ACCOUNT_ID, **places}):
            endpoint.add_to_policy(statement)

    def _scan_group(self) -> ec2.SecurityGroup:
        """Nothing comes in.  Out go DNS and any TCP port: a host list may name ports."""
        group = ec2.SecurityGroup(
            self,
            "ScanGroup",
            vpc=self.vpc,
            description="Site audit tasks: nothing in",
            allow_all_outbound=False,
        )
        group.add_egress_rule(
            ec2.Peer.any_ipv4(), ec2.Port.all_tcp(), "Sites, and the buckets of the airlock"
        )
        group.add_egress_rule(ec2.Peer.ipv4(NETWORK), ec2.Port.udp(53), "The resolver of this network")
        return group

    def _ingest_group(self, storage: Storage) -> ec2.SecurityGroup:
        """Nothing comes in; out only to 443, where the subnets' routes lead to the two endpoints alone."""
        group = ec2.SecurityGroup(
            self,
            "IngestGroup",
            vpc=self.vpc,
            description="Ingest: S3 and DynamoDB alone",
            allow_all_outbound=False,
        )
        group.add_egress_rule(
            ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "The gateway endpoints of S3 and DynamoDB"
        )
        return group
