"""Prowler's report is hostile: good items are taken, others counted by class, and memory is bounded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from glovebox.errors import ConfigurationError
from glovebox.findings import prowler
from glovebox.findings.array import MAX_ITEM_BYTES, End
from glovebox.findings.binding import Binding, Foreign
from glovebox.findings.canaries import PlantedResource
from glovebox.findings.judging import judge
from glovebox.findings.life import Coverage, Quality
from glovebox.findings.model import Severity, Status, identity, prowler_identity
from glovebox.findings.prowler import MAX_DETAIL, ProwlerReport
from glovebox.findings.report import LISTED_EXAMPLES, MAX_EXAMPLE, Refusal, mapped
from tests.prowler import ACCOUNT, BINDING, COVERAGE, OTHER, Json, bucket, item, report

ROOT = Path(__file__).resolve().parents[2]


def read(*items: Json | bytes, binding: Binding = BINDING) -> ProwlerReport:
    return ProwlerReport(binding).read(report(items))


def quality(*items: Json | bytes) -> Quality:
    return judge(read(*items), coverage=COVERAGE).quality


def changed(change: Callable[[Json], object]) -> bytes:
    """A good item with something done to it."""
    made = json.loads(json.dumps(item(bucket("changed"))))
    change(made)
    return json.dumps(made).encode()


# ---------------------------------------------------------------- what is read


def test_a_failed_check_is_an_observation() -> None:
    found = read(item())
    [seen] = found.observations.values()
    assert (seen.check, seen.service, seen.region) == ("s3_bucket_public_access", "s3", "eu-west-1")
    assert (seen.resource, seen.name, seen.type) == (bucket(0), "bucket-0", "AwsS3Bucket")
    assert (seen.severity, seen.status, seen.detail) == (Severity.HIGH, Status.FAIL, "The bucket is public.")
    text = found.checks[seen.check]
    assert (text.title, text.remediation) == ("Bucket is not public", "Block public access.")
    assert text.compliance == {"CIS-3.0": ("2.1.4",)}
    assert (found.end, found.troubles, found.versions) == (End.WHOLE, (), {"5.46.0"})


def test_what_passed_is_known_by_its_identity_alone() -> None:
    found = read(item(status="PASS"), item(bucket(1), status="MANUAL"))
    assert found.passed == {prowler_identity("s3_bucket_public_access", ACCOUNT, "eu-west-1", bucket(0))}
    assert [seen.status for seen in found.observations.values()] == [Status.MANUAL]


@given(st.permutations(["PASS", "MANUAL", "FAIL"]))
def test_of_several_verdicts_on_one_resource_the_worst_counts(order: list[str]) -> None:
    found = read(*(item(status=status) for status in order))
    assert [seen.status for seen in found.observations.values()] == [Status.FAIL]
    assert (found.passed, found.duplicates) == (set(), 2)


def test_a_muted_failure_counts_like_any_other() -> None:
    found = read(changed(lambda made: made.update(status_id=3, status="Suppressed")))
    assert (len(found.observations), found.muted) == (1, 1)


def test_a_resources_configuration_is_not_kept() -> None:
    secret = "AKIA-in-the-user-data"
    found = read(changed(lambda made: made["resources"][0].update(data={"metadata": {"x": secret}})))  # type: ignore[index]  # the item is plain JSON
    assert secret not in repr(list(found.observations.values())) + repr(found.checks)


# ---------------------------------------------------------------- identity


def test_identity_is_not_made_of_text_or_severity() -> None:
    one = read(item(detail="Port 22.", severity=2))
    two = read(item(detail="Ports 22 and 23.", severity=5))
    assert list(one.observations) == list(two.observations)


@pytest.mark.parametrize(
    "other", [{"resource": bucket(1)}, {"check": "s3_bucket_acl"}, {"region": "us-east-1"}]
)
def test_identity_is_made_of_check_region_and_resource(other: dict[str, str]) -> None:
    assert not read(item()).observations.keys() & read(item(**other)).observations.keys()  # type: ignore[arg-type]  # each is a text


@given(
    st.lists(st.text(max_size=5), min_size=4, max_size=4),
    st.lists(st.text(max_size=5), min_size=4, max_size=4),
)
def test_parts_of_an_identity_do_not_flow_into_each_other(one: list[str], two: list[str]) -> None:
    assert (identity(*one) == identity(*two)) == (one == two)


def test_services_without_regions_are_one_thing_in_all_of_them() -> None:
    """Prowler takes the first of a set of regions for them, another one from run to run, also in ARNs."""
    binding = Binding(account=ACCOUNT, regions=frozenset({"eu-west-1", "eu-north-1"}))
    check = "iam_password_policy_number"
    one, two = (
        read(
            item(f"arn:aws:iam:{region}:{ACCOUNT}:password-policy", check=check, region=region),
            binding=binding,
        )
        for region in ("eu-west-1", "eu-north-1")
    )
    assert list(one.observations) == list(two.observations)
    assert [seen.region for seen in one.observations.values()] == ["global"]


# ---------------------------------------------------------------- binding


@pytest.mark.parametrize(
    ("foreign", "items"),
    [
        (Foreign.ACCOUNT, item(account=OTHER)),
        (Foreign.REGION, item(region="eu-north-1")),
        (Foreign.REGION, item(f"arn:aws:ec2:eu-north-1:{ACCOUNT}:instance/i-1", check="ec2_instance_public")),
        (Foreign.RESOURCE, item(f"arn:aws:ec2:eu-west-1:{OTHER}:instance/i-1", check="ec2_instance_public")),
        (Foreign.PARTITION, item("arn:aws-cn:s3:::bucket-0")),
    ],
)
def test_what_leaves_the_request_is_counted_and_makes_the_scan_untrusted(
    foreign: Foreign, items: Json
) -> None:
    found = read(item(), items)
    assert (len(found.observations), found.refusals.foreign) == (1, {foreign: 1})
    judged = judge(found, coverage=COVERAGE)
    assert judged.quality is Quality.UNTRUSTED
    assert foreign.value in judged.reasons[0]


@pytest.mark.parametrize(
    ("check", "resource", "region"),
    [
        ("iam_aws_attached_policy_admin", "arn:aws:iam::aws:policy/AdministratorAccess", "eu-west-1"),
        (
            "cloudtrail_kms_encryption",
            f"arn:aws:cloudtrail:eu-west-1:{OTHER}:trail/organization",
            "eu-west-1",
        ),
        ("organizations_delegated", f"arn:aws:organizations::{OTHER}:organization/o-1", "us-east-1"),
        ("s3_account_level_block", f"arn:aws:s3:us-east-1:{ACCOUNT}:account", "us-east-1"),
        ("cloudfront_distributions_https", f"arn:aws:cloudfront::{ACCOUNT}:distribution/E1", "us-east-1"),
        ("resourceexplorer2_indexes_found", "NoResourceExplorer", "eu-west-1"),
    ],
)
def test_what_an_honest_prowler_says_of_others_is_not_foreign(check: str, resource: str, region: str) -> None:
    assert quality(item(resource, check=check, region=region)) is Quality.COMPLETE


@pytest.mark.parametrize(
    ("services", "without", "foreign"),
    [
        (None, frozenset[str](), False),
        (frozenset({"s3"}), frozenset[str](), False),
        (None, frozenset({"iam"}), False),
        (frozenset({"iam"}), frozenset[str](), True),
        (None, frozenset({"s3"}), True),
    ],
)
def test_a_shard_may_speak_of_its_own_services_alone(
    services: frozenset[str] | None, without: frozenset[str], foreign: bool
) -> None:
    found = read(item(), binding=replace(BINDING, services=services, without=without))
    assert found.refusals.foreign == ({Foreign.SERVICE: 1} if foreign else {})


def test_resources_of_named_owners_are_not_foreign() -> None:
    shared = item(f"arn:aws:ec2:eu-west-1:{OTHER}:subnet/subnet-1", check="ec2_subnet_public")
    binding = Binding(account=ACCOUNT, regions=frozenset({"eu-west-1"}), owners=frozenset({OTHER}))
    assert not read(shared, binding=binding).refusals.foreign


def test_a_binding_is_to_an_account() -> None:
    with pytest.raises(ConfigurationError):
        Binding(account="12345", regions=frozenset())


# ---------------------------------------------------------------- hostile items

HOSTILE: dict[str, tuple[Refusal, bytes]] = {
    "NaN": (Refusal.NO_JSON, changed(lambda made: made.update(time=float("nan")))),
    "lone surrogate": (Refusal.NO_JSON, changed(lambda made: made.update(message="\ud800"))),
    "broken UTF-8": (Refusal.NO_JSON, json.dumps(item()).encode().replace(b"Anybody", b"Any\xff")),
    "control in a string": (Refusal.NO_JSON, json.dumps(item()).encode().replace(b"Anybody", b"Any\x00")),
    "no JSON": (Refusal.NO_JSON, b"{]"),
    "a number": (Refusal.NO_FINDING, b"17"),
    "null": (Refusal.NO_FINDING, b"null"),
    "an empty object": (Refusal.NO_FINDING, b"{}"),
    "no resource": (Refusal.NO_FINDING, changed(lambda made: made.update(resources=[]))),
    "two resources": (Refusal.NO_FINDING, changed(lambda made: made.update(resources=[{}, {}]))),
    "a severity of 99": (Refusal.NO_FINDING, changed(lambda made: made.update(severity_id=99))),
    "a status of its own": (Refusal.NO_FINDING, changed(lambda made: made.update(status_code="FIXED"))),
    "another class": (Refusal.NO_FINDING, changed(lambda made: made.update(class_uid=2003))),
    "an endless text": (Refusal.NO_FINDING, changed(lambda made: made.update(message="x" * 100_000))),
    "OCSF 1.4": (Refusal.OTHER_SCHEMA, json.dumps(item(version="1.4.0")).encode()),
    "OCSF of the future": (Refusal.OTHER_SCHEMA, json.dumps(item(version="1.50.0")).encode()),
    "a check with a newline": (Refusal.BAD_NAME, json.dumps(item(check="s3_x\n")).encode()),
    "a check of markup": (Refusal.BAD_NAME, json.dumps(item(check="s3_<b>")).encode()),
    "a region of a path": (Refusal.BAD_NAME, json.dumps(item(region="../x")).encode()),
    "two regions": (
        Refusal.BAD_NAME,
        changed(lambda made: made.update(cloud={**item()["cloud"], "region": "us-east-1"})),
    ),  # type: ignore[dict-item]  # plain JSON
    "an ARN that is none": (Refusal.BAD_NAME, json.dumps(item("arn:aws:s3")).encode()),
    "bidi in an ARN": (Refusal.BAD_NAME, json.dumps(item("arn:aws:s3:::a\u202eb")).encode()),
    "ANSI in an ARN": (Refusal.BAD_NAME, json.dumps(item("arn:aws:s3:::a\x1b[2Jb")).encode()),
    "too large": (Refusal.OVERSIZE, b'{"a":"' + b"x" * MAX_ITEM_BYTES + b'"}'),
    "too deep": (Refusal.DEEP, b"[" * 100_000 + b"]" * 100_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_item_is_counted_by_its_class_and_costs_no_other(name: str) -> None:
    refusal, body = HOSTILE[name]
    found = read(item(bucket(1)), body, item(bucket(2)))
    assert {seen.resource for seen in found.observations.values()} == {bucket(1), bucket(2)}
    assert (found.refusals.counts, found.items) == ({refusal: 1}, 3)
    [example] = found.refusals.examples
    assert example.startswith(f"item 2: {refusal}")
    assert example.isprintable()
    judged = judge(found, coverage=COVERAGE)
    assert judged.quality is Quality.PARTIAL
    assert any(refusal.value in reason for reason in judged.reasons)


def test_what_acts_on_readers_is_taken_out_of_texts() -> None:
    nasty = "\x1b[31mred\x1b[0m\u202eevil\u200b <script>alert(1)</script>\n=cmd|'/c calc'!A1"
    [seen] = read(item(detail=nasty)).observations.values()
    assert seen.detail == "redevil <script>alert(1)</script> =cmd|'/c calc'!A1"


def test_texts_are_cut() -> None:
    [seen] = read(item(detail="long " * 10_000)).observations.values()
    assert len(seen.detail) <= MAX_DETAIL


def test_links_are_https_or_none() -> None:
    links = ["javascript:alert(1)", "http://a.example", "https://ok.example/", "https://x.example/\u202e"]
    found = read(changed(lambda made: made.update(remediation={"desc": "", "references": links})))
    assert found.checks["s3_bucket_public_access"].references == ("https://ok.example/",)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=80), st.lists(st.text(max_size=80), max_size=30), max_size=30))
def test_a_checks_text_fits_an_item_of_the_table(compliance: dict[str, list[str]]) -> None:
    found = read(changed(lambda made: made.update(unmapped={"compliance": compliance})))
    for text in found.checks.values():
        assert len(prowler.msgspec.json.encode(text)) < 150_000


def test_examples_are_few_and_short() -> None:
    found = read(*[b'{"metadata": "' + b"x" * 1_000 + b'"}'] * 100)
    assert (len(found.refusals.examples), found.refusals.counts) == (
        LISTED_EXAMPLES,
        {Refusal.NO_FINDING: 100},
    )
    assert max(map(len, found.refusals.examples)) <= MAX_EXAMPLE


def test_made_up_checks_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prowler, "MAX_CHECKS", 3)
    found = read(*(item(check=f"s3_check_{number}") for number in range(5)))
    assert (len(found.checks), found.refusals.counts) == (3, {Refusal.TOO_MANY_CHECKS: 2})


def test_too_large_a_report_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prowler, "MAX_OCSF_REPORT_BYTES", 10_000)
    found = read(*(item(bucket(number)) for number in range(10)))
    assert (found.items, found.troubles) == (0, ("The report has more than 10,000 bytes; it was not read.",))


def test_more_items_than_the_limit_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prowler, "MAX_ITEMS", 3)
    found = read(*(item(bucket(number)) for number in range(5)))
    assert (len(found.observations), found.items, found.over_limit) == (3, 3, True)
    assert "more than 3 items" in found.troubles[0]


@settings(max_examples=200)
@given(st.data())
def test_no_report_raises(data: st.DataObject) -> None:
    whole = bytearray(report([item(), item(bucket(1))]))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    found = ProwlerReport(BINDING).read(bytes(whole))
    judge(found, coverage=COVERAGE)


# ---------------------------------------------------------------- whole reports


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"[{", report([item()])[:-1], report([item()]) + b"x", b"\x1f\x8b\x08\x00"]
)
def test_a_report_that_is_not_whole_is_partial(data: bytes) -> None:
    judged = judge(ProwlerReport(BINDING).read(data), coverage=COVERAGE)
    assert judged.quality is Quality.PARTIAL
    assert judged.reasons


def test_of_a_truncated_report_what_is_whole_is_used() -> None:
    found = ProwlerReport(BINDING).read(report(item(bucket(number)) for number in range(3))[:-100])
    assert {seen.resource for seen in found.observations.values()} == {bucket(0), bucket(1)}
    assert found.end is End.TRUNCATED


def test_other_versions_of_the_schema_are_told() -> None:
    found = read(*(item(bucket(number), version=f"1.{number}.0") for number in range(5)))
    assert found.troubles[-2:] == (
        "Versions of OCSF that are not read: 1.0.0, 1.1.0, 1.2.0, 1.3.0, 1.4.0.",
        "Not one item of the report can be used.",
    )


def test_the_tasks_troubles_make_a_scan_partial() -> None:
    judged = judge(read(item()), coverage=COVERAGE, troubles=["The scanner was killed."])
    assert (judged.quality, judged.reasons) == (Quality.PARTIAL, ("The scanner was killed.",))


# ---------------------------------------------------------------- canaries

CANARY = PlantedResource(
    account=ACCOUNT, check="s3_bucket_public_access", region="eu-west-1", resource=bucket("canary")
)


def test_a_canary_that_is_reported_is_no_finding() -> None:
    judged = judge(read(item(), item(CANARY.resource)), coverage=COVERAGE, canaries=[CANARY])
    assert judged.quality is Quality.COMPLETE
    assert [seen.resource for seen in judged.seen.observations.values()] == [bucket(0)]


@pytest.mark.parametrize(
    "said", [[], [item(CANARY.resource, status="PASS")], [item(CANARY.resource, status="MANUAL")]]
)
def test_a_canary_that_does_not_fail_makes_the_scan_untrusted(said: list[Json]) -> None:
    judged = judge(read(item(), *said), coverage=COVERAGE, canaries=[CANARY])
    assert judged.quality is Quality.UNTRUSTED
    assert CANARY.resource in judged.reasons[0]


@pytest.mark.parametrize(
    "coverage",
    [
        Coverage(regions=frozenset({"us-east-1"})),
        Coverage(regions=COVERAGE.regions, services=frozenset({"iam"})),
        Coverage(regions=COVERAGE.regions, without=frozenset({"s3"})),
    ],
)
def test_a_canary_elsewhere_is_not_expected(coverage: Coverage) -> None:
    judged = judge(read(item()), coverage=coverage, canaries=[CANARY])
    assert judged.quality is Quality.COMPLETE


# ---------------------------------------------------------------- memory

BOMBS = {
    "a million items": "b'[' + b','.join([b'{}'] * 1_000_000) + b']'",
    "a million brackets": "b'[' + b'[' * 1_000_000",
    "200 KB of nesting": "b'[' + b'[' * 100_000 + b']' * 100_000 + b']'",
    "nested objects": "b'[' + b'{\"a\":' * 40_000 + b'1' + b'}' * 40_000 + b']'",
    "one endless string": "b'[\"' + b'x' * 90_000_000",
    "one endless number": "b'[' + b'1' * 90_000_000 + b']'",
    "unfinished strings": "b'[' + b'{\"' * 5_000_000",
    "items too large": "b'[' + b','.join([b'[' + b'1,' * 200_000 + b'1]'] * 200) + b']'",
    "the most that is kept": "made(100_000)",
}
LIMITED = """
import json, resource, sys, tempfile
sys.path.insert(0, sys.argv[1])
from glovebox.findings.prowler import ProwlerReport
from glovebox.findings.report import mapped
from tests.prowler import BINDING, item

