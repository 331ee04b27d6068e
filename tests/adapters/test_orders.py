"""Ordering scans: what `launch` raised is raised here, with its own class."""

from __future__ import annotations

import io
import json
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ReadTimeoutError

from glovebox.adapters.orders import LambdaOrders
from glovebox.errors import ConflictError, GloveboxError, InputError, RefusedError, UpstreamError
from glovebox.registry.order import AccountsOrder, OrderAnswer, Refused

ORDER = AccountsOrder(accounts=("111122223333",), requested_by="ana")


class Function:
    """Lambda's `invoke`, with an answer of the tests' choice."""

    def __init__(self, payload: bytes, **fields: str) -> None:
        self.payload = payload
        self.fields = fields
        self.calls: list[dict[str, Any]] = []

    def invoke(self, **call: Any) -> dict[str, Any]:
        self.calls.append(call)
        return {"Payload": io.BytesIO(self.payload), **self.fields}


def orders(function: object) -> LambdaOrders:
    stand_in: Any = function
    return LambdaOrders(stand_in, "launch")


def test_an_order_is_one_invocation_that_waits() -> None:
    function = Function(
        b'{"runId": "r", "scans": 2, "hosts": 0, "refused": [{"account": "444455556666", "reason": "x"}]}'
    )
    answer = orders(function).scan(ORDER)
    assert answer == OrderAnswer(run_id="r", scans=2, refused=(Refused(account="444455556666", reason="x"),))
    [call] = function.calls
    assert call["FunctionName"] == "launch"
    assert "InvocationType" not in call
    assert json.loads(call["Payload"]) == {"accounts": ["111122223333"], "requestedBy": "ana"}


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("InputError", InputError),
        ("RefusedError", RefusedError),
        ("ConflictError", ConflictError),
        ("KeyError", UpstreamError),
        ("Runtime.ExitError", UpstreamError),
        ("list", UpstreamError),
    ],
)
def test_what_launch_raised_is_raised_here(kind: str, error: type[GloveboxError]) -> None:
    payload = json.dumps({"errorMessage": "It cannot be.", "errorType": kind, "stackTrace": []}).encode()
    with pytest.raises(error, match=r"It cannot be\.") as raised:
        orders(Function(payload, FunctionError="Unhandled")).scan(ORDER)
    assert type(raised.value) is error


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b'{"runId": 1, "scans": 2}', b"\xff"])
def test_an_answer_that_is_none_is_a_failure(payload: bytes) -> None:
    with pytest.raises(UpstreamError, match="nobody understands"):
        orders(Function(payload)).scan(ORDER)


def test_a_late_answer_is_a_failure_and_not_asked_for_again() -> None:
    class Late:
        calls = 0

        def invoke(self, **_: object) -> None:
            Late.calls += 1
            raise ReadTimeoutError(endpoint_url="https://lambda.invalid")

    with pytest.raises(UpstreamError, match="ReadTimeoutError"):
        orders(Late()).scan(ORDER)
    assert Late.calls == 1


@pytest.mark.parametrize(
    "event",
    [
        {"accounts": []},
        {"accounts": ["11112222333"]},
        {"accounts": ["111122223333\n"]},
        {"accounts": ["x111122223333"]},
        {"accounts": ["１１１１２２２２３３３３"]},
        {"accounts": ["111122223333"] * 1_001},
        {"accounts": ["111122223333"], "requestedBy": "a" * 129},
        {"accounts": ["111122223333"], "hosts": []},
        {},
    ],
)
def test_an_order_that_makes_no_sense_cannot_be_read(event: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(event, AccountsOrder)
