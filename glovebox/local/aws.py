"""The one door to boto3 in the local cloud: clients that can reach loopback and nothing else.

A developer's shell may hold real credentials, a real profile or a proxy.  None of them may
count here, and a mistake in an address must fail before the first byte leaves the machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, overload
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.session import Session as BotocoreSession

from glovebox.errors import RefusedError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

REGION = "us-east-1"
ACCOUNT = "000000000000"
"""An account that AWS has never given to anybody; the emulator takes it for the key id, too."""

_FIX = "The local cloud talks to loopback alone; give an address such as https://127.0.0.1:4566."


@dataclass(frozen=True, slots=True)
class Credentials:
    """Keys of the emulator: worthless anywhere else."""

    key_id: str
    secret: str
    token: str | None = None


def require_loopback(url: str) -> str:
    """The URL as given, if its host is a loopback address written in figures.

    A name would be looked up, and then somebody else says where it leads; so `localhost` is
    refused as well.

    Raises:
        RefusedError: it is anything else.
    """
    parts = urlsplit(url)
    try:
        loopback = ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError as error:
        raise RefusedError(f"{url!r} does not name a loopback address in figures.", fix=_FIX) from error
    if not loopback or parts.scheme not in ("http", "https") or parts.username is not None:
        raise RefusedError(f"{url!r} does not lead to this machine alone.", fix=_FIX)
    return url


@dataclass(frozen=True, slots=True)
class LocalAws:
    """Clients for one running emulator, under one identity."""

    endpoint: str
    authority: Path
    """PEM of the certificate authority of this run."""
    credentials: Credentials

    def __post_init__(self) -> None:
        require_loopback(self.endpoint)

    @property
    def port(self) -> int:
        return urlsplit(self.endpoint).port or 443

    def acting_as(self, credentials: Credentials) -> LocalAws:
        return LocalAws(self.endpoint, self.authority, credentials)

    @overload
    def client(self, service: Literal["cloudformation"]) -> CloudFormationClient: ...
    @overload
    def client(self, service: Literal["dynamodb"]) -> DynamoDBClient: ...
    @overload
    def client(self, service: Literal["ec2"]) -> EC2Client: ...
    @overload
    def client(self, service: Literal["ecs"]) -> ECSClient: ...
    @overload
    def client(self, service: Literal["events"]) -> EventBridgeClient: ...
    @overload
    def client(self, service: Literal["iam"]) -> IAMClient: ...
    @overload
    def client(self, service: Literal["kms"]) -> KMSClient: ...
    @overload
    def client(self, service: Literal["lambda"]) -> LambdaClient: ...
    @overload
    def client(self, service: Literal["logs"]) -> CloudWatchLogsClient: ...
    @overload
    def client(self, service: Literal["s3"]) -> S3Client: ...
    @overload
    def client(self, service: Literal["scheduler"]) -> EventBridgeSchedulerClient: ...
    @overload
    def client(self, service: Literal["secretsmanager"]) -> SecretsManagerClient: ...
    @overload
    def client(self, service: Literal["sns"]) -> SNSClient: ...
    @overload
    def client(self, service: Literal["sqs"]) -> SQSClient: ...
    @overload
    def client(self, service: Literal["ssm"]) -> SSMClient: ...
    @overload
    def client(self, service: Literal["sts"]) -> STSClient: ...
    def client(self, service: str) -> object:
        """A client that reads neither the user's environment nor his files.

        Raises:
            RefusedError: botocore would send its requests anywhere but to the endpoint.
        """
        session = boto3.Session(
            aws_access_key_id=self.credentials.key_id,
            aws_secret_access_key=self.credentials.secret,
            aws_session_token=self.credentials.token,
            region_name=REGION,
            botocore_session=_session_without_surroundings(),
        )
        made = session.client(
            cast("Literal['s3']", service),
            endpoint_url=self.endpoint,
            verify=str(self.authority),
            config=Config(
                proxies={},
                s3={"addressing_style": "path"},
                signature_version="s3v4" if service == "s3" else None,
                retries={"mode": "standard", "total_max_attempts": 2},
                connect_timeout=5,
                read_timeout=60,
                # A prefix before an address in figures would make a name of it.
                inject_host_prefix=False,
            ),
        )
        require_loopback(made.meta.endpoint_url)
        return made


def _session_without_surroundings() -> BotocoreSession:
    """A botocore session that sees no `AWS_*` variable, no profile and no configuration file."""
    session = BotocoreSession(include_builtin_handlers=True)
    for name, (_, _, default, conversion) in list(session.session_var_map.items()):
        session.session_var_map[name] = (None, None, default, conversion)
    session.set_config_variable("config_file", "/dev/null")
    session.set_config_variable("credentials_file", "/dev/null")
    return session


def clean_environment(extra: Mapping[str, str] = {}) -> dict[str, str]:
    """An environment for a child: what is named here, and nothing of ours.

    No `AWS_*` variable, proxy or loader setting of the user's shell gets into a child.
    """
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", **extra}
