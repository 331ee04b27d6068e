"""The judge reads what the AWS SDK really sends: requests that boto3 signed, caught before they leave."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config

from squid.helpers.judge_request import judge
from tests.tickets import ACCOUNT, BUCKET, KEY, OTHER_KEY, SIGNER, account_claims

UNESCAPED = "/:;=,?&%+@!*'()$~.-_"
"""What Squid leaves in a field besides letters and digits, a percent sign among them."""


class CaughtError(Exception):
    """The request was caught; nothing is sent."""


@dataclass
class Catcher:
    requests: list[AWSPreparedRequest] = field(default_factory=list)

    def __call__(self, request: AWSPreparedRequest, **_: object) -> None:
        self.requests.append(request)
        raise CaughtError


def sent_by(call: Callable[[boto3.Session, Config], object], session: boto3.Session) -> AWSPreparedRequest:
    catcher = Catcher()
    session.events.register("before-send", catcher)
    with pytest.raises(CaughtError):
        call(session, Config(retries={"total_max_attempts": 1}))
    return catcher.requests[0]


def fields_of(request: AWSPreparedRequest, user: str) -> list[str]:
    """The judge's line, as Squid writes it of this request."""
    url = urlsplit(request.url)
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    body = request.body or b""
    length = headers.get("content-length") or (
        str(len(body)) if isinstance(body, bytes | str) and body else "-"
    )
    seen = [
        headers.get("authorization", "-"),
        headers.get("x-amz-target", "-"),
        headers.get("content-type", "-"),
        length,
        headers.get("transfer-encoding", "-"),
    ]
    head = ["10.0.0.7", user, request.method, url.hostname or "-", "443", request.url]
    return [quote(value, safe=UNESCAPED) for value in [*head, *seen]]


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def session_of(key: str) -> boto3.Session:
    return boto3.Session(
        aws_access_key_id=key,
        aws_secret_access_key="secret",
        aws_session_token="token",
        region_name="eu-west-1",
    )


def reason_of(call: Callable[[boto3.Session, Config], object], key: str = KEY) -> str:
    now = int(time.time())
    ticket = SIGNER.sign(account_claims(now))
    return judge("aws-api", lambda: now)(fields_of(sent_by(call, session_of(key)), ticket.user)).reason


Call = Callable[[boto3.Session, Config], object]

READING: dict[str, Call] = {
    "sts": lambda s, c: s.client("sts", config=c).get_caller_identity(),
    "s3 list": lambda s, c: s.client("s3", config=c).list_buckets(),
    "s3 location": lambda s, c: s.client("s3", config=c).get_bucket_location(Bucket=BUCKET),
    "s3 head": lambda s, c: s.client("s3", config=c).head_bucket(Bucket=BUCKET),
    "s3 objects": lambda s, c: s.client("s3", config=c).list_objects_v2(Bucket=BUCKET, Prefix="a b/é"),
    "s3 dotted": lambda s, c: s.client("s3", config=c).get_bucket_policy(Bucket="logs.example"),
    "s3 control": lambda s, c: s.client("s3control", config=c).get_public_access_block(AccountId=ACCOUNT),
    "ec2": lambda s, c: s.client("ec2", config=c).describe_instances(),
    "iam": lambda s, c: s.client("iam", config=c).list_users(),
    "rds": lambda s, c: s.client("rds", config=c).describe_db_instances(),
    "sns": lambda s, c: s.client("sns", config=c).list_topics(),
    "cloudwatch": lambda s, c: s.client("cloudwatch", config=c).describe_alarms(),
    "dynamodb": lambda s, c: s.client("dynamodb", config=c).list_tables(),
    "sqs": lambda s, c: s.client("sqs", config=c).list_queues(),
    "kms": lambda s, c: s.client("kms", config=c).list_keys(),
    "ecr": lambda s, c: s.client("ecr", config=c).describe_repositories(),
    "cloudtrail": lambda s, c: s.client("cloudtrail", config=c).lookup_events(),
    "organizations": lambda s, c: s.client("organizations", config=c).describe_organization(),
    "lambda": lambda s, c: s.client("lambda", config=c).get_policy(
        FunctionName=f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:x"
    ),
    "route53": lambda s, c: s.client("route53", config=c).list_hosted_zones(),
    "securityhub": lambda s, c: s.client("securityhub", config=c).get_findings(),
    "accessanalyzer": lambda s, c: s.client("accessanalyzer", config=c).list_findings(
        analyzerArn="arn:aws:x"
    ),
    "inspector2": lambda s, c: s.client("inspector2", config=c).batch_get_account_status(
        accountIds=[ACCOUNT]
    ),
    "eks": lambda s, c: s.client("eks", config=c).list_clusters(),
    "apigateway": lambda s, c: s.client("apigateway", config=c).get_rest_apis(),
}


@pytest.mark.parametrize("name", READING)
def test_what_an_examining_scanner_sends_is_let_through(name: str) -> None:
    assert reason_of(READING[name]) == ""


@pytest.mark.parametrize("name", READING)
def test_the_same_signed_with_another_key_is_refused(name: str) -> None:
    assert reason_of(READING[name], OTHER_KEY) == "foreign_key"


REFUSED: dict[str, tuple[str, Call]] = {
    "put object": (
        "writing_operation",
        lambda s, c: s.client("s3", config=c).put_object(Bucket=BUCKET, Key="k", Body=b"data"),
    ),
    "get object": ("s3_object", lambda s, c: s.client("s3", config=c).get_object(Bucket=BUCKET, Key="k")),
    "foreign bucket": (
        "foreign_bucket",
        lambda s, c: s.client("s3", config=c).get_bucket_location(Bucket="exfil"),
    ),
    "send message": (
        "writing_operation",
        lambda s, c: s.client("sqs", config=c).send_message(QueueUrl="https://x/1/q", MessageBody="data"),
    ),
    "put item": (
        "writing_operation",
        lambda s, c: s.client("dynamodb", config=c).put_item(TableName="t", Item={"a": {"S": "data"}}),
    ),
    "put log events": (
        "writing_operation",
        lambda s, c: s.client("logs", config=c).create_log_group(logGroupName="data"),
    ),
    "invoke": ("writing_operation", lambda s, c: s.client("lambda", config=c).invoke(FunctionName="x")),
    "assume role": (
        "sts_operation",
        lambda s, c: s.client("sts", config=c).assume_role(
            RoleArn="arn:aws:iam::1:role/x", RoleSessionName="data"
        ),
    ),
    "web identity": (
        "authorization_malformed",
        lambda s, c: s.client("sts", config=c).assume_role_with_web_identity(
            RoleArn="arn:aws:iam::1:role/x", RoleSessionName="data", WebIdentityToken="data"
        ),
    ),
    "sign-up": (
        "authorization_malformed",
        lambda s, c: s.client("cognito-idp", config=c).sign_up(
            ClientId="x", Username="data", Password="data"
        ),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_writes_or_needs_no_signature_is_refused(name: str) -> None:
    reason, call = REFUSED[name]
    assert reason_of(call) == reason
