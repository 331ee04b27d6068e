"""Shards: together they are the account, no two look at the same thing, and none is empty."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glovebox.errors import ConfigurationError, RefusedError
from glovebox.findings.model import GLOBAL_SERVICES
from glovebox.registry.shards import BUCKETS, BY_LOAD, LOOK_AT_BUCKETS, MAX_SERVICE_PARTS, Shards
from glovebox.scans.accounts import AccountTarget
from tests.registry import account

REGIONS = ("eu-central-1", "eu-west-1", "eu-north-1", "us-east-1", "us-east-2")
OWN = "eu-west-1"
SERVICES = {*BY_LOAD, *LOOK_AT_BUCKETS, *GLOBAL_SERVICES, "transfer", "workspaces"}
"""Some that every part may name, and some that only the last one has."""


def shards(**values: object) -> Shards:
    told = {"regions": REGIONS, "own_region": OWN, "regions_per_scan": 4, "service_parts": 1, **values}
    return Shards(**told)  # type: ignore[arg-type]  # made up by name


def looks_at(target: AccountTarget, service: str) -> bool:
    """As Prowler is told."""
    return service in target.services if target.services else service not in target.without


def test_an_account_is_cut_by_regions_and_the_first_scan_has_what_has_no_region() -> None:
    first, second, _ = shards().of(account(1))
    assert (first.regions, second.regions) == (list(REGIONS[:4]), ["us-east-2"])
    assert (first.services, first.without) == ([], [BUCKETS])
    assert (second.services, second.without) == ([], sorted({*GLOBAL_SERVICES, BUCKETS}))
    assert (first.elsewhere, second.elsewhere) == (["us-east-2"], list(REGIONS[:4]))
    assert {first.account, second.account} == {"000000000001"}
    assert first.buckets == "account"


def test_an_account_in_the_gateways_region_alone_is_one_scan_of_everything() -> None:
    [only] = shards().of(account(1, regions=(OWN,)))
    assert (only.regions, only.services, only.without, only.elsewhere) == ([OWN], [], [], [])


def test_of_several_regions_s3_is_looked_at_in_the_gateways_own_and_in_a_scan_of_its_own() -> None:
    regional, storage = shards().of(account(1, regions=("us-east-1", OWN)))
    assert (regional.regions, regional.services, regional.without) == (["us-east-1", OWN], [], [BUCKETS])
    assert (storage.regions, storage.services, storage.without) == ([OWN], [BUCKETS], [])
    assert (regional.elsewhere, storage.elsewhere) == ([], ["us-east-1"])


@pytest.mark.parametrize("regions", [("us-east-1",), ("us-east-1", "us-east-2")])
def test_an_account_that_is_not_in_the_gateways_region_has_no_scan_of_s3(regions: tuple[str, ...]) -> None:
    [only] = shards().of(account(1, regions=regions))
    assert (only.services, only.without) == ([], [BUCKETS])


def test_parts_name_their_services_and_the_last_one_has_all_others() -> None:
    first, second, last = shards(service_parts=3).of(account(1, regions=(OWN,)))
    assert first.without == second.without == last.services == []
    assert last.without == sorted(first.services + second.services)
    assert (first.services[0], second.services[0]) == BY_LOAD[:2]


def test_services_whose_checks_look_at_buckets_share_the_part_of_s3() -> None:
    first, last = shards(service_parts=2).of(account(1, regions=(OWN,)))
    assert {BUCKETS, *LOOK_AT_BUCKETS} <= set(first.services)
    assert {BUCKETS, *LOOK_AT_BUCKETS} <= set(last.without)
    first, last, _ = shards(service_parts=2).of(account(1, regions=(OWN, "us-east-1")))
    assert not {BUCKETS, *LOOK_AT_BUCKETS} & set(first.services)
    assert BUCKETS in last.without


@given(
    regions=st.sets(st.sampled_from(REGIONS), min_size=1),
    regions_per_scan=st.integers(1, 6),
    service_parts=st.integers(1, MAX_SERVICE_PARTS),
)
def test_each_service_of_each_region_is_looked_at_once(
    regions: set[str], regions_per_scan: int, service_parts: int
) -> None:
    made = shards(regions_per_scan=regions_per_scan, service_parts=service_parts)
    targets = made.of(account(1, regions=tuple(sorted(regions))))
    seen = Counter(
        # What has no region is asked about once, and not once a region.
        (service, "" if service in GLOBAL_SERVICES else region)
        for target in targets
        for service in SERVICES
        if looks_at(target, service)
        for region in (target.regions[:1] if service in GLOBAL_SERVICES else target.regions)
    )
    regional = SERVICES - GLOBAL_SERVICES
    wanted = set(product(regional, regions)) | {(service, "") for service in GLOBAL_SERVICES}
    assert set(seen) == {
        (service, region) for service, region in wanted if service != BUCKETS or region == OWN
    }
    assert set(seen.values()) == {1}
    assert all(not target.services or not target.without for target in targets)


def test_a_region_that_the_gateway_does_not_reach_is_refused_by_name_with_what_to_do() -> None:
    with pytest.raises(RefusedError, match=r"sa-east-1.*glovebox:regions"):
        shards().of(account(1, regions=("eu-west-1", "sa-east-1")))


@pytest.mark.parametrize(
    "values",
    [
        {"regions": ()},
        {"regions_per_scan": 0},
        {"service_parts": 0},
        {"service_parts": MAX_SERVICE_PARTS + 1},
    ],
)
def test_numbers_that_make_no_shards_are_a_mistake_of_the_deployment(values: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        shards(**values)


def test_the_services_that_are_dealt_out_are_named_once() -> None:
    assert len(set(BY_LOAD)) == len(BY_LOAD)
    assert len(BY_LOAD) >= 2 * MAX_SERVICE_PARTS
