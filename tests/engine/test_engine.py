"""The engine's promises about a run: a record for each host, and no host that costs another its audit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

import pytest

from glovebox.farm.running import running_farm
from glovebox.siteaudit import engine
from glovebox.siteaudit.assemble import Findings, assemble
from glovebox.siteaudit.direct import audit_directly
from glovebox.siteaudit.examine import Examiner, _one_a_family
from glovebox.siteaudit.record import SiteRecord
from glovebox.siteaudit.settings import AuditSettings

DATE = "2026-11-22T02:00:00Z"
QUICK = AuditSettings(resolver="127.0.0.1:9", dns_timeout=0.3, site_timeout=1.0)
"""A name server that is not there: every name has a record, and no packet leaves the machine."""


async def collect(records: AsyncIterator[SiteRecord]) -> list[SiteRecord]:
    return [record async for record in records]


async def test_each_host_has_one_record_also_without_any_name_server() -> None:
    hosts = [f"h{n}.example" for n in range(30)]
    records = await collect(audit_directly(hosts, scan_date=DATE, settings=QUICK))
    assert sorted(record.fqdn for record in records) == sorted(hosts)
    assert {record.scan_date for record in records} == {DATE}
    assert all(record.failure_class is not None for record in records)


async def test_no_hosts_give_no_records() -> None:
    assert await collect(audit_directly([], scan_date=DATE, settings=QUICK)) == []


async def test_a_defect_costs_one_site_its_audit_and_is_logged_with_its_type(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def examine(self: Examiner, findings: Findings) -> None:
        if findings.fqdn == "bad.example":
            raise ZeroDivisionError("a defect of ours")

    monkeypatch.setattr(Examiner, "examine", examine)
    with caplog.at_level(logging.ERROR):
        records = await collect(
            audit_directly(["bad.example", "good.example"], scan_date=DATE, settings=QUICK)
        )
    by_name = {record.fqdn: record for record in records}
    assert by_name["bad.example"].failure_class == "internal_error"
    assert by_name["bad.example"].failures[0].detail == "ZeroDivisionError: a defect of ours"
    assert by_name["good.example"].failure_class is None
    assert "ZeroDivisionError" in caplog.text


async def test_a_record_that_cannot_be_made_is_an_internal_error_of_that_site(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def examine(self: Examiner, findings: Findings) -> None:
        findings.address = "x" * 10_000  # more than any reader of the record accepts

    monkeypatch.setattr(Examiner, "examine", examine)
    (record,) = await collect(audit_directly(["a.example"], scan_date=DATE, settings=QUICK))
    assert record.failure_class == "internal_error"
    assert "ValidationError" in record.failures[0].detail


async def test_a_site_that_uses_up_its_time_keeps_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    async def examine(self: Examiner, findings: Findings) -> None:
        findings.address = "192.0.2.1"
        await asyncio.sleep(60)

    monkeypatch.setattr(Examiner, "examine", examine)
    settings = AuditSettings(resolver=QUICK.resolver, site_timeout=0.05)
    (record,) = await collect(audit_directly(["slow.example"], scan_date=DATE, settings=settings))
    assert record.failure_class == "site_timeout"
    assert record.ip == "192.0.2.1"


async def test_a_worker_that_dies_ends_the_run_instead_of_hanging_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(findings: Findings, *, duration_ms: float) -> SiteRecord:
        raise ZeroDivisionError("nothing can be assembled")

    monkeypatch.setattr(engine, "assemble", broken)
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(10):
            await collect(audit_directly(["a.example"], scan_date=DATE, settings=QUICK))


async def test_leaving_early_ends_the_audits_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    async def examine(self: Examiner, findings: Findings) -> None:
        if findings.fqdn == "first.example":
            return
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append(findings.fqdn)
            raise

    monkeypatch.setattr(Examiner, "examine", examine)
    settings = AuditSettings(resolver=QUICK.resolver)
    async with aclosing(
        audit_directly(["second.example", "first.example"], scan_date=DATE, settings=settings)
    ) as run:
        async for record in run:
            assert record.fqdn == "first.example"
            break
    assert ended == ["second.example"]


@pytest.mark.parametrize("order", [("192.0.2.1", "192.0.2.2", "2001:db8::1"), ("2001:db8::1", "192.0.2.1")])
def test_one_address_of_each_family_is_tried_in_the_order_given(order: Sequence[str]) -> None:
    chosen = _one_a_family(list(order))
    assert sorted(chosen) == ["192.0.2.1", "2001:db8::1"]
    assert chosen[0] == order[0]


async def test_the_fleet_is_audited_with_at_most_twenty_connections_a_typical_host() -> None:
    with running_farm(only=["good", "strong-headers", "ecdsa-p384"]) as farm:
        records = await collect(audit_directly(farm.hosts, scan_date=DATE, settings=farm.settings))
    assert {record.fqdn: record.failure_class for record in records} == dict.fromkeys(farm.hosts)
    assert all(0 < record.connections <= 20 for record in records)


def test_a_record_of_nothing_but_a_name_is_complete() -> None:
    findings = Findings(
        fqdn="www.example.co.uk", scan_date=DATE, audited_at=datetime(2026, 11, 22, tzinfo=UTC)
    )
    record = assemble(findings, duration_ms=1.0)
    assert (record.hostname, record.domain) == ("www", "example.co.uk")
    assert record.tls is None
    assert record.headers is None
