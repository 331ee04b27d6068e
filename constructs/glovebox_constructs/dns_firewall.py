"""What the network's own resolver answers: a short list of names, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_route53resolver as resolver
from constructs import Construct

from glovebox_constructs.policies import statements
from glovebox_constructs.runtime_function import retention

ALLOW, BLOCK = 100, 200
"""Priorities: the lower number is asked first."""
ASSOCIATION = 101
"""The least that the service takes; ours is the only group of the network."""


class DnsFirewall(Construct):
    """Blocks every name that is not allowed, and logs every question; also those of `also_logged`.

    Security groups do not hold the resolver, so this alone closes DNS as a channel.  A name that no rule
    matches would be answered: hence the last rule.  That it fails closed is the job of `NetworkSetup`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        allowed: Sequence[str],
        also_logged: ec2.IVpc,
        key: kms.IKey,
        log_retention_days: int,
        disposable: bool,
    ) -> None:
        super().__init__(scope, id)
        rule = resolver.CfnFirewallRuleGroup.FirewallRuleProperty
        group = resolver.CfnFirewallRuleGroup(
            self,
            "Rules",
            firewall_rules=[
                rule(
                    action="ALLOW",
                    priority=ALLOW,
                    firewall_domain_list_id=self._domains("Allowed", allowed),
                    # AWS answers some of these through names of its own.
                    firewall_domain_redirection_action="TRUST_REDIRECTION_DOMAIN",
                ),
                rule(
                    action="BLOCK",
                    block_response="NXDOMAIN",
                    priority=BLOCK,
                    firewall_domain_list_id=self._domains("Everything", ["*"]),
                ),
            ],
        )
        resolver.CfnFirewallRuleGroupAssociation(
            self,
            "Association",
            firewall_rule_group_id=group.attr_id,
            vpc_id=vpc.vpc_id,
            priority=ASSOCIATION,
        )
        self._log_questions(
            {"LoggedNetwork": vpc, "AlsoLogged": also_logged}, key, log_retention_days, disposable
        )

    def _domains(self, id: str, names: Sequence[str]) -> str:
        return resolver.CfnFirewallDomainList(self, id, domains=list(names)).attr_id

    def _log_questions(
        self, networks: Mapping[str, ec2.IVpc], key: kms.IKey, days: int, disposable: bool
    ) -> None:
        self.log_group = logs.LogGroup(
            self,
            "QueryLog",
            encryption_key=key,
            retention=retention(days),
            removal_policy=cdk.RemovalPolicy.DESTROY if disposable else cdk.RemovalPolicy.RETAIN,
        )
        where = {"Account": cdk.Aws.ACCOUNT_ID, "LogGroup": self.log_group.log_group_arn}
        for statement in statements("query_log_policy", where):
            self.log_group.add_to_resource_policy(statement)
        configuration = resolver.CfnResolverQueryLoggingConfig(
            self, "Logging", destination_arn=self.log_group.log_group_arn
        )
        configuration.node.add_dependency(self.log_group)
        for name, network in networks.items():
            resolver.CfnResolverQueryLoggingConfigAssociation(
                self,
                name,
                resolver_query_log_config_id=configuration.attr_id,
                resource_id=network.vpc_id,
            )
