"""What the outlet lets out of an account's scan: a report written anew, counts of what its log tells."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from containers.outlet import account, logged
from containers.outlet.inspection import Report, UnfitError
from containers.outlet.logged import logged_errors
from glovebox.findings.array import MAX_DEPTH, MAX_ITEM_BYTES, End
from glovebox.findings.prowler import MAX_ITEMS, ProwlerReport
from glovebox.scans.model import (
    MAX_LOGGED_ERRORS,
    MAX_OCSF_REPORT_BYTES,
    LoggedErrors,
    Manifest,
)
from tests.airlock_account import MANIFEST_KEY, REPORT_KEY, account_order
from tests.airlock_server import Bucket, bucket
from tests.prowler import ACCOUNT, BINDING, item, report

ROOT = Path(__file__).resolve().parents[2]
MOST = 1 << 20
ADDRESS_SPACE = 512 << 20
"""The report twice, 250 MB for Python with its libraries and their mappings, and room for a few items."""
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the containers are Linux's")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def s3() -> Iterator[Bucket]:
    with bucket() as made:
        yield made


def inspected(out: Path, body: bytes, most: int = MOST) -> tuple[Report, bytes]:
    (out / "report.ocsf.json").write_bytes(body)
    with ExitStack() as files:
        found = account.report(out, most, files)
        return found, found.file.read()


def send(s3: Bucket, out: Path, most: int = MOST, limit: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "containers.outlet"]
    return subprocess.run(
        ["sh", "-c", f'{limit} exec "$@"', "sh", *command],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "GLOVEBOX_OUT": str(out),
            "GLOVEBOX_ORDER": account_order(s3, most),
        },
        cwd=out.parent,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def manifest_of(s3: Bucket) -> Manifest:
    return msgspec.json.decode(s3.objects[MANIFEST_KEY], type=Manifest)


# ---------------------------------------------------------------- the report


def test_a_report_goes_out_with_all_that_ingest_reads_and_without_raw_configuration(out: Path) -> None:
    body = report(item(f"arn:aws:s3:::bucket-{number}") for number in range(3))
    found, sent = inspected(out, body)
    assert (found.lines, found.withheld, found.note) == (3, 0, "")
    assert (found.size, found.sha256) == (len(sent), hashlib.sha256(sent).hexdigest())
    assert b"Statement" not in sent
    expected = json.loads(body)
    for each in expected:
        del each["resources"][0]["data"]
    assert json.loads(sent) == expected
    before, after = ProwlerReport(BINDING).read(body), ProwlerReport(BINDING).read(sent)
    assert after.observations == before.observations
    assert after.troubles == before.troubles == ()


def test_secrets_are_withheld_and_names_are_not(out: Path) -> None:
    secret = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:db-AbCdEf"
    detail = f"Function logs AKIAIOSFODNN7EXAMPLE and https://u:hidden@example.com of {secret}."
    sent = inspected(out, report([item(secret, detail=detail)]))[1]
    [found] = json.loads(sent)
    assert found["status_detail"] == (
        f"Function logs [withheld] and https://[withheld]@example.com of {secret}."
    )
    assert found["resources"][0]["uid"] == secret
    assert found["cloud"]["account"]["uid"] == ACCOUNT


DEEP = b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)


@pytest.mark.parametrize(
    "bad",
    [
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a" 1}',
        b"{'a': 1}",
        b"truth",
        b'{"a": "\x01"}',
        b'{"a": ' + b"9" * 5_000 + b"}",
        DEEP,
        b'{"a": "' + b"x" * MAX_ITEM_BYTES + b'"}',
    ],
    ids=lambda bad: repr(bad[:16]),
)
def test_an_item_that_cannot_be_read_is_null_and_counted_and_costs_no_other(out: Path, bad: bytes) -> None:
    found, sent = inspected(out, report([item("arn:aws:s3:::a"), bad, item("arn:aws:s3:::b")]))
    assert (found.lines, found.withheld, found.note) == (3, 1, "")
    first, middle, last = json.loads(sent)
    assert (middle, first["resources"][0]["uid"], last["resources"][0]["uid"]) == (
        None,
        "arn:aws:s3:::a",
        "arn:aws:s3:::b",
    )


def test_other_values_and_odd_resources_go_through_as_they_are(out: Path) -> None:
    odd = [1, "a", None, [], {"resources": 1}, {"resources": [1, {"data": {"a": 1}, "b": 2}]}, {"data": 3}]
    found, sent = inspected(out, json.dumps(odd).encode())
    odd[5] = {"resources": [1, {"b": 2}]}
    assert json.loads(sent) == odd
    assert found.withheld == 0


@pytest.mark.parametrize(
    ("body", "kept", "end"),
    [
        (b'[{"a":1},{"b":', [{"a": 1}], End.TRUNCATED),
        (b'[{"a":1}', [{"a": 1}], End.TRUNCATED),
        (b'[{"a":1},', [{"a": 1}], End.TRUNCATED),
        (b"[", [], End.TRUNCATED),
        (b'[{"a":1} {"b":2}]', [{"a": 1}], End.GARBLED),
        (b'[{"a":1}] AKIAIOSFODNN7EXAMPLE', [{"a": 1}], End.TRAILING),
        (b"[]", [], End.WHOLE),
    ],
)
def test_an_array_that_is_cut_is_closed_and_the_manifest_says_so(
    out: Path, body: bytes, kept: list[object], end: End
) -> None:
    found, sent = inspected(out, body)
    assert (json.loads(sent), found.note) == (kept, "" if end is End.WHOLE else end)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "The report is empty."),
        (b" \n", "The report is empty."),
        (b"{}", "The report is no JSON array."),
        (b"\x00" * 100, "The report is no JSON array."),
        (b"[" + b" " * MOST + b"]", f"the report is larger than {MOST:,} bytes"),
    ],
    ids=["empty", "blank", "an object", "a hole", "too large"],
)
def test_what_is_no_array_stays_inside_with_its_reason(out: Path, body: bytes, why: str) -> None:
    with pytest.raises(UnfitError) as unfit:
        inspected(out, body)
    assert str(unfit.value) == why


def test_a_report_that_grows_as_it_is_rewritten_is_cut_to_what_the_form_admits(out: Path) -> None:
    body = b"[" + b",".join([b'"?"', *[b'"a?b"'] * 50]) + b"]"
    found, sent = inspected(out, body, most=len(body))
    assert "rewritten, the report is larger than" in found.note
    assert len(sent) <= len(body)
    assert len(json.loads(sent)) == found.lines < 51


def test_of_a_million_items_as_many_go_out_as_ingest_reads_and_one(out: Path) -> None:
    found, sent = inspected(out, b"[" + b"{}," * 400_000 + b"{}]", most=4 << 20)
    assert found.lines == MAX_ITEMS + 1
    assert "more than 100,001 items" in found.note
    assert ProwlerReport(BINDING).read(sent).over_limit


PLANTED = (
    "ASIAHIDDENHIDDEN0000",
    "https://u:HIDDEN@h/",
    "password=HIDDEN",
    "eyJHIDDENHIDDEN0.HIDDEN",
    "x?HIDDEN=1",
)
SECRETS = st.sampled_from(PLANTED)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | SECRETS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | SECRETS, inner, max_size=3)
    ),
    max_leaves=12,
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Arrays with secrets in them, whole, cut, mended with other bytes; and any bytes at all."""
    if draw(st.booleans()):
        return draw(st.sampled_from([b"", b"[", b'[{"'])) + draw(st.binary(max_size=200))
    body = json.dumps(draw(st.lists(JSON, max_size=5))).encode()
    place = draw(st.integers(0, len(body)))
    return (
        body[:place]
        + draw(st.sampled_from([b"", b"\xff", b"NaN", b'"', b"]", b"{"]))
        + body[place + draw(st.integers(0, 3)) * draw(st.sampled_from([0, 1, 99])) :]
    )


