"""People are told once of a run, and of what is new since last time."""

from __future__ import annotations

import msgspec

from tests.flow import Flow
from tests.records import failed_record

A, B, C = "a.example.com", "b.example.com", "c.example.com"


def published(flow: Flow, *hosts: str) -> str:
    run_id = flow.start(*hosts)
    flow.finish(run_id)
    flow.publish.handle(flow.stream(run_id))
    return run_id


def test_people_are_told_once() -> None:
    flow = Flow()
    run_id = published(flow, A)
    flow.notify.handle(flow.stream(run_id))
    flow.notify.handle(flow.stream(run_id))
    [(subject, body)] = flow.topic.messages
    assert subject == "Site audit 2026-03-04: completed, 0 new failures, 0 fixed"
    assert "https://audit.example.org" in body
    assert flow.store.run(run_id).notified_at is not None


def test_nobody_is_told_of_a_run_before_its_publication() -> None:
    flow = Flow()
    run_id = flow.start(A)
    flow.finish(run_id)
    flow.notify.handle(flow.stream(run_id))
    assert flow.topic.messages == []


def test_the_message_tells_what_is_new_since_last_time_and_how_to_repair_it() -> None:
    flow = Flow(shard_hosts=3)
    flow.notify.handle(flow.stream(published(flow, A, B)))
    flow.clock.pass_seconds(86_400)
    run_id = flow.start(A, B, C)
    [scan] = flow.store.scans(run_id)
    good, *_ = flow.records(scan.scan_id)
    assert good.headers is not None
    worse = msgspec.structs.replace(good, headers=msgspec.structs.replace(good.headers, grade="F"))
    date = flow.store.run(run_id).scan_date
    records = [
        worse,
        failed_record(B, "expired", scan_date=date),
        failed_record(C, "nxdomain", scan_date=date),
    ]
    flow.ingest.handle(flow.upload(scan.scan_id, records))
    flow.publish.handle(flow.stream(run_id))
    flow.notify.handle(flow.stream(run_id))
    subject, body = flow.topic.messages[-1]
    assert "2 new failures" in subject
    assert f"{B}: expired. Renew the certificate" in body
    assert f"{C}: nxdomain." in body
    assert f"{A}: header grade C+ -> F" in body
    assert "1 sites were audited for the first time." in body


def test_a_failure_that_is_gone_is_told_as_fixed_and_one_that_stays_is_not_new() -> None:
    flow = Flow(shard_hosts=2)
    for day in (0, 1):
        run_id = flow.start(A, B)
        [scan] = flow.store.scans(run_id)
        date = flow.store.run(run_id).scan_date
        first = failed_record(A, "expired", scan_date=date) if day == 0 else flow.records(scan.scan_id)[0]
        flow.ingest.handle(flow.upload(scan.scan_id, [first, failed_record(B, "nxdomain", scan_date=date)]))
        flow.publish.handle(flow.stream(run_id))
        flow.notify.handle(flow.stream(run_id))
        flow.clock.pass_seconds(86_400)
    subject, body = flow.topic.messages[-1]
    assert subject.endswith("0 new failures, 1 fixed")
    assert f"{A}: was expired" in body


def test_a_failed_run_is_told_with_the_hosts_that_are_missing() -> None:
    flow = Flow()
    run_id = flow.start(A)
    flow.lose(run_id, 0)
    flow.publish.handle(flow.stream(run_id))
    flow.notify.handle(flow.stream(run_id))
    [(subject, body)] = flow.topic.messages
    assert "failed" in subject
    assert f"Without a record (1)\n  {A}" in body


def test_a_message_stays_short_whatever_happened() -> None:
    flow = Flow(shard_hosts=500)
    run_id = flow.start(*(f"h{number}.example.com" for number in range(500)))
    [scan] = flow.store.scans(run_id)
    date = flow.store.run(run_id).scan_date
    failed = [failed_record(record.fqdn, "expired", scan_date=date) for record in flow.records(scan.scan_id)]
    flow.ingest.handle(flow.upload(scan.scan_id, failed))
    flow.publish.handle(flow.stream(run_id))
    flow.notify.handle(flow.stream(run_id))
    [(subject, body)] = flow.topic.messages
    assert "and 450 more" in body
    assert len(body) < 20_000
    assert len(subject) <= 100
    assert subject.isascii()


def test_markup_and_controls_in_the_lists_lines_do_not_reach_the_message() -> None:
    flow = Flow()
    flow.lists.objects["l"] = "a.example.com\nb\u202e\x1b[31m bad\n".encode()
    run_id = flow.launch.handle({"list": {"key": "l"}}).run_id
    flow.finish(run_id)
    flow.publish.handle(flow.stream(run_id))
    flow.notify.handle(flow.stream(run_id))
    [(_, body)] = flow.topic.messages
    assert "\x1b" not in body
    assert "\u202e" not in body
