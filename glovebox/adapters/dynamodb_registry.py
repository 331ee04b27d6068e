"""The `registry` table (hash `kind`, range `name`): names on record, and what Shodan said of an address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from botocore.exceptions import ClientError

from glovebox.adapters.aws import calling, error_code
from glovebox.adapters.dynamodb import Item, from_wire, to_wire
from glovebox.siteaudit.record import Shodan
from glovebox.sites.ports import Page, RegistryName
from glovebox.sites.shodan import expires

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_AT_ONCE = 8
"""Single updates in flight: a shard's names are noted within a second or two."""


class DynamoRegistry:
    """`glovebox.sites.ports.Registry` on DynamoDB."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def note(self, sites: Mapping[str, str], seen: str) -> None:
        def note_one(entry: tuple[str, str, str | None]) -> None:
            self._note(*entry, seen=seen)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            # Drawing the results raises what a thread raised.
            list(pool.map(note_one, _entries(sites)))

    def names(
        self, kind: Literal["site", "domain"], *, after: tuple[str, ...] | None, limit: int
    ) -> Page[RegistryName]:
        key: Item = {"kind": kind, "name": after[0]} if after else {}
        # The stubs want each optional argument's own type.
        start: dict[str, Any] = {"ExclusiveStartKey": to_wire(key)} if key else {}
        with calling("Reading names"):
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="kind = :kind",
                ExpressionAttributeValues=to_wire({":kind": kind}),
                Limit=limit,
                **start,
            )
        names = [msgspec.convert(from_wire(item), RegistryName) for item in answer["Items"]]
        more = "LastEvaluatedKey" in answer and bool(names)
        return Page(names, (names[-1].name,) if more else None)

    def _note(self, kind: str, name: str, domain: str | None, *, seen: str) -> None:
        """Note one name; an older run that is ingested late moves nothing back."""
        values: Item = {":seen": seen, **({":domain": domain} if domain else {})}
        key: Item = {"kind": kind, "name": name}
        sets = "SET lastSeen = :seen, firstSeen = if_not_exists(firstSeen, :seen)"
        # The stubs want each optional argument's own type.
        aliases: dict[str, Any] = {"ExpressionAttributeNames": {"#domain": "domain"}} if domain else {}
        with calling("Noting a name"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=to_wire(key),
                    UpdateExpression=f"{sets}, #domain = :domain" if domain else sets,
                    ConditionExpression="attribute_not_exists(lastSeen) OR lastSeen < :seen",
                    ExpressionAttributeValues=to_wire(values),
                    **aliases,
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise


class DynamoShodanCache:
    """`glovebox.sites.shodan.ShodanCache` on DynamoDB; the table's TTL removes what is too old."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, address: str) -> Shodan | None:
        with calling("Reading a look-up"):
            answer = self._client.get_item(TableName=self._table, Key=to_wire(_key(address)))
        if "Item" not in answer:
            return None
        return msgspec.json.decode(str(from_wire(answer["Item"])["answer"]), type=Shodan)

    def put(self, address: str, answer: Shodan) -> None:
        item: Item = {
            **_key(address),
            "answer": msgspec.json.encode(answer).decode(),
            "lookedUp": answer.looked_up or "",
            "expires": int(expires(answer).timestamp()),
        }
        with calling("Keeping a look-up"):
            self._client.put_item(TableName=self._table, Item=to_wire(item))


def _key(address: str) -> Item:
    return {"kind": "shodan", "name": address}


def _entries(sites: Mapping[str, str]) -> Iterator[tuple[str, str, str | None]]:
    yield from (("site", fqdn, domain) for fqdn, domain in sites.items())
    yield from (("domain", domain, None) for domain in sorted(set(sites.values())))
