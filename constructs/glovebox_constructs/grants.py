"""Grants of exactly what is named: the library's own `grant_…` methods give more than one job needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from glovebox.errors import ConfigurationError
from glovebox_constructs.findings import accept


def grant(
    role: iam.Role, *actions: str, on: Sequence[str], when: Mapping[str, Any] | None = None, because: str = ""
) -> None:
    """Lets `role` do these actions on these resources under the condition `when`.

    Raises ConfigurationError for a resource with a wildcard unless `because` gives the reason, under which
    the finding of cdk-nag is accepted.
    """
    role.add_to_policy(
        iam.PolicyStatement(actions=sorted(actions), resources=list(on), conditions=dict(when or {}))
    )
    for resource in on:
        shown = _as_nag_shows(cdk.Stack.of(role).resolve(resource))
        if "*" not in shown:
            continue
        if not because:
            raise ConfigurationError(
                f"{', '.join(actions)} on {shown} has no reason.", fix="Say why with `because`."
            )
        accept(role, f"AwsSolutions-IAM5[Resource::{shown}]", because)


def key_grant(role: iam.Role, key: kms.IKey, *services: str, write: bool = False) -> None:
    """Lets `role` use `key` through these services (`dynamodb`, `s3`, …) alone."""
    via = [f"{service}.{cdk.Aws.REGION}.amazonaws.com" for service in services]
    actions = ("kms:Decrypt", "kms:GenerateDataKey") if write else ("kms:Decrypt",)
    grant(role, *actions, on=[key.key_arn], when={"StringEquals": {"kms:ViaService": via}})


def objects(bucket: s3.IBucket, pattern: str) -> str:
    """ARN of the objects of another stack's bucket whose keys fit `pattern`."""
    return f"{cdk.Stack.of(bucket).export_value(bucket.bucket_arn)}/{pattern}"


def tasks(cluster: ecs.CfnCluster) -> str:
    """ARN of all tasks of another stack's cluster."""
    name = cdk.Stack.of(cluster).export_value(cluster.ref)
    return f"arn:{cdk.Aws.PARTITION}:ecs:{cdk.Aws.REGION}:{cdk.Aws.ACCOUNT_ID}:task/{name}/*"


def revisions(family: str) -> str:
    """ARN of all revisions of a task definition: a change of the definition makes a new one."""
    return f"arn:{cdk.Aws.PARTITION}:ecs:{cdk.Aws.REGION}:{cdk.Aws.ACCOUNT_ID}:task-definition/{family}:*"


# What `resolve` gives is CloudFormation's JSON, which has no narrower type.
def _as_nag_shows(resolved: Any) -> str:
    """A resource as cdk-nag writes it into the name of a finding."""
    if isinstance(resolved, str):
        return resolved
    [(function, argument)] = resolved.items()
    if function == "Fn::Join":
        separator, parts = argument
        return str(separator).join(_as_nag_shows(part) for part in parts)
    if function == "Fn::ImportValue":
        return _as_nag_shows(argument)
    if function == "Fn::GetAtt":
        return f"<{'.'.join(argument)}>"
    return f"<{argument}>"
