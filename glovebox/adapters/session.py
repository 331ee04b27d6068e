"""AWS as the command line meets it: the user's own profile and region, and the deployment that is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ProfileNotFound,
)

from glovebox.adapters.aws import error_code, error_message
from glovebox.errors import ConfigurationError, UpstreamError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_organizations import OrganizationsClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sts import STSClient

STACKS: Final = ("Glovebox-Storage", "Glovebox-Broker")
"""Those of app.py whose outputs the command line needs, the one that must be there first."""
_CONFIG: Final = Config(
    retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=5, read_timeout=30
)
_ONCE: Final = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=330)
"""For orders: an answer that is late is no reason to order again.  Functions run for minutes."""
_STRANGERS: Final = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}
)


class Clients(Protocol):
    """One identity's clients."""

    def cloudformation(self) -> CloudFormationClient: ...

    def dynamodb(self) -> DynamoDBClient: ...

    def functions(self) -> LambdaClient: ...

    def organizations(self) -> OrganizationsClient: ...

    def secrets(self) -> SecretsManagerClient: ...

    def sts(self) -> STSClient: ...


class AwsClients:
    """`Clients` of a profile and region as the AWS command line knows them; `None` is its default."""

    def __init__(self, profile: str | None, region: str | None) -> None:
        """Raises ConfigurationError for a profile that does not exist, or where no region is known."""
        try:
            self._session = boto3.Session(profile_name=profile, region_name=region)
        except ProfileNotFound as error:
            raise ConfigurationError(
                f"{error}.", fix="See `aws configure list-profiles`, and AWS_PROFILE."
            ) from error
        if self._session.region_name is None:
            raise ConfigurationError("No AWS region is known.", fix="Name it with --region.")

    def cloudformation(self) -> CloudFormationClient:
        return self._session.client("cloudformation", config=_CONFIG)

    def dynamodb(self) -> DynamoDBClient:
        return self._session.client("dynamodb", config=_CONFIG)

    def functions(self) -> LambdaClient:
        return self._session.client("lambda", config=_ONCE)

    def organizations(self) -> OrganizationsClient:
        return self._session.client("organizations", config=_CONFIG)

    def secrets(self) -> SecretsManagerClient:
        return self._session.client("secretsmanager", config=_CONFIG)

    def sts(self) -> STSClient:
        return self._session.client("sts", config=_CONFIG)


@dataclass(frozen=True, slots=True)
class Deployed:
    """What the stacks of a deployment give out."""

    account: str
    """Where they are: the account that scans."""
    outputs: Mapping[str, str]

    def output(self, name: str) -> str:
        """Raises ConfigurationError where no stack gives it."""
        if name not in self.outputs:
            raise ConfigurationError(
                f"The deployment has no output {name}.", fix="Deploy this version of Glovebox: docs/deploy.md"
            )
        return self.outputs[name]


def deployed(client: CloudFormationClient) -> Deployed:
    """The deployment of this account and region.

    Raises ConfigurationError where there is none or the credentials are nobody's, and UpstreamError.
    """
    account, outputs = "", dict[str, str]()
    for name in STACKS:
        found = _stack(client, name)
        if found is None and not account:
            raise ConfigurationError(
                f"There is no stack {name} in {client.meta.region_name} of this account.",
                fix="Name the scanning account's with --profile and --region, or deploy it: docs/deploy.md",
            )
        if found is not None:
            account, more = found
            outputs |= more
    return Deployed(account, outputs)


def _stack(client: CloudFormationClient, name: str) -> tuple[str, dict[str, str]] | None:
    """Its account and outputs; `None` where it does not exist."""
    try:
        [stack] = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error_code(error) == "ValidationError" and "does not exist" in error_message(error):
            return None
        if error_code(error) in _STRANGERS:
            raise ConfigurationError(
                "AWS does not take these credentials (any more).", fix="Sign in again, as with aws sso login."
            ) from error
        raise UpstreamError(
            f"Reading the stack {name} failed: {error_code(error)} {error_message(error)[:200]}",
            fix="docs/cli.md lists what the command line must be allowed to do.",
        ) from error
    except NoCredentialsError as error:
        raise ConfigurationError(
            "There are no AWS credentials.", fix="Name a profile with --profile, or sign in."
        ) from error
    except BotoCoreError as error:
        raise UpstreamError(
            f"Reading the stack {name} failed: {type(error).__name__}: {error}"[:300],
            fix="See the network and the credentials.",
        ) from error
    outputs = {each.get("OutputKey", ""): each.get("OutputValue", "") for each in stack.get("Outputs", [])}
    return stack.get("StackId", "").split(":")[4], outputs
