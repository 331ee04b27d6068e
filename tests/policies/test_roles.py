"""Which of our roles may do what the broker rests on: proven over all roles of all stacks, shown in pairs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import z3

from glovebox_constructs.policies import statements
from stacks.names import SCAN_IDS
from stacks.settings import Settings
from tests.infrastructure.templates import DIGESTS, EXTERNAL, TARGETS, listed, synthesize
from tests.policies.prover import Request, Statement, fits
from tests.policies.simulator import verdicts_on

OURS = "account"
AUDIT_ROLES = [f"arn:aws:iam::{target}:role/GloveboxAudit" for target in TARGETS]
SNAPSHOT = f"arn:aws:iam::{OURS}:role/GloveboxSnapshot"
REDEEM = f"arn:aws:iam::{OURS}:role/GloveboxRedeem"
STARTED = [
    f"arn:aws:ecs:region:account:task-definition/Glovebox-Scanners-{task}:*"
    for task in ("SiteAudit", "Prowler", "Trivy", "TruffleHog", "Kingfisher")
]
DRILLED = "arn:aws:ecs:region:account:task-definition/Glovebox-Scanners-Drill:*"
RUNS = ("ecs:RunTask", "ecs:StartTask", "ecs:CreateService", "ecs:UpdateService", "ecs:CreateTaskSet")
CLAIM, ENVELOPE = "Claims.Arn/claims/s/1/claim.json", "HandOff.Arn/handoff/s/1/envelope.json"

Roles = dict[str, list[Statement]]
Claim = Callable[[str, Request], z3.BoolRef]


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> Roles:
    """Role → all that it was granted anywhere, expressions as text."""
    settings = Settings(
        targets=TARGETS,
        external_id=EXTERNAL,
        shodan=True,
        accounts_schedule="rate(1 day)",
        repositories_schedule="rate(1 day)",
        images=DIGESTS,
        trivy_database="rate(1 day)",
    )
    assembly = synthesize(tmp_path_factory.mktemp("roles"), settings)
    found: Roles = {f"{each.stack} {each.short}": [] for each in assembly.of("AWS::IAM::Role")}
    for policy in assembly.of("AWS::IAM::Policy"):
        for role in policy.properties["Roles"]:
            document = policy.properties["PolicyDocument"]["Statement"]
            found[f"{policy.stack} {assembly.shown(role)}"] += [assembly.as_text(each) for each in document]
    for role in assembly.of("AWS::IAM::Role"):
        assert not {"Policies", "ManagedPolicyArns"} & role.properties.keys(), "it would have to be read too"
    assert len(found) > 20
    return found


# ---------------------------------------------------------------- proofs


def assumes_what_it_should_not(role: str, request: Request) -> z3.BoolRef:
    """Anything of STS but, for `redeem`, a target's audit role in the name of a scan, in another account."""
    asked = fits(request.action, "sts:*")
    if role != "Broker RedeemRole":
        return asked
    target = z3.Or(*(request.resource == z3.StringVal(each) for each in AUDIT_ROLES))
    scan = z3.And(request.has("sts:SourceIdentity"), fits(request.value("sts:SourceIdentity"), SCAN_IDS))
    own = request.equals("aws:ResourceAccount", OURS)
    known = z3.Or(*(request.action == z3.StringVal(f"sts:{each}") for each in _BROKERED))
    return z3.And(asked, z3.Not(z3.And(known, target, scan, z3.Not(own))))


_BROKERED = ("AssumeRole", "SetSourceIdentity")


def runs_what_it_should_not(role: str, request: Request) -> z3.BoolRef:
    """Any task but, for `launch`, the scanners' and, for `drill`, its own, without a shell in it."""
    running = z3.Or(*(request.action == z3.StringVal(each) for each in RUNS))
    families = {"Broker LaunchRole": STARTED, "Drill DrillRole": [DRILLED]}.get(role, [])
    named = z3.Or(*(fits(request.resource, each) for each in families))
    here = request.equals("ecs:cluster", "Cluster.Arn")
    shell = request.equals("ecs:enable-execute-command", "true")
    proper = z3.And(request.action == z3.StringVal("ecs:RunTask"), named, here, z3.Not(shell))
    return z3.And(running, z3.Not(proper))


