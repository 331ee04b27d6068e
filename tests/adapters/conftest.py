"""AWS as moto plays it, at the adapters' edge only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from moto import mock_aws

from glovebox.adapters.aws import client
from glovebox.adapters.dynamodb_sites import BY_DOMAIN, BY_NAME
from glovebox.sites.item import SUMMARY_ATTRIBUTES

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        yield


@pytest.fixture
def dynamodb(aws: None) -> DynamoDBClient:
    """The three tables, as the storage stack makes them."""
    made = client("dynamodb")
    made.create_table(
        TableName="scans",
        KeySchema=[
            {"AttributeName": "runId", "KeyType": "HASH"},
            {"AttributeName": "scanId", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("runId", "scanId")],
        BillingMode="PAY_PER_REQUEST",
    )
    made.create_table(
        TableName="sites",
        KeySchema=[
            {"AttributeName": "FQDN", "KeyType": "HASH"},
            {"AttributeName": "scanDate", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("FQDN", "scanDate", "domain")
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": name,
                "KeySchema": [
                    {"AttributeName": key, "KeyType": "HASH"},
                    {"AttributeName": "scanDate", "KeyType": "RANGE"},
                ],
                "Projection": {
                    "ProjectionType": "INCLUDE",
                    "NonKeyAttributes": sorted(set(SUMMARY_ATTRIBUTES) - {"FQDN", "scanDate", key}),
                },
            }
            for name, key in {BY_DOMAIN: "domain", BY_NAME: "FQDN"}.items()
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    made.create_table(
        TableName="registry",
        KeySchema=[
            {"AttributeName": "kind", "KeyType": "HASH"},
            {"AttributeName": "name", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("kind", "name")],
        BillingMode="PAY_PER_REQUEST",
    )
    return made
