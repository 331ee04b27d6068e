"""Parameter Store: texts that are no secret, and that other machines read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glovebox.adapters.aws import calling

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


class SsmBoard:
    """`glovebox.rotation.Board` on a parameter that the deployment has made."""

    def __init__(self, client: SSMClient, name: str) -> None:
        self._client = client
        self._name = name

    def read(self) -> str:
        with calling("Reading a parameter"):
            return self._client.get_parameter(Name=self._name)["Parameter"].get("Value", "")

    def write(self, text: str) -> None:
        with calling("Writing a parameter"):
            self._client.put_parameter(Name=self._name, Value=text, Overwrite=True)
