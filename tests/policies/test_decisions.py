"""What the policies decide, request by request, as an evaluator of IAM's rules sees it.

The caller's own policy allows everything, so that each refusal is the resource's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from glovebox_constructs.policies import Values, statements
from tests.policies.simulator import verdicts_on

pytestmark = pytest.mark.node

ACCOUNT = "111122223333"
STRANGER = "444455556666"
BUCKET = "arn:aws:s3:::results"
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/ours"
LAUNCH = f"arn:aws:iam::{ACCOUNT}:role/Glovebox-Broker-LaunchRole5A1B2C3D-X"
DRILL = f"arn:aws:iam::{ACCOUNT}:role/Glovebox-Drill-DrillRole5A1B2C3D-X"
REDEEM = f"arn:aws:iam::{ACCOUNT}:role/GloveboxRedeem"
SNAPSHOT = f"arn:aws:iam::{ACCOUNT}:role/GloveboxSnapshot"
INGEST = f"arn:aws:iam::{ACCOUNT}:role/Glovebox-Broker-IngestRole5A1B2C3D-X"
EXECUTION = f"arn:aws:iam::{ACCOUNT}:role/Glovebox-Scanners-SiteAuditExecutionRole5A1B2C3D-X"
ATTACKER = f"arn:aws:iam::{STRANGER}:role/Glovebox-Broker-IngestRole5A1B2C3D-X"
TARGET = "777788889999"
AUDITOR = f"arn:aws:iam::{TARGET}:role/GloveboxAudit"
HANDOFF_BUCKET = "arn:aws:s3:::handoff"
CLAIMS_BUCKET = "arn:aws:s3:::claims"
SNAPSHOTS_BUCKET = "arn:aws:s3:::snapshots"
LAYER = "arn:aws:s3:::prod-eu-central-1-starport-layer-bucket/layer"
LOGS = f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:tasks:*"
STREAM = LOGS.replace("*", "log-stream:inlet")
REPOSITORY = f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/inlet"
GATEWAY = "198.51.100.7"
REPORT = f"{BUCKET}/results/20260101T000000Z-00000000-0000/1/report.jsonl"
OVER_TLS = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
FORM = {
    **OVER_TLS,
    "s3:authType": "POST",
    "s3:signatureAge": "60000",
    "s3:x-amz-server-side-encryption": "aws:kms",
    "s3:x-amz-server-side-encryption-aws-kms-key-id": KEY,
}


@dataclass(frozen=True)
class Case:
    says: str
    allowed: bool
    policies: Sequence[str]
    action: str = "s3:PutObject"
    resource: str = REPORT
    context: dict[str, str] = field(default_factory=dict)
    principal: str = LAUNCH
    endpoint: bool = False
    identity: bool = False


def _without(context: dict[str, str], *keys: str) -> dict[str, str]:
    return {key: value for key, value in context.items() if key not in keys}


RESULTS = ("bucket_policy", "results_bucket_policy")
HANDOFF = ("bucket_policy", "handoff_bucket_policy")
REQUEST = f"{BUCKET}/handoff/s/1/request.json"
BY_URL = {**OVER_TLS, "s3:authType": "REST-QUERY-STRING"}
BY_HEADER = {**OVER_TLS, "s3:authType": "REST-HEADER"}
ENCRYPTION = ("s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id")


def _as(principal: str, **more: str) -> dict[str, str]:
    """What AWS says of whoever signed, beside what a case says itself."""
    account = principal.split(":")[4]
    return {"aws:PrincipalAccount": account, "aws:PrincipalArn": principal, **more}


def _through(policy: str, says: str, allowed: bool, who: str, action: str, on: str, **context: str) -> Case:
    told = {key.replace("__", ":").replace("_", "-"): value for key, value in context.items()}
    return Case(says, allowed, (policy,), action, on, _as(who, **told), who, endpoint=True)


S3, GATEWAY_S3, AUDIT_S3 = "s3_endpoint_policy", "gateway_s3_endpoint_policy", "audit_s3_endpoint_policy"
TABLE = f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/sites"
BY_KEYS, BY_FORM, BY_ADDRESS = (
    {"s3__authType": kind} for kind in ("REST-HEADER", "POST", "REST-QUERY-STRING")
)
ENVIRONMENT = f"{HANDOFF_BUCKET}/handoff/s/1/inlet.env"
HANDED = f"{HANDOFF_BUCKET}/handoff/s/1/request.json"
ENVELOPE = f"{HANDOFF_BUCKET}/handoff/s/1/envelope.json"
CLAIM = f"{CLAIMS_BUCKET}/claims/s/1/claim.json"
ARCHIVE = f"{SNAPSHOTS_BUCKET}/snapshots/r/0123456789abcdef/c0ffee.tar.gz"
RECORD = f"{SNAPSHOTS_BUCKET}/snapshots/r/0123456789abcdef/snapshot.json"
FINDINGS = f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/findings"
THROUGH_ENDPOINTS = [
    _through(S3, "ingest reads a report", True, INGEST, "s3:GetObjectVersion", REPORT),
    _through(S3, "ingest writes a report", False, INGEST, "s3:PutObject", REPORT, **BY_FORM),
    _through(S3, "ingest reads elsewhere", False, INGEST, "s3:GetObjectVersion", "arn:aws:s3:::x/results/x"),
    _through(S3, "a role of that name elsewhere", False, ATTACKER, "s3:GetObjectVersion", REPORT),
    _through(S3, "a form of launch", True, LAUNCH, "s3:PutObject", REPORT, **BY_FORM),
    _through(S3, "an upload with keys of launch", False, LAUNCH, "s3:PutObject", REPORT, **BY_KEYS),
    _through(S3, "a form of a stranger", False, ATTACKER, "s3:PutObject", REPORT, **BY_FORM),
    _through(
        S3, "a form to a stranger's bucket", False, ATTACKER, "s3:PutObject", "arn:aws:s3:::x/x", **BY_FORM
    ),
    _through(S3, "an address of a request", True, LAUNCH, "s3:GetObject", HANDED, **BY_ADDRESS),
    _through(S3, "an address of a report", False, LAUNCH, "s3:GetObject", REPORT, **BY_ADDRESS),
    _through(S3, "an environment file for Fargate", True, EXECUTION, "s3:GetObject", ENVIRONMENT, **BY_KEYS),
    _through(S3, "an environment file by address", False, LAUNCH, "s3:GetObject", ENVIRONMENT, **BY_ADDRESS),
    _through(S3, "an address of an envelope", True, LAUNCH, "s3:GetObject", ENVELOPE, **BY_ADDRESS),
    _through(S3, "an envelope with keys", False, LAUNCH, "s3:GetObject", ENVELOPE, **BY_KEYS),
    _through(S3, "an address of an envelope by drill", False, DRILL, "s3:GetObject", ENVELOPE, **BY_ADDRESS),
    _through(S3, "an envelope that is written", False, LAUNCH, "s3:PutObject", ENVELOPE, **BY_ADDRESS),
    _through(S3, "an address of a claim", True, LAUNCH, "s3:PutObject", CLAIM, **BY_ADDRESS),
    _through(S3, "an address of a claim by drill", False, DRILL, "s3:PutObject", CLAIM, **BY_ADDRESS),
    _through(S3, "an address of a claim by a stranger", False, ATTACKER, "s3:PutObject", CLAIM, **BY_ADDRESS),
    _through(S3, "a form of a claim", False, LAUNCH, "s3:PutObject", CLAIM, **BY_FORM),
    _through(S3, "a claim that is read", False, LAUNCH, "s3:GetObject", CLAIM, **BY_ADDRESS),
    _through(S3, "an address of an archive", True, SNAPSHOT, "s3:GetObject", ARCHIVE, **BY_ADDRESS),
    _through(S3, "an archive with keys of snapshot", False, SNAPSHOT, "s3:GetObject", ARCHIVE, **BY_KEYS),
    _through(S3, "an archive by launch's address", False, LAUNCH, "s3:GetObject", ARCHIVE, **BY_ADDRESS),
    _through(S3, "an archive by the drill's address", False, DRILL, "s3:GetObject", ARCHIVE, **BY_ADDRESS),
    _through(
        S3,
        "an archive by a role of that name elsewhere",
        False,
        SNAPSHOT.replace(ACCOUNT, STRANGER),
        "s3:GetObject",
        ARCHIVE,
        **BY_ADDRESS,
    ),
    _through(S3, "an address of a record", False, SNAPSHOT, "s3:GetObject", RECORD, **BY_ADDRESS),
    _through(S3, "an archive that is written", False, SNAPSHOT, "s3:PutObject", ARCHIVE, **BY_ADDRESS),
    _through(S3, "an archive that is read for Fargate", False, EXECUTION, "s3:GetObject", ARCHIVE, **BY_KEYS),
    _through(S3, "a layer", True, ATTACKER, "s3:GetObject", LAYER, **BY_ADDRESS),
    _through(S3, "a layer with keys", False, ATTACKER, "s3:GetObject", LAYER, **BY_KEYS),
    _through(S3, "an upload among the layers", False, ATTACKER, "s3:PutObject", LAYER, **BY_ADDRESS),
    _through(
        "dynamodb_endpoint_policy", "ingest writes a site", True, INGEST, "dynamodb:BatchWriteItem", TABLE
    ),
    _through(
        "dynamodb_endpoint_policy", "launch writes a site", False, LAUNCH, "dynamodb:BatchWriteItem", TABLE
    ),
    _through("dynamodb_endpoint_policy", "ingest scans a table", False, INGEST, "dynamodb:Scan", TABLE),
    _through(
        "dynamodb_endpoint_policy",
        "another table",
        False,
        INGEST,
        "dynamodb:PutItem",
        TABLE.replace("sites", "x"),
    ),
    _through(
        "dynamodb_endpoint_policy", "ingest forgets a log", True, INGEST, "dynamodb:DeleteItem", FINDINGS
    ),
    _through(
        "dynamodb_endpoint_policy", "ingest forgets a site", False, INGEST, "dynamodb:DeleteItem", TABLE
    ),
    _through("dynamodb_endpoint_policy", "ingest scans findings", False, INGEST, "dynamodb:Scan", FINDINGS),
    _through("ecr_endpoint_policy", "Fargate logs in", True, EXECUTION, "ecr:GetAuthorizationToken", "*"),
    _through("ecr_endpoint_policy", "Fargate pulls", True, EXECUTION, "ecr:BatchGetImage", REPOSITORY),
    _through("ecr_endpoint_policy", "Fargate pushes", False, EXECUTION, "ecr:PutImage", REPOSITORY),
    _through("ecr_endpoint_policy", "a stranger logs in", False, ATTACKER, "ecr:GetAuthorizationToken", "*"),
    _through("logs_endpoint_policy", "Fargate logs", True, EXECUTION, "logs:PutLogEvents", STREAM),
    _through("logs_endpoint_policy", "a stranger logs", False, ATTACKER, "logs:PutLogEvents", STREAM),
    _through(GATEWAY_S3, "a visitor", True, ATTACKER, "s3:GetObject", REPORT, aws__PrincipalType="Anonymous"),
    _through(
        GATEWAY_S3,
        "a visitor who writes",
        False,
        ATTACKER,
        "s3:PutObject",
        REPORT,
        aws__PrincipalType="Anonymous",
    ),
    _through(GATEWAY_S3, "a stranger with keys", False, ATTACKER, "s3:GetObject", REPORT, **BY_KEYS),
    _through(
        AUDIT_S3,
        "an audit of a bucket",
        True,
        AUDITOR,
        "s3:GetBucketPolicy",
        BUCKET,
        aws__ResourceAccount=TARGET,
    ),
    _through(
        AUDIT_S3,
        "an audit elsewhere",
        False,
        AUDITOR,
        "s3:GetBucketPolicy",
        BUCKET,
        aws__ResourceAccount=STRANGER,
    ),
    _through(
        AUDIT_S3,
        "an audit role of a stranger",
        False,
        AUDITOR.replace(TARGET, STRANGER),
        "s3:GetBucketPolicy",
        BUCKET,
        aws__ResourceAccount=TARGET,
    ),
    _through(
        AUDIT_S3, "an audit of objects", False, AUDITOR, "s3:GetObject", REPORT, aws__ResourceAccount=TARGET
    ),
]
HERE = {"aws:SourceIp": GATEWAY, "aws:ViaAWSService": "false", "aws:ResourceAccount": TARGET}
USER = f"arn:aws:iam::{TARGET}:user/somebody"


def _session(
    says: str, allowed: bool, on: str = USER, action: str = "iam:GetUser", **context: str | None
) -> Case:
    told = {**HERE, **{key.replace("__", ":"): value for key, value in context.items()}}
    known = {key: value for key, value in told.items() if value is not None}
    return Case(
        says,
        allowed,
        ("audit_role_boundary",),
        action,
        on,
        _as(AUDITOR, **known),
        AUDITOR,
        identity=True,
    )


OF_AUDIT_SESSIONS = [
    _session("a session from the gateway", True),
    _session("a session from elsewhere", False, aws__SourceIp="203.0.113.9"),
    _session("a session through our endpoint", True, aws__SourceIp=None, aws__SourceVpce="vpce-ours"),
    _session("a session through another endpoint", False, aws__SourceIp=None, aws__SourceVpce="vpce-theirs"),
    _session("a session that a service uses", True, aws__SourceIp="203.0.113.9", aws__ViaAWSService="true"),
    _session("a session from nowhere", False, aws__SourceIp=None),
    _session("a resource of a stranger", False, aws__ResourceAccount=STRANGER),
    _session(
        "a policy of AWS",
        True,
        "arn:aws:iam::aws:policy/ReadOnlyAccess",
        "iam:GetPolicy",
        aws__ResourceAccount="aws",
    ),
]
ADDRESSED = {**BY_URL, "s3:signatureAge": "60000", "s3:if-none-match": "*"}


def _claim(
    says: str,
    allowed: bool,
    on: str = f"{BUCKET}/claims/s/1/claim.json",
    who: str = LAUNCH,
    **changes: str | None,
) -> Case:
    told = {
        **ADDRESSED,
        **{key.replace("__", ":").replace("_", "-"): value for key, value in changes.items()},
    }
    known = {key: value for key, value in told.items() if value is not None}
    return Case(says, allowed, CLAIMS, "s3:PutObject", on, known, who)


CLAIMS = ("bucket_policy", "claims_bucket_policy")
OF_CLAIMS = [
    _claim("a claim by its address", True),
    _claim("a claim with keys of launch", False, s3__authType="REST-HEADER"),
    _claim("a claim with keys of redeem", False, who=REDEEM, s3__authType="REST-HEADER"),
    _claim("a claim by form", False, s3__authType="POST"),
    _claim("a claim that says nothing of its kind", False, s3__authType=None),
    _claim("a claim that would overwrite", False, s3__if_none_match=None),
    _claim("a claim for another place", False, f"{BUCKET}/x"),
    _claim("a claim at its last minute", True, s3__signatureAge="900000"),
    _claim("a claim by an old address", False, s3__signatureAge="900001"),
    _claim("a claim with a list", False, s3__x_amz_acl="public-read"),
    _claim("a claim over plain HTTP", False, aws__SecureTransport="false"),
]
SEALED = f"{BUCKET}/handoff/s/1/envelope.json"
ONCE = {**BY_HEADER, "s3:if-none-match": "*"}


def _envelope(says: str, allowed: bool, who: str, context: dict[str, str]) -> Case:
    return Case(says, allowed, HANDOFF, "s3:PutObject", SEALED, _as(who, **context), who)


OF_ENVELOPES = [
    _envelope("an envelope of redeem", True, REDEEM, ONCE),
    _envelope("an envelope of redeem that would overwrite", False, REDEEM, BY_HEADER),
    _envelope("an envelope of launch", False, LAUNCH, ONCE),
    _envelope("an envelope of a role of that name elsewhere", False, REDEEM.replace(ACCOUNT, STRANGER), ONCE),
]
SNAPSHOTS = ("bucket_policy", "snapshots_bucket_policy")


def _snapshot(
    says: str,
    allowed: bool,
    action: str,
    on: str,
    context: dict[str, str],
    who: str = SNAPSHOT,
    **changes: str,
) -> Case:
    told = {key.replace("__", ":").replace("_", "-"): value for key, value in changes.items()}
    return Case(says, allowed, SNAPSHOTS, action, on, _as(who, **{**context, **told}), who)


TAKEN, NOTED = (each.replace(SNAPSHOTS_BUCKET, BUCKET) for each in (ARCHIVE, RECORD))
IN_TIME = {**BY_URL, "s3:signatureAge": "60000"}
OF_SNAPSHOTS = [
    _snapshot("an archive read by its address", True, "s3:GetObject", TAKEN, IN_TIME),
    _snapshot(
        "an archive at its last minute", True, "s3:GetObject", TAKEN, IN_TIME, s3__signatureAge="900000"
    ),
    _snapshot(
        "an archive by an old address", False, "s3:GetObject", TAKEN, IN_TIME, s3__signatureAge="900001"
    ),
    _snapshot("an archive read by snapshot itself", False, "s3:GetObject", TAKEN, BY_HEADER),
    _snapshot("an archive by an address of launch", False, "s3:GetObject", TAKEN, IN_TIME, LAUNCH),
    _snapshot("an archive read by launch itself", False, "s3:GetObject", TAKEN, BY_HEADER, LAUNCH),
    _snapshot(
        "an archive by a strange role of that name",
        False,
        "s3:GetObject",
        TAKEN,
        IN_TIME,
        SNAPSHOT.replace(ACCOUNT, STRANGER),
    ),
    _snapshot("a record read by snapshot", True, "s3:GetObject", NOTED, BY_HEADER),
    _snapshot("a record by an address", False, "s3:GetObject", NOTED, IN_TIME),
    _snapshot("a record read by launch", False, "s3:GetObject", NOTED, BY_HEADER, LAUNCH),
    _snapshot("an archive written by snapshot", True, "s3:PutObject", TAKEN, BY_HEADER),
    _snapshot("an archive written by address", False, "s3:PutObject", TAKEN, IN_TIME),
    _snapshot("an archive written by launch", False, "s3:PutObject", TAKEN, BY_HEADER, LAUNCH),
    _snapshot("an archive elsewhere", False, "s3:PutObject", f"{BUCKET}/x", BY_HEADER),
    _snapshot("an archive with a list", False, "s3:PutObject", TAKEN, BY_HEADER, s3__x_amz_acl="public-read"),
    _snapshot("a record written once", True, "s3:PutObject", NOTED, ONCE),
    _snapshot("a record that would overwrite", False, "s3:PutObject", NOTED, BY_HEADER),
    _snapshot("a snapshot that is swept", True, "s3:DeleteObject", TAKEN, BY_HEADER),
    _snapshot(
        "an archive over plain HTTP", False, "s3:GetObject", TAKEN, IN_TIME, aws__SecureTransport="false"
    ),
]
OURS, THEIRS = {"aws:SourceVpce": "vpce-ours"}, {"aws:SourceVpce": "vpce-theirs"}
UPLOADS, READS = (*RESULTS, "uploads_from_scans_policy"), (*HANDOFF, "reading_from_scans_policy")
FRESH = {**BY_URL, "s3:signatureAge": "60000"}
FROM_SCANS = [
    Case("a form out of the scan network", True, UPLOADS, context={**FORM, **OURS}),
    Case("a form out of another network", False, UPLOADS, context={**FORM, **THEIRS}),
    Case("a form out of the internet", False, UPLOADS, context=FORM),
    Case("an address in the scan network", True, READS, "s3:GetObject", REQUEST, {**FRESH, **OURS}),
    Case("an address in the internet", False, READS, "s3:GetObject", REQUEST, FRESH),
    Case("the hand-off read by a function", True, READS, "s3:GetObject", REQUEST, BY_HEADER),
    *(
        Case(
            f"an archive {says}",
            allowed,
            (*SNAPSHOTS, "reading_from_scans_policy"),
            "s3:GetObject",
            on,
            _as(SNAPSHOT, **context),
            SNAPSHOT,
        )
        for says, allowed, on, context in (
            ("in the scan network", True, TAKEN, {**FRESH, **OURS}),
            ("in the internet", False, TAKEN, FRESH),
            ("whose record snapshot reads from where it is", True, NOTED, BY_HEADER),
        )
    ),
]
CASES = [
    Case("a form below results/", True, RESULTS, context=FORM),
    Case("a form that names no key", False, RESULTS, context=_without(FORM, ENCRYPTION[1])),
    Case("a form that names no encryption", False, RESULTS, context=_without(FORM, ENCRYPTION[0])),
    Case("an upload signed in its header", False, RESULTS, context={**FORM, "s3:authType": "REST-HEADER"}),
    Case("a presigned upload address", False, RESULTS, context={**FORM, "s3:authType": "REST-QUERY-STRING"}),
    Case("an upload that says nothing of its kind", False, RESULTS, context=_without(FORM, "s3:authType")),
    Case("a form for another place", False, RESULTS, resource=f"{BUCKET}/elsewhere/x", context=FORM),
    Case("a form at its last minute", True, RESULTS, context={**FORM, "s3:signatureAge": "4200000"}),
    Case("a form signed too long ago", False, RESULTS, context={**FORM, "s3:signatureAge": "4500001"}),
    Case("an access control list", False, RESULTS, context={**FORM, "s3:x-amz-acl": "public-read"}),
    Case("another key", False, RESULTS, context={**FORM, ENCRYPTION[1]: KEY.replace("ours", "theirs")}),
    Case("another encryption", False, RESULTS, context={**FORM, ENCRYPTION[0]: "AES256"}),
    Case("plain HTTP", False, RESULTS, context={**FORM, "aws:SecureTransport": "false"}),
    Case("old TLS", False, RESULTS, context={**FORM, "s3:TlsVersion": "1.1"}),
    Case("reading as ingest does", True, RESULTS, action="s3:GetObjectVersion", context=BY_HEADER),
    Case(
        "reading a request by its address",
        True,
        HANDOFF,
        action="s3:GetObject",
        resource=REQUEST,
        context={**BY_URL, "s3:signatureAge": "600000"},
    ),
    Case(
        "reading a request by an old address",
        False,
        HANDOFF,
        action="s3:GetObject",
        resource=REQUEST,
        context={**BY_URL, "s3:signatureAge": "900001"},
    ),
    Case("writing the hand-off as launch does", True, HANDOFF, resource=REQUEST, context=BY_HEADER),
    Case("writing the hand-off by an address", False, HANDOFF, resource=REQUEST, context=BY_URL),
    *OF_CLAIMS,
    *OF_ENVELOPES,
    *OF_SNAPSHOTS,
    *FROM_SCANS,
    *THROUGH_ENDPOINTS,
    *OF_AUDIT_SESSIONS,
]
PLACES: dict[str, Values] = {
    "bucket_policy": {"Bucket": BUCKET},
    "results_bucket_policy": {"Bucket": BUCKET, "Key": KEY},
    "handoff_bucket_policy": {"Bucket": BUCKET, "RedeemRole": REDEEM},
    "uploads_from_scans_policy": {"Bucket": BUCKET, "ScanEndpoint": "vpce-ours"},
    "reading_from_scans_policy": {"Bucket": BUCKET, "ScanEndpoint": "vpce-ours"},
    "claims_bucket_policy": {"Bucket": BUCKET},
    "snapshots_bucket_policy": {"Bucket": BUCKET, "SnapshotRole": SNAPSHOT},
    "s3_endpoint_policy": {
        "Account": ACCOUNT,
        "ClaimsBucket": CLAIMS_BUCKET,
        "ExecutionRoles": [EXECUTION],
        "HandOffBucket": HANDOFF_BUCKET,
        "IngestRole": f"arn:aws:iam::{ACCOUNT}:role/Glovebox-Broker-IngestRole*",
        "LaunchRole": f"arn:aws:iam::{ACCOUNT}:role/Glovebox-Broker-LaunchRole*",
        "LaunchRoles": [
            f"arn:aws:iam::{ACCOUNT}:role/Glovebox-{role}*"
            for role in ("Broker-LaunchRole", "Drill-DrillRole")
        ],
        "Partition": "aws",
        "Region": "eu-central-1",
        "ResultsBucket": BUCKET,
        "SnapshotRole": SNAPSHOT,
        "SnapshotsBucket": SNAPSHOTS_BUCKET,
    },
    "dynamodb_endpoint_policy": {
        "Account": ACCOUNT,
        "IngestRole": f"arn:aws:iam::{ACCOUNT}:role/Glovebox-Broker-IngestRole*",
        **{
            f"{name.capitalize()}Table": f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/{name}"
            for name in ("scans", "sites", "registry", "findings")
        },
    },
    "ecr_endpoint_policy": {
        "Account": ACCOUNT,
        "ExecutionRoles": [EXECUTION],
        "Repositories": [REPOSITORY],
    },
    "logs_endpoint_policy": {"Account": ACCOUNT, "ExecutionRoles": [EXECUTION], "LogGroups": [LOGS]},
    "gateway_s3_endpoint_policy": {"Partition": "aws", "Region": "eu-central-1"},
    "audit_s3_endpoint_policy": {"AuditRoles": [AUDITOR], "Targets": [TARGET]},
    "audit_role_boundary": {
        "GatewayAddresses": [f"{GATEWAY}/32"],
        "GatewayEndpoint": "vpce-ours",
        "Partition": "aws",
        "Target": TARGET,
    },
}


def _document(names: Sequence[str]) -> dict[str, Any]:
    found = [statement.to_json() for name in names for statement in statements(name, PLACES[name])]
    return {"Version": "2012-10-17", "Statement": found}


def _simulation(case: Case) -> dict[str, Any]:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    allowing = {"Version": "2012-10-17", "Statement": [everything]}
    document = _document(case.policies)
    return {
        "request": {
            "principal": case.principal,
            "action": case.action,
            "resource": {
                "resource": case.resource,
                # The caller's own, so that no resource policy of the other side is asked for.
                "accountId": case.principal.split(":")[4],
            },
            "contextVariables": case.context,
        },
        "identityPolicies": [
            {"name": "everything", "policy": allowing},
            *([{"name": "own", "policy": document}] if case.identity else []),
        ],
        "serviceControlPolicies": [
            {"orgIdentifier": "root", "policies": [{"name": "everything", "policy": allowing}]}
        ],
        "resourceControlPolicies": [],
        **(
            {"vpcEndpointPolicies": [{"name": "endpoint", "policy": document}]}
            if case.endpoint
            else {}
            if case.identity
            else {"resourcePolicy": document}
        ),
    }


@pytest.fixture(scope="session")
def verdicts() -> dict[str, str]:
    """The evaluator's verdict on each case, all in one run of Node."""
    found = verdicts_on([_simulation(case) for case in CASES])
    return dict(zip((case.says for case in CASES), found, strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_the_policies_decide(case: Case, verdicts: dict[str, str]) -> None:
    if case.allowed:
        assert verdicts[case.says] == "Allowed"
    elif case.endpoint:
        assert verdicts[case.says] in ("ImplicitlyDenied", "ExplicitlyDenied")
    else:
        assert verdicts[case.says] == "ExplicitlyDenied"
