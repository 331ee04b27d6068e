"""The registry's targets, teams and rules in the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glovebox.adapters.dynamodb_registry import DynamoRegistry
from glovebox.adapters.dynamodb_targets import DynamoTargets
from glovebox.errors import ConflictError, NotFoundError, UpstreamError
from glovebox.registry.model import Account, Disabled, Repository, Source, Team
from glovebox.registry.owners import By, OwnerRule
from glovebox.registry.store import Entry, name_of
from tests.registry import account

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ENTRIES: list[Entry] = [
    account(1),
    Account(
        id="111122223333",
        name="Shop",
        ou=("Root", "Prod"),
        tags={"env": "prod", "empty": ""},
        regions=("eu-west-1",),
        team="payments",
        disabled=Disabled.VANISHED,
        external_id="0123456789abcdef",
        source=Source.ORGANIZATION,
    ),
    Repository(id="a.example.com/acme/tools"),
    Repository(
        id="ghe.example.com:8443/acme/shop",
        number=4_294_967_296,
        installation=12,
        default_branch="main",
        private=False,
        archived=True,
        topics=("team-payments",),
        codeowners=("@acme/payments",),
        team="payments",
        scanners=("trivy",),
        disabled=Disabled.VANISHED,
        source=Source.HOST,
    ),
    Team(name="payments", contacts=("#payments", "a@b.example"), acceptance_days=30),
    OwnerRule(by=By.TAG, value="env=prod", team="payments"),
]


@pytest.fixture
def store(dynamodb: DynamoDBClient) -> DynamoTargets:
    return DynamoTargets(dynamodb, "registry")


@pytest.mark.parametrize("entry", ENTRIES, ids=name_of)
def test_an_entry_comes_back_as_it_was_put(store: DynamoTargets, entry: Entry) -> None:
    store.put(entry, revision=0)
    kind = type(entry)
    stored = store.get(kind, name_of(entry))  # type: ignore[type-var]  # of one of the four
    assert (stored.entry, stored.revision) == (entry, 1)
    assert list(store.all(kind)) == [stored]  # type: ignore[type-var]  # as above


def test_kinds_do_not_mix_with_each_other_and_with_what_the_table_holds_besides(
    store: DynamoTargets, dynamodb: DynamoDBClient
) -> None:
    DynamoRegistry(dynamodb, "registry").note({"www.example.com": "example.com"}, "2026-11-22T00:00:00Z")
    for entry in ENTRIES:
        store.put(entry, revision=0)
    assert [each.entry for each in store.all(Account)] == ENTRIES[:2]
    assert [each.entry for each in store.all(Repository)] == ENTRIES[2:4]
    assert [each.entry for each in store.all(Team)] == ENTRIES[4:5]
    assert [each.entry for each in store.all(OwnerRule)] == ENTRIES[5:]


def test_more_accounts_than_one_answer_holds_are_all_read(store: DynamoTargets) -> None:
    # 250 accounts with 50 tags of 128 + 16 characters are about 1.9 MB; DynamoDB answers 1 MB at once.
    tags = {f"{number:0128d}": "x" * 16 for number in range(50)}
    for number in range(250):
        store.put(account(number, tags=tags), revision=0)
    assert [int(each.entry.id) for each in store.all(Account)] == list(range(250))


def test_a_write_stands_only_on_what_was_read(store: DynamoTargets) -> None:
    store.put(account(1), revision=0)
    with pytest.raises(ConflictError, match="account 000000000001"):
        store.put(account(1, name="second"), revision=0)
    store.put(account(1, name="mine"), revision=1)
    with pytest.raises(ConflictError):
        store.put(account(1, name="theirs"), revision=1)
    with pytest.raises(ConflictError):
        store.remove(account(1), revision=1)
    assert store.get(Account, "000000000001").entry.name == "mine"
    store.remove(account(1), revision=2)
    with pytest.raises(ConflictError):
        store.put(account(1), revision=2)
    with pytest.raises(NotFoundError):
        store.get(Account, "000000000001")


def test_what_aws_says_is_told(dynamodb: DynamoDBClient) -> None:
    with pytest.raises(UpstreamError, match="ResourceNotFoundException"):
        DynamoTargets(dynamodb, "none").put(account(1), revision=0)
