"""The correctness table: what an audit says of each host of the fleet is what the host was built to show."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from glovebox.farm.compare import differences
from glovebox.farm.model import Trait
from glovebox.farm.running import Farm, running_farm
from glovebox.farm.traits import TRAITS
from glovebox.siteaudit.direct import audit_directly
from glovebox.siteaudit.record import SiteRecord, from_json, to_json
from glovebox.siteaudit.settings import AuditSettings
from tests.openssl_client import VERSIONS, accepted_suites

pytestmark = pytest.mark.engine

_DATE = "2026-01-02T03:04:05Z"


@pytest.fixture(scope="module")
def farm() -> Iterator[Farm]:
    with running_farm() as running:
        yield running


@pytest.fixture(scope="module")
def records(farm: Farm) -> Mapping[str, SiteRecord]:
    """One audit of the whole fleet."""
    return asyncio.run(_audit(farm.hosts, farm.settings))


async def _audit(hosts: tuple[str, ...], settings: AuditSettings) -> dict[str, SiteRecord]:
    return {record.fqdn: record async for record in audit_directly(hosts, scan_date=_DATE, settings=settings)}


@pytest.mark.parametrize("trait", TRAITS, ids=lambda trait: str(trait.name))
def test_the_record_says_what_the_host_shows(trait: Trait, records: Mapping[str, SiteRecord]) -> None:
    if trait.host not in records:
        assert trait.ipv6, "only a host on IPv6 may be missing, where the machine has none"
        pytest.skip("this machine has no IPv6 loopback")
    assert differences(records[trait.host], trait.expects) == []


def test_every_host_has_one_record_that_reads_back(records: Mapping[str, SiteRecord]) -> None:
    assert set(records) >= {trait.host for trait in TRAITS if not trait.ipv6}
    for record in records.values():
        assert from_json(to_json(record)) == record


def test_nothing_in_the_fleet_is_a_defect_of_ours(records: Mapping[str, SiteRecord]) -> None:
    ours = [
        (record.fqdn, failure.detail)
        for record in records.values()
        for failure in record.failures
        if failure.fault == "ours"
    ]
    assert ours == []


def test_an_ordinary_site_costs_at_most_twenty_connections(records: Mapping[str, SiteRecord]) -> None:
    assert 0 < records["good.fleet.test"].connections <= 20


@pytest.mark.openssl
@pytest.mark.parametrize("name", ["every-suite", "good", "one-suite", "dhe", "client-order"])
def test_suites_are_those_that_openssl_proves(
    name: str, farm: Farm, records: Mapping[str, SiteRecord], tmp_path: Path
) -> None:
    host = f"{name}.fleet.test"
    endpoint = f"{farm.addresses[host]}:{farm.settings.https_port}"
    proved = {version: accepted_suites(endpoint, host, version, tmp_path) for version in VERSIONS}
    report = records[host].tls
    assert report is not None
    found = {
        version.version: {suite.name for suite in version.suites}
        for version in report.versions
        if version.supported == "yes"
    }
    assert found == {version: suites for version, suites in proved.items() if suites}
