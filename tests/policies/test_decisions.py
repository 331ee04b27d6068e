"""What the policies decide, request by request, as an evaluator of IAM's rules sees it.

The caller's own policy allows everything, so that each refusal is the resource's.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from glovebox_constructs.policies import statements

pytestmark = pytest.mark.node

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "111122223333"
STRANGER = "444455556666"
BUCKET = "arn:aws:s3:::results"
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/ours"
LAUNCH = f"arn:aws:iam::{ACCOUNT}:role/launch"
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


def _without(context: dict[str, str], *keys: str) -> dict[str, str]:
    return {key: value for key, value in context.items() if key not in keys}


RESULTS = ("bucket_policy", "results_bucket_policy")
HANDOFF = ("bucket_policy", "handoff_bucket_policy")
REQUEST = f"{BUCKET}/handoff/s/1/request.json"
BY_URL = {**OVER_TLS, "s3:authType": "REST-QUERY-STRING"}
BY_HEADER = {**OVER_TLS, "s3:authType": "REST-HEADER"}
ENCRYPTION = ("s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id")

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
    Case(
        "ingest through the endpoint",
        True,
        ("s3_endpoint_policy",),
        action="s3:GetObjectVersion",
        context={**BY_HEADER, "aws:PrincipalAccount": ACCOUNT},
        endpoint=True,
    ),
    Case(
        "writing through the endpoint",
        False,
        ("s3_endpoint_policy",),
        context={**FORM, "aws:PrincipalAccount": ACCOUNT},
        endpoint=True,
    ),
    Case(
        "another bucket through the endpoint",
        False,
        ("s3_endpoint_policy",),
        action="s3:GetObjectVersion",
        resource="arn:aws:s3:::elsewhere/results/x",
        context={**BY_HEADER, "aws:PrincipalAccount": ACCOUNT},
        endpoint=True,
    ),
    Case(
        "keys of another account through the endpoint",
        False,
        ("s3_endpoint_policy",),
        action="s3:GetObjectVersion",
        context={**BY_HEADER, "aws:PrincipalAccount": STRANGER},
        principal=f"arn:aws:iam::{STRANGER}:role/attacker",
        endpoint=True,
    ),
    Case(
        "writing a site through the endpoint",
        True,
        ("dynamodb_endpoint_policy",),
        action="dynamodb:BatchWriteItem",
        resource=f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/sites",
        context={"aws:PrincipalAccount": ACCOUNT},
        endpoint=True,
    ),
    Case(
        "another table through the endpoint",
        False,
        ("dynamodb_endpoint_policy",),
        action="dynamodb:BatchWriteItem",
        resource=f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/elsewhere",
        context={"aws:PrincipalAccount": ACCOUNT},
        endpoint=True,
    ),
    Case(
        "reading a table as a whole through the endpoint",
        False,
        ("dynamodb_endpoint_policy",),
        action="dynamodb:Scan",
        resource=f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/sites",
        context={"aws:PrincipalAccount": ACCOUNT},
        endpoint=True,
    ),
]
PLACES = {
    "bucket_policy": {"Bucket": BUCKET},
    "results_bucket_policy": {"Bucket": BUCKET, "Key": KEY},
    "handoff_bucket_policy": {"Bucket": BUCKET},
    "s3_endpoint_policy": {"Account": ACCOUNT, "ResultsBucket": BUCKET},
    "dynamodb_endpoint_policy": {
        "Account": ACCOUNT,
        **{
            f"{name.capitalize()}Table": f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/{name}"
            for name in ("scans", "sites", "registry")
        },
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
            "resource": {"resource": case.resource, "accountId": ACCOUNT},
            "contextVariables": case.context,
        },
        "identityPolicies": [{"name": "everything", "policy": allowing}],
        "serviceControlPolicies": [
            {"orgIdentifier": "root", "policies": [{"name": "everything", "policy": allowing}]}
        ],
        "resourceControlPolicies": [],
        **(
            {"vpcEndpointPolicies": [{"name": "endpoint", "policy": document}]}
            if case.endpoint
            else {"resourcePolicy": document}
        ),
    }


@pytest.fixture(scope="session")
def verdicts() -> dict[str, str]:
    """The evaluator's verdict on each case, all in one run of Node."""
    if not (ROOT / "node_modules" / "@cloud-copilot").is_dir():
        subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=ROOT, check=True, timeout=300)
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("evaluate.mjs"))],
        input=json.dumps([_simulation(case) for case in CASES]),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip((case.says for case in CASES), json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_the_policies_decide(case: Case, verdicts: dict[str, str]) -> None:
    if case.allowed:
        assert verdicts[case.says] == "Allowed"
    elif case.endpoint:
        assert verdicts[case.says] == "ImplicitlyDenied"
    else:
        assert verdicts[case.says] == "ExplicitlyDenied"
