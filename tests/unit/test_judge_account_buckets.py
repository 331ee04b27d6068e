"""The judge, for tickets that open whatever buckets the gateway's S3 endpoint lets through."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squid.helpers.judge_request import judge
from tests.tickets import ACCOUNT, BUCKET, NOW, SIGNER, account_claims, question

USER = SIGNER.sign(account_claims(buckets="account")).user
ANSWER = judge("aws-api", lambda: NOW, region="us-east-1")
OWN = "s3.us-east-1.amazonaws.com"


def reason(url: str, *, method: str = "GET", host: str | None = None, region: str = "us-east-1") -> str:
    return judge("aws-api", lambda: NOW, region=region)(
        question(url, method=method, host=host, user=USER)
    ).reason


@pytest.mark.parametrize(
    "url",
    [
        f"https://{OWN}/",
        f"https://{OWN}/never-heard-of?policy",
        f"https://{OWN}/never-heard-of/?list-type=2",
        f"https://{OWN}/with.dots-and-1?encryption",
        f"https://never-heard-of.{OWN}/?policy",
        f"https://with.dots.{OWN}/?policy",
        f"https://{ACCOUNT}.s3-control.us-east-1.amazonaws.com/v20180820/configuration/publicAccessBlock",
        "https://s3.eu-west-1.amazonaws.com/",
    ],
)
def test_any_bucket_is_asked_about_at_the_gateways_own_s3(url: str) -> None:
    assert reason(url) == ""
    assert reason(url, method="HEAD") == ""
    host = url.split("/")[2]
    assert reason(f"{host}:443", method="CONNECT", host=host) == ""


ELSEWHERE = (
    "s3.eu-west-1.amazonaws.com",
    "s3.amazonaws.com",
    "s3.dualstack.us-east-1.amazonaws.com",
    "s3-fips.us-east-1.amazonaws.com",
    "s3-fips.dualstack.us-east-1.amazonaws.com",
)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_no_bucket_is_asked_about_where_the_endpoint_does_not_lead(host: str) -> None:
    assert reason(f"https://{host}/{BUCKET}?policy") == "bucket_elsewhere"
    if "-fips" not in host:
        assert reason(f"https://{BUCKET}.{host}/?policy") == "bucket_elsewhere"
    assert reason(f"{BUCKET}.{host}:443", method="CONNECT", host=f"{BUCKET}.{host}")


REFUSED = {
    "object": ("s3_object", f"https://{OWN}/{BUCKET}/key"),
    "object by name": ("s3_object", f"https://{BUCKET}.{OWN}/key"),
    "another bucket behind one by name": ("s3_object", f"https://{BUCKET}.{OWN}/exfil?policy"),
    "a step up": ("s3_object", f"https://{OWN}/{BUCKET}/../exfil?policy"),
    "a step up at once": ("foreign_bucket", f"https://{OWN}/../{BUCKET}?policy"),
    "a step up, escaped": ("foreign_bucket", f"https://{OWN}/%2e%2e/{BUCKET}"),
    "slash, escaped": ("foreign_bucket", f"https://{OWN}/{BUCKET}%2Fkey"),
    "slash, escaped twice": ("foreign_bucket", f"https://{OWN}/{BUCKET}%252Fkey"),
    "two slashes": ("foreign_bucket", f"https://{OWN}//{BUCKET}"),
    "two slashes behind": ("s3_object", f"https://{OWN}/{BUCKET}//"),
    "no bucket but slashes": ("foreign_bucket", f"https://{OWN}//"),
    "a dot": ("foreign_bucket", f"https://{OWN}/."),
    "escaped letter": ("foreign_bucket", f"https://{OWN}/%65xfil"),
    "capitals": ("foreign_bucket", f"https://{OWN}/Exfil"),
    "underscore": ("foreign_bucket", f"https://{OWN}/ex_fil"),
    "two letters": ("foreign_bucket", f"https://{OWN}/ab"),
    "64 letters": ("foreign_bucket", f"https://{OWN}/{'a' * 64}"),
    "letters of the claim itself": ("foreign_bucket", f"https://{OWN}/co"),
    "two dots inside": ("foreign_bucket", f"https://{OWN}/ex..fil"),
    "ARN of an access point": (
        "foreign_bucket",
        f"https://{OWN}/arn%3Aaws%3As3%3Aus-east-1%3A1%3Aaccesspoint%2Fx",
    ),
    **{
        f"reserved name {name}": ("foreign_bucket", f"https://{OWN}/{name}?policy")
        for name in (
            "x-1-s3alias",
            "x--ol-s3",
            "x--use1-az4--x-s3",
            "x--table-s3",
            "x.mrap",
            "xn--x",
            "sthree-x",
        )
    },
    "alias of an access point by name": ("foreign_bucket", f"https://x-1-s3alias.{OWN}/?policy"),
    "no bucket's name": ("foreign_bucket", f"https://-x.{OWN}/"),
    "access point": ("unknown_service", "https://x-1.s3-accesspoint.us-east-1.amazonaws.com/"),
    "object lambda": ("unknown_service", "https://x-1.s3-object-lambda.us-east-1.amazonaws.com/"),
    "outpost": ("unknown_service", "https://x-1.op-1.s3-outposts.us-east-1.amazonaws.com/"),
    "directory's zone": ("unknown_service", "https://x.s3express-use1-az4.us-east-1.amazonaws.com/"),
    "accelerated": ("unknown_service", f"https://{BUCKET}.s3-accelerate.amazonaws.com/"),
    "website": ("unknown_service", f"https://{BUCKET}.s3-website-us-east-1.amazonaws.com/"),
    "control without an account": (
        "unknown_service",
        "https://s3-control.us-east-1.amazonaws.com/v20180820/x",
    ),
    "control of another account": (
        "foreign_account",
        "https://210987654321.s3-control.us-east-1.amazonaws.com/v20180820/x",
    ),
    "a bucket named like control": (
        "foreign_account",
        f"https://{BUCKET}.s3-control.us-east-1.amazonaws.com/",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_bucket_or_more_than_one_is_refused(name: str) -> None:
    expected, url = REFUSED[name]
    assert reason(url) == expected


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
@pytest.mark.parametrize("url", [f"https://{OWN}/{BUCKET}?policy", f"https://{BUCKET}.{OWN}/"])
def test_nothing_is_written_to_any_bucket(method: str, url: str) -> None:
    assert reason(url, method=method) == "writing_operation"


def test_a_gateway_that_knows_no_region_opens_no_bucket_that_is_not_named() -> None:
    for host in (*ELSEWHERE, OWN, "s3..amazonaws.com"):
        assert reason(f"https://{host}/{BUCKET}?policy", region="") in {"bucket_elsewhere", "unknown_service"}
    assert reason(f"https://{OWN}/", region="") == ""


def test_a_ticket_with_names_opens_them_in_every_region_and_no_other_at_home() -> None:
    named = SIGNER.sign(account_claims()).user
    for host in (OWN, "s3.eu-west-1.amazonaws.com"):
        assert ANSWER(question(f"https://{host}/{BUCKET}?policy", user=named)).reason == ""
        assert ANSWER(question(f"https://{host}/account?policy", user=named)).reason == "foreign_bucket"


_ODD = "abcxyz019-._%/?&=;:@~ABC"


@given(st.text(_ODD, max_size=40))
def test_whatever_the_path_one_plain_bucket_is_asked_about_or_none(path: str) -> None:
    """S3 takes what stands before the first slash for the bucket, and the rest for an object's key."""
    if reason(f"https://{OWN}/{path}") == "":
        bucket, _, rest = path.partition("?")[0].partition("/")
        assert rest == ""
        assert bucket == "" or (bucket.isascii() and bucket == bucket.lower() and 3 <= len(bucket) <= 63)
        assert not set(bucket) & set("%/?&=;:@~_")