@given(bodies())
def test_whatever_the_bytes_what_goes_out_is_json_without_secrets_or_there_is_a_reason(
    tmp_path_factory: pytest.TempPathFactory, body: bytes
) -> None:
    out = tmp_path_factory.getbasetemp() / "any"
    out.mkdir(exist_ok=True)
    try:
        found, sent = inspected(out, body)
    except UnfitError:
        return
    assert len(json.loads(sent)) == found.lines
    assert (found.size, found.sha256) == (len(sent), hashlib.sha256(sent).hexdigest())
    told = json.dumps(json.loads(sent)) + found.note
    assert not [secret for secret in PLANTED if secret in told]
    read = ProwlerReport(BINDING).read(sent)
    assert read.items == found.lines
    assert read.end in (End.WHOLE, End.EMPTY)


# ---------------------------------------------------------------- the log

ANSWER = "An error occurred (AccessDenied) when calling the ListBuckets operation: no"
DENIED = f"eu-west-1 -- ClientError[12]: {ANSWER}"


def line(message: str, level: str = "ERROR") -> str:
    """As Prowler writes it, whose messages are not escaped."""
    return (
        '{"timestamp": "11/22/2026 11:46:53 AM", "filename": "s3_service.py:74", '
        f'"level": "{level}", "module": "s3_service", "message": "{message}"}}\n'
    )


