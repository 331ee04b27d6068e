"""How a second terminal finds the cloud that runs on this machine: a file in the run's own folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from glovebox.errors import ConfigurationError
from glovebox.local.aws import Credentials, LocalAws

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_organizations import OrganizationsClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sts import STSClient

FILE: Final = "connection.json"


class _Connection(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    endpoint: str
    authority: str
    key_id: str
    secret: str


@contextmanager
def announced(aws: LocalAws, folder: Path) -> Iterator[None]:
    """The file is there while the block runs; nobody but its owner may read it."""
    path = folder / FILE
    path.touch(mode=0o600)
    path.write_bytes(
        msgspec.json.encode(
            _Connection(
                endpoint=aws.endpoint,
                authority=str(aws.authority),
                key_id=aws.credentials.key_id,
                secret=aws.credentials.secret,
            )
        )
    )
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def running(runs: Path) -> LocalAws:
    """The cloud of the latest of these runs.

    Raises ConfigurationError where none runs, RefusedError where a file leads away from this machine.
    """
    found = sorted(runs.glob(f"*/{FILE}"))
    if not found:
        raise ConfigurationError("No local cloud runs.", fix="Start it in another terminal: glovebox up")
    try:
        told = msgspec.json.decode(found[-1].read_bytes(), type=_Connection)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigurationError(f"{found[-1]} cannot be used: {error}.", fix="Remove it.") from error
    return LocalAws(told.endpoint, Path(told.authority), Credentials(told.key_id, told.secret))


class LocalClients:
    """`glovebox.adapters.session.Clients` of the local cloud."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws

    def cloudformation(self) -> CloudFormationClient:
        return self._aws.client("cloudformation")

    def dynamodb(self) -> DynamoDBClient:
        return self._aws.client("dynamodb")

    def functions(self) -> LambdaClient:
        return self._aws.client("lambda")

    def organizations(self) -> OrganizationsClient:
        """Raises ConfigurationError: a single machine is no organization."""
        raise ConfigurationError(
            "The local cloud has no organization.", fix="Import a file instead: --file CSV"
        )

    def secrets(self) -> SecretsManagerClient:
        return self._aws.client("secretsmanager")

    def sts(self) -> STSClient:
        return self._aws.client("sts")
