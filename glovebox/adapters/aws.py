"""The functions' clients of AWS, and AWS's errors as ours.

They are botocore's, which boto3's are with a coat on: the coat is a seventh of what a cold start imports.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Literal, cast, overload

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from glovebox.errors import UpstreamError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 5},
    connect_timeout=5,
    # Long enough for a RunTask call on a bad day, short enough to leave a function time for another.
    read_timeout=30,
    # Presigned URLs under KMS need version 4; the other services use it anyway.
    signature_version="v4",
)
_PATIENT = _CONFIG.merge(Config(retries={"total_max_attempts": 1}, read_timeout=330))
"""The longest of those functions has five minutes."""
# With any other style botocore signs URLs and forms for S3's global name, which redirects requests about
# young buckets and refuses them in newer regions.  In us-east-1 it says the global name in this style as well
# unless told otherwise, and the scan network resolves the region's names alone.  An endpoint in figures keeps
# its path style.
_S3_CONFIG = _CONFIG.merge(
    Config(
        signature_version="s3v4",
        s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
    )
)


@overload
def client(service: Literal["dynamodb"]) -> DynamoDBClient: ...
@overload
def client(service: Literal["ecs"]) -> ECSClient: ...
@overload
def client(service: Literal["lambda"]) -> LambdaClient: ...
@overload
def client(service: Literal["logs"]) -> CloudWatchLogsClient: ...
@overload
def client(service: Literal["s3"]) -> S3Client: ...
@overload
def client(service: Literal["secretsmanager"]) -> SecretsManagerClient: ...
@overload
def client(service: Literal["sns"]) -> SNSClient: ...
@overload
def client(service: Literal["ssm"]) -> SSMClient: ...
@overload
def client(service: Literal["sts"]) -> STSClient: ...
def client(
    service: Literal["dynamodb", "ecs", "lambda", "logs", "s3", "secretsmanager", "sns", "ssm", "sts"],
) -> object:
    """A client with the environment's region, credentials and endpoint.  Safe to share between threads."""
    return _session().create_client(service, config=_S3_CONFIG if service == "s3" else _CONFIG)


def patient_client(service: Literal["lambda"]) -> LambdaClient:
    """As `client`, for calls that wait for a function: nothing is asked twice, however late its answer is."""
    return cast("LambdaClient", _session().create_client(service, config=_PATIENT))


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


def error_code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def error_message(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Message", "")


@contextmanager
def calling(what: str) -> Iterator[None]:
    """AWS's errors inside the block are raised as UpstreamError, which says `what` was tried."""
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        raise UpstreamError(
            f"{what} failed: {code} {error_message(error)[:200]}".strip(), fix="See the service's health."
        ) from error
    except BotoCoreError as error:
        raise UpstreamError(f"{what} failed: {type(error).__name__}.", fix="See the network.") from error
