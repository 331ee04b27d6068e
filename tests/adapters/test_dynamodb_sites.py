"""Records and names in DynamoDB: batches are whole, orders hold, pages follow each other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from glovebox.adapters.dynamodb_registry import DynamoRegistry, DynamoShodanCache
from glovebox.adapters.dynamodb_sites import DynamoSiteStore
from glovebox.errors import UpstreamError
from glovebox.siteaudit.record import Shodan, from_json
from glovebox.sites.item import SiteItem, item_of
from glovebox.sites.ports import Page, RegistryName
from tests.records import failed_record, good_record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RUN = "20260304T050607Z-0badcafe"
DATES = [f"2026-03-0{day}T05:00:00Z" for day in range(1, 6)]
A, B = "a.example.com", "b.example.com"


@pytest.fixture
def sites(dynamodb: DynamoDBClient) -> DynamoSiteStore:
    return DynamoSiteStore(dynamodb, "sites", sleep=lambda seconds: None)


@pytest.fixture
def registry(dynamodb: DynamoDBClient) -> DynamoRegistry:
    return DynamoRegistry(dynamodb, "registry")


def item(fqdn: str, date: str) -> SiteItem:
    return item_of(good_record(fqdn, scan_date=date), RUN)


def test_a_record_comes_back_byte_for_byte(sites: DynamoSiteStore) -> None:
    record = good_record(A, site_title="Ünïcödé 🔒")
    sites.put([item_of(record, RUN)])
    found = sites.latest(A)
    assert found is not None
    assert from_json(found) == record
    assert sites.at(A, record.scan_date) == found
    assert sites.at(A, DATES[0]) is None
    assert sites.latest(B) is None


def test_a_site_of_which_nothing_is_known_is_kept_as_well(sites: DynamoSiteStore) -> None:
    made = item_of(failed_record(A, "nxdomain"), RUN)
    sites.put([made])
    assert list(sites.summaries([A], made.summary.scan_date)) == [made.summary]


def test_many_records_are_read_in_the_hosts_order(sites: DynamoSiteStore) -> None:
    hosts = [f"h{number:03d}.example.com" for number in range(130)]
    sites.put(item(host, DATES[0]) for host in reversed(hosts))
    asked = [*hosts[::-1], "missing.example.com"]
    assert [from_json(line).fqdn for line in sites.records(asked, DATES[0])] == hosts[::-1]
    assert [one.fqdn for one in sites.summaries(hosts, DATES[0])] == hosts


def test_the_same_record_again_takes_the_place_of_the_first(sites: DynamoSiteStore) -> None:
    sites.put([item(A, DATES[0])])
    sites.put([item(A, DATES[0])])
    assert len(sites.history(A, before=None, limit=10).items) == 1


def test_a_history_is_newest_first_below_its_bound_and_knows_its_end(sites: DynamoSiteStore) -> None:
    sites.put(item(A, date) for date in DATES)
    page = sites.history(A, before=None, limit=2)
    assert [one.scan_date for one in page.items] == [DATES[4], DATES[3]]
    assert page.next == (DATES[3],)
    rest = sites.history(A, before=DATES[3], limit=3)
    assert ([one.scan_date for one in rest.items], rest.next) == (DATES[2::-1], None)


def test_a_domains_history_goes_on_where_a_page_ended(sites: DynamoSiteStore) -> None:
    sites.put(item(host, date) for host in (A, B) for date in DATES[:2])
    found, after = [], None
    while True:
        page = sites.domain_history("example.com", after=after, limit=3)
        found.extend(page.items)
        after = page.next
        if after is None:
            break
    assert sorted((one.scan_date, one.fqdn) for one in found) == [
        (date, host) for date in DATES[:2] for host in (A, B)
    ]
    assert [one.scan_date for one in found] == sorted((one.scan_date for one in found), reverse=True)


def test_what_stood_before_is_the_last_summary_of_each_host(sites: DynamoSiteStore) -> None:
    sites.put(item(A, date) for date in DATES)
    sites.put([item(B, DATES[3])])
    before = sites.before([A, B], DATES[3])
    assert {host: one.scan_date for host, one in before.items()} == {A: DATES[2]}


class Throttled:
    """Hands a call on with one entry only, and says that the others are left over."""

    def __init__(self, real: Any, *, ever: bool) -> None:
        self._real = real
        self._ever = ever

    def write(self, RequestItems: dict[str, list[Any]]) -> Any:  # noqa: N803 - boto3's own name
        [(table, requests)] = RequestItems.items()
        done = 1 if self._ever else 0
        if done:
            self._real(RequestItems={table: requests[:done]})
        rest = requests[done:]
        return {"UnprocessedItems": {table: rest} if rest else {}}

    def read(self, RequestItems: dict[str, dict[str, Any]]) -> Any:  # noqa: N803 - boto3's own name
        [(table, question)] = RequestItems.items()
        answer = self._real(RequestItems={table: {**question, "Keys": question["Keys"][:1]}})
        rest = question["Keys"][1:]
        return {**answer, "UnprocessedKeys": {table: {**question, "Keys": rest}} if rest else {}}


def test_what_a_batch_leaves_over_is_written_and_read_again(
    sites: DynamoSiteStore, dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb, "batch_write_item", Throttled(dynamodb.batch_write_item, ever=True).write)
    monkeypatch.setattr(dynamodb, "batch_get_item", Throttled(dynamodb.batch_get_item, ever=True).read)
    hosts = [f"h{number}.example.com" for number in range(6)]
    sites.put(item(host, DATES[0]) for host in hosts)
    assert [from_json(line).fqdn for line in sites.records(hosts, DATES[0])] == hosts


def test_a_batch_that_is_never_taken_is_an_error(
    sites: DynamoSiteStore, dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb, "batch_write_item", Throttled(dynamodb.batch_write_item, ever=False).write)
    with pytest.raises(UpstreamError, match="unprocessed"):
        sites.put([item(A, DATES[0])])


def test_names_keep_the_first_day_and_move_on_with_the_last(registry: DynamoRegistry) -> None:
    for date in (DATES[1], DATES[3], DATES[2]):
        registry.note({A: "example.com", B: "example.com"}, date)
    page = registry.names("site", after=None, limit=10)
    assert page == Page(
        [
            RegistryName(name=name, domain="example.com", first_seen=DATES[1], last_seen=DATES[3])
            for name in (A, B)
        ],
        None,
    )
    [domain] = registry.names("domain", after=None, limit=10).items
    assert domain == RegistryName(name="example.com", first_seen=DATES[1], last_seen=DATES[3])


def test_names_are_paged_in_their_order(registry: DynamoRegistry) -> None:
    registry.note({f"h{number}.example.com": "example.com" for number in range(5)}, DATES[0])
    found, after = [], None
    while True:
        page = registry.names("site", after=after, limit=2)
        found.extend(one.name for one in page.items)
        after = page.next
        if after is None:
            break
    assert found == [f"h{number}.example.com" for number in range(5)]


def test_a_look_up_is_remembered_with_the_second_of_its_end(dynamodb: DynamoDBClient) -> None:
    cache = DynamoShodanCache(dynamodb, "registry")
    answer = Shodan(status="found", ip_str="192.0.2.1", ports=[80, 443], looked_up="2026-03-04T05:06:07Z")
    assert cache.get("192.0.2.1") is None
    cache.put("192.0.2.1", answer)
    assert cache.get("192.0.2.1") == answer
    key: Any = {"kind": {"S": "shodan"}, "name": {"S": "192.0.2.1"}}
    kept = dynamodb.get_item(TableName="registry", Key=key)["Item"]
    assert int(kept["expires"]["N"]) == datetime(2026, 3, 11, 5, 6, 7, tzinfo=UTC).timestamp()