_PARTS = (
    "s3",
    "s3-fips",
    "s3-control",
    "dualstack",
    "us-east-1",
    "eu-west-1",
    "exfil",
    "s3alias",
    ACCOUNT,
    "",
)


@given(st.lists(st.sampled_from(_PARTS), max_size=6).map(".".join))
def test_whatever_the_host_a_bucket_in_the_path_is_asked_about_at_our_own_s3_only(stem: str) -> None:
    assert (reason(f"https://{stem}.amazonaws.com/{BUCKET}?policy") == "") == (stem == "s3.us-east-1")


@given(st.lists(st.sampled_from(_PARTS), max_size=6).map(".".join))
def test_whatever_the_host_a_bucket_in_its_name_is_one_at_our_own_s3(stem: str) -> None:
    if reason(f"https://{stem}.amazonaws.com/?policy") == "":
        bucket, ours, rest = f"{stem}.amazonaws.com".partition(f".{OWN}")
        named = (bool(bucket), ours, rest) == (True, f".{OWN}", "")
        listing = re.fullmatch(r"s3(-fips)?(\.dualstack)?(\.[a-z]+-[a-z]+-1)?", stem)
        control = re.fullmatch(rf"{ACCOUNT}\.s3-control(\.dualstack)?(\.[a-z]+-[a-z]+-1)?", stem)
        assert named or listing or control
