"""The egress gateway: one small machine a zone, with addresses that outlive it."""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from glovebox.errors import ConfigurationError
from glovebox_constructs.findings import accept
from glovebox_constructs.gateway_keys import IN_USE, GatewayKeys
from glovebox_constructs.grants import grant, key_grant
from glovebox_constructs.runtime_function import retention

BOOT = Path(__file__).with_name("squid_boot.sh")
FOLDER = "/glovebox/gateway"
"""Where the container finds its files; on the instance the same."""
USER = "13:13"
"""Of the gateway's image: Debian's `proxy`."""
FAMILIES = {"arm64": "t4g", "x86_64": "t3a"}
MACHINE_IMAGES = {"arm64": "amazon-linux-2023/arm64", "x86_64": "amazon-linux-2023"}
DISK_GIGABYTES = 30
"""The machine image's own size; a smaller disk is refused."""
LIFETIME = cdk.Duration.days(14)
"""Patching is replacing: at this age the group ends the instance and starts one from the newest image."""
MAX_USER_DATA = 16_384
"""EC2's limit, in bytes before base64."""


class SquidEgress(Construct):
    """Squid on self-healing instances: a group of one per zone, which always takes the same interface.

    The interface has a fixed private address and an Elastic IP.  It is the instance's first interface, so an
    instance needs no permission to take it, no address of its own, and never stands there without it.
    Nothing runs until an image is promoted.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        subnets: Sequence[ec2.ISubnet],
        addresses: Sequence[str],
        group: ec2.ISecurityGroup,
        image: str,
        promoted: bool,
        repository: ecr.IRepository,
        files: Mapping[str, str],
        keys: GatewayKeys,
        architecture: str,
        size: str,
        key: kms.IKey,
        log_retention_days: int,
        disposable: bool,
    ) -> None:
        super().__init__(scope, id)
        self.log_group = logs.LogGroup(
            self,
            "Ledger",
            encryption_key=key,
            retention=retention(log_retention_days),
            removal_policy=cdk.RemovalPolicy.DESTROY if disposable else cdk.RemovalPolicy.RETAIN,
        )
        self._keys = keys
        self.role = self._role(repository, key)
        self._profile = iam.CfnInstanceProfile(self, "Profile", roles=[self.role.role_name])
        user_data = self._user_data(image, files)
        self.interfaces: list[ec2.CfnNetworkInterface] = []
        self.public_addresses: list[ec2.CfnEIP] = []
        self.groups: list[autoscaling.CfnAutoScalingGroup] = []
        for number, (subnet, address) in enumerate(zip(subnets, addresses, strict=True), start=1):
            zone = Construct(self, f"Zone{number}")
            interface = self._interface(zone, subnet, address, group)
            template = self._template(
                zone, interface, f"{FAMILIES[architecture]}.{size}", architecture, user_data
            )
            self.groups.append(self._group(zone, subnet, template, 1 if promoted else 0))
        self.promoted = promoted

    def _role(self, repository: ecr.IRepository, key: kms.IKey) -> iam.Role:
        """Pulls one image, writes one log, reads one leaf and the public keys.  Nothing else."""
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
        grant(role, "ecr:GetAuthorizationToken", on=["*"], because="It takes no resource.")
        grant(role, "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", on=[repository.repository_arn])
        grant(role, "logs:CreateLogStream", "logs:PutLogEvents", on=[self.log_group.log_group_arn])
        grant(role, "secretsmanager:GetSecretValue", on=[self._keys.leaf.secret_arn], when=IN_USE)
        grant(role, "ssm:GetParameter", on=[self._keys.ticket_keys.parameter_arn])
        key_grant(role, key, "secretsmanager")
        return role

    def _interface(
        self, zone: Construct, subnet: ec2.ISubnet, address: str, group: ec2.ISecurityGroup
    ) -> ec2.CfnNetworkInterface:
        interface = ec2.CfnNetworkInterface(
            zone,
            "Interface",
            description="Glovebox egress gateway: outlives its instances",
            subnet_id=subnet.subnet_id,
            private_ip_address=address,
            group_set=[group.security_group_id],
        )
        public = ec2.CfnEIP(zone, "Address", domain="vpc")
        public.node.add_dependency(subnet.internet_connectivity_established)
        ec2.CfnEIPAssociation(
            zone,
            "Association",
            allocation_id=public.attr_allocation_id,
            network_interface_id=interface.attr_id,
        )
        self.interfaces.append(interface)
        self.public_addresses.append(public)
        return interface

    def _template(
        self,
        zone: Construct,
        interface: ec2.CfnNetworkInterface,
        instance_type: str,
        architecture: str,
        user_data: str,
    ) -> ec2.CfnLaunchTemplate:
        template = ec2.CfnLaunchTemplate
        return template(
            zone,
            "Template",
            launch_template_data=template.LaunchTemplateDataProperty(
                # Asked at each start, so that a new instance is a patched one.
                image_id="resolve:ssm:/aws/service/ecs/optimized-ami/"
                f"{MACHINE_IMAGES[architecture]}/recommended/image_id",
                instance_type=instance_type,
                # A burst beyond the credits is slow, not expensive.
                credit_specification=template.CreditSpecificationProperty(cpu_credits="standard"),
                iam_instance_profile=template.IamInstanceProfileProperty(arn=self._profile.attr_arn),
                network_interfaces=[
                    template.NetworkInterfaceProperty(
                        device_index=0, network_interface_id=interface.attr_id, delete_on_termination=False
                    )
                ],
                metadata_options=template.MetadataOptionsProperty(
                    http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
                ),
                # How a boot that failed and a gateway that stays ill end: the group starts another.
                instance_initiated_shutdown_behavior="terminate",
                block_device_mappings=[
                    template.BlockDeviceMappingProperty(
                        device_name="/dev/xvda",
                        ebs=template.EbsProperty(
                            encrypted=True,
                            volume_type="gp3",
                            volume_size=DISK_GIGABYTES,
                            delete_on_termination=True,
                        ),
                    )
                ],
                user_data=cdk.Fn.base64(user_data),
            ),
        )

    def _group(
        self, zone: Construct, subnet: ec2.ISubnet, template: ec2.CfnLaunchTemplate, desired: int
    ) -> autoscaling.CfnAutoScalingGroup:
        group = autoscaling.CfnAutoScalingGroup(
            zone,
            "Group",
            min_size=str(desired),
            max_size=str(desired),
            desired_capacity=str(desired),
            # Not the subnet: the interface brings it along, and the zone is all that may be said beside it.
            availability_zones=[subnet.availability_zone],
            launch_template=autoscaling.CfnAutoScalingGroup.LaunchTemplateSpecificationProperty(
                launch_template_id=template.ref, version=template.attr_latest_version_number
            ),
            max_instance_lifetime=int(LIFETIME.to_seconds()),
            metrics_collection=[
                autoscaling.CfnAutoScalingGroup.MetricsCollectionProperty(
                    granularity="1Minute", metrics=["GroupInServiceInstances"]
                )
            ],
            tags=[
                autoscaling.CfnAutoScalingGroup.TagPropertyProperty(
                    key="Name", value="glovebox-gateway", propagate_at_launch=True
                )
            ],
        )
        # The interface can be in one instance only, so the old one goes before the new one comes.
        group.cfn_options.update_policy = cdk.CfnUpdatePolicy(
            auto_scaling_rolling_update=cdk.CfnAutoScalingRollingUpdate(
                min_instances_in_service=0, max_batch_size=1
            )
        )
        accept(group, "AwsSolutions-AS3", "Operations raises `GatewayDown` for a gateway that is gone.")
        accept(group, "AwsSolutions-EC26", "The launch template encrypts the disk.")
        return group

    def _user_data(self, image: str, files: Mapping[str, str]) -> str:
        values = {
            "FOLDER": FOLDER,
            "REGION": cdk.Aws.REGION,
            "IMAGE": image,
            "FILES": packed(files),
            "LEAF": self._keys.leaf.secret_arn,
            "KEYS": self._keys.ticket_keys.parameter_name,
            "USER": USER,
            "LOG": self.log_group.log_group_name,
        }
        text = BOOT.read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        if len(text.encode()) > MAX_USER_DATA:
            raise ConfigurationError(
                f"The gateway's user data has {len(text.encode()):,} bytes; EC2 takes {MAX_USER_DATA:,}.",
                fix="Name fewer regions in `glovebox:regions`.",
            )
        return text

    def in_service(self) -> list[cloudwatch.Metric]:
        """Of each zone: 1 while there is a gateway."""
        return [
            cloudwatch.Metric(
                namespace="AWS/AutoScaling",
                metric_name="GroupInServiceInstances",
                dimensions_map={"AutoScalingGroupName": group.ref},
                statistic="Minimum",
                period=cdk.Duration.minutes(5),
            )
            for group in self.groups
        ]


def packed(files: Mapping[str, str]) -> str:
    """The files as base64 of a compressed archive; the same files give the same text."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, text in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o444
            tar.addfile(entry, io.BytesIO(text.encode()))
    coded = base64.b64encode(gzip.compress(archive.getvalue(), mtime=0)).decode()
    return "\n".join(coded[at : at + 76] for at in range(0, len(coded), 76))