def errors(out: Path, log: str) -> dict[str, int]:
    (out / "scanner.log").write_text(log)
    found, note = logged_errors(out)
    assert note == ""
    return {each.what: each.count for each in found}


def test_errors_count_by_the_answer_of_aws_that_they_name(out: Path) -> None:
    log = (
        line(DENIED) * 2
        + line('KeyError["a"]:\n  "quoted"\n')
        + line(
            "ClientError[1]: An error occurred (Throttling) when calling the GetRole operation (reached max)"
        )
        + line(DENIED, level="INFO")
        + line("no rights at all", level="CRITICAL")
    )
    assert errors(out, log) == {"AccessDenied:ListBuckets": 2, "Throttling:GetRole": 1, "other": 2}


@pytest.mark.parametrize(
    "message",
    [
        f"ClientError[12]: {ANSWER}",
        f"ClientError[12] -- {ANSWER}",
        f"eu-west-1 -- ClientError:12 -- {ANSWER}",
        f"ClientError -- {ANSWER}[12]",
        f"ClientError -- [12]:{ANSWER} in region eu-west-1",
        f"iam_a_check - ClientError[12]: {ANSWER}",
        f"AccessDenied[12]: {ANSWER}",
        f"AccessDeniedException[12]: {ANSWER}",
    ],
)
def test_an_answer_is_found_wherever_prowler_puts_it(out: Path, message: str) -> None:
    assert errors(out, line(message)) == {"AccessDenied:ListBuckets": 1}


@pytest.mark.parametrize(
    "message",
    [
        f"eu-west-1 -- KeyError[12]: {ANSWER}",
        f"eu-west-1 -- ValueError[12]: no tag 'ClientError[1]: {ANSWER}'",
        f"eu-west-1 -- ValueError[12]: odd\nClientError[1]: {ANSWER}",
        f"a tag -- ClientError[12]: {ANSWER}",
        ANSWER,
    ],
)
def test_what_an_error_only_quotes_is_no_answer_of_aws(out: Path, message: str) -> None:
    """A resource's text would else choose how the errors that it provokes are counted."""
    assert errors(out, line(message)) == {"other": 1}


@pytest.mark.parametrize(
    "code",
    ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "EgressDenied", "403"],
)
def test_a_warning_that_something_was_denied_counts_as_an_error(out: Path, code: str) -> None:
    message = f"eu-west-1 -- ClientError[12]: An error occurred ({code}) when calling the ListX operation: no"
    assert errors(out, line(message, level="WARNING")) == {f"{code}:ListX": 1}


@pytest.mark.parametrize(
    "message",
    [
        "eu-west-1 -- ClientError[12]: An error occurred (NoSuchBucket) when calling the GetX operation: no",
        f"eu-west-1 -- ValueError[12]: {ANSWER}",
        "Unexpected admin account entry",
    ],
)
def test_no_other_warning_counts(out: Path, message: str) -> None:
    assert errors(out, line(message, level="WARNING")) == {}


def test_a_message_counts_once_whatever_it_quotes(out: Path) -> None:
    assert errors(out, line(f"{DENIED}; {DENIED}")) == {"AccessDenied:ListBuckets": 1}