def writes_claims(role: str, request: Request) -> z3.BoolRef:
    """Into the claims bucket, in any way but by an address that `launch` may sign."""
    writing = z3.Or(*(fits(request.action, f"s3:{each}*") for each in ("Put", "Delete", "Replicate")))
    there = fits(request.resource, "Claims.Arn*")
    signed = z3.And(
        z3.BoolVal(role == "Broker LaunchRole"),
        request.action == z3.StringVal("s3:PutObject"),
        fits(request.resource, "Claims.Arn/claims/*/claim.json"),
    )
    return z3.And(writing, there, z3.Not(signed))


def writes_envelopes(role: str, request: Request) -> z3.BoolRef:
    """An envelope of a scan, whoever is not `redeem`; drills have folders of their own."""
    writing = request.action == z3.StringVal("s3:PutObject")
    envelope = fits(request.resource, "HandOff.Arn/handoff/2*/envelope.json")
    return z3.And(writing, envelope, z3.BoolVal(role != "Broker RedeemRole"))


def touches_snapshots(role: str, request: Request) -> z3.BoolRef:
    """An archive, in any way: `snapshot` alone, so that `launch` can pass on an address and make none."""
    return z3.And(
        fits(request.action, "s3:*"),
        fits(request.resource, "Snapshots.Arn*"),
        z3.BoolVal(role != "Broker SnapshotRole"),
    )


def reads_the_apps_secret(role: str, request: Request) -> z3.BoolRef:
    return z3.And(
        fits(request.action, "secretsmanager:*"),
        request.resource == z3.StringVal("GitHubApp"),
        z3.BoolVal(role != "Broker SnapshotRole"),
    )


def snapshot_leaves_its_room(role: str, request: Request) -> z3.BoolRef:
    """Anything but its bucket, its secret, the registry's repositories, its log, its queue and our key."""
    room = z3.Or(
        z3.And(
            z3.Or(*(request.action == z3.StringVal(f"s3:{each}") for each in _SNAPSHOT_S3)),
            fits(request.resource, "Snapshots.Arn/snapshots/*"),
        ),
        z3.And(
            request.action == z3.StringVal("s3:ListBucket"),
            request.resource == z3.StringVal("Snapshots.Arn"),
        ),
        z3.And(
            request.action == z3.StringVal("secretsmanager:GetSecretValue"),
            request.resource == z3.StringVal("GitHubApp"),
        ),
        z3.And(
            fits(request.action, "dynamodb:*"),
            request.resource == z3.StringVal("Registry.Arn"),
            request.equals("dynamodb:LeadingKeys", "repository"),
        ),
        z3.And(fits(request.action, "logs:*"), request.resource == z3.StringVal("SnapshotLog.Arn")),
        z3.And(
            request.action == z3.StringVal("sqs:SendMessage"),
            request.resource == z3.StringVal("Failures.Arn"),
        ),
        z3.And(fits(request.action, "kms:*"), request.resource == z3.StringVal("Key.Arn")),
    )
    return z3.And(z3.BoolVal(role == "Broker SnapshotRole"), z3.Not(room))


_SNAPSHOT_S3 = ("AbortMultipartUpload", "DeleteObject", "GetObject", "PutObject")


def asks_for_snapshots(role: str, request: Request) -> z3.BoolRef:
    """An address of an archive is an answer of `snapshot`: `launch` asks it, and the clock wakes it."""
    known = ("Broker LaunchRole", "Broker SweepSchedulerRole", "Broker SyncSchedulerRole")
    return z3.And(
        fits(request.action, "lambda:Invoke*"),
        request.resource == z3.StringVal("SnapshotFunction.Arn"),
        z3.BoolVal(role not in known),
    )


def somebody(roles: Roles, claim: Claim) -> z3.ModelRef | None:
    request = Request()
    verdicts = (request.let_pass(granted, claim(role, request)) for role, granted in roles.items())
    return next((each for each in verdicts if each is not None), None)


CLAIMS = [
    assumes_what_it_should_not,
    runs_what_it_should_not,
    writes_claims,
    writes_envelopes,
    touches_snapshots,
    reads_the_apps_secret,
    snapshot_leaves_its_room,
    asks_for_snapshots,
]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__)
def test_nobody_does_what_is_anothers(roles: Roles, claim: Claim) -> None:
    assert somebody(roles, claim) is None


def _allow(*actions: str, on: str, **more: Any) -> Statement:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


IN_CLUSTER = {"Condition": {"ArnEquals": {"ecs:cluster": "Cluster.Arn"}}}


