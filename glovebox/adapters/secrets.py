"""Secrets Manager: secrets that people write, and those that `keys` keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from glovebox.adapters.aws import calling, error_code
from glovebox.rotation import Stage

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


class AwsSecret:
    """`glovebox.sites.ports.Secret`: a secret whose whole text is the value."""

    def __init__(self, client: SecretsManagerClient, name: str) -> None:
        self._client = client
        self._name = name

    def value(self) -> str:
        with calling("Reading a secret"):
            # Named, because a policy may allow this stage alone.
            answer = self._client.get_secret_value(SecretId=self._name, VersionStage=Stage.CURRENT)
            return answer["SecretString"].strip()


class AwsSafe:
    """`glovebox.rotation.Safe`: a secret with a stage for the next one."""

    def __init__(self, client: SecretsManagerClient, name: str) -> None:
        self._client = client
        self._name = name

    def read(self, stage: Stage) -> str | None:
        with calling("Reading a secret"):
            try:
                answer = self._client.get_secret_value(SecretId=self._name, VersionStage=stage)
            except ClientError as error:
                # Also said of a secret that is there and has no such stage yet.
                if error_code(error) == "ResourceNotFoundException":
                    return None
                raise
            return answer["SecretString"]

    def write(self, stage: Stage, text: str) -> None:
        with calling("Writing a secret"):
            self._client.put_secret_value(SecretId=self._name, SecretString=text, VersionStages=[stage])
