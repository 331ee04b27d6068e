"""Functions of the deployment, as a person with rights on them uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from glovebox.errors import UpstreamError

if TYPE_CHECKING:
    from glovebox.local.aws import LocalAws


def invoked(aws: LocalAws, function: str, event: bytes, *, what: str) -> bytes:
    """What the function answers to this JSON.  Raises UpstreamError: it failed; says how."""
    answer = aws.client("lambda").invoke(FunctionName=function, Payload=event)
    body = answer["Payload"].read()
    if "FunctionError" in answer:
        raise UpstreamError(f"{what} failed: {body.decode(errors='replace')[:2_000]}")
    return body


def set_variables(aws: LocalAws, function: str, wanted: Mapping[str, str]) -> None:
    """Variables of its environment, beside those that it has."""
    client = aws.client("lambda")
    present = client.get_function_configuration(FunctionName=function)
    variables = {**present.get("Environment", {}).get("Variables", {}), **wanted}
    client.update_function_configuration(FunctionName=function, Environment={"Variables": variables})