@pytest.mark.parametrize(
    ("role", "more", "claim"),
    [
        ("Broker LaunchRole", _allow("sts:AssumeRole", on=AUDIT_ROLES[0]), assumes_what_it_should_not),
        ("Broker RedeemRole", _allow("sts:*", on=AUDIT_ROLES[0]), assumes_what_it_should_not),
        (
            "Broker RedeemRole",
            _allow("sts:AssumeRole", on="arn:aws:iam::*:role/GloveboxAudit"),
            assumes_what_it_should_not,
        ),
        ("Scanners ProwlerExecutionRole", _allow("sts:AssumeRole", on="*"), assumes_what_it_should_not),
        ("Broker RedeemRole", _allow("ecs:RunTask", on=STARTED[1], **IN_CLUSTER), runs_what_it_should_not),
        ("Broker WatchRole", _allow("ecs:*", on="*"), runs_what_it_should_not),
        ("Broker LaunchRole", _allow("ecs:RunTask", on=STARTED[1]), runs_what_it_should_not),
        ("Broker RedeemRole", _allow("s3:PutObject", on="Claims.Arn/claims/*"), writes_claims),
        ("Broker LaunchRole", _allow("s3:PutObject", on="Claims.Arn/*"), writes_claims),
        ("Broker LaunchRole", _allow("s3:DeleteObject", on="Claims.Arn/claims/*"), writes_claims),
        ("Broker LaunchRole", _allow("s3:PutObject", on="HandOff.Arn/handoff/*"), writes_envelopes),
        ("Broker WatchRole", _allow("s3:*", on="HandOff.Arn/*"), writes_envelopes),
        ("Broker LaunchRole", _allow("s3:GetObject", on="Snapshots.Arn/snapshots/*"), touches_snapshots),
        ("Broker WatchRole", _allow("s3:DeleteObject", on="Snapshots.Arn/snapshots/*"), touches_snapshots),
        ("Broker IngestRole", _allow("s3:GetObject", on="*"), touches_snapshots),
        (
            "Scanners TrivyExecutionRole",
            _allow("s3:GetObject", on="Snapshots.Arn/snapshots/*.tar.gz"),
            touches_snapshots,
        ),
        (
            "Broker LaunchRole",
            _allow("secretsmanager:GetSecretValue", on="GitHubApp"),
            reads_the_apps_secret,
        ),
        ("Perimeter KeysRole", _allow("secretsmanager:PutSecretValue", on="*"), reads_the_apps_secret),
        *(
            ("Broker SnapshotRole", more, snapshot_leaves_its_room)
            for more in (
                _allow("ecs:RunTask", on=STARTED[2], **IN_CLUSTER),
                _allow("sts:AssumeRole", on=AUDIT_ROLES[0]),
                _allow("iam:PassRole", on="TrivyExecutionRole.Arn"),
                _allow("s3:GetObject", on="Results.Arn/*"),
                _allow("s3:GetObject", on="HandOff.Arn/handoff/*"),
                _allow("s3:*", on="Snapshots.Arn/snapshots/*"),
                _allow("dynamodb:Query", on="Scans.Arn"),
                _allow("dynamodb:GetItem", on="Findings.Arn"),
                _allow("dynamodb:Query", on="Registry.Arn"),
                _allow("secretsmanager:GetSecretValue", on="GatewayKeysTicketKey"),
                _allow("lambda:InvokeFunction", on="LaunchFunction.Arn"),
            )
        ),
        ("Broker SnapshotRole", _allow("ecs:RunTask", on=STARTED[2], **IN_CLUSTER), runs_what_it_should_not),
        ("Broker WatchRole", _allow("lambda:InvokeFunction", on="SnapshotFunction.Arn"), asks_for_snapshots),
    ],
    ids=lambda each: each if isinstance(each, str) else getattr(each, "__name__", "more"),
)
def test_a_grant_too_many_is_refuted(roles: Roles, role: str, more: Statement, claim: Claim) -> None:
    changed = copy.deepcopy(roles)
    changed[role].append(more)
    assert somebody(changed, claim) is not None


# ---------------------------------------------------------------- what the buckets themselves refuse


_KNOWN = {
    "handoff_bucket_policy": {"RedeemRole": REDEEM},
    "snapshots_bucket_policy": {"SnapshotRole": SNAPSHOT},
}


def _bucket(name: str) -> list[Statement]:
    places = {"Bucket": "bucket", **_KNOWN.get(name, {})}
    found: list[Statement] = [each.to_json() for each in statements(name, places)]
    # Ages are numbers, which the prover does not know; without these the policy only lets more pass.
    return [each for each in found if "NumericGreaterThan" not in each.get("Condition", {})]


