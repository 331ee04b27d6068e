"""Lambda: asking `launch` for scans of accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from glovebox import errors
from glovebox.adapters.aws import calling
from glovebox.errors import GloveboxError, UpstreamError
from glovebox.registry.order import AccountsOrder, OrderAnswer

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_OURS: Final[dict[str, type[GloveboxError]]] = {
    each.__name__: each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, GloveboxError)
}


class _FunctionError(Struct, frozen=True, rename="camel"):
    """What Lambda answers in the place of a function that raised."""

    error_message: str = "no reason given"
    error_type: str = ""


class LambdaOrders:
    """`glovebox.registry.order.Orders`: waits for the answer, and never orders twice."""

    def __init__(self, client: LambdaClient, function: str) -> None:
        """`client` must not retry: an invocation that is repeated is another run."""
        self._client = client
        self._function = function

    def scan(self, order: AccountsOrder) -> OrderAnswer:
        with calling("Invoking launch"):
            answer = self._client.invoke(FunctionName=self._function, Payload=msgspec.json.encode(order))
            body = answer["Payload"].read()
        try:
            if "FunctionError" in answer:
                raise _raised(msgspec.json.decode(body, type=_FunctionError))
            return msgspec.json.decode(body, type=OrderAnswer)
        except msgspec.DecodeError as error:
            raise UpstreamError(
                f"launch answered what nobody understands: {error}.",
                fix="See its log group.",
            ) from error


def _raised(error: _FunctionError) -> GloveboxError:
    """What the function raised, if it is one of ours; its sentence says what to do already."""
    kind = _OURS.get(error.error_type)
    if kind is not None:
        return kind(error.error_message)
    return UpstreamError(f"launch failed: {error.error_message[:1_000]}", fix="See its log group.")
