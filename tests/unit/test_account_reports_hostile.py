"""Hostile and broken reports of accounts, through the whole of `ingest`: reason, end, memory and trace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from glovebox.findings.canaries import PlantedResource
from glovebox.findings.export import csv_lines, table_rows
from glovebox.findings.model import Finding
from glovebox.scans.model import MAX_OCSF_REPORT_BYTES, ScanState
from glovebox.scans.state import Scan
from glovebox.services import account_reports
from tests.account_flow import TARGET, buckets, logged, one_scan, planted_item, take
from tests.flow import Flow
from tests.prowler import ACCOUNT, OTHER, REGION, Json, bucket, item, report

ROOT = Path(__file__).resolve().parents[2]
CANARY = PlantedResource(
    account=ACCOUNT, check="s3_bucket_public_access", region=REGION, resource=bucket("planted")
)
DAY = 86_400
GOOD = json.dumps(item(bucket("good"))).encode()


@pytest.fixture
def flow(monkeypatch: pytest.MonkeyPatch) -> Flow:
    monkeypatch.setattr(account_reports, "planted", lambda account: ())
    return Flow()


def findings(flow: Flow) -> list[Finding]:
    return list(flow.findings.findings(TARGET, flow.findings.ledger(TARGET).entries))


def refused(flow: Flow, scan: Scan) -> dict[str, int]:
    """What the scan's record counts as refused."""
    found = flow.findings.scan(TARGET, scan.scan_id)
    assert found is not None
    return found.refused


# ---------------------------------------------------------------- what can be read in part

LARGE = GOOD[:-1] + b', "x": "' + b"x" * 300_000 + b'"}'
LONE, BROKEN = (GOOD.replace(b"The bucket is public.", each) for each in (b"\\ud800", b"\xed\xa0\x80"))
PARTIAL = {
    "truncated": (report([GOOD, GOOD])[:-40], "The report is cut off.", {}),
    "something behind it": (report([GOOD]) + b"{}", "Something follows the report's array.", {}),
    "another schema": (
        report([GOOD, json.dumps(item(bucket(1), version="2.0.0")).encode()]),
        "Versions of OCSF that are not read: 2.0.0.",
        {"another version of the schema": 1},
    ),
    "NaN": (report([GOOD, GOOD.replace(b'"severity_id": 4', b'"severity_id": NaN')]), "", {"no JSON": 1}),
    "a lone surrogate": (report([GOOD, LONE]), "", {"no JSON": 1}),
    "broken UTF-8": (report([GOOD, BROKEN]), "", {"no JSON": 1}),
    "200 KB of nesting": (
        b"[" + GOOD + b"," + b"[" * 100_000 + b"]" * 100_000 + b"]",
        "",
        {"nested too deeply": 1},
    ),
    "an item of 300 KB": (report([GOOD, LARGE]), "", {"oversize": 1}),
    "what the outlet withheld": (report([GOOD, b"null"]), "", {"no detection finding": 1}),
    "a name with hidden characters": (
        report([GOOD, json.dumps(item("arn:aws:s3:::b\u202e\x1b[2J")).encode()]),
        "",
        {"a check, region or resource that cannot be one": 1},
    ),
}


@pytest.mark.parametrize("name", PARTIAL)
def test_what_is_broken_is_counted_and_what_is_good_counts(flow: Flow, name: str) -> None:
    body, reason, classes = PARTIAL[name]
    scan = one_scan(flow)
    after = take(flow, scan, body)
    assert (after.state, after.counts) == (ScanState.PARTIAL, {"new": 1})
    assert after.reason is not None
    assert reason in after.reason
    assert all(f"Refused items: {count:,} ({kind})." in after.reason for kind, count in classes.items())
    assert (refused(flow, scan), after.rejected_count) == (classes, sum(classes.values()))
    assert after.failure is not None
    assert all(text.isprintable() for text in (after.reason, *after.rejected))


@pytest.mark.parametrize("name", PARTIAL)
def test_nothing_resolves_because_of_them(flow: Flow, name: str) -> None:
    take(flow, one_scan(flow), buckets(7, 8))
    flow.clock.pass_seconds(DAY)
    assert "resolved" not in take(flow, one_scan(flow), PARTIAL[name][0]).counts