def a_claim_comes_otherwise(policy: Sequence[Statement]) -> z3.ModelRef | None:
    """A write that is no presigned address below claims/, or may overwrite, or shares what it writes."""
    request = Request()
    proper = z3.And(
        request.equals("s3:authType", "REST-QUERY-STRING"),
        request.has("s3:if-none-match"),
        fits(request.resource, "bucket/claims/*"),
        z3.Not(request.has("s3:x-amz-acl")),
    )
    return _written(policy, z3.Not(proper))


def an_envelope_is_anothers(policy: Sequence[Statement]) -> z3.ModelRef | None:
    request = Request()
    envelope = fits(request.resource, "bucket/handoff/*/envelope.json")
    proper = z3.And(request.equals("aws:PrincipalArn", REDEEM), request.has("s3:if-none-match"))
    return _written(policy, envelope, z3.Not(proper))


def a_snapshot_is_read_otherwise(policy: Sequence[Statement]) -> z3.ModelRef | None:
    """By another role, an archive without an address, or a record with one."""
    request = Request()
    record = fits(request.resource, "bucket/snapshots/*/snapshot.json")
    kind = z3.If(
        record,
        request.equals("s3:authType", "REST-HEADER"),
        request.equals("s3:authType", "REST-QUERY-STRING"),
    )
    proper = z3.And(request.equals("aws:PrincipalArn", SNAPSHOT), kind)
    return Request().let_pass([_allow("s3:GetObject", on="bucket/*"), *policy], z3.Not(proper))


def a_snapshot_is_anothers(policy: Sequence[Statement]) -> z3.ModelRef | None:
    """Written by another role, by address or form, elsewhere, shared, or a record in the place of another."""
    request = Request()
    record = fits(request.resource, "bucket/snapshots/*/snapshot.json")
    proper = z3.And(
        request.equals("aws:PrincipalArn", SNAPSHOT),
        request.equals("s3:authType", "REST-HEADER"),
        fits(request.resource, "bucket/snapshots/*"),
        z3.Not(request.has("s3:x-amz-acl")),
        z3.Or(z3.Not(record), request.has("s3:if-none-match")),
    )
    return _written(policy, z3.Not(proper))


def _written(policy: Sequence[Statement], *claims: z3.BoolRef) -> z3.ModelRef | None:
    """Where a role's own policy lets it write whatever it wants."""
    everything = _allow("s3:PutObject", on="bucket/*")
    return Request().let_pass([everything, *policy], *claims)


BUCKETS = [
    ("snapshots_bucket_policy", a_snapshot_is_read_otherwise),
    ("snapshots_bucket_policy", a_snapshot_is_anothers),
    ("claims_bucket_policy", a_claim_comes_otherwise),
    ("handoff_bucket_policy", an_envelope_is_anothers),
]


@pytest.mark.parametrize(("name", "refuted"), BUCKETS)
def test_the_bucket_itself_refuses_what_is_not_meant(
    name: str, refuted: Callable[[Sequence[Statement]], z3.ModelRef | None]
) -> None:
    assert refuted(_bucket(name)) is None
    assert _written(_bucket(name)) is not None, "it takes what is meant"


@pytest.mark.parametrize(
    ("name", "sid", "refuted"),
    [
        *(
            ("claims_bucket_policy", sid, a_claim_comes_otherwise)
            for sid in (
                "DenyClaimsThatAreNotAddressed",
                "DenyClaimsElsewhere",
                "DenyClaimsInPlaceOfOthers",
                "DenyClaimsWithAccessControlLists",
            )
        ),
        *(
            ("snapshots_bucket_policy", sid, a_snapshot_is_read_otherwise)
            for sid in (
                "DenySnapshotsToOthers",
                "DenyReadingArchivesButByAddress",
                "DenyReadingRecordsByAddress",
            )
        ),
        *(
            ("snapshots_bucket_policy", sid, a_snapshot_is_anothers)
            for sid in (
                "DenySnapshotsOfOthers",
                "DenySnapshotsByFormOrUrl",
                "DenySnapshotsElsewhere",
                "DenyRecordsInPlaceOfOthers",
                "DenySnapshotsWithAccessControlLists",
            )
        ),
        ("handoff_bucket_policy", "DenyEnvelopesOfOthers", an_envelope_is_anothers),
        ("handoff_bucket_policy", "DenyEnvelopesInPlaceOfOthers", an_envelope_is_anothers),
    ],
)
def test_no_statement_of_the_bucket_can_be_spared(
    name: str, sid: str, refuted: Callable[[Sequence[Statement]], z3.ModelRef | None]
) -> None:
    policy = _bucket(name)
    fewer = [each for each in policy if each["Sid"] != sid]
    assert len(fewer) == len(policy) - 1
    assert refuted(fewer) is not None


