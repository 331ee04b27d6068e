"""Lambda: waiting for the answer of a function; what it raised is raised here, with its own class."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from botocore.exceptions import ClientError
from msgspec import Struct

from glovebox import errors
from glovebox.adapters.aws import calling, error_code
from glovebox.errors import GloveboxError, UpstreamError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import InvocationResponseTypeDef

THROTTLED: Final = "TooManyRequestsException"
TURN_SECONDS: Final = 10.0
TURNS_OF_PEOPLE: Final = 7
"""A minute: by then `launch` has begun what the last tick of `watch` asked for."""
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


def invoked(
    client: LambdaClient, function: str, order: object, answer: type[T], *, called: str, turns: int = 1
) -> T:
    """The answer of one invocation; `called` is the function's name in what people are told.

    `client` must not retry: an invocation that is repeated is another order.  Only one that Lambda did not
    begin, because all places of the function were taken, is asked for `turns` times.  Raises what the
    function raised, and UpstreamError.
    """
    with calling(f"Invoking {called}"):
        response = _begun(client, function, msgspec.json.encode(order), turns)
        body = response["Payload"].read()
    try:
        if "FunctionError" in response:
            raise _raised(msgspec.json.decode(body, type=_FunctionError), called)
        return msgspec.json.decode(body, type=answer)
    except msgspec.DecodeError as error:
        raise UpstreamError(
            f"{called} answered what nobody understands: {error}.", fix="See its log group."
        ) from error


def _begun(client: LambdaClient, function: str, payload: bytes, turns: int) -> InvocationResponseTypeDef:
    for left in range(turns - 1, -1, -1):
        try:
            return client.invoke(FunctionName=function, Payload=payload)
        except ClientError as error:
            if not left or error_code(error) != THROTTLED:
                raise
        time.sleep(TURN_SECONDS)
    raise ValueError("no turn at all")


def _raised(error: _FunctionError, called: str) -> GloveboxError:
    """What the function raised, if it is one of ours; its sentence says what to do already."""
    kind = _OURS.get(error.error_type)
    if kind is not None:
        return kind(error.error_message)
    return UpstreamError(f"{called} failed: {error.error_message[:1_000]}", fix="See its log group.")
