"""DynamoDB in general: items as plain values, and batches until nothing is left over."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from glovebox.adapters.aws import calling
from glovebox.adapters.dynamodb_values import Wire, value_of, wire_of
from glovebox.errors import UpstreamError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = Mapping[str, object]
Sleep = Callable[[float], None]
T = TypeVar("T")

WRITE_BATCH = 25
READ_BATCH = 100
"""DynamoDB's own limits of one call."""
BATCH_TRIES = 8
"""With doubling waits from 50 ms: about ten seconds of throttling before we give up."""


def to_wire(item: Item) -> Wire:
    """Plain values as DynamoDB writes them (`wire_of`)."""
    return {name: wire_of(value) for name, value in item.items()}


def from_wire(item: Mapping[str, Any]) -> dict[str, object]:
    return {name: value_of(value) for name, value in item.items()}


def in_chunks(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Consecutive lists of at most `size`, drawn as they are needed."""
    iterator = iter(things)
    while chunk := list(islice(iterator, size)):
        yield chunk


def write_all(
    client: DynamoDBClient, table: str, items: Iterable[Item], *, sleep: Sleep = time.sleep
) -> None:
    """Put every item, in batches.  Raises UpstreamError where some stay unprocessed."""
    for chunk in in_chunks(items, WRITE_BATCH):
        requests: Mapping[str, Sequence[Any]] = {
            table: [{"PutRequest": {"Item": to_wire(item)}} for item in chunk]
        }
        for wait in _waits():
            with calling("Writing records"):
                requests = client.batch_write_item(RequestItems=requests).get("UnprocessedItems", {})
            if not requests:
                break
            sleep(wait)
        else:
            raise UpstreamError(
                "DynamoDB leaves records unprocessed.", fix="It is throttled: try again later."
            )


def read_all(
    client: DynamoDBClient,
    table: str,
    keys: Sequence[Item],
    *,
    projection: Sequence[str] = (),
    sleep: Sleep = time.sleep,
) -> list[dict[str, object]]:
    """The items of at most `READ_BATCH` keys, in no order.  Raises UpstreamError as `write_all`."""
    question: dict[str, Any] = {"Keys": [to_wire(key) for key in keys], **projecting(projection)}
    requests: Mapping[str, Any] = {table: question}
    found: list[dict[str, object]] = []
    for wait in _waits():
        with calling("Reading records"):
            answer = client.batch_get_item(RequestItems=requests)
        found.extend(from_wire(item) for item in answer["Responses"].get(table, []))
        requests = answer.get("UnprocessedKeys", {})
        if not requests:
            return found
        sleep(wait)
    raise UpstreamError("DynamoDB leaves keys unread.", fix="It is throttled: try again later.")


def projecting(names: Sequence[str]) -> dict[str, Any]:
    """The parts of a call that ask for these attributes only; nothing for all.  Escapes reserved words."""
    if not names:
        return {}
    aliases = {f"#p{index}": name for index, name in enumerate(names)}
    return {"ProjectionExpression": ", ".join(aliases), "ExpressionAttributeNames": aliases}


def _waits() -> Iterator[float]:
    """Seconds, doubling and a little random, so that throttled writers do not march in step."""
    for turn in range(BATCH_TRIES):
        yield 0.05 * 2**turn * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, protects nothing
