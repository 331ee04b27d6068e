"""The `sites` table: hash `FQDN`, range `scanDate`.

Its indexes hold summaries alone, so that a page of a history reads kilobytes: `by-domain` (hash `domain`,
range `scanDate`), and `by-name` under the keys of the table.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec

from glovebox.adapters.aws import calling
from glovebox.adapters.dynamodb import (
    READ_BATCH,
    Item,
    Sleep,
    from_wire,
    in_chunks,
    projecting,
    read_all,
    to_wire,
    write_all,
)
from glovebox.sites.item import SUMMARY_ATTRIBUTES, SiteItem, SiteSummary
from glovebox.sites.ports import Page

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BY_DOMAIN = "by-domain"
BY_NAME = "by-name"
_AT_ONCE = 8
"""Single queries in flight: 50,000 sites' last records come within a minute or two."""
_KEY = ("FQDN", "scanDate")


class DynamoSiteStore:
    """`glovebox.sites.ports.SiteStore` on DynamoDB."""

    def __init__(self, client: DynamoDBClient, table: str, *, sleep: Sleep = time.sleep) -> None:
        self._client = client
        self._table = table
        self._sleep = sleep

    def put(self, items: Iterable[SiteItem]) -> None:
        write_all(self._client, self._table, map(_wire_item, items), sleep=self._sleep)

    def records(self, hosts: Iterable[str], scan_date: str) -> Iterator[bytes]:
        for item in self._of_date(hosts, scan_date, ("FQDN", "record")):
            yield str(item["record"]).encode()

    def summaries(self, hosts: Iterable[str], scan_date: str) -> Iterator[SiteSummary]:
        for item in self._of_date(hosts, scan_date, SUMMARY_ATTRIBUTES):
            yield msgspec.convert(item, SiteSummary)

    def before(self, hosts: Iterable[str], scan_date: str) -> Mapping[str, SiteSummary]:
        def last(host: str) -> SiteSummary | None:
            page = self.history(host, before=scan_date, limit=1)
            return page.items[0] if page.items else None

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return {site.fqdn: site for site in pool.map(last, hosts) if site is not None}

    def latest(self, fqdn: str) -> bytes | None:
        items, _ = self._newest("FQDN", fqdn, limit=1, projection=("record",))
        return str(items[0]["record"]).encode() if items else None

    def at(self, fqdn: str, scan_date: str) -> bytes | None:
        key: Item = {"FQDN": fqdn, "scanDate": scan_date}
        with calling("Reading a record"):
            answer = self._client.get_item(TableName=self._table, Key=to_wire(key), **projecting(("record",)))
        return str(from_wire(answer["Item"])["record"]).encode() if "Item" in answer else None

    def history(self, fqdn: str, *, before: str | None, limit: int) -> Page[SiteSummary]:
        items, end = self._newest(
            "FQDN", fqdn, limit=limit, projection=SUMMARY_ATTRIBUTES, before=before, index=BY_NAME
        )
        return Page(msgspec.convert(items, list[SiteSummary]), (str(end["scanDate"]),) if end else None)

    def domain_history(self, domain: str, *, after: tuple[str, ...] | None, limit: int) -> Page[SiteSummary]:
        start: Item | None = None
        if after is not None:
            scan_date, fqdn = after
            start = {"domain": domain, "scanDate": scan_date, "FQDN": fqdn}
        items, end = self._newest(
            "domain", domain, limit=limit, projection=SUMMARY_ATTRIBUTES, start=start, index=BY_DOMAIN
        )
        position = (str(end["scanDate"]), str(end["FQDN"])) if end else None
        return Page(msgspec.convert(items, list[SiteSummary]), position)

    # ------------------------------------------------------------ the calls

    def _of_date(
        self, hosts: Iterable[str], scan_date: str, projection: Sequence[str]
    ) -> Iterator[dict[str, object]]:
        for names in in_chunks(hosts, READ_BATCH):
            keys: list[Item] = [{"FQDN": name, "scanDate": scan_date} for name in names]
            items = read_all(self._client, self._table, keys, projection=projection, sleep=self._sleep)
            found = {str(item["FQDN"]): item for item in items}
            yield from (found[name] for name in names if name in found)

    def _newest(
        self,
        attribute: str,
        value: str,
        *,
        limit: int,
        projection: Sequence[str],
        before: str | None = None,
        start: Item | None = None,
        index: str | None = None,
    ) -> tuple[list[dict[str, object]], Item | None]:
        """Items by range `scanDate`, newest first, and where they end if there are more.

        One more than asked for is read: DynamoDB's own end-of-page says only that there may be more.
        """
        found: list[dict[str, object]] = []
        asked = projecting(list(dict.fromkeys((*_KEY, *projection))))
        bound = " AND scanDate < :before" if before else ""
        values: Item = {":value": value, **({":before": before} if before else {})}
        # The stubs want each optional argument's own type; here some are there and some are not.
        question: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": f"#key = :value{bound}",
            "ProjectionExpression": asked["ProjectionExpression"],
            "ExpressionAttributeNames": {**asked["ExpressionAttributeNames"], "#key": attribute},
            "ExpressionAttributeValues": to_wire(values),
            "ScanIndexForward": False,
            "Limit": limit + 1,
            **({"IndexName": index} if index else {}),
            **({"ExclusiveStartKey": to_wire(start)} if start else {}),
        }
        while len(found) <= limit:
            with calling("Reading records"):
                answer = self._client.query(**question)
            found.extend(from_wire(item) for item in answer["Items"])
            if "LastEvaluatedKey" not in answer:
                break
            question["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        return found[:limit], found[limit - 1] if len(found) > limit else None


def _wire_item(item: SiteItem) -> Item:
    return {**msgspec.to_builtins(item.summary), "record": item.record}
