"""Claims and envelopes in S3, sessions of STS, and `redeem` over all of them as its bootstrap builds it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.stub import ANY, Stubber
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from functions.redeem.bootstrap import bootstrap
from functions.redeem.handler import handle
from glovebox.adapters.aws import client
from glovebox.adapters.dynamodb_scans import DynamoScanStore
from glovebox.adapters.s3_claims import S3Claims, S3Envelopes
from glovebox.adapters.sts import StsSessions
from glovebox.envelopes.credentials import decode
from glovebox.envelopes.names import CLAIM_BYTES
from glovebox.envelopes.sealing import KeyPair
from glovebox.errors import ConflictError, NotFoundError, RefusedError, UpstreamError
from glovebox.scans.accounts import claim_key
from glovebox.scans.brokering import SessionOrder
from glovebox.scans.model import handoff_key
from glovebox.tickets.keys import KeySet
from tests.brokering import account_run, account_scan, event
from tests.envelopes import ACCOUNT, GATEWAY, SCAN

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

KEY = claim_key(SCAN, 1)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/GloveboxAudit"
POLICY = '{"Version":"2012-10-17","Statement":[]}'


@pytest.fixture
def s3(aws: None) -> S3Client:
    made = client("s3")
    for name in ("claims", "handoff"):
        made.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return made


def test_a_claim_is_read_up_to_one_byte_more_than_its_limit(s3: S3Client) -> None:
    s3.put_object(Bucket="claims", Key=KEY, Body=b"0123456789")
    assert S3Claims(s3, "claims").read(KEY, 4) == b"01234"
    with pytest.raises(NotFoundError):
        S3Claims(s3, "claims").read(claim_key(SCAN, 2), 4)
    with pytest.raises(UpstreamError):
        S3Claims(s3, "nowhere").read(KEY, 4)


def test_the_address_of_a_claim_signs_its_length_type_and_that_it_is_new(s3: S3Client) -> None:
    url = urlsplit(S3Claims(s3, "claims").writable_url(KEY, 900))
    query = parse_qs(url.query)
    signed = set(query["X-Amz-SignedHeaders"][0].split(";"))
    assert signed == {"content-length", "content-type", "host", "if-none-match"}
    assert (query["X-Amz-Expires"], url.path) == (["900"], f"/{KEY}")


def test_an_envelope_is_written_once(s3: S3Client) -> None:
    envelopes = S3Envelopes(s3, "handoff")
    envelopes.put_once("handoff/x/1/envelope.json", b"first")
    with pytest.raises(ConflictError):
        envelopes.put_once("handoff/x/1/envelope.json", b"second")
    assert s3.get_object(Bucket="handoff", Key="handoff/x/1/envelope.json")["Body"].read() == b"first"
    with pytest.raises(UpstreamError):
        S3Envelopes(s3, "nowhere").put_once("x", b"")


def order() -> SessionOrder:
    return SessionOrder(
        role_arn=ROLE,
        name=f"{SCAN}-1",
        source_identity=SCAN,
        external_id="external-id-of-sixteen",
        seconds=1_800,
        policy=POLICY,
        managed_policies=("arn:aws:iam::aws:policy/SecurityAudit",),
    )


def test_a_session_is_asked_for_with_everything_that_binds_it(aws: None) -> None:
    sts = client("sts")
    given = {
        "AccessKeyId": "ASIA" + "A" * 16,
        "SecretAccessKey": "s" * 40,
        "SessionToken": "t" * 100,
        "Expiration": datetime(2026, 3, 4, 6, tzinfo=UTC),
    }
    asked = {
        "RoleArn": ROLE,
        "RoleSessionName": f"{SCAN}-1",
        "ExternalId": "external-id-of-sixteen",
        "SourceIdentity": SCAN,
        "DurationSeconds": 1_800,
        "Policy": POLICY,
        "PolicyArns": [{"arn": "arn:aws:iam::aws:policy/SecurityAudit"}],
    }
    with Stubber(sts) as stubber:
        stubber.add_response("assume_role", {"Credentials": given}, asked)
        keys = StsSessions(sts).assume(order())
    assert keys.expires == 1_772_604_000
    assert "s" * 40 not in repr(keys)
    assert "t" * 100 not in repr(keys)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AccessDenied", RefusedError),
        ("MalformedPolicyDocument", RefusedError),
        ("PackedPolicyTooLarge", RefusedError),
        ("RegionDisabledException", RefusedError),
        ("ValidationError", RefusedError),
        ("Throttling", UpstreamError),
        ("InternalFailure", UpstreamError),
        ("ExpiredToken", UpstreamError),
    ],
)
def test_what_sts_says_no_to_for_good_is_told_from_what_may_pass(
    aws: None, code: str, kind: type[Exception]
) -> None:
    sts = client("sts")
    with Stubber(sts) as stubber:
        stubber.add_client_error("assume_role", code, "User is not authorized", expected_params=ANY_PARAMS)
        with pytest.raises(kind, match=code) as error:
            StsSessions(sts).assume(order())
    assert error.value.fix


ANY_PARAMS = dict.fromkeys(
    (
        *("RoleArn", "RoleSessionName", "ExternalId", "SourceIdentity"),
        *("DurationSeconds", "Policy", "PolicyArns"),
    ),
    ANY,
)


def test_the_function_redeems_a_claim_on_moto(
    dynamodb: DynamoDBClient, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    client("secretsmanager").create_secret(Name="ticket-key", SecretString=pem)
    for name, value in {
        "SCANS_TABLE": "scans",
        "CLAIMS_BUCKET": "claims",
        "HANDOFF_BUCKET": "handoff",
        "SCANNING_ACCOUNT": "123456789012",
        "AUDIT_ROLE": "arn:aws:iam::${Target}:role/GloveboxAudit",
        "EXTERNAL_ID": "external-id-of-sixteen",
        "SESSION_POLICY": json.dumps({"Version": "2012-10-17", "Id": "${Target}", "Statement": []}),
        "SESSION_MANAGED_POLICIES": "arn:aws:iam::aws:policy/SecurityAudit",
        "GATEWAYS": GATEWAY,
        "TICKET_KEY_SECRET": "ticket-key",
    }.items():
        monkeypatch.setenv(name, value)
    now = datetime.now(UTC)
    store = DynamoScanStore(dynamodb, "scans")
    store.create(account_run(), [account_scan(deadline=int(now.timestamp()) + 1_800)])
    pair = KeyPair()
    s3.put_object(Bucket="claims", Key=KEY, Body=pair.public.claim())
    bootstrap.cache_clear()
    try:
        handle(event(KEY), None)
        handle(event(KEY), None)
    finally:
        bootstrap.cache_clear()
    envelope = s3.get_object(Bucket="handoff", Key=handoff_key(SCAN, 1, "envelope.json"))["Body"].read()
    found = decode(pair.open(envelope, scan_id=SCAN, attempt=1), scan_id=SCAN, account=ACCOUNT)
    claims = KeySet.of([private.public_key()]).verify(
        found.ticket.user, found.ticket.password, now.timestamp() + 1
    )
    assert claims.exp <= found.expires
    assert found.gateway == GATEWAY
    assert store.scan(SCAN).claimed_at is not None
    assert len(pair.public.claim()) == CLAIM_BYTES