# ---------------------------------------------------------------- pairs


SCANNING, TARGET = "999900001111", TARGETS[0]
FAMILY = "arn:aws:ecs:eu-central-1:999900001111:task-definition/Glovebox-Scanners-Prowler:7"
LAUNCH_FUNCTION = "arn:aws:lambda:eu-central-1:999900001111:function:launch"
AS_SCAN = {"sts:SourceIdentity": "20260101T000000Z-0a1b2c3d-0001", "aws:ResourceAccount": TARGET}
IN_OURS = {"ecs:cluster": "arn:aws:ecs:eu-central-1:999900001111:cluster/ours"}
_BUCKETS = ("Claims", "HandOff", "Lists", "Results", "Snapshots")
REAL = {
    **{f"{name}.Arn": f"arn:aws:s3:::{name.lower()}" for name in _BUCKETS},
    "Cluster.Arn": IN_OURS["ecs:cluster"],
    "LaunchFunction.Arn": LAUNCH_FUNCTION,
    "SnapshotFunction.Arn": LAUNCH_FUNCTION.replace("launch", "snapshot"),
    "arn:aws:ecs:region:account:": "arn:aws:ecs:eu-central-1:999900001111:",
    OURS: SCANNING,
}
"""What expressions of the templates stand for: the evaluator takes what is no ARN for anything."""
AUDIT_ROLE = AUDIT_ROLES[0]
PAIRS: list[tuple[str, str, str, str, dict[str, str], bool]] = [
    ("assumes a target's audit role", "Redeem", "sts:AssumeRole", AUDIT_ROLE, AS_SCAN, True),
    ("assumes a target's audit role", "Launch", "sts:AssumeRole", AUDIT_ROLE, AS_SCAN, False),
    ("names its scan", "Redeem", "sts:SetSourceIdentity", AUDIT_ROLE, AS_SCAN, True),
    (
        "assumes without a scan",
        "Redeem",
        "sts:AssumeRole",
        AUDIT_ROLE,
        {"aws:ResourceAccount": TARGET},
        False,
    ),
    (
        "assumes another role of a target",
        "Redeem",
        "sts:AssumeRole",
        AUDIT_ROLE.replace("Audit", "Admin"),
        AS_SCAN,
        False,
    ),
    (
        "assumes an audit role elsewhere",
        "Redeem",
        "sts:AssumeRole",
        AUDIT_ROLE.replace(TARGET, "123123123123"),
        {**AS_SCAN, "aws:ResourceAccount": "123123123123"},
        False,
    ),
    (
        "assumes in its own account",
        "Redeem",
        "sts:AssumeRole",
        AUDIT_ROLE.replace(TARGET, SCANNING),
        {**AS_SCAN, "aws:ResourceAccount": SCANNING},
        False,
    ),
    ("runs a task", "Launch", "ecs:RunTask", FAMILY, IN_OURS, True),
    ("runs a task", "Redeem", "ecs:RunTask", FAMILY, IN_OURS, False),
    (
        "runs a task with a shell",
        "Launch",
        "ecs:RunTask",
        FAMILY,
        {**IN_OURS, "ecs:enable-execute-command": "true"},
        False,
    ),
    ("signs a claim", "Launch", "s3:PutObject", "arn:aws:s3:::claims/claims/s/1/claim.json", {}, True),
    ("signs a claim", "Redeem", "s3:PutObject", "arn:aws:s3:::claims/claims/s/1/claim.json", {}, False),
    ("reads a claim", "Redeem", "s3:GetObject", "arn:aws:s3:::claims/claims/s/1/claim.json", {}, True),
    ("reads a claim", "Launch", "s3:GetObject", "arn:aws:s3:::claims/claims/s/1/claim.json", {}, False),
    ("seals", "Redeem", "s3:PutObject", "arn:aws:s3:::handoff/handoff/s/1/envelope.json", {}, True),
    ("seals", "Launch", "s3:PutObject", "arn:aws:s3:::handoff/handoff/s/1/envelope.json", {}, False),
    ("hands over", "Launch", "s3:PutObject", "arn:aws:s3:::handoff/handoff/s/1/request.json", {}, True),
    ("hands over", "Redeem", "s3:PutObject", "arn:aws:s3:::handoff/handoff/s/1/request.json", {}, False),
    ("hands over", "Redeem", "s3:PutObject", "arn:aws:s3:::handoff/handoff/s/1/inlet.env", {}, False),
]
SNAPSHOT_FUNCTION = LAUNCH_FUNCTION.replace("launch", "snapshot")
PAIRS += [
    (
        "signs an archive",
        "Snapshot",
        "s3:GetObject",
        "arn:aws:s3:::snapshots/snapshots/r/a/c.tar.gz",
        {},
        True,
    ),
    (
        "signs an archive",
        "Launch",
        "s3:GetObject",
        "arn:aws:s3:::snapshots/snapshots/r/a/c.tar.gz",
        {},
        False,
    ),
    ("asks for a snapshot", "Launch", "lambda:InvokeFunction", SNAPSHOT_FUNCTION, {}, True),
    ("asks for a snapshot", "Redeem", "lambda:InvokeFunction", SNAPSHOT_FUNCTION, {}, False),
    ("asks for a scan", "Snapshot", "lambda:InvokeFunction", LAUNCH_FUNCTION, {}, False),
    ("runs a task", "Snapshot", "ecs:RunTask", FAMILY, IN_OURS, False),
    ("assumes a target's audit role", "Snapshot", "sts:AssumeRole", AUDIT_ROLE, AS_SCAN, False),
    (
        "reads a request",
        "Snapshot",
        "s3:GetObject",
        "arn:aws:s3:::handoff/handoff/s/1/request.json",
        {},
        False,
    ),
]
CONSOLE = [_allow("lambda:InvokeFunction", on=LAUNCH_FUNCTION)]
"""What the console will be given, and no more."""


