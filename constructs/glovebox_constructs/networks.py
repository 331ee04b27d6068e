"""Networks with flow logs, and the one way between two of them."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from glovebox.drill.flow_log import FORMAT
from glovebox_constructs.runtime_function import retention


class LoggedNetwork(ec2.Vpc):
    """A VPC with subnets of one kind and a log of every flow, accepted or rejected.

    `ISOLATED` has no internet gateway and no NAT; `PUBLIC` has the gateway, but gives nobody an address of
    its own accord.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        cidr: str,
        zones: int,
        subnets: str,
        subnet_bits: int,
        kind: ec2.SubnetType,
        key: kms.IKey,
        log_retention_days: int,
        disposable: bool,
    ) -> None:
        public = kind == ec2.SubnetType.PUBLIC
        super().__init__(
            scope,
            id,
            ip_addresses=ec2.IpAddresses.cidr(cidr),
            max_azs=zones,
            nat_gateways=0,
            # NetworkSetup closes the default group; the library would do it with a function a network.
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name=subnets,
                    subnet_type=kind,
                    cidr_mask=subnet_bits,
                    map_public_ip_on_launch=False if public else None,
                )
            ],
        )
        log = self.flow_log = logs.LogGroup(
            self,
            "FlowLog",
            encryption_key=key,
            retention=retention(log_retention_days),
            removal_policy=cdk.RemovalPolicy.DESTROY if disposable else cdk.RemovalPolicy.RETAIN,
        )
        self.add_flow_log(
            "Flows",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(log),
            # What the drill's judge reads, minute by minute: in ten minutes too much happens at once.
            log_format=[ec2.LogFormat.custom(FORMAT)],
            max_aggregation_interval=ec2.FlowLogMaxAggregationInterval.ONE_MINUTE,
        )
        self.subnets = self.public_subnets if public else self.isolated_subnets


class Peering(Construct):
    """Joins two networks of one account, with a route from each subnet to each subnet of the other side."""

    def __init__(self, scope: Construct, id: str, *, near: LoggedNetwork, far: LoggedNetwork) -> None:
        super().__init__(scope, id)
        self.connection = ec2.CfnVPCPeeringConnection(
            self, "Connection", vpc_id=near.vpc_id, peer_vpc_id=far.vpc_id
        )
        for name, here, there in (("Out", near, far), ("Back", far, near)):
            for i, subnet in enumerate(here.subnets):
                for j, other in enumerate(there.subnets):
                    ec2.CfnRoute(
                        self,
                        f"{name}{i}{j}",
                        route_table_id=subnet.route_table.route_table_id,
                        destination_cidr_block=other.ipv4_cidr_block,
                        vpc_peering_connection_id=self.connection.ref,
                    )
