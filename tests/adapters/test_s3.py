"""Buckets: lists, hand-off, upload forms, versions, publication."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from glovebox.adapters.aws import client
from glovebox.adapters.s3 import S3HandOff, S3Lists, S3Results, S3Uploads
from glovebox.adapters.s3_publication import S3Publication
from glovebox.errors import NotFoundError, UpstreamError
from glovebox.scans.ports import StoredVersion

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEY_ARN = "arn:aws:kms:eu-west-1:123456789012:key/0badcafe"


@pytest.fixture
def s3(aws: None) -> S3Client:
    made = client("s3")
    made.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    made.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    return made


def test_a_list_is_read_up_to_one_byte_more_than_its_limit(s3: S3Client) -> None:
    s3.put_object(Bucket="bucket", Key="hosts.txt", Body=b"0123456789")
    assert S3Lists(s3, "bucket").read("hosts.txt", 100) == b"0123456789"
    assert S3Lists(s3, "bucket").read("hosts.txt", 4) == b"01234"


def test_a_list_that_is_not_there_is_said_so_and_a_bucket_is_another_matter(s3: S3Client) -> None:
    with pytest.raises(NotFoundError):
        S3Lists(s3, "bucket").read("missing.txt", 100)
    with pytest.raises(UpstreamError):
        S3Lists(s3, "no-such-bucket").read("hosts.txt", 100)


def test_the_hand_off_is_written_addressed_and_deleted(s3: S3Client) -> None:
    hand_off = S3HandOff(s3, "bucket")
    hand_off.put("handoff/x/1/request.json", b"{}", "application/json")
    assert hand_off.arn("handoff/x/1/inlet.env") == "arn:aws:s3:::bucket/handoff/x/1/inlet.env"
    url = urlsplit(hand_off.readable_url("handoff/x/1/request.json", 900))
    query = parse_qs(url.query)
    assert url.path.endswith("/handoff/x/1/request.json")
    assert (query["X-Amz-Expires"], query["X-Amz-Algorithm"]) == (["900"], ["AWS4-HMAC-SHA256"])
    hand_off.delete(["handoff/x/1/request.json", "handoff/x/1/never-was"])
    assert "Contents" not in s3.list_objects_v2(Bucket="bucket")


def test_an_upload_form_admits_one_key_one_type_one_encryption_and_a_range_of_sizes(s3: S3Client) -> None:
    form = S3Uploads(s3, "bucket", KEY_ARN).form(
        "results/x/1/report.jsonl", content_type="application/x-ndjson", max_bytes=1_000, seconds=600
    )
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    conditions = policy["conditions"]
    assert ["content-length-range", 1, 1_000] in conditions
    exact = {
        "key": "results/x/1/report.jsonl",
        "Content-Type": "application/x-ndjson",
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": KEY_ARN,
    }
    for name, value in exact.items():
        assert {name: value} in conditions
        assert form.fields[name] == value
    assert not any(isinstance(one, list) and one[0] == "starts-with" for one in conditions)
    assert {"acl"}.isdisjoint(form.fields)


def test_versions_are_those_of_this_key_alone_from_the_oldest(s3: S3Client) -> None:
    results = S3Results(s3, "bucket")
    assert list(results.versions("results/x")) == []
    ids = [
        s3.put_object(Bucket="bucket", Key="results/x", Body=body)["VersionId"]
        for body in (b"1", b"22", b"3")
    ]
    s3.put_object(Bucket="bucket", Key="results/x.other", Body=b"4")
    assert list(results.versions("results/x")) == [
        StoredVersion(ids[0], 1),
        StoredVersion(ids[1], 2),
        StoredVersion(ids[2], 1),
    ]


def test_the_version_that_was_asked_for_is_read(s3: S3Client) -> None:
    results = S3Results(s3, "bucket")
    for body in (b"first", b"second"):
        s3.put_object(Bucket="bucket", Key="results/x", Body=body)
    first, _ = results.versions("results/x")
    with results.read("results/x", first) as chunks:
        assert b"".join(chunks) == b"first"
    with pytest.raises(UpstreamError), results.read("results/y", first):
        pass


def test_zips_are_listed_without_the_folders_beside_them(s3: S3Client) -> None:
    publication = S3Publication(s3, "bucket")
    publication.put("files/scan_2026-03-04_x/output.csv", io.BytesIO(b"a,b"), "text/csv; charset=utf-8")
    publication.put("files/scan_2026-03-04_x.zip", io.BytesIO(b"zip"), "application/zip")
    publication.put("other/scan.zip", io.BytesIO(b"zip"), "application/zip")
    assert [(file.key, file.size) for file in publication.zips()] == [("files/scan_2026-03-04_x.zip", 3)]
    head = s3.head_object(Bucket="bucket", Key="files/scan_2026-03-04_x/output.csv")
    assert head["ContentType"] == "text/csv; charset=utf-8"


def test_a_large_publication_is_streamed_in_parts(s3: S3Client) -> None:
    S3Publication(s3, "bucket").put("files/large.zip", io.BytesIO(b"x" * (9 << 20)), "application/zip")
    assert s3.head_object(Bucket="bucket", Key="files/large.zip")["ETag"].strip('"').endswith("-2")


@pytest.mark.parametrize("region", ["eu-central-1", "me-central-1", "us-east-1"])
def test_what_is_signed_names_the_region(aws: None, monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    """S3's global name redirects requests about young buckets, which neither inlet nor outlet follows.

    Nor does the DNS firewall of the scan network answer for it, in which `ingest` stands as well.
    """
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    url = S3HandOff(client("s3"), "handoff").readable_url("handoff/s/1/request.json", 60)
    assert urlsplit(url).hostname == f"handoff.s3.{region}.amazonaws.com"
    uploads = S3Uploads(client("s3"), "results", "arn:aws:kms:key")
    form = uploads.form("results/s/1/report.jsonl", content_type="application/json", max_bytes=9, seconds=60)
    assert urlsplit(form.url).hostname == f"results.s3.{region}.amazonaws.com"
    assert client("s3").meta.endpoint_url == f"https://s3.{region}.amazonaws.com"


def test_an_endpoint_in_figures_is_no_part_of_a_name(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The local cloud's."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://127.0.0.1:4566")
    url = S3HandOff(client("s3"), "handoff").readable_url("handoff/s/1/request.json", 60)
    assert url.startswith("https://127.0.0.1:4566/handoff/handoff/s/1/request.json?")
