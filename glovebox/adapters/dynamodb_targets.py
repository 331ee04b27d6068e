"""Targets, teams and owner rules in the `registry` table, by their kinds (`KINDS`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
from botocore.exceptions import ClientError

from glovebox.adapters.aws import calling, error_code
from glovebox.adapters.dynamodb import Item, from_wire, to_wire
from glovebox.errors import ConflictError, NotFoundError
from glovebox.registry.model import Account, Repository, Team
from glovebox.registry.owners import OwnerRule
from glovebox.registry.store import Entry, Stored, T, name_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KINDS: Final[dict[type[Entry], str]] = {
    Account: "account",
    Repository: "repository",
    Team: "team",
    OwnerRule: "owner",
}
"""Their places are written to the table: add, change nothing."""


class DynamoTargets:
    """`glovebox.registry.store.RegistryStore` on DynamoDB."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, kind: type[T], name: str) -> Stored[T]:
        with calling("Reading the registry"):
            answer = self._client.get_item(
                TableName=self._table, Key=to_wire(_key(kind, name)), ConsistentRead=True
            )
        if "Item" not in answer:
            raise NotFoundError(f"There is no {KINDS[kind]} {name} on record.")
        return _stored(kind, from_wire(answer["Item"]))

    def all(self, kind: type[T]) -> Sequence[Stored[T]]:
        found: list[Stored[T]] = []
        with calling("Reading the registry"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="kind = :kind",
                ExpressionAttributeValues=to_wire({":kind": KINDS[kind]}),
                ConsistentRead=True,
            )
            for page in pages:
                found.extend(_stored(kind, from_wire(item)) for item in page["Items"])
        return found

    def put(self, entry: Entry, *, revision: int) -> None:
        body: Item = {
            **_key(type(entry), name_of(entry)),
            "revision": revision + 1,
            "entry": msgspec.to_builtins(entry),
        }
        with calling("Writing the registry"), _conflicts(entry):
            self._client.put_item(TableName=self._table, Item=to_wire(body), **_stands(revision))

    def remove(self, entry: Entry, *, revision: int) -> None:
        key = to_wire(_key(type(entry), name_of(entry)))
        with calling("Writing the registry"), _conflicts(entry):
            self._client.delete_item(TableName=self._table, Key=key, **_stands(revision))


def _key(kind: type[Entry], name: str) -> Item:
    return {"kind": KINDS[kind], "name": name}


def _stored(kind: type[T], item: dict[str, object]) -> Stored[T]:
    return Stored(msgspec.convert(item["entry"], kind), msgspec.convert(item["revision"], int))


# The stubs want each optional argument's own type.
def _stands(revision: int) -> dict[str, Any]:
    """The condition that the entry is the one that was read, or is not there."""
    if revision == 0:
        # `name` is one of DynamoDB's reserved words, and `kind` is there as soon as the item is.
        return {"ConditionExpression": "attribute_not_exists(kind)"}
    return {
        "ConditionExpression": "revision = :revision",
        "ExpressionAttributeValues": to_wire({":revision": revision}),
    }


@contextmanager
def _conflicts(entry: Entry) -> Iterator[None]:
    """A condition that does not hold is raised as ConflictError."""
    try:
        yield
    except ClientError as error:
        if error_code(error) != "ConditionalCheckFailedException":
            raise
        raise ConflictError(
            f"Somebody else changed {KINDS[type(entry)]} {name_of(entry)}.", fix="Try again."
        ) from error
