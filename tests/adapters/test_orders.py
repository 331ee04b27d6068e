"""Ordering scans: what `launch` raised is raised here, with its own class."""

from __future__ import annotations

import io
import json
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.stub import Stubber

from glovebox.adapters.aws import patient_client
from glovebox.adapters.invoking import THROTTLED, TURN_SECONDS, TURNS_OF_PEOPLE
from glovebox.adapters.orders import LambdaOrders
from glovebox.adapters.snapshots import LambdaSnapshots
from glovebox.errors import ConflictError, GloveboxError, InputError, RefusedError, UpstreamError
from glovebox.registry.order import AccountsOrder, OrderAnswer, Refused, RepositoriesAnswer, RepositoriesOrder
from glovebox.scans.repositories import SnapshotOrder
from glovebox.services.repository_runs import SNAPSHOT_SECONDS
from tests.fakes import no_snapshot, snapshot_answer

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


# ---------------------------------------------------------------- repositories


def test_an_order_of_repositories_is_one_invocation_that_waits() -> None:
    function = Function(
        b'{"runId": "r", "repositories": 1, "scans": 2, "refused": [{"repository": "a/b/c", "reason": "x"}]}'
    )
    answer = orders(function).scan_repositories(RepositoriesOrder(repositories=("github.com/acme/shop",)))
    assert answer == RepositoriesAnswer(
        run_id="r", repositories=1, scans=2, refused=(Refused(repository="a/b/c", reason="x"),)
    )
    [call] = function.calls
    told = {"repositories": ["github.com/acme/shop"], "ref": "", "requestedBy": "invocation"}
    assert json.loads(call["Payload"]) == told


SNAPSHOT = SnapshotOrder(run_id="r", repository="github.com/acme/shop", ref="main")


def snapshots(function: object) -> LambdaSnapshots:
    stand_in: Any = function
    return LambdaSnapshots(stand_in, "snapshot")


def test_a_snapshot_is_asked_for_once_and_waited_for() -> None:
    function = Function(msgspec.json.encode(snapshot_answer("github.com/acme/shop", "main")))
    assert snapshots(function).take(SNAPSHOT) == snapshot_answer("github.com/acme/shop", "main")
    [call] = function.calls
    assert (call["FunctionName"], "InvocationType" in call) == ("snapshot", False)
    assert json.loads(call["Payload"]) == {"snapshot": msgspec.to_builtins(SNAPSHOT)}


def test_why_there_is_no_snapshot_is_an_answer() -> None:
    function = Function(msgspec.json.encode(no_snapshot("repository_gone")))
    assert snapshots(function).take(SNAPSHOT) == no_snapshot("repository_gone")


@pytest.mark.parametrize("kind", ["InputError", "ConfigurationError", "RefusedError", "Sandbox.Timedout"])
def test_whatever_snapshot_raises_may_pass(kind: str) -> None:
    payload = json.dumps({"errorMessage": "It cannot be.", "errorType": kind}).encode()
    with pytest.raises(UpstreamError, match=r"It cannot be\.") as raised:
        snapshots(Function(payload, FunctionError="Unhandled")).take(SNAPSHOT)
    assert type(raised.value) is UpstreamError


@pytest.mark.parametrize(
    "payload", [b"null", b"{}x", b'{"snapshot": {"repository": "../.."}}', b'{"more": 1}']
)
def test_an_answer_of_snapshot_that_nobody_understands_may_pass(payload: bytes) -> None:
    with pytest.raises(UpstreamError, match="snapshot answered what nobody understands"):
        snapshots(Function(payload)).take(SNAPSHOT)


def test_a_throttled_snapshot_may_pass_and_is_asked_for_once(aws: None) -> None:
    made = patient_client("lambda")
    with Stubber(made) as stub:
        stub.add_client_error("invoke", "TooManyRequestsException", "Rate Exceeded.", http_status_code=429)
        with pytest.raises(UpstreamError, match="TooManyRequestsException"):
            LambdaSnapshots(made, "snapshot").take(SNAPSHOT)
    assert made.meta.config.read_timeout > SNAPSHOT_SECONDS


class Taken(Function):
    """All its places are taken, so many times."""

    def __init__(self, payload: bytes, times: int) -> None:
        super().__init__(payload)
        self.times = times

    def invoke(self, **call: Any) -> dict[str, Any]:
        answer = super().invoke(**call)
        if len(self.calls) <= self.times:
            raise ClientError({"Error": {"Code": THROTTLED, "Message": "Rate Exceeded."}}, "Invoke")
        return answer


def test_an_order_that_lambda_did_not_begin_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("glovebox.adapters.invoking.time.sleep", waits.append)
    function = Taken(b'{"runId": "r", "scans": 1}', times=2)
    assert orders(function).scan(ORDER).run_id == "r"
    assert waits == [TURN_SECONDS] * 2
    full = Taken(b"{}", times=100)
    with pytest.raises(UpstreamError, match=THROTTLED):
        orders(full).scan(ORDER)
    assert len(full.calls) == TURNS_OF_PEOPLE


def test_a_launch_that_finds_no_free_snapshot_asks_once() -> None:
    """Its scan waits instead, and its place is another's."""
    function = Taken(b"{}", times=100)
    stand_in: Any = function
    with pytest.raises(UpstreamError, match=THROTTLED):
        LambdaSnapshots(stand_in, "snapshot").take(
            SnapshotOrder(run_id="20260304T050607Z-0badcafe", repository="github.com/acme/shop")
        )
    assert len(function.calls) == 1