# ---------------------------------------------------------------- what cannot be read at all

UNREADABLE = {
    "nothing": (b"", "The report is empty."),
    "an empty array": (b"[]", "The report is empty."),
    "blanks": (b" \n\t ", "The report is empty."),
    "an object": (b"{}", "The report is no JSON array."),
    "no JSON": (b"\xff\xfe\x00", "The report is no JSON array."),
    "another schema alone": (report([item(version="1.4.0")]), "Versions of OCSF that are not read: 1.4.0."),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_report_that_says_nothing_is_partial_and_holds_everything_open(flow: Flow, name: str) -> None:
    take(flow, one_scan(flow), buckets(7))
    flow.clock.pass_seconds(DAY)
    body, reason = UNREADABLE[name]
    after = take(flow, one_scan(flow), body)
    assert (after.state, after.counts) == (ScanState.PARTIAL, {})
    assert after.reason is not None
    assert reason in after.reason


def lost(flow: Flow, body: bytes, **manifest: Any) -> str:
    """Why the attempt was given up."""
    scan = one_scan(flow)
    after = take(flow, scan, body, **manifest)
    assert (after.state, after.attempt) == (ScanState.REQUESTED, 2)
    assert flow.findings.ledger(TARGET).revision == 0
    assert after.reason is not None
    return after.reason


def test_a_report_that_is_larger_than_announced_ends_the_attempt(flow: Flow) -> None:
    assert "the manifest says 5 and" in lost(flow, report([GOOD]), report_bytes=5)


def test_a_report_over_the_limit_ends_the_attempt_unread(flow: Flow) -> None:
    size = MAX_OCSF_REPORT_BYTES + 1
    said = lost(flow, b"x" * size, report_bytes=size)
    assert said.endswith(f"and {MAX_OCSF_REPORT_BYTES:,} are read at most.")


def test_a_digest_that_does_not_fit_ends_the_attempt(flow: Flow) -> None:
    assert "digest" in lost(flow, report([GOOD]), report_sha256="0" * 64)


def test_a_manifest_of_another_scan_ends_the_attempt(flow: Flow) -> None:
    said = lost(flow, report([GOOD]), scan_id="20200101T000000Z-00000000-0000")
    assert "another scan" in said


def test_a_manifest_that_counts_other_items_makes_the_scan_partial(flow: Flow) -> None:
    after = take(flow, one_scan(flow), report([GOOD]), report_lines=2)
    assert (after.state, after.reason) == (
        ScanState.PARTIAL,
        "The manifest counts 2 items, the report has 1.",
    )


# ---------------------------------------------------------------- the threat model's lines


def test_line_17_a_report_that_names_another_account_is_untrusted_and_touches_nothing_there(
    flow: Flow, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = one_scan(flow)
    foreign: list[Json] = [
        item(account=OTHER),
        item(f"arn:aws:ec2:{REGION}:{OTHER}:instance/i-1", check="ec2_instance_public_ip"),
        item(region="ap-south-1"),
        item("arn:aws-cn:s3:::bucket-1"),
    ]
    after = take(flow, scan, [*foreign, *buckets(1)])
    assert (after.state, after.counts) == (ScanState.UNTRUSTED, {"new": 1})
    assert [summary.target for summary in flow.findings.targets()] == [TARGET]
    assert after.failure is not None
    assert after.failure.failure_class == "report_foreign"
    # The traces: an alarm with examples, and the scan's own record.
    [alarm] = logged(capsys, "scan untrusted")
    assert (alarm["scanId"], alarm["target"]) == (scan.scan_id, TARGET)
    assert OTHER in str(alarm["examples"])
    told = flow.findings.scan(TARGET, scan.scan_id)
    assert told is not None
    assert sum(told.foreign.values()) == 4
    assert after.rejected_count == 4


LIMITED = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from bench.accounts import Forgetful, ingested

report = Path(sys.argv[2])
limit = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit += report.stat().st_size + 250_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
[taken] = ingested([(report, int(sys.argv[3]))], Forgetful())
print(taken.scan.state.value, "|", taken.scan.counts, "|", taken.scan.reason)
"""
PLANTED = json.dumps(planted_item())
BOMBS = {
    "100 MB of findings": ("completed", 11_001, "array(PLANTED, *map(made, range(11_000)))"),
    "a million items": ("partial", 1_000_000, "array(PLANTED, *['{}'] * 999_999)"),
    "a million brackets": ("untrusted", 1, "'[' + '[' * 1_000_000"),
    "one endless string": ("untrusted", 1, "'[' + chr(34) + 'x' * 100_000_000"),
    "deep objects": ("untrusted", 1, "array('{\"a\":' * 40_000 + '1' + '}' * 40_000)"),
}
"""How it ends, items, and the report as an expression; without the planted resource nothing is believed."""


def made(number: int) -> str:
    """A finding of 9 KB."""
    found = item(bucket(number))
    found["padding"] = "x" * 8_000
    return json.dumps(found)


def array(*items: str) -> str:
    return f"[{','.join(items)}]"


@pytest.mark.parametrize("name", BOMBS)
def test_line_18_bombs_are_ingested_within_250_mb_and_end_their_scan(name: str, tmp_path: Path) -> None:
    """The limit is on addresses, of which the mapped report takes its size without taking memory."""
    expected, items, expression = BOMBS[name]
    path = tmp_path / "report.json"
    path.write_text(eval(expression))  # noqa: S307 - the table's own text
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(ROOT), str(path), str(items)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1_000:]
    state, _, reason = (part.strip() for part in done.stdout.splitlines()[-1].split("|"))
    assert state == expected
    assert (reason == "None") is (state == "completed"), "the trace"


MARKUP = '<script>alert(1)</script> <!channel> [x](javascript:x) =HYPERLINK("http://x")'


def test_line_19_markup_formulas_and_escapes_are_plain_text_in_every_form(flow: Flow) -> None:
    hostile = item(bucket(1), detail=f"=cmd|' /C calc'!A0 {MARKUP}\x1b[31m\u202e\u200b")
    hostile["finding_info"] = {"title": f"+{MARKUP}\x1b]0;x\x07", "desc": "@SUM(1)\u2066"}
    hostile["remediation"] = {
        "desc": "-1+1\x9b2J",
        "references": ["javascript:alert(1)", "https://x.example"],
    }
    after = take(flow, one_scan(flow), [hostile])
    assert after.state is ScanState.COMPLETED
    [finding] = findings(flow)
    assert finding.text is not None
    texts = (finding.detail, finding.text.title, finding.text.description, finding.text.remediation)
    assert all(text.isprintable() for text in texts)
    assert "\u200b" not in finding.detail
    assert finding.text.references == ("https://x.example",)
    _, row = csv_lines([finding])
    assert not [cell for cell in row.split(",") if cell.strip('"')[:1] in ("=", "+", "-", "@")]
    [cells] = table_rows([finding])
    assert all(cell.isprintable() for cell in cells)
    # The mail about it.
    run_id = after.scan_id[:25]
    flow.publish.handle(flow.stream(run_id))
    flow.notify.handle(flow.stream(run_id))
    [(_, body)] = flow.topic.messages
    assert all(line.isprintable() for line in body.splitlines())


def test_line_20_an_empty_report_where_something_is_planted_is_untrusted(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    take(flow, one_scan(flow), buckets(1))
    flow.clock.pass_seconds(DAY)
    monkeypatch.setattr(account_reports, "planted", lambda account: (CANARY,))
    scan = one_scan(flow)
    after = take(flow, scan, b"[]")
    assert (after.state, after.counts) == (ScanState.UNTRUSTED, {})
    assert [line["scanId"] for line in logged(capsys, "scan untrusted")] == [scan.scan_id]


def test_line_20_a_report_in_which_everything_is_fixed_waits_for_a_person(flow: Flow) -> None:
    take(flow, one_scan(flow), buckets(*range(40)))
    flow.clock.pass_seconds(DAY)
    scan = one_scan(flow)
    after = take(flow, scan, buckets(*range(40), status="PASS"))
    assert (after.state, after.counts) == (ScanState.COMPLETED, {"held": 40})
    assert after.failure is not None
    assert after.failure.failure_class == "findings_held"
    ledger = flow.findings.ledger(TARGET)
    assert ledger.hold is not None
    assert ledger.hold.reason == "40 of 40 open findings would be resolved at once."
    assert all(entry.state.live for entry in ledger.entries.values())
