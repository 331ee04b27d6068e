"""The ways to AWS out of a network without a way out, each with a policy of its own."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from glovebox_constructs.policies import Values, statements

Policies = Mapping[str, Values]
"""File in `policies/` → its places; an endpoint may have the statements of several files."""

INTERFACES = {
    "EcrApi": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrDkr": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
}
"""What Fargate needs to start a task and to write its log; it asks ECS itself by a way of its own."""


def gateway_endpoint(
    vpc: ec2.Vpc,
    id: str,
    *,
    service: ec2.GatewayVpcEndpointAwsService,
    subnets: ec2.SubnetType,
    policies: Policies,
) -> ec2.GatewayVpcEndpoint:
    """Routes to the service from the subnets of this kind; nothing passes but what the policies name."""
    endpoint = vpc.add_gateway_endpoint(
        id, service=service, subnets=[ec2.SubnetSelection(subnet_type=subnets)]
    )
    for name, places in policies.items():
        for statement in statements(name, places):
            endpoint.add_to_policy(statement)
    return endpoint


class InterfaceEndpoints(Construct):
    """`ecr.api`, `ecr.dkr` and `logs`, under their public names inside the network."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        group: ec2.ISecurityGroup,
        ecr: Values,
        logs: Values,
    ) -> None:
        super().__init__(scope, id)
        policies = {
            "EcrApi": ("ecr_endpoint_policy", ecr),
            "EcrDkr": ("ecr_endpoint_policy", ecr),
            "Logs": ("logs_endpoint_policy", logs),
        }
        for name, service in INTERFACES.items():
            endpoint = ec2.InterfaceVpcEndpoint(
                self,
                name,
                vpc=vpc,
                service=service,
                subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
                security_groups=[group],
                private_dns_enabled=True,
                # Who may come in is in RoleGroups; `open` would add the whole network.
                open=False,
            )
            for statement in statements(*policies[name]):
                endpoint.add_to_policy(statement)
