"""A report is hostile: each bad line is refused by itself, named, and costs nothing else."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from glovebox.scans.report import MAX_LINE_BYTES, SPARE_LINES, ReportReader, bounded_lines
from glovebox.scans.state import LISTED_REJECTIONS
from glovebox.siteaudit.record import CertificateReport, Dns, Shodan, to_json
from tests.records import SCAN_DATE, failed_record, good_record

ROOT = Path(__file__).resolve().parents[2]
A, B = "a.example.com", "b.example.com"
GOOD_A = to_json(good_record(A))


def read(*lines: bytes, hosts: tuple[str, ...] = (A, B)) -> tuple[ReportReader, list[str]]:
    reader = ReportReader(hosts, SCAN_DATE)
    return reader, [record.fqdn for record in reader.records(lines)]


def changed(**fields: object) -> bytes:
    """A good record of `a` as JSON, with fields set by their names in JSON."""
    return json.dumps({**json.loads(GOOD_A), **fields}).encode()


HOSTILE = {
    "no JSON": b"{nonsense",
    "a list": b"[]",
    "not UTF-8": GOOD_A.replace(b"An example", b"An ex\xffmple"),
    "UTF-16": GOOD_A.decode().encode("utf-16"),
    "NaN": changed(durationMs=float("nan")),
    "infinity": changed(durationMs=float("inf")),
    "a number too large": GOOD_A.replace(b'"formFields":2', b'"formFields":1e400'),
    "a lone surrogate": GOOD_A.replace(b"An example", b"\\ud800"),
    "nested deeply": b'{"dns":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "nested deeply in a map": b'{"httpRequest":' + b'{"headers":' * 50_000 + b"{}" + b"}" * 50_001,
    "an unknown field": changed(admin=True),
    "a missing field": b'{"FQDN":"a.example.com"}',
    "another host": to_json(good_record("evil.example.org")),
    "another date": to_json(good_record(A, scan_date="2020-01-01T00:00:00Z")),
    "another domain": to_json(good_record(A, domain="com")),
    "another hostname": to_json(good_record(A, hostname="x")),
    "an address that is none": to_json(good_record(A, ip="; rm -rf /")),
    "resolved addresses that are none": to_json(good_record(A, dns=Dns(addresses=["https://x"]))),
    "an address whose zone is text": to_json(good_record(A, ip="fe80::1%=cmd|calc")),
    "a number that no table holds": to_json(
        replace(
            good_record(A), certificate=CertificateReport(valid=True, days_left=10**60), failure_class=None
        )
    ),
    "a record that grows when written in full": changed(
        tls={
            "address": "192.0.2.1",
            "port": 443,
            "versions": [
                {"version": "TLSv1.2", "supported": "yes", "suites": [{"name": "x" * 36, "code": 1}] * 390}
            ]
            * 8,
        }
    ),
    "an unknown failure class": to_json(good_record(A, failure_class="all_fine")),
    "an alert with markup": to_json(good_record(A, failure_class="tls_alert:<script>")),
    "a class of a failure": to_json(
        replace(
            failed_record(A, "nxdomain"),
            failures=[replace(failed_record(A, "nxdomain").failures[0], failure_class="x" * 50)],
        )
    ),
    "a title of a megabyte": changed(siteTitle="x" * (1 << 20)),
    "a million links": changed(links=["https://x"] * 30_000),
    "too long a line": GOOD_A[:-1] + b" " * MAX_LINE_BYTES + b"}",
}


@pytest.mark.parametrize("line", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_line_is_refused_and_the_other_host_keeps_its_record(line: bytes) -> None:
    reader, found = read(line, to_json(good_record(B)))
    assert found == [B]
    assert reader.missing == (A,)
    assert reader.rejected_count == 1
    assert reader.rejected[0].startswith("line 1: ")
    assert len(reader.rejected[0]) < 200


def test_a_second_record_of_a_host_is_refused_and_the_first_one_counts() -> None:
    reader, found = read(GOOD_A, to_json(good_record(A, site_title="changed")))
    assert found == [A]
    assert "a second record of a.example.com" in reader.rejected[0]
    assert reader.counts == {"ok": 1}


def test_reading_ends_soon_after_the_lines_that_a_report_can_have() -> None:
    reader, found = read(*[b"{}"] * 1_000, GOOD_A)
    assert found == []
    assert reader.rejected_count == 2 + SPARE_LINES + 1
    assert "the rest is not read" in reader.rejected[-1]


def test_all_rejections_are_counted_and_the_first_are_named() -> None:
    hosts = tuple(f"h{number}.example.com" for number in range(200))
    reader, _ = read(*[b"{}"] * 200, hosts=hosts)
    assert reader.rejected_count == 200
    assert len(reader.rejected) == LISTED_REJECTIONS


def test_what_only_we_may_say_is_taken_away() -> None:
    record = good_record(
        A, shodan=Shodan(status="found", isp="made up"), links=["javascript:alert(1)", "HTTPS://x.example/"]
    )
    [kept] = ReportReader([A], SCAN_DATE).records([to_json(record)])
    assert kept.shodan is None
    assert kept.links == ["HTTPS://x.example/"]


def test_a_rejection_quotes_no_control_characters() -> None:
    reader, _ = read(changed(**{"\u202e\x1b[31mfield": 1}))
    assert "\x1b" not in reader.rejected[0]
    assert "\u202e" not in reader.rejected[0]


def test_records_are_counted_by_class_without_the_alert() -> None:
    reader, _ = read(GOOD_A, to_json(failed_record(B, "tls_alert:handshake_failure")))
    assert reader.counts == {"ok": 1, "tls_alert": 1}


def test_lines_are_cut_where_they_grow_too_long_and_the_next_line_is_whole() -> None:
    file = io.BytesIO(b"first\n\n  \n" + b"x" * (3 * MAX_LINE_BYTES) + b"\nlast")
    first, long, last = bounded_lines(file)
    assert (first, last) == (b"first\n", b"last")
    assert len(long) == MAX_LINE_BYTES + 1


WITHIN = """
import io, json, resource, sys
from glovebox.scans.report import MAX_LINE_BYTES, ReportReader, bounded_lines
from glovebox.siteaudit.record import to_json
from tests.records import SCAN_DATE, good_record

hosts = [f"h{number}.example.com" for number in range(500)]
good = json.loads(to_json(good_record(hosts[0])))
bombs = [
    json.dumps({**good, "links": ["https://x"] * 20_000}),
    json.dumps({**good, "form": [{}] * 60_000}),
    "[" * 250_000,
    '{"dns":' + '{"addresses":[' * 15_000,
    json.dumps({**good, "httpRequest": {"headers": {str(n): "" for n in range(15_000)}}}),
]
report = "\\n".join(bombs[number % 5] for number in range(240)).encode()
size = len(report)
assert 32 << 20 < size < 64 << 20, size
resource.setrlimit(resource.RLIMIT_DATA, (size * 3 + (64 << 20),) * 2)
reader = ReportReader(hosts, SCAN_DATE)
assert list(reader.records(bounded_lines(io.BytesIO(report)))) == []
print(reader.rejected_count)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory as Linux has them")
def test_a_large_report_of_bombs_is_refused_line_by_line_within_little_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHIN], capture_output=True, text=True, timeout=120, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stdout) == (0, "240\n"), done.stderr[-2_000:]
