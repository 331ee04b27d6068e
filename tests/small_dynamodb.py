"""DynamoDB in a dictionary: the calls and expressions of `DynamoFindingStore`, and what they would cost.

moto takes 20 ms for a conditional update, so storms and 50,000 findings go through this one; a test holds
that both make the same table of the same history.  Sizes and units are by DynamoDB's developer guide ("Item
sizes and formats", "Read and write operations"): names and values count, a write unit is 1 KB, a transaction
costs twice that, a consistent read unit is 4 KB, and an item of an index is written there too.
"""

from __future__ import annotations

import copy
import re
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

Wire = dict[str, Any]

_SET = re.compile(r"#(\w+) = (if_not_exists\(#\w+, )?:(\w+)\)?")
_ABSENT = re.compile(r"attribute_not_exists\(#?(\w+)\)")
_COMPARED = re.compile(r"#?(\w+) (=|<) :(\w+)")


class SmallDynamoDB:
    """One table with hash `target` and range `item`, and an index over the items that have a `kind`."""

    def __init__(self) -> None:
        self.partitions: dict[str, dict[str, Wire]] = {}
        self.write_units = 0
        self.read_units = 0
        self.written: Counter[str] = Counter()
        """Write units by the first word of the item's name."""
        self._lock = threading.Lock()

    # ------------------------------------------------------------ the calls

    def put_item(self, **call: Any) -> Wire:
        with self._lock:
            self._check(call, call["Item"])
            self._store(call["Item"], weight=1)
        return {}

    def update_item(self, **call: Any) -> Wire:
        with self._lock:
            before = self._find(call["Key"]) or dict(call["Key"])
            self._check(call, call["Key"])
            sets, _, removes = call["UpdateExpression"].partition(" REMOVE ")
            values, names, after = (
                call["ExpressionAttributeValues"],
                call["ExpressionAttributeNames"],
                dict(before),
            )
            for name, keep, value in _SET.findall(sets):
                if not (keep and names[f"#{name}"] in before):
                    after[names[f"#{name}"]] = values[f":{value}"]
            for name in filter(None, removes.split(", ")):
                after.pop(names[name], None)
            self._store(after, weight=1)
        return {}

    def delete_item(self, **call: Any) -> Wire:
        with self._lock:
            self._pay(call["Key"]["item"]["S"], _units(self._find(call["Key"]) or {}))
            self.partitions.get(call["Key"]["target"]["S"], {}).pop(call["Key"]["item"]["S"], None)
        return {}

    def transact_write_items(self, *, TransactItems: list[Wire]) -> Wire:  # noqa: N803 - boto3's name
        with self._lock:
            puts = [each["Put"] for each in TransactItems]
            for put in puts:
                self._check(put, put["Item"], code="TransactionCanceledException")
            for put in puts:
                self._store(put["Item"], weight=2)
        return {}

    def get_item(self, **call: Any) -> Wire:
        with self._lock:
            found = self._find(call["Key"])
            self.read_units += _units(found or {}, 4_096)
        return {"Item": copy.copy(found)} if found else {}

    def batch_get_item(self, *, RequestItems: Wire) -> Wire:  # noqa: N803 - boto3's name
        [(table, question)] = RequestItems.items()
        found = [self._find(key) for key in question["Keys"]]
        return {"Responses": {table: [item for item in found if item]}, "UnprocessedKeys": {}}

    def get_paginator(self, name: str) -> _Pages:
        assert name == "query"
        return _Pages(self)

    # ------------------------------------------------------------ inside

    def query(self, **call: Any) -> list[Wire]:
        values = call["ExpressionAttributeValues"]
        with self._lock:
            if "IndexName" in call:
                every = (each for partition in self.partitions.values() for each in partition.values())
                return [each for each in every if each.get("kind") == values[":kind"]]
            partition, prefix = self.partitions.get(values[":target"]["S"], {}), values[":prefix"]["S"]
            names = sorted(name for name in partition if name.startswith(prefix))
            found = [partition[name] for name in names]
            self.read_units += -(-sum(map(_size, found)) // 4_096)
            return found if call["ScanIndexForward"] else found[::-1]

    def _find(self, key: Wire) -> Wire | None:
        return self.partitions.get(key["target"]["S"], {}).get(key["item"]["S"])

    def _store(self, item: Wire, *, weight: int) -> None:
        name = item["item"]["S"]
        before = self._find(item) or {}
        indexed = _units(item) if "kind" in item else 0
        self._pay(name, weight * (max(_units(before), _units(item)) + indexed))
        self.partitions.setdefault(item["target"]["S"], {})[name] = item

    def _pay(self, name: str, units: int) -> None:
        self.write_units += units
        self.written["#".join(name.split("#")[: 2 if name.startswith("ledger") else 1])] += units

    def _check(self, call: Wire, key: Wire, code: str = "ConditionalCheckFailedException") -> None:
        condition = call.get("ConditionExpression")
        if condition is None:
            return
        item, values = self._find(key) or {}, call.get("ExpressionAttributeValues", {})
        either, all_of = " OR " in condition, re.split(" OR | AND ", condition)
        held = [_holds(atom, item, values) for atom in all_of]
        if not (any(held) if either else all(held)):
            self._pay(key["item"]["S"], 1)
            raise ClientError({"Error": {"Code": code, "Message": condition}}, "Write")


class _Pages:
    def __init__(self, table: SmallDynamoDB) -> None:
        self._table = table

    def paginate(self, **call: Any) -> Iterator[Wire]:
        limit = call.pop("PaginationConfig", {}).get("MaxItems")
        yield {"Items": self._table.query(**call)[:limit]}


def _holds(atom: str, item: Wire, values: Wire) -> bool:
    if absent := _ABSENT.fullmatch(atom):
        return absent[1] not in item
    compared = _COMPARED.fullmatch(atom)
    assert compared is not None, atom
    if compared[1] not in item:
        return False
    mine, given = int(item[compared[1]]["N"]), int(values[f":{compared[3]}"]["N"])
    return mine == given if compared[2] == "=" else mine < given


def _units(item: Wire, unit: int = 1_024) -> int:
    return max(-(-_size(item) // unit), 1)


def _size(item: Wire) -> int:
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Wire) -> int:
    [(kind, content)] = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "B":
        return len(getattr(content, "value", content))
    if kind == "N":
        return len(content) // 2 + 2
    if kind == "L":
        return 3 + sum(1 + _value_size(each) for each in content)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + _value_size(each) for name, each in content.items())
    return 1
