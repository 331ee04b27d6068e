"""Secrets Manager: one secret, read when it is first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glovebox.adapters.aws import calling

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


class AwsSecret:
    """`glovebox.sites.ports.Secret`: a secret whose whole text is the value."""

    def __init__(self, client: SecretsManagerClient, name: str) -> None:
        self._client = client
        self._name = name

    def value(self) -> str:
        with calling("Reading a secret"):
            return self._client.get_secret_value(SecretId=self._name)["SecretString"].strip()
