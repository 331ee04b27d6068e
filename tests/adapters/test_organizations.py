"""An organization as AWS tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import boto3
import pytest

from glovebox.adapters.organizations import AwsOrganization
from glovebox.errors import UpstreamError

if TYPE_CHECKING:
    from mypy_boto3_organizations import OrganizationsClient


@pytest.fixture
def client(aws: None) -> OrganizationsClient:
    made = boto3.client("organizations")
    made.create_organization(FeatureSet="ALL")
    return made


def create(client: OrganizationsClient, name: str, unit: str, **tags: str) -> str:
    status = client.create_account(
        AccountName=name,
        Email=f"{name}@example.org",
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )["CreateAccountStatus"]
    account = status.get("AccountId", "")
    root = client.list_roots()["Roots"][0].get("Id", "")
    client.move_account(AccountId=account, SourceParentId=root, DestinationParentId=unit)
    return account


def test_accounts_come_with_their_units_and_tags(client: OrganizationsClient) -> None:
    root = client.list_roots()["Roots"][0].get("Id", "")
    prod = client.create_organizational_unit(ParentId=root, Name="Prod/EU")["OrganizationalUnit"].get(
        "Id", ""
    )
    pay = client.create_organizational_unit(ParentId=prod, Name="Pay")["OrganizationalUnit"].get("Id", "")
    shop = create(client, "shop", pay, env="prod")
    closed = create(client, "closed", prod)
    client.close_account(AccountId=closed)
    found = {each.id: each for each in AwsOrganization(client).members()}
    assert (found[shop].name, found[shop].ou, found[shop].tags, found[shop].state) == (
        "shop",
        ("Root", "Prod%2FEU", "Pay"),
        {"env": "prod"},
        "ACTIVE",
    )
    assert found[closed].state != "ACTIVE"
    master = client.describe_organization()["Organization"].get("MasterAccountId", "")
    assert found[master].ou == ("Root",)
    assert len(found) == 3


class Pages:
    """What AWS may answer and moto does not: several pages, an empty one among them, unfriendly names."""

    ANSWERS: ClassVar[dict[str, list[Any]]] = {
        "list_roots": [{"Roots": []}, {"Roots": [{"Id": "r-1", "Name": "Root"}]}],
        "list_accounts_for_parent": [
            {"Accounts": [{"Id": "000000000001", "Name": "a\x1b[2J", "Status": "ACTIVE"}]},
            {"Accounts": []},
            {"Accounts": [{"Id": "000000000002", "Name": "b", "State": "CLOSED", "Status": "SUSPENDED"}]},
        ],
        "list_organizational_units_for_parent": [{"OrganizationalUnits": []}],
        "list_tags_for_resource": [
            {"Tags": [{"Key": "a=b", "Value": "1"}]},
            {"Tags": [{"Key": "c", "Value": "2\n"}]},
        ],
    }

    def get_paginator(self, name: str) -> Any:
        class Paginator:
            def paginate(self, **_: str) -> list[Any]:
                return Pages.ANSWERS[name]

        return Paginator()


def test_every_page_counts_and_names_are_made_fit() -> None:
    stand_in: Any = Pages()
    one, other = AwsOrganization(stand_in).members()
    assert (one.id, one.name, one.state) == ("000000000001", "a<U+001B>[2J", "ACTIVE")
    assert one.tags == {"a:b": "1", "c": "2<U+000A>"}
    assert (other.id, other.state) == ("000000000002", "CLOSED")


def test_without_the_permission_nothing_is_half_read(aws: None) -> None:
    with pytest.raises(UpstreamError, match="AWSOrganizationsNotInUseException"):
        list(AwsOrganization(boto3.client("organizations")).members())