def _real(value: Any) -> Any:
    if isinstance(value, str):
        for short, real in REAL.items():
            value = value.replace(short, real) if short != OURS or value == OURS else value
        return value
    if isinstance(value, list):
        return [_real(each) for each in value]
    return {key: _real(each) for key, each in value.items()} if isinstance(value, dict) else value


def _simulation(
    granted: Sequence[Statement], principal: str, action: str, resource: str, context: dict[str, str]
) -> dict[str, Any]:
    everything = {"Version": "2012-10-17", "Statement": [_allow("*", on="*")]}
    return {
        "request": {
            "principal": f"arn:aws:iam::{SCANNING}:role/{principal}",
            "action": action,
            # Its own account's, so that it is the caller's policy alone that decides.
            "resource": {"resource": resource, "accountId": SCANNING},
            "contextVariables": context,
        },
        "identityPolicies": [
            {"name": "own", "policy": {"Version": "2012-10-17", "Statement": _real(list(granted))}}
        ],
        "serviceControlPolicies": [
            {"orgIdentifier": "root", "policies": [{"name": "everything", "policy": everything}]}
        ],
        "resourceControlPolicies": [],
    }


@pytest.mark.node
def test_launch_redeem_and_snapshot_cannot_do_each_others_part(roles: Roles) -> None:
    verdicts = verdicts_on(
        [
            _simulation(roles[f"Broker {unit}Role"], unit, action, resource, context)
            for _, unit, action, resource, context, _ in PAIRS
        ]
    )
    found = {
        (says, unit): verdict == "Allowed" for (says, unit, *_), verdict in zip(PAIRS, verdicts, strict=True)
    }
    assert found == {(says, unit): allowed for says, unit, *_, allowed in PAIRS}


@pytest.mark.node
def test_whoever_may_invoke_launch_alone_may_do_nothing_that_our_roles_do(roles: Roles) -> None:
    """Each action that any of our roles has, on whatever it has it."""
    asked = sorted(
        {
            (action, _real(resource))
            for granted in roles.values()
            for statement in granted
            if statement["Effect"] == "Allow"
            for action in listed(statement["Action"])
            for resource in listed(statement["Resource"])
            if "*" not in resource.split("/")[0] and resource.startswith(("arn:", *REAL))
        }
    )
    assert ("lambda:InvokeFunction", LAUNCH_FUNCTION) in asked
    assert len(asked) > 20
    concrete = [(action, resource.replace("*", "x")) for action, resource in asked]
    verdicts = verdicts_on([_simulation(CONSOLE, "console", *each, {}) for each in concrete])
    allowed = {each for each, verdict in zip(concrete, verdicts, strict=True) if verdict == "Allowed"}
    assert allowed == {("lambda:InvokeFunction", LAUNCH_FUNCTION)}