def made(count):
    # As few bytes an item as can be, so that the most of them fit 100 MB.
    one = json.dumps({
        "metadata": {"event_code": "s3_bucket_public_access", "version": "1.5.0"},
        "class_uid": 2004, "severity_id": 4, "status_code": "FAIL",
        "resources": [{"uid": "arn:aws:s3:::" + "NUMBER".rjust(200, "x"), "region": "eu-west-1"}],
        "cloud": {"account": {"uid": "123456789012"}, "region": "eu-west-1"},
        "message": "NUMBER" + "x" * 550,
    }).encode()
    return b"[" + b",".join(one.replace(b"NUMBER", b"%d" % number) for number in range(count)) + b"]"

with tempfile.TemporaryFile() as file:
    file.write(eval(sys.argv[2]))
    file.flush()
    size = file.tell()
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    limit = used + size + 250_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with mapped(file) as data:
        found = ProwlerReport(BINDING).read(data)
print(found.items, len(found.observations), found.troubles)
"""


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_read_within_250_mb(name: str) -> None:
    """The limit is on addresses, of which the mapped file takes its size without taking memory."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(ROOT), BOMBS[name]],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1_000:]


def test_a_file_is_read_as_bytes_are(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for data in (b"", report([item()])):
        path.write_bytes(data)
        with path.open("rb") as file, mapped(file) as mapping:
            from_file = ProwlerReport(BINDING).read(mapping)
        assert from_file.observations == ProwlerReport(BINDING).read(data).observations
