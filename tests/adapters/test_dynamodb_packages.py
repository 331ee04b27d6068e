"""A repository's packages beside its findings: in parts, written when they changed, one list or the other."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from glovebox.adapters import findings_items
from glovebox.adapters.aws import client
from glovebox.adapters.dynamodb_findings import DynamoFindingStore
from glovebox.errors import ConflictError, UpstreamError
from glovebox.findings.ledger import Ledger
from glovebox.findings.packages import Component
from glovebox.findings.store import Commit, tally
from tests.findings import START, TABLE, create_table
from tests.repository_flow import TARGET
from tests.small_dynamodb import SmallDynamoDB

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def component(name: str) -> Component:
    return Component(type="npm", name=name, version="1", purl=f"pkg:npm/{name}@1", path="package-lock.json")


def random_components(seed: int, count: int = 200) -> list[Component]:
    """That compress badly."""
    numbers = random.Random(seed)  # noqa: S311 - a test's
    return [component(f"{numbers.getrandbits(256):x}") for _ in range(count)]


def commit(
    store: DynamoFindingStore, components: list[Component] | None, before: Ledger | None = None
) -> None:
    """A scan that changes nothing but the list."""
    known = before or store.ledger(TARGET)
    store.commit(
        TARGET,
        known,
        Commit(
            changes={}, as_of=START, hold=None, at=START, by="x", tally=tally(known), components=components
        ),
    )


def put(store: DynamoFindingStore, components: list[Component] | None) -> None:
    commit(store, components)
    store.settle(TARGET)


def on(table: object) -> DynamoFindingStore:
    stand_in: Any = table
    return DynamoFindingStore(stand_in, TABLE, at_once=1, sleep=lambda seconds: None)


@pytest.fixture
def small() -> SmallDynamoDB:
    return SmallDynamoDB()


def parts(small: SmallDynamoDB) -> list[str]:
    return [name for name in small.partitions[TARGET] if name.startswith("packages#")]


def test_a_long_list_is_kept_in_parts_and_in_a_real_table(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings_items, "PACKAGES_BYTES", 2_000)
    table: DynamoDBClient = client("dynamodb")
    create_table(table)
    store = DynamoFindingStore(table, TABLE, at_once=1)
    first, second = random_components(1), random_components(2)
    put(store, first)
    assert store.components(TARGET) == first
    put(store, second)
    assert store.components(TARGET) == second
    items = table.scan(TableName=TABLE)["Items"]
    names = [item["item"]["S"] for item in items if item["item"]["S"].startswith("packages#")]
    assert len(names) > 3
    assert {name[:20] for name in names} == {"packages#0000000002#"[:20]}


def test_no_item_of_the_largest_list_is_larger_than_an_item_may_be(small: SmallDynamoDB) -> None:
    put(on(small), random_components(1, 20_000))
    sizes = [len(small.partitions[TARGET][name]["body"]["B"]) for name in parts(small)]
    assert len(sizes) > 2
    assert max(sizes) <= 300_000


def test_a_target_without_a_list_has_no_packages(small: SmallDynamoDB) -> None:
    assert on(small).components(TARGET) == ()


def test_the_same_list_again_and_no_word_of_it_write_nothing(small: SmallDynamoDB) -> None:
    store = on(small)
    put(store, [component("a")])
    before = {name: small.partitions[TARGET][name] for name in parts(small)}
    put(store, [component("a")])
    put(store, None)
    assert {name: small.partitions[TARGET][name] for name in parts(small)} == before
    assert store.components(TARGET) == [component("a")]


def test_an_empty_list_is_a_list(small: SmallDynamoDB) -> None:
    store = on(small)
    put(store, [component("a")])
    put(store, [])
    assert store.components(TARGET) == []
    assert len(parts(small)) == 1


def test_of_two_that_commit_at_once_one_list_counts_and_the_other_goes(small: SmallDynamoDB) -> None:
    store = on(small)
    put(store, [component("a")])
    before = store.ledger(TARGET)
    commit(store, [component("b")], before)
    with pytest.raises(ConflictError):
        commit(on(small), [component("c")], before)
    store.settle(TARGET)
    assert store.components(TARGET) == [component("b")]
    assert len(parts(small)) == 1


class Dying(SmallDynamoDB):
    """Dies at the next call so named."""

    def __init__(self) -> None:
        super().__init__()
        self.dies_at = ""
        self.after = 0

    def _die(self, name: str) -> None:
        if name == self.dies_at:
            self.after -= 1
            if self.after < 0:
                self.dies_at = ""
                raise UpstreamError("the function's time is over")

    def put_item(self, **call: Any) -> dict[str, Any]:
        self._die("put")
        return super().put_item(**call)

    def delete_item(self, **call: Any) -> dict[str, Any]:
        self._die("delete")
        return super().delete_item(**call)

    def transact_write_items(self, **call: Any) -> dict[str, Any]:
        self._die("transact")
        return super().transact_write_items(**call)


@pytest.mark.parametrize("call", ["put", "transact", "delete"])
@pytest.mark.parametrize("after", range(4))
def test_death_at_any_write_leaves_a_whole_list_and_the_next_one_comes_through(
    monkeypatch: pytest.MonkeyPatch, call: str, after: int
) -> None:
    monkeypatch.setattr(findings_items, "PACKAGES_BYTES", 2_000)
    table = Dying()
    store = on(table)
    first, second, third = (random_components(seed, 100) for seed in range(3))
    put(store, first)
    table.dies_at, table.after = call, after
    try:
        put(store, second)
    except UpstreamError:
        assert store.components(TARGET) in (first, second)
    table.dies_at = ""
    store.settle(TARGET)
    put(store, third)
    assert store.components(TARGET) == third
    [live] = {name[:20] for name in parts(table)}
    assert live


class Moving(SmallDynamoDB):
    """Where another list counts between two reads."""

    def __init__(self) -> None:
        super().__init__()
        self.others: list[list[Component]] = []

    def get_item(self, **call: Any) -> dict[str, Any]:
        found = super().get_item(**call)
        if call["Key"]["item"]["S"] == "ledger#head" and self.others:
            components = self.others.pop()
            put(on(self), components)
        return found


def test_a_list_that_changes_while_it_is_read_is_one_that_was() -> None:
    table = Moving()
    put(on(table), [component("a")])
    table.others = [[component("b")]]
    assert on(table).components(TARGET) == [component("b")]
