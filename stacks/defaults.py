"""What all functions of one stack share, out of the settings."""

from __future__ import annotations

from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs

from glovebox_constructs.runtime_function import FunctionDefaults
from stacks.settings import Settings


def function_defaults(settings: Settings, *, key: kms.IKey, failures: sqs.IQueue) -> FunctionDefaults:
    return FunctionDefaults(
        architecture=settings.architecture,
        python=settings.python,
        platform=settings.platform,
        log_retention_days=settings.log_retention_days,
        reserve_concurrency=settings.reserve_concurrency,
        disposable=settings.disposable,
        key=key,
        failures=failures,
    )
