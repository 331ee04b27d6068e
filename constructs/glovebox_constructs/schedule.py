"""What EventBridge Scheduler wakes: with a role that may wake this one function and keep what failed."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs

from glovebox_constructs.grants import grant, key_grant
from glovebox_constructs.runtime_function import RuntimeFunction


def scheduled(
    stack: cdk.Stack,
    id: str,
    unit: RuntimeFunction,
    *,
    expression: str,
    order: Mapping[str, object],
    description: str,
    key: kms.IKey,
    failures: sqs.IQueue,
) -> scheduler.CfnSchedule:
    """Hands `order` to `unit` at each time of `expression` (UTC), with a role for this schedule alone."""
    role = iam.Role(
        stack,
        f"{id}SchedulerRole",
        assumed_by=iam.ServicePrincipal(
            "scheduler.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
        ),
    )
    grant(role, "lambda:InvokeFunction", on=[unit.function.function_arn])
    grant(role, "sqs:SendMessage", on=[failures.queue_arn])
    key_grant(role, key, "sqs", write=True)
    schedule = scheduler.CfnSchedule(
        stack,
        id,
        description=description,
        schedule_expression=expression,
        schedule_expression_timezone="UTC",
        flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
        target=scheduler.CfnSchedule.TargetProperty(
            arn=unit.function.function_arn,
            role_arn=role.role_arn,
            input=stack.to_json_string(dict(order)),
            dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=failures.queue_arn),
        ),
    )
    schedule.node.add_dependency(role)
    return schedule
