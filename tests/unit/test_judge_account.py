"""The judge, for tickets that may ask AWS: one key, reading operations, the ticket's buckets."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squid.helpers.judge_request import judge
from squid.helpers.refusals import REASONS
from tests.tickets import (
    ACCOUNT,
    BUCKET,
    DAY,
    KEY,
    NOW,
    OTHER_KEY,
    SCAN,
    SIGNER,
    SITE_TICKET,
    account_claims,
    authorization,
    question,
)

ANSWER = judge("aws-api", lambda: NOW)
EC2 = "https://ec2.us-east-1.amazonaws.com/"
LAMBDA = "https://lambda.us-east-1.amazonaws.com/2015-03-31/functions/"
S3 = "https://s3.us-east-1.amazonaws.com/"
STS = "https://sts.us-east-1.amazonaws.com/"
DYNAMODB = "https://dynamodb.us-east-1.amazonaws.com/"
FORM = "application/x-www-form-urlencoded;%20charset=utf-8"

ALLOWED = {
    "door": question("ec2.us-east-1.amazonaws.com:443", method="CONNECT", host="ec2.us-east-1.amazonaws.com"),
    "door of a bucket": question(
        f"{BUCKET}.s3.us-east-1.amazonaws.com:443",
        method="CONNECT",
        host=f"{BUCKET}.s3.us-east-1.amazonaws.com",
    ),
    "query protocol, form": question(EC2, method="POST", content_type=FORM, length="60"),
    "query protocol, get": question(f"{EC2}?Action=DescribeInstances&Version=2016-11-15"),
    "port in the address": question("https://ec2.us-east-1.amazonaws.com:443/", method="POST"),
    "get with an empty body": question(S3, length="0"),
    "no path": question("https://iam.amazonaws.com", method="POST"),
    "json": question(DYNAMODB, method="POST", target="DynamoDB_20120810.ListTables"),
    "json with a dotted prefix": question(
        "https://cloudtrail.us-east-1.amazonaws.com/",
        method="POST",
        target="com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents",
    ),
    "smithy rpc": question(f"{DYNAMODB}service/DynamoDB_20120810/operation/DescribeTable", method="POST"),
    "rest": question(f"{LAMBDA}?MaxItems=50&Marker=%2Fa%3D%3D"),
    "rest, posted": question(
        "https://securityhub.us-east-1.amazonaws.com/findings", method="POST", content_type="application/json"
    ),
    "labels before the service": question(
        "https://api.ecr.us-east-1.amazonaws.com/",
        method="POST",
        target="AmazonEC2ContainerRegistry_V20150921.DescribeRepositories",
    ),
    "fips": question("https://ec2-fips.us-east-1.amazonaws.com/", method="POST"),
    "sts by post": question(STS, method="POST", content_type=FORM, length="43"),
    "sts by get": question(f"{STS}?Action=GetCallerIdentity&Version=2011-06-15"),
    "list of buckets": question(S3),
    "bucket by path": question(f"{S3}{BUCKET}?encryption"),
    "bucket by path with a slash": question(f"{S3}{BUCKET}/?acl"),
    "bucket by name": question(f"https://{BUCKET}.s3.us-east-1.amazonaws.com/?policy"),
    "bucket by name, dual-stack": question(f"https://{BUCKET}.s3.dualstack.us-east-1.amazonaws.com/?policy"),
    "bucket with dots": question("https://logs.example.s3.us-east-1.amazonaws.com/", method="HEAD"),
    "bucket, global name": question(f"https://{BUCKET}.s3.amazonaws.com/"),
    "account's public access block": question(
        f"https://{ACCOUNT}.s3-control.us-east-1.amazonaws.com/v20180820/configuration/publicAccessBlock"
    ),
    "signature without blanks": question(EC2, method="POST", signature=authorization().replace(", ", ",")),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_a_scanner_asks_is_let_through(name: str) -> None:
    assert ANSWER(ALLOWED[name]).line(b"7") == f"7 OK clt_conn_tag={SCAN}\n".encode()


REFUSED = {
    # Where to
    "another name": ("not_aws", question("https://example.com/")),
    "look-alike": ("not_aws", question("https://ec2.us-east-1.amazonaws.com.example.com/")),
    "look-alike without a dot": ("not_aws", question("https://evilamazonaws.com/")),
    "address at the door": ("not_aws", question("1.2.3.4:443", method="CONNECT", host="1.2.3.4")),
    "port at the door": (
        "not_aws",
        question("x:22", method="CONNECT", host="ec2.us-east-1.amazonaws.com", port="22"),
    ),
    "attacker's function": ("unknown_service", question("https://x.lambda-url.us-east-1.amazonaws.com/")),
    "attacker's API": ("unknown_service", question("https://x.execute-api.us-east-1.amazonaws.com/")),
    "attacker's balancer": ("unknown_service", question("https://x.elb.us-east-1.amazonaws.com/")),
    "label before a service": ("unknown_service", question("https://x.ec2.us-east-1.amazonaws.com/")),
    "attacker's bucket at the door": (
        "foreign_bucket",
        question("x:443", method="CONNECT", host="exfil.s3.us-east-1.amazonaws.com"),
    ),
    "plain http": ("url_malformed", question("http://ec2.us-east-1.amazonaws.com/")),
    "other port inside": ("url_malformed", question("https://ec2.us-east-1.amazonaws.com:8443/")),
    "user in the address": (
        "url_malformed",
        question("https://a@ec2.us-east-1.amazonaws.com/", host="ec2.us-east-1.amazonaws.com"),
    ),
    "host and address differ": ("url_malformed", question(EC2, host="iam.amazonaws.com")),
    "fragment": ("url_malformed", question(f"{LAMBDA}#x")),
    # Whose ticket
    "site's ticket": ("wrong_profile", question(EC2, user=SITE_TICKET.user)),
    "no ticket": ("ticket_malformed", question(EC2, user="-")),
    "long ticket": ("ticket_too_long", question(EC2, user="A" * 16_384)),
    # Whose key
    "no signature": ("authorization_malformed", question(EC2, signature="-")),
    "foreign key": ("foreign_key", question(EC2, signature=authorization(OTHER_KEY))),
    "key in lower case": ("authorization_malformed", question(EC2, signature=authorization(KEY.lower()))),
    "key and more": ("foreign_key", question(EC2, signature=authorization(KEY + "A"))),
    "two signatures": (
        "authorization_malformed",
        question(EC2, signature=f"{authorization()}, {authorization(OTHER_KEY)}"),
    ),
    "two credentials": (
        "authorization_malformed",
        question(
            EC2,
            signature=authorization().replace("SignedHeaders", f"Credential={OTHER_KEY}/x, SignedHeaders"),
        ),
    ),
    "version 2": ("authorization_malformed", question(EC2, signature=f"AWS {KEY}:c2lnbmF0dXJl")),
    "version 4a": (
        "authorization_malformed",
        question(EC2, signature=authorization().replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")),
    ),
    "bearer": ("authorization_malformed", question(EC2, signature="Bearer abc")),
    "folded": ("authorization_malformed", question(EC2, signature=authorization() + "%0D%0A%20x")),
    "short signature": ("authorization_malformed", question(EC2, signature=authorization()[:-1])),
    "escaped letter": (
        "authorization_malformed",
        question(EC2, signature=authorization().replace("S", "%53", 1)),
    ),
    "of the day before yesterday": (
        "stale_signature",
        question(EC2, signature=authorization(day=time.strftime("%Y%m%d", time.gmtime(NOW - 2 * 86_400)))),
    ),
    "of no day": ("stale_signature", question(EC2, signature=authorization(day="99999999"))),
    # Credentials in the query
    **{
        f"query {name}": ("credential_in_query", question(f"{LAMBDA}?a=b&{name}={OTHER_KEY}"))
        for name in (
            "X-Amz-Credential",
            "x-amz-credential",
            "X%2DAmz%2DCredential",
            "X%252DAmz%252dCredential",
            "%58-Amz-%43redential",
            "X-Amz-Signature",
            "X-Amz-Security-Token",
            "X-Amz-Algorithm",
            "AWSAccessKeyId",
            "awsaccesskeyid",
            "%41WSAccessKeyId",
            "Signature",
            "SecurityToken",
            "SignatureVersion",
            "+Signature",
        )
    },
    "query behind a semicolon": ("credential_in_query", question(f"{LAMBDA}?a;Signature=b")),
    "query behind an encoded ampersand": ("credential_in_query", question(f"{LAMBDA}?a%26Signature=b")),
    "query wrapped deeper than anyone does": (
        "url_malformed",
        question(f"{LAMBDA}?X%2525252525252DAmz-Credential=b"),
    ),
    # Forms
    "upload form": (
        "form_post",
        question(S3, method="POST", content_type="multipart/form-data;%20boundary=x"),
    ),
    "body of a get": (
        "body_of_question",
        question(f"{STS}?Action=GetCallerIdentity&Version=2011-06-15", length="9"),
    ),
    "chunked body of a head": ("body_of_question", question(S3, method="HEAD", encoding="chunked")),
    "form to a bucket": ("form_post", question(f"{S3}{BUCKET}", method="POST", content_type=FORM)),
    "form to a JSON service": ("form_post", question(DYNAMODB, method="POST", content_type=FORM)),
    "form with a target": (
        "form_post",
        question(EC2, method="POST", content_type=FORM.upper(), target="DynamoDB_20120810.ListTables"),
    ),
    # Operations
    **{
        f"unsigned {target}": (
            "unauthenticated_operation",
            question(f"https://{host}.us-east-1.amazonaws.com/", method="POST", target=target),
        )
        for host, target in (
            ("cognito-idp", "AWSCognitoIdentityProviderService.SignUp"),
            ("cognito-idp", "AWSCognitoIdentityProviderService.InitiateAuth"),
            ("cognito-idp", "AWSCognitoIdentityProviderService.GetUser"),
            ("cognito-idp", "AWSCognitoIdentityProviderService.GETUSER"),
            ("cognito-identity", "AWSCognitoIdentityService.GetId"),
            ("cognito-identity", "AWSCognitoIdentityService.GetOpenIdToken"),
        )
    },
    "unsigned by a fully qualified name": (
        "unknown_operation",
        question(
            "https://cognito-idp.us-east-1.amazonaws.com/",
            method="POST",
            target="com.amazonaws.cognito.AWSCognitoIdentityProviderService.GetUser",
        ),
    ),
    **{
        f"unsigned {url}": (
            "unauthenticated_operation",
            question(f"https://{url}", method=method),
        )
        for method, url in (
            ("POST", "oidc.us-east-1.amazonaws.com/client/register"),
            ("POST", "oidc.us-east-1.amazonaws.com/token"),
            ("GET", "portal.sso.us-east-1.amazonaws.com/federation/credentials?role_name=x"),
            ("GET", "portal.sso.us-east-1.amazonaws.com//federation/%2563redentials/"),
            ("GET", "portal.sso.us-east-1.amazonaws.com/Assignment/accounts"),
        )
    },
    "json write": (
        "writing_operation",
        question("https://sqs.us-east-1.amazonaws.com/", method="POST", target="AmazonSQS.SendMessage"),
    ),
    "json verb as a beginning": (
        "writing_operation",
        question(DYNAMODB, method="POST", target="DynamoDB_20120810.Getaway"),
    ),
    **{
        f"{operation} by its target": (
            "contents_operation",
            question(
                f"https://{host}.us-east-1.amazonaws.com/", method="POST", target=f"{prefix}.{operation}"
            ),
        )
        for host, prefix, operation in (
            ("secretsmanager", "secretsmanager", "GetSecretValue"),
            ("api.ecr", "AmazonEC2ContainerRegistry_V20150921", "GetAuthorizationToken"),
            ("ssm", "AmazonSSM", "GetParametersByPath"),
        )
    },
    "secrets by smithy's path": (
        "contents_operation",
        question(
            "https://secretsmanager.us-east-1.amazonaws.com/service/secretsmanager/operation/GetSecretValue",
            method="POST",
        ),
    ),
    "json of another service": (
        "unknown_operation",
        question(DYNAMODB, method="POST", target="AmazonSQS.ListQueues"),
    ),
    "json without a target": ("unknown_operation", question(DYNAMODB, method="POST")),
    "target by get": ("unknown_operation", question(DYNAMODB, target="DynamoDB_20120810.ListTables")),
    "json read beside a write in the path": (
        "unknown_operation",
        question(
            f"{DYNAMODB}service/DynamoDB_20120810/operation/PutItem",
            method="POST",
            target="DynamoDB_20120810.ListTables",
        ),
    ),
    "smithy rpc write": (
        "writing_operation",
        question(f"{DYNAMODB}service/DynamoDB_20120810/operation/PutItem", method="POST"),
    ),
    "query write": ("writing_operation", question(f"{EC2}?Action=CreateTags&Version=2016-11-15")),
    "query write beside a read": (
        "writing_operation",
        question(f"{EC2}?Action=DescribeTags&action=CreateTags"),
    ),
    "query write behind a semicolon": (
        "writing_operation",
        question(f"{EC2}?a=b;Action=CreateTags&Action=DescribeTags"),
    ),
    "query write, encoded": ("writing_operation", question(f"{EC2}?%41ction=CreateTags")),
    "query without an operation": ("unknown_operation", question(f"{EC2}?a=b")),
    "form and query": ("unknown_operation", question(f"{EC2}?Action=DescribeTags", method="POST")),
    "query protocol by put": ("unknown_operation", question(EC2, method="PUT")),
    "rest write": ("writing_operation", question(LAMBDA, method="POST")),
    "rest delete": ("writing_operation", question(f"{LAMBDA}x", method="DELETE")),
    "rest write beside a posted read": (
        "writing_operation",
        question("https://securityhub.us-east-1.amazonaws.com/findings/import", method="POST"),
    ),
    "rest invocation": ("writing_operation", question(f"{LAMBDA}x/invocations", method="POST")),
    # The token service
    "sts: web identity": ("sts_operation", question(STS, method="POST", content_type=FORM, length="400")),
    "sts: chunked": ("sts_operation", question(STS, method="POST", encoding="chunked")),
    "sts: chunked with a length": (
        "sts_operation",
        question(STS, method="POST", length="43", encoding="chunked"),
    ),
    "sts: in the query": (
        "sts_operation",
        question(f"{STS}?Action=AssumeRoleWithWebIdentity&RoleSessionName=data", method="POST", length="43"),
    ),
    "sts: by get": ("sts_operation", question(f"{STS}?Action=AssumeRoleWithWebIdentity")),
    "sts: json": (
        "sts_operation",
        question(
            STS, method="POST", length="43", target="AWSSecurityTokenServiceV20110615.GetCallerIdentity"
        ),
    ),
    "sts: other path": ("sts_operation", question(f"{STS}x", method="POST", length="43")),
    # Buckets
    "attacker's bucket by path": ("foreign_bucket", question(f"{S3}exfil/?x-d=data")),
    "attacker's bucket by name": ("foreign_bucket", question("https://exfil.s3.us-east-1.amazonaws.com/")),
    "bucket as a prefix": ("foreign_bucket", question(f"{S3}{BUCKET}-2")),
    "bucket in the attacker's bucket": (
        "foreign_bucket",
        question(f"https://{BUCKET}.exfil.s3.us-east-1.amazonaws.com/"),
    ),
    "bucket behind two slashes": ("foreign_bucket", question(f"{S3}/{BUCKET}")),
    "bucket, escaped": ("foreign_bucket", question(f"{S3}%65xfil")),
    "bucket and escape from it": ("s3_object", question(f"{S3}{BUCKET}/../exfil")),
    "object": ("s3_object", question(f"{S3}{BUCKET}/key")),
    "object by name": ("s3_object", question(f"https://{BUCKET}.s3.us-east-1.amazonaws.com/key")),
    "put": ("writing_operation", question(f"{S3}{BUCKET}", method="PUT")),
    "delete": ("writing_operation", question(f"{S3}{BUCKET}", method="DELETE")),
    "s3 with a target": ("writing_operation", question(S3, target="DynamoDB_20120810.ListTables")),
    "another account's control": (
        "foreign_account",
        question("https://210987654321.s3-control.us-east-1.amazonaws.com/v20180820/"),
    ),
    "control without an account": (
        "unknown_service",
        question("https://s3-control.us-east-1.amazonaws.com/"),
    ),
    "access point": ("unknown_service", question("https://x-1.s3-accesspoint.us-east-1.amazonaws.com/")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_attack_is_refused_by_its_reason(name: str) -> None:
    reason, fields = REFUSED[name]
    answer = ANSWER(fields)
    assert answer.reason == reason
    assert answer.message
    assert answer.scan == ("" if reason in {"ticket_malformed", "ticket_too_long"} else SCAN)


def test_every_reason_but_the_sites_is_provoked_above() -> None:
    provoked = {reason for reason, _ in REFUSED.values()}
    # tests/unit/test_judge_account_buckets.py has the bucket elsewhere.
    others = {
        "bucket_elsewhere",
        "line_malformed",
        "site_method",
        "site_name",
        "foreign_address",
        "foreign_port",
    }
    assert set(REASONS) - provoked == others


def test_expiry_counts_at_each_request_though_the_ticket_is_remembered() -> None:
    now = float(NOW)
    answer = judge("aws-api", lambda: now)
    fields = question(EC2, method="POST")
    assert not answer(fields).reason
    now = NOW + 930
    assert answer(fields).reason == "ticket_expired"
    now = NOW - 31
    assert answer(fields).reason == "ticket_not_yet_valid"


def test_a_signature_of_the_day_before_is_good_for_a_quarter_of_an_hour_past_midnight() -> None:
    midnight = NOW - NOW % 86_400 + 86_400
    assert time.strftime("%Y%m%d", time.gmtime(midnight - 1)) == DAY
    for offset, day, expected in (
        (-16 * 60, DAY, ""),
        (14 * 60, DAY, ""),
        (17 * 60, DAY, "stale_signature"),
        (-14 * 60, time.strftime("%Y%m%d", time.gmtime(midnight)), ""),
        (-17 * 60, time.strftime("%Y%m%d", time.gmtime(midnight)), "stale_signature"),
    ):
        at = midnight + offset
        ticket = SIGNER.sign(account_claims(at))
        fields = question(EC2, method="POST", user=ticket.user, signature=authorization(day=day))
        assert judge("aws-api", lambda at=at: at)(fields).reason == expected, (offset, day)  # type: ignore[misc]  # default argument binds now


@given(st.lists(st.text(alphabet=string.printable, max_size=80), max_size=14))
def test_no_fields_break_the_judge(fields: list[str]) -> None:
    assert ANSWER(fields).reason


_TEXT = st.text(alphabet=string.ascii_letters + string.digits + "%/?&=.:;-_+@#[]{}|\\ ", max_size=60)


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "get", "-"]),
    host=st.sampled_from(
        ["ec2.us-east-1.amazonaws.com", "s3.amazonaws.com", "sts.amazonaws.com", "exfil.s3.amazonaws.com"]
    ),
    tail=_TEXT,
    target=_TEXT,
    content_type=_TEXT,
)
def test_no_signature_but_ours_is_ever_let_through_inside_tls(
    method: str, host: str, tail: str, target: str, content_type: str
) -> None:
    fields = question(
        f"https://{host}/{tail}",
        method=method,
        signature=authorization(OTHER_KEY),
        target=target or "-",
        content_type=content_type or "-",
    )
    answer = ANSWER(fields)
    assert answer.reason or (method == "CONNECT" and host != "exfil.s3.amazonaws.com")


@given(st.data())
def test_an_authorization_that_differs_in_key_or_form_is_refused(data: st.DataObject) -> None:
    ours = authorization().replace(" ", "%20")
    at = data.draw(st.integers(0, ours.index("/us-east-1") - 1))
    character = data.draw(st.sampled_from(string.printable).filter(lambda other: other != ours[at]))
    fields = question(EC2, method="POST")
    fields[6] = ours[:at] + character + ours[at + 1 :]
    assert ANSWER(fields).reason in {"authorization_malformed", "foreign_key", "stale_signature"}


@given(_TEXT)
def test_no_path_of_a_foreign_bucket_is_let_through(tail: str) -> None:
    answer = ANSWER(question(f"{S3}exfil-{tail}"))
    assert answer.reason


def test_a_path_wrapped_deeper_than_anyone_does_is_refused_and_not_unwrapped_to_its_end() -> None:
    assert ANSWER(question(f"{LAMBDA}%{'25' * 4_000}41")).reason == "url_malformed"
