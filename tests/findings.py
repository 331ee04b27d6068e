"""Observations, scans and a table of findings for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from glovebox.adapters.dynamodb_findings import BY_KIND, DynamoFindingStore
from glovebox.findings.judging import Judgement
from glovebox.findings.life import Coverage, Quality, ScanFacts, Seen
from glovebox.findings.model import Observation, Severity, Status, prowler_identity, service_of
from tests.prowler import ACCOUNT, COVERAGE, REGION, bucket
from tests.small_dynamodb import SmallDynamoDB

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "findings"
TARGET = f"aws:{ACCOUNT}"
DAY = 86_400
START = 1_795_000_000
"""A day in November 2026."""


def observation(
    number: object,
    *,
    check: str = "s3_bucket_public_access",
    region: str = REGION,
    severity: Severity = Severity.HIGH,
    status: Status = Status.FAIL,
    detail: str = "The bucket is public.",
) -> Observation:
    return Observation(
        id=prowler_identity(check, ACCOUNT, region, bucket(number)),
        check=check,
        service=service_of(check),
        region=region,
        resource=bucket(number),
        severity=severity,
        status=status,
        detail=detail,
    )


def seen(*observations: Observation, services: Iterable[str] = ("s3",)) -> Seen:
    """What failed or is manual, and the identities of what passed."""
    return Seen(
        observations={each.id: each for each in observations if each.status is not Status.PASS},
        passed={each.id for each in observations if each.status is Status.PASS},
        services={*services, *(each.service for each in observations)},
    )


def facts(day: int, quality: Quality = Quality.COMPLETE, *, coverage: Coverage = COVERAGE) -> ScanFacts:
    return ScanFacts(scan_id=scan_id(day), at=START + day * DAY, coverage=coverage, quality=quality)


def scan_id(day: int) -> str:
    return f"20261122T000000Z-{day:08x}-0000"


def judgement(*observations: Observation, quality: Quality = Quality.COMPLETE) -> Judgement:
    return Judgement(quality, (), seen(*observations))


def small_findings(table: SmallDynamoDB | None = None) -> DynamoFindingStore:
    """The real store on a table of dictionaries."""
    stand_in: Any = table or SmallDynamoDB()
    return DynamoFindingStore(stand_in, TABLE, at_once=1, sleep=lambda seconds: None)


def create_table(client: DynamoDBClient) -> None:
    """As the storage stack makes it."""
    client.create_table(
        TableName=TABLE,
        KeySchema=[
            {"AttributeName": "target", "KeyType": "HASH"},
            {"AttributeName": "item", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("target", "item", "kind")
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": BY_KIND,
                "KeySchema": [
                    {"AttributeName": "kind", "KeyType": "HASH"},
                    {"AttributeName": "target", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["asOf", "hold", "tally"]},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
