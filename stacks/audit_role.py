"""What stands in an account that is audited: one role, one that scans must find, and nothing that runs.

The stack is deployed there by itself, without a bootstrapped CDK and without the stacks of the scanning
account; for an organization, a stack set brings the same template into all accounts of its units.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from glovebox.findings.canaries import CANARY_ROLE
from glovebox_constructs.audit_policies import filled, in_managed_policies
from glovebox_constructs.findings import accept
from stacks.names import AUDIT_ROLE, REDEEM_ROLE, SCAN_IDS
from stacks.outputs import output
from stacks.settings import Settings

SESSION_SECONDS = 3_600
"""The shortest that a role can say, and the longest that a role assumed by a role gets."""
TEMPLATE_CHARACTERS = 51_200
"""Of a template that is handed over by itself, and not by way of a bucket."""
STACK_SET = "Glovebox-AuditRole"


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """The scanning account as a target knows it; values, or parameters of a template."""

    account: str
    gateway_addresses: Sequence[str]
    gateway_endpoint: str
    external_id: str

    @classmethod
    def of(cls, settings: Settings) -> Box:
        return cls(
            account=settings.scanning_account,
            gateway_addresses=settings.gateway_addresses,
            gateway_endpoint=settings.gateway_s3_endpoint,
            external_id=settings.external_id,
        )


def never_here(stack: cdk.Stack, accounts: Sequence[str]) -> None:
    """CloudFormation refuses to deploy `stack` in any of these accounts, before it makes anything."""
    refused = [cdk.Fn.condition_equals(cdk.Aws.ACCOUNT_ID, account) for account in accounts]
    cdk.CfnRule(
        stack,
        "NeverTheScanningAccountItself",
        assertions=[
            cdk.CfnRuleAssertion(
                assert_=cdk.Fn.condition_not(each),
                assert_description="The account that scans is never scanned itself.",
            )
            for each in refused
        ],
    )


class AuditRole(cdk.Stack):
    """The role that `redeem` assumes for one scan at a time; all of it is in `policies/audit_role_*.json`."""

    def __init__(self, scope: Construct, id: str, *, box: Box | None = None) -> None:
        """`box`: its values; without them the template takes parameters."""
        super().__init__(
            scope,
            id,
            description="Glovebox: the role that audits of this account use",
            synthesizer=cdk.BootstraplessSynthesizer(),
        )
        box = box or self._parameters()
        never_here(self, [box.account])
        role = self._role(box)
        self._plant_canary()
        output(self, "AuditRole", role.attr_arn)

    def _parameters(self) -> Box:
        def parameter(name: str, pattern: str, kind: str = "String") -> cdk.CfnParameter:
            return cdk.CfnParameter(self, name, type=kind, allowed_pattern=pattern)

        addresses = parameter("GatewayAddresses", r"[0-9]{1,3}(\.[0-9]{1,3}){3}", "CommaDelimitedList")
        return Box(
            account=parameter("ScanningAccount", "[0-9]{12}").value_as_string,
            gateway_addresses=addresses.value_as_list,
            gateway_endpoint=parameter("GatewayS3Endpoint", "vpce-[0-9a-f]{8,17}").value_as_string,
            external_id=parameter("ExternalId", "[A-Za-z0-9-]{16,128}").value_as_string,
        )

    def _role(self, box: Box) -> iam.CfnRole:
        reads = in_managed_policies(
            filled("audit_role_reads", {"Partition": cdk.Aws.PARTITION, "ScanIds": SCAN_IDS})
        )
        role = iam.CfnRole(
            self,
            "Audit",
            role_name=AUDIT_ROLE,
            description="Read-only audits by Glovebox; assumed by its function redeem alone",
            max_session_duration=SESSION_SECONDS,
            assume_role_policy_document=filled("audit_role_trust", self._trusted(box)),
            managed_policy_arns=[self._managed(number, each) for number, each in enumerate(reads, 1)],
            policies=[
                iam.CfnRole.PolicyProperty(policy_name=name, policy_document=document)
                for name, document in self._denials(box).items()
            ],
        )
        self._accept_wildcards()
        return role

    def _plant_canary(self) -> None:
        """What scans must report as bad (`glovebox/findings/canaries.py`), and what is of use to nobody."""
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        iam.CfnRole(
            self,
            "Canary",
            role_name=CANARY_ROLE,
            description="Planted by Glovebox: grants nothing, and each audit must report it",
            assume_role_policy_document={"Version": "2012-10-17", "Statement": [statement]},
            permissions_boundary=f"arn:{cdk.Aws.PARTITION}:iam::aws:policy/AWSDenyAll",
        )

    def _accept_wildcards(self) -> None:
        # As cdk-nag shows the partition.
        shown = filled("audit_role_reads", {"Partition": "<AWS::Partition>", "ScanIds": SCAN_IDS})
        for statement in shown["Statement"]:
            resources = statement["Resource"]
            for each in resources if isinstance(resources, list) else [resources]:
                reason = (
                    "An audit reads the settings of every resource of its account; what is denied is inline."
                )
                accept(self, f"AwsSolutions-IAM5[Resource::{each}]", reason)

    def _trusted(self, box: Box) -> dict[str, str]:
        return {
            "ExternalId": box.external_id,
            "Partition": cdk.Aws.PARTITION,
            "RedeemRole": REDEEM_ROLE,
            "ScanIds": SCAN_IDS,
            "ScanningAccount": box.account,
            "Target": cdk.Aws.ACCOUNT_ID,
        }

    def _denials(self, box: Box) -> dict[str, dict[str, Any]]:
        """Inline, so that nobody takes them off by detaching something."""
        partition = {"Partition": cdk.Aws.PARTITION}
        boundary = {
            "GatewayAddresses": box.gateway_addresses,
            "GatewayEndpoint": box.gateway_endpoint,
            "Target": cdk.Aws.ACCOUNT_ID,
        }
        return {
            "Boundary": filled("audit_role_boundary", partition | boundary),
            "Data": filled("audit_role_data", partition),
            "Writes": filled("audit_role_writes", {}),
        }

    def _managed(self, number: int, document: dict[str, Any]) -> str:
        policy = iam.CfnManagedPolicy(
            self,
            f"Reads{number}",
            description="What audits by Glovebox may read",
            policy_document=document,
        )
        return policy.ref


class AuditRoles(cdk.Stack):
    """A stack set of the organization: the audit role in every account of its units, and in new ones.

    Deployed in the organization's management account.  Accounts are managed by the service, so that no role
    of an administrator stands in any of them; the scanning account is left out.
    """

    def __init__(self, scope: Construct, id: str, *, box: Box, units: Sequence[str]) -> None:
        super().__init__(
            scope,
            id,
            description="Glovebox: the audit role in all accounts of organizational units",
            synthesizer=cdk.BootstraplessSynthesizer(),
        )
        values = {
            "ExternalId": box.external_id,
            "GatewayAddresses": ",".join(box.gateway_addresses),
            "GatewayS3Endpoint": box.gateway_endpoint,
            "ScanningAccount": box.account,
        }
        cdk.CfnStackSet(
            self,
            "AuditRoles",
            stack_set_name=STACK_SET,
            description="The role that audits by Glovebox use",
            permission_model="SERVICE_MANAGED",
            auto_deployment=cdk.CfnStackSet.AutoDeploymentProperty(
                enabled=True, retain_stacks_on_account_removal=False
            ),
            managed_execution={"Active": True},
            capabilities=["CAPABILITY_NAMED_IAM"],
            parameters=[
                cdk.CfnStackSet.ParameterProperty(parameter_key=key, parameter_value=value)
                for key, value in values.items()
            ],
            stack_instances_group=[
                cdk.CfnStackSet.StackInstancesProperty(
                    deployment_targets=cdk.CfnStackSet.DeploymentTargetsProperty(
                        organizational_unit_ids=list(units),
                        account_filter_type="DIFFERENCE",
                        accounts=[box.account],
                    ),
                    # A role is of all regions; its stack stands in one.
                    regions=[cdk.Aws.REGION],
                )
            ],
            operation_preferences=cdk.CfnStackSet.OperationPreferencesProperty(
                failure_tolerance_percentage=10, max_concurrent_percentage=25
            ),
            template_body=template(),
        )


def template() -> str:
    """The role's template as it takes parameters, in compact JSON."""
    with tempfile.TemporaryDirectory() as folder:
        app = cdk.App(outdir=folder, analytics_reporting=False)
        stack = AuditRole(app, "Template")
        cdk.Tags.of(app).add("application", "glovebox")
        synthesized = app.synth().get_stack_by_name(stack.stack_name).template
    return json.dumps(synthesized, separators=(",", ":"))
