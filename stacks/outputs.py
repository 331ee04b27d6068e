"""Outputs with names that people, scripts and the local cloud can rely on."""

from __future__ import annotations

import aws_cdk as cdk


def output(stack: cdk.Stack, name: str, value: str) -> None:
    """`name` is the output's key exactly, without a generated ending."""
    cdk.CfnOutput(stack, f"Output{name}", value=value).override_logical_id(name)
