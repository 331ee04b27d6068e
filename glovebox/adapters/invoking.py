"""Lambda: waiting for the answer of a function; what it raised is raised here, with its own class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from msgspec import Struct

from glovebox import errors
from glovebox.adapters.aws import calling
from glovebox.errors import GloveboxError, UpstreamError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

T = TypeVar("T")
_OURS: Final[dict[str, type[GloveboxError]]] = {
    each.__name__: each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, GloveboxError)
}


class _FunctionError(Struct, frozen=True, rename="camel"):
    """What Lambda answers in the place of a function that raised."""

    error_message: str = "no reason given"
    error_type: str = ""


def invoked(client: LambdaClient, function: str, order: object, answer: type[T], *, called: str) -> T:
    """The answer of one invocation; `called` is the function's name in what people are told.

    `client` must not retry: an invocation that is repeated is another order.  Raises what the function
    raised, and UpstreamError.
    """
    with calling(f"Invoking {called}"):
        response = client.invoke(FunctionName=function, Payload=msgspec.json.encode(order))
        body = response["Payload"].read()
    try:
        if "FunctionError" in response:
            raise _raised(msgspec.json.decode(body, type=_FunctionError), called)
        return msgspec.json.decode(body, type=answer)
    except msgspec.DecodeError as error:
        raise UpstreamError(
            f"{called} answered what nobody understands: {error}.", fix="See its log group."
        ) from error


def _raised(error: _FunctionError, called: str) -> GloveboxError:
    """What the function raised, if it is one of ours; its sentence says what to do already."""
    kind = _OURS.get(error.error_type)
    if kind is not None:
        return kind(error.error_message)
    return UpstreamError(f"{called} failed: {error.error_message[:1_000]}", fix="See its log group.")