def test_words_across_the_border_of_two_chunks_are_found(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = (line(DENIED) + line("odd")) * 20
    for size in range(600, 700, 7):
        monkeypatch.setattr(logged, "_CHUNK", size)
        assert errors(out, log) == {"AccessDenied:ListBuckets": 20, "other": 20}


def test_more_kinds_than_a_manifest_holds_count_together(out: Path) -> None:
    log = "".join(
        line(f"ClientError[1]: An error occurred (Code{number}) when calling the Get operation")
        for number in range(300)
    )
    found = errors(out, log)
    assert len(found) == MAX_LOGGED_ERRORS
    assert (sum(found.values()), found["other"]) == (300, 300 - MAX_LOGGED_ERRORS + 1)


def test_what_looks_like_a_secret_is_no_name_of_an_error(out: Path) -> None:
    hidden = "An error occurred (AKIAIOSFODNN7EXAMPLE) when calling the Get operation"
    assert errors(out, line(hidden)) == {"other": 1}


def test_a_log_is_read_to_its_limit_and_the_manifest_says_so(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = line(DENIED)
    monkeypatch.setattr(logged, "MAX_LOG_BYTES", len(text) * 3)
    (out / "scanner.log").write_text(text * 3)
    assert logged_errors(out) == ([LoggedErrors(what="AccessDenied:ListBuckets", count=3)], "")
    (out / "scanner.log").write_text(text * 4)
    found, note = logged_errors(out)
    assert [each.count for each in found] == [3]
    assert "errors behind that are not counted" in note


def test_without_a_log_the_manifest_does_not_pass_for_one_of_no_errors(out: Path) -> None:
    assert logged_errors(out) == ([], "there is no scanner.log, so errors are not counted")


def test_a_log_that_is_a_link_is_not_read_and_the_manifest_says_so(out: Path) -> None:
    (out / "scanner.log").symlink_to("/etc/passwd")
    found, note = logged_errors(out)
    assert found == []
    assert note.startswith("scanner.log cannot be opened")


# ---------------------------------------------------------------- the whole


def test_report_and_manifest_go_out_by_their_forms(s3: Bucket, out: Path) -> None:
    (out / "report.ocsf.json").write_bytes(report([item(), b'{"a": NaN}']) + b"\n")
    (out / "scanner.log").write_text(line(f"{DENIED} with token=hidden"))
    (out / "exit.json").write_text('{"exit":0}')
    done = send(s3, out)
    assert (done.returncode, done.stderr) == (0, "")
    assert s3.uploads == [REPORT_KEY, MANIFEST_KEY]
    manifest, sent = manifest_of(s3), s3.objects[REPORT_KEY]
    assert (manifest.report_bytes, manifest.report_sha256) == (len(sent), hashlib.sha256(sent).hexdigest())
    assert (manifest.report_lines, manifest.report_withheld, manifest.scanner_exit) == (2, 1, 0)
    assert manifest.logged_errors == [LoggedErrors(what="AccessDenied:ListBuckets", count=1)]
    assert manifest.reason == ""
    assert "[withheld]" in manifest.log_tail
    assert "hidden" not in done.stdout + manifest.log_tail


def test_without_a_report_the_manifest_says_so_and_still_counts_the_log(s3: Bucket, out: Path) -> None:
    (out / "scanner.log").write_text(line(DENIED))
    assert send(s3, out).returncode == 0
    manifest = manifest_of(s3)
    assert (manifest.report_uploaded, manifest.reason, manifest.scanner_exit) == (
        False,
        "there is no report.ocsf.json",
        None,
    )
    assert len(manifest.logged_errors) == 1


def large(path: Path, size: int) -> int:
    """A report of `size` bytes as Prowler's grow: its texts, its frameworks, another resource each."""
    base = item()
    base["unmapped"] = {"compliance": {f"Framework-{n}": [f"A.{n}.{m}" for m in range(8)] for n in range(40)}}
    number = 0
    with path.open("wb") as file:
        file.write(b"[")
        while file.tell() < size - 10_000:
            uid = f"arn:aws:s3:::bucket-{number}"
            raw = {"policy": "x" * 2_000}
            resource = {"uid": uid, "region": "eu-west-1", "name": uid, "type": "AwsS3Bucket", "data": raw}
            written = json.dumps({**base, "resources": [resource], "status_detail": f"{uid} is public."})
            file.write((b"," if number else b"") + written.encode())
            number += 1
        file.write(b"]")
    return number


def hostile(path: Path, size: int) -> int:
    """Items of the largest size: long texts, and twenty of values that take most memory; an endless log."""
    text, lists = b'"' + b"x" * 260_000 + b'"', b"[" + b"[]," * 87_000 + b"[]]"
    items = [text] * (size // len(lists) - 20) + [lists] * 20
    path.write_bytes(b"[" + b",".join(items) + b"]")
    with (path.parent / "scanner.log").open("wb") as log:
        for _ in range(size >> 20):
            log.write(b"x" * (1 << 20))
    return len(items)


@pytest.mark.parametrize("made", [large, hostile])
def test_a_hundred_megabytes_fit_a_bounded_address_space(s3: Bucket, out: Path, made: object) -> None:
    assert callable(made)
    count = made(out / "report.ocsf.json", MAX_OCSF_REPORT_BYTES)
    done = send(s3, out, MAX_OCSF_REPORT_BYTES, limit=f"ulimit -v {ADDRESS_SPACE >> 10};")
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-500:]
    manifest = manifest_of(s3)
    assert (manifest.report_uploaded, manifest.report_lines, manifest.report_withheld) == (True, count, 0)
