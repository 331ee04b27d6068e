"""The one custom resource: what a network needs and CloudFormation cannot say."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from glovebox_constructs.findings import accept
from glovebox_constructs.grants import grant
from glovebox_constructs.runtime_function import retention

CODE = Path(__file__).with_name("network_setup_code.py")
TYPE = "Custom::NetworkSetup"


class NetworkSetup(Construct):
    """Closes default security groups, keeps the DNS Firewall fail-closed, and looks up prefix lists.

    It runs while stacks are deployed and never else.  Of all permissions that change something it has two:
    taking rules away from the default groups of our networks, and the fail-closed switch.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        networks: list[ec2.Vpc],
        key: kms.IKey,
        log_retention_days: int,
        disposable: bool,
    ) -> None:
        super().__init__(scope, id)
        log = logs.LogGroup(
            self,
            "Log",
            encryption_key=key,
            retention=retention(log_retention_days),
            removal_policy=cdk.RemovalPolicy.DESTROY if disposable else cdk.RemovalPolicy.RETAIN,
        )
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.function = lambda_.Function(
            self,
            "Function",
            description="Glovebox: sets networks up while they are deployed",
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="index.handle",
            code=lambda_.Code.from_inline(CODE.read_text()),
            role=self.role,
            log_group=log,
            timeout=cdk.Duration.minutes(2),
        )
        accept(self, "AwsSolutions-L1", "The newest Python that takes inline code.")
        here = f"{cdk.Aws.REGION}:{cdk.Aws.ACCOUNT_ID}"
        groups = [
            f"arn:{cdk.Aws.PARTITION}:ec2:{here}:security-group/{each.vpc_default_security_group}"
            for each in networks
        ]
        configurations = f"arn:{cdk.Aws.PARTITION}:route53resolver:{here}:firewall-config/*"
        grant(self.role, "logs:CreateLogStream", "logs:PutLogEvents", on=[log.log_group_arn])
        grant(self.role, "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress", on=groups)
        grant(
            self.role,
            "ec2:DescribeManagedPrefixLists",
            "ec2:DescribeSecurityGroupRules",
            "ec2:DescribeVpcs",
            on=["*"],
            because="Reading takes no resource.",
        )
        grant(
            self.role,
            "route53resolver:UpdateFirewallConfig",
            on=[configurations],
            because="A configuration's id is not the network's, and no template knows it.",
        )

    def of(self, network: ec2.Vpc, **prefix_lists: str) -> cdk.CustomResource:
        """The setup of one network; its attributes are the ids of the prefix lists, by the given names."""
        done = cdk.CustomResource(
            self,
            network.node.id,
            service_token=self.function.function_arn,
            resource_type=TYPE,
            properties={
                "Vpc": network.vpc_id,
                "DefaultGroup": network.vpc_default_security_group,
                "PrefixLists": prefix_lists,
            },
        )
        done.node.add_dependency(self.role)
        return done
