"""The one place that says how a function of ours is made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from glovebox_constructs.findings import accept
from glovebox_constructs.grants import grant, key_grant
from glovebox_constructs.unit_code import function_code

STREAM_RETRIES = 5
"""With bisection, a record that breaks a function is in the failure queue within minutes."""
STREAM_BATCH = 10
NETWORK_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)
"""What Lambda needs of a role to place a function into a network."""
OLDEST_EVENT = cdk.Duration.hours(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionDefaults:
    """What all functions of a stack have in common."""

    architecture: str
    python: str
    platform: str
    log_retention_days: int
    reserve_concurrency: bool
    disposable: bool
    key: kms.IKey
    failures: sqs.IQueue


class RuntimeFunction(Construct):
    """`functions/<unit>` as a Lambda function, which may write its own log and nothing else until told.

    Without tracing: X-Ray would need a permission on every resource, and the logs carry the scan's id.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        unit: str,
        defaults: FunctionDefaults,
        environment: Mapping[str, str],
        timeout: cdk.Duration,
        memory: int,
        concurrency: int | None = None,
        vpc: ec2.IVpc | None = None,
        security_group: ec2.ISecurityGroup | None = None,
        storage: int = 512,
        role_name: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        self._defaults = defaults
        self.log_group = logs.LogGroup(
            self,
            "Log",
            encryption_key=defaults.key,
            retention=retention(defaults.log_retention_days),
            removal_policy=cdk.RemovalPolicy.DESTROY if defaults.disposable else cdk.RemovalPolicy.RETAIN,
        )
        self.role = iam.Role(
            self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"), role_name=role_name
        )
        self.function = lambda_.Function(
            self,
            "Function",
            description=f"Glovebox {unit}",
            runtime=_runtime(defaults.python),
            architecture=_architecture(defaults.architecture),
            code=function_code(unit, platform=defaults.platform, python=defaults.python),
            handler=f"functions.{unit}.handler.handle",
            role=self.role,
            log_group=self.log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            environment=dict(environment),
            timeout=timeout,
            memory_size=memory,
            ephemeral_storage_size=cdk.Size.mebibytes(storage),
            reserved_concurrent_executions=concurrency if defaults.reserve_concurrency else None,
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED) if vpc else None,
            security_groups=[security_group] if security_group else None,
        )
        self.may("logs:CreateLogStream", "logs:PutLogEvents", on=[self.log_group.log_group_arn])
        self._hand_over_what_fails()
        if vpc is not None:
            self._may_have_network_interfaces()
        accept(self, "AwsSolutions-L1", "The Python is a setting, one of those that the tests run on.")

    def may(
        self, *actions: str, on: Sequence[str], when: Mapping[str, Any] | None = None, because: str = ""
    ) -> None:
        """Grants exactly these actions; wildcards in `on` need their reason."""
        grant(self.role, *actions, on=on, when=when, because=because)

    def may_use_key(self, *services: str, write: bool = False) -> None:
        """Lets it use our key, but only through these services, never by itself."""
        key_grant(self.role, self._defaults.key, *services, write=write)

    def follow(self, table: dynamodb.ITable, *patterns: Mapping[str, Any]) -> None:
        """Runs for records of the table's stream that fit one of the patterns."""
        stream = table.table_stream_arn or ""
        self.may("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", on=[stream])
        self.may("dynamodb:ListStreams", on=["*"], because="It takes no resource, and Lambda asks for it.")
        self.may_use_key("dynamodb")
        mapping = lambda_.CfnEventSourceMapping(
            self,
            "Stream",
            function_name=self.function.function_name,
            event_source_arn=stream,
            starting_position="TRIM_HORIZON",
            batch_size=STREAM_BATCH,
            bisect_batch_on_function_error=True,
            maximum_retry_attempts=STREAM_RETRIES,
            maximum_record_age_in_seconds=int(OLDEST_EVENT.to_seconds()),
            destination_config=lambda_.CfnEventSourceMapping.DestinationConfigProperty(
                on_failure=lambda_.CfnEventSourceMapping.OnFailureProperty(
                    destination=self._defaults.failures.queue_arn
                )
            ),
            filter_criteria=lambda_.CfnEventSourceMapping.FilterCriteriaProperty(
                filters=[
                    lambda_.CfnEventSourceMapping.FilterProperty(
                        pattern=json.dumps({"dynamodb": {"NewImage": each}})
                    )
                    for each in patterns
                ]
            ),
        )
        # Lambda tries the stream with this role while the mapping is made.
        mapping.node.add_dependency(self.role)

    def _hand_over_what_fails(self) -> None:
        """Asynchronous events that fail three times go to the failure queue."""
        self.may("sqs:SendMessage", on=[self._defaults.failures.queue_arn])
        self.may_use_key("sqs", write=True)
        # Not the `on_failure` of the function's own construct, whose grants on the key are wider than needed.
        config = lambda_.CfnEventInvokeConfig(
            self,
            "Invocations",
            function_name=self.function.function_name,
            qualifier="$LATEST",
            maximum_event_age_in_seconds=int(OLDEST_EVENT.to_seconds()),
            maximum_retry_attempts=2,
            destination_config=lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
                on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(
                    destination=self._defaults.failures.queue_arn
                )
            ),
        )
        config.node.add_dependency(self.role)

    def _may_have_network_interfaces(self) -> None:
        """Lambda places its network interfaces with the function's role; the function's own code may not."""
        because = "Lambda places its network interfaces with the function's role, before our code runs."
        self.may(*NETWORK_INTERFACES, on=["*"], because=because)
        # A policy of its own, because the function waits for the role's other one.
        kept = iam.Policy(self, "InterfacesAreLambdasAlone", roles=[self.role])
        kept.add_statements(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                actions=list(NETWORK_INTERFACES),
                resources=["*"],
                conditions={"ArnEquals": {"lambda:SourceFunctionArn": self.function.function_arn}},
            )
        )


def retention(days: int) -> logs.RetentionDays:
    """CloudWatch's period of so many days."""
    return {
        7: logs.RetentionDays.ONE_WEEK,
        14: logs.RetentionDays.TWO_WEEKS,
        30: logs.RetentionDays.ONE_MONTH,
        60: logs.RetentionDays.TWO_MONTHS,
        90: logs.RetentionDays.THREE_MONTHS,
        180: logs.RetentionDays.SIX_MONTHS,
        365: logs.RetentionDays.ONE_YEAR,
        731: logs.RetentionDays.TWO_YEARS,
    }[days]


def _runtime(python: str) -> lambda_.Runtime:
    return {
        "3.11": lambda_.Runtime.PYTHON_3_11,
        "3.12": lambda_.Runtime.PYTHON_3_12,
        "3.13": lambda_.Runtime.PYTHON_3_13,
    }[python]


def _architecture(name: str) -> lambda_.Architecture:
    return {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}[name]
