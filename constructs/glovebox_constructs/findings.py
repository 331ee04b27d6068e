"""Findings of cdk-nag that we looked at and accept, each with its reason, where it arises."""

from __future__ import annotations

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def accept(scope: IConstruct, finding: str, reason: str) -> None:
    """Acknowledges one finding, named as cdk-nag names it, for `scope` and what is below it."""
    Validations.of(scope).acknowledge(Acknowledgment(id=f"AwsSolutions::{finding}", reason=reason))
