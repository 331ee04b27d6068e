"""What Shodan knows is added once a scan has ended, and a run never waits for it for ever."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import pytest
from msgspec.structs import replace

from glovebox.errors import InputError
from glovebox.scans.model import ScanState
from glovebox.services.enrich import CLOSING_SECONDS, Enrich
from glovebox.siteaudit.record import Shodan, SiteRecord, from_json
from glovebox.sites.shodan import ShodanError, ShodanFailure
from tests.fakes import FakeClock
from tests.flow import Flow

A = "a.example.com"
LONG = 900.0
"""Seconds: what a function has."""


@dataclass
class FakeShodan:
    error: ShodanError | None = None
    asked: list[str] = field(default_factory=list)

    def host(self, address: str) -> Shodan | None:
        self.asked.append(address)
        if self.error:
            raise self.error
        return Shodan(status="found", ip_str=address, isp="Example Net", ports=[443])


class FakeCache(dict[str, Shodan]):
    def put(self, address: str, answer: Shodan) -> None:
        self[address] = answer


@dataclass
class FakePace:
    clock: FakeClock

    def now(self) -> datetime:
        return self.clock()

    def monotonic(self) -> float:
        return self.clock().timestamp()

    def sleep(self, seconds: float) -> None:
        self.clock.pass_seconds(seconds)


@dataclass
class Box:
    flow: Flow
    port: FakeShodan = field(default_factory=FakeShodan)
    cache: FakeCache = field(default_factory=FakeCache)
    run_id: str = ""
    scan_id: str = ""

    @property
    def enrich(self) -> Enrich:
        flow = self.flow
        return Enrich(
            store=flow.store,
            sites=flow.sites,
            port=self.port,
            cache=self.cache,
            pace=FakePace(flow.clock),
            clock=flow.clock,
        )

    def record(self, host: str) -> SiteRecord:
        found = self.flow.sites.latest(host)
        assert found is not None
        return from_json(found)


def ended(*addresses: str) -> Box:
    """A scan that has ended, with one host an address."""
    flow = Flow(shard_hosts=10, enrichment=True)
    hosts = [f"h{number}.example.com" for number in range(len(addresses))]
    run_id = flow.start(*hosts)
    [scan] = flow.store.scans(run_id)
    pairs = zip(flow.records(scan.scan_id), addresses, strict=True)
    flow.ingest.handle(flow.upload(scan.scan_id, [replace(record, ip=ip) for record, ip in pairs]))
    return Box(flow, run_id=run_id, scan_id=scan.scan_id)


def test_records_of_one_address_share_one_answer_and_the_run_counts_down() -> None:
    box = ended("8.8.8.8", "8.8.8.8", "1.1.1.1")
    assert box.flow.store.run(box.run_id).pending == 1
    box.enrich.handle(box.flow.stream(box.run_id, box.scan_id), LONG)
    assert sorted(box.port.asked) == ["1.1.1.1", "8.8.8.8"]
    for host in ("h0.example.com", "h1.example.com", "h2.example.com"):
        answer = box.record(host).shodan
        assert answer is not None
        assert (answer.status, answer.isp) == ("found", "Example Net")
    assert box.flow.store.run(box.run_id).pending == 0
    assert box.flow.store.scan(box.scan_id).enrichment_note is None


def test_a_repeated_event_asks_nothing_and_changes_nothing() -> None:
    box = ended("8.8.8.8")
    event = box.flow.stream(box.run_id, box.scan_id)
    box.enrich.handle(event, LONG)
    writes = box.flow.store.writes
    box.enrich.handle(event, LONG)
    assert (box.port.asked, box.flow.store.writes) == (["8.8.8.8"], writes)


def test_addresses_that_nobody_may_be_asked_about_are_not_asked_about() -> None:
    box = ended("10.0.0.1", "127.0.0.1")
    box.enrich.handle(box.flow.stream(box.run_id, box.scan_id), LONG)
    assert box.port.asked == []
    answer = box.record("h0.example.com").shodan
    assert answer is not None
    assert answer.status == "off"


def test_what_the_time_does_not_suffice_for_is_pending_and_said() -> None:
    box = ended("8.8.8.8", "1.1.1.1", "9.9.9.9")
    box.enrich.handle(box.flow.stream(box.run_id, box.scan_id), CLOSING_SECONDS + 1.5)
    statuses = [answer.status for host in range(3) if (answer := box.record(f"h{host}.example.com").shodan)]
    assert statuses == ["found", "found", "pending"]
    assert box.flow.store.scan(box.scan_id).enrichment_note == "1 addresses pending"
    assert box.flow.store.run(box.run_id).pending == 0


def test_a_bad_key_fails_every_address_after_one_question() -> None:
    box = ended("8.8.8.8", "1.1.1.1")
    box.port.error = ShodanError(ShodanFailure.BAD_KEY, "Shodan answered 401")
    box.enrich.handle(box.flow.stream(box.run_id, box.scan_id), LONG)
    assert box.port.asked == ["8.8.8.8"]
    assert box.flow.store.scan(box.scan_id).enrichment_note == "2 addresses failed"


def test_a_scan_without_a_record_needs_no_look_up() -> None:
    flow = Flow(enrichment=True)
    run_id = flow.start(A)
    flow.lose(run_id, 0)
    [scan] = flow.store.scans(run_id)
    assert (scan.state, flow.store.run(run_id).pending) == (ScanState.FAILED, 0)
    box = Box(flow)
    box.enrich.handle(flow.stream(run_id, scan.scan_id), LONG)
    assert box.port.asked == []


def test_a_scan_that_has_not_ended_is_left_alone() -> None:
    flow = Flow(enrichment=True)
    run_id = flow.start(A)
    [scan] = flow.store.scans(run_id)
    box = Box(flow)
    box.enrich.handle(flow.stream(run_id, scan.scan_id), LONG)
    assert flow.store.run(run_id).pending == 2


def test_an_event_of_something_else_is_refused() -> None:
    with pytest.raises(InputError):
        Box(Flow()).enrich.handle({"detail": {}}, LONG)
