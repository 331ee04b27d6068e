"""Security groups by role: who may speak to whom is decided here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

HTTPS = 443
AWS_PORT, SITE_PORT = 3128, 3129
"""The gateway's two listeners (squid/README.md): tickets of profile `aws-api`, tickets of profile `site`."""


class RoleGroups(Construct):
    """Five roles, and every rule between them.

                              Gateway   Endpoints   S3   DynamoDB   the internet
        Tasks               3128, 3129        443  443
        TasksWithoutTicket                    443  443
        Ingest                                     443        443
        Gateway                                                              tcp

    Nobody answers to a group that he does not name, so the default group of a network reaches nothing.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        scan: ec2.IVpc,
        egress: ec2.IVpc,
        gateway_addresses: Sequence[str],
        s3: str,
        dynamodb: str,
    ) -> None:
        super().__init__(scope, id)
        scan_id, egress_id = scan.vpc_id, egress.vpc_id
        endpoints = self._group("Endpoints", scan_id, "Interface endpoints: HTTPS from tasks", [_nothing()])
        to_aws = [
            _tcp(HTTPS, "Interface endpoints", destination_security_group_id=endpoints.attr_group_id),
            _tcp(HTTPS, "S3: image layers, hand-off, results", destination_prefix_list_id=s3),
        ]
        to_gateway = [
            _tcp(port, "The egress gateway", cidr_ip=f"{address}/32")
            for address in gateway_addresses
            for port in (AWS_PORT, SITE_PORT)
        ]
        to_tables = _tcp(HTTPS, "DynamoDB", destination_prefix_list_id=dynamodb)
        to_buckets = _tcp(HTTPS, "S3", destination_prefix_list_id=s3)
        # The settings of an audit name its ports; which of them a connection may have is in its ticket.
        out = _Egress(
            ip_protocol="tcp",
            from_port=0,
            to_port=65_535,
            cidr_ip="0.0.0.0/0",
            description="What tickets allow",
        )
        gateway = self._group("Gateway", egress_id, "The egress gateway: tasks with a ticket", [out])
        tasks = self._group("Tasks", scan_id, "Tasks with a ticket", [*to_gateway, *to_aws])
        unticketed = self._group("TasksWithoutTicket", scan_id, "Tasks without a ticket", to_aws)
        ingest = self._group("Ingest", scan_id, "Ingest: S3 and DynamoDB alone", [to_buckets, to_tables])
        self._let("TasksToEndpoints", tasks, endpoints, HTTPS)
        self._let("TasksWithoutTicketToEndpoints", unticketed, endpoints, HTTPS)
        self._let("TasksToAwsPort", tasks, gateway, AWS_PORT)
        self._let("TasksToSitePort", tasks, gateway, SITE_PORT)
        self.endpoints, self.gateway = self._named(endpoints), self._named(gateway)
        self.tasks, self.tasks_without_ticket = self._named(tasks), self._named(unticketed)
        self.ingest = self._named(ingest)

    def _group(self, id: str, vpc: str, description: str, egress: list[_Egress]) -> ec2.CfnSecurityGroup:
        """Every rule out stands in the group itself: one without any would be given a rule for everything."""
        return ec2.CfnSecurityGroup(
            self, id, vpc_id=vpc, group_description=description, security_group_egress=egress
        )

    def _let(self, id: str, source: ec2.CfnSecurityGroup, target: ec2.CfnSecurityGroup, port: int) -> None:
        ec2.CfnSecurityGroupIngress(
            self,
            id,
            group_id=target.attr_group_id,
            source_security_group_id=source.attr_group_id,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
        )

    def _named(self, group: ec2.CfnSecurityGroup) -> ec2.ISecurityGroup:
        """For constructs that take a group; none of them may add a rule to it."""
        return ec2.SecurityGroup.from_security_group_id(
            self, f"{group.node.id}Group", group.attr_group_id, mutable=False
        )


_Egress = ec2.CfnSecurityGroup.EgressProperty


def _tcp(port: int, description: str, **peer: str) -> _Egress:
    return _Egress(ip_protocol="tcp", from_port=port, to_port=port, description=description, **peer)


def _nothing() -> _Egress:
    """A rule that no packet fits, as the CDK writes it where nothing may go out."""
    return _Egress(ip_protocol="icmp", from_port=252, to_port=86, cidr_ip="255.255.255.255/32")
