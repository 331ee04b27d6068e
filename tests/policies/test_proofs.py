"""Claims about all requests and all packets, proven on the synthesized templates.

Each claim comes with changes of a policy that somebody could make by mistake, and must be refuted for each:
a proof that holds for anything proves nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import z3

from glovebox_constructs.policies import statements
from stacks.settings import Settings
from tests.infrastructure.templates import EXTERNAL, Assembly, synthesize
from tests.policies.prover import Packet, Request, Statement, fits, refuted_by

OURS = "account"
TARGETS = ("111122223333", "444455556666")
SNAPSHOT = "arn:aws:iam::account:role/GloveboxSnapshot"
LAUNCH = "arn:aws:iam::account:role/Glovebox-Broker-LaunchRole*"
EIP, ENDPOINT = "198.51.100.7", "vpce-ours"
LAYERS = "arn:aws:s3:::prod-region-starport-layer-bucket/*"
UPLOADS = ("ecr:PutImage", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload")
S3_WRITES = ("s3:Put*", "s3:Delete*", "s3:Create*", "s3:Restore*", "s3:Replicate*", "s3:Abort*", "s3:Update*")
GATEWAYS, PORTS = ("10.43.0.10", "10.43.0.26"), (3128, 3129)

Policies = dict[str, list[Statement]]
Change = Callable[[Any], None]


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    return synthesize(
        tmp_path_factory.mktemp("proven"), Settings(zones=2, targets=TARGETS, external_id=EXTERNAL)
    )


@pytest.fixture(scope="module")
def policies(assembly: Assembly) -> Policies:
    """Endpoint → its statements, expressions as text."""
    found: Policies = {}
    for endpoint in assembly.of("AWS::EC2::VPCEndpoint"):
        network = assembly.shown(endpoint.properties["VpcId"])
        service = assembly.shown(endpoint.properties["ServiceName"]).removeprefix("com.amazonaws.region.")
        found[f"{network} {service}"] = [
            assembly.as_text(each) for each in endpoint.properties["PolicyDocument"]["Statement"]
        ]
    assert len(found) == 6
    return found


def _changed(policies: Policies, endpoint: str, sid: str, change: Change) -> Policies:
    changed = copy.deepcopy(policies)
    [statement] = [each for each in changed[endpoint] if each["Sid"] == sid]
    change(statement)
    return changed


# ---------------------------------------------------------------- who passes an endpoint


def a_stranger_passes(policies: Policies) -> z3.ModelRef | None:
    """Somebody outside us and the targets, but for reading image layers and, as a visitor, public sites."""
    request = Request()
    known = request.equals("aws:PrincipalAccount", OURS, *TARGETS)
    reading = request.action == z3.StringVal("s3:GetObject")
    layer = z3.And(
        reading, fits(request.resource, LAYERS), request.equals("s3:authType", "REST-QUERY-STRING")
    )
    visitor = z3.And(reading, request.equals("aws:PrincipalType", "Anonymous"))
    for name, policy in policies.items():
        exceptions = [layer] if name.endswith("s3") else []
        exceptions += [visitor] if name == "Egress s3" else []
        found = request.let_pass(policy, z3.Not(z3.Or(known, *exceptions)))
        if found is not None:
            return found
    return None


def test_no_endpoint_lets_a_stranger_pass(policies: Policies) -> None:
    assert a_stranger_passes(policies) is None


def _by_role_name_alone(statement: Statement) -> None:
    statement["Condition"] = {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/GloveboxAudit"}}


def _any_organisation(statement: Statement) -> None:
    statement["Condition"]["StringEqualsIfExists"] = statement["Condition"].pop("StringEquals")


def _all_of_amazons_buckets(statement: Statement) -> None:
    statement["Resource"] = "arn:aws:s3:::prod-*"


@pytest.mark.parametrize(
    ("endpoint", "sid", "change"),
    [
        ("Egress s3", "LetAuditRolesReadSettingsOfBuckets", _by_role_name_alone),
        ("Scan logs", "LetFargateWriteLogsOfTasks", _any_organisation),
        ("Scan dynamodb", "LetIngestUseItsTables", _any_organisation),
        ("Scan s3", "LetImageLayersIntoTasks", _all_of_amazons_buckets),
        ("Egress s3", "LetAuditorsReadPublicSites", _any_organisation),
    ],
)
def test_a_policy_that_lets_a_stranger_pass_is_refuted(
    policies: Policies, endpoint: str, sid: str, change: Change
) -> None:
    assert a_stranger_passes(_changed(policies, endpoint, sid, change)) is not None


# ---------------------------------------------------------------- what is written


def something_is_written_elsewhere(policies: Policies) -> z3.ModelRef | None:
    """A write to S3 that is neither a report's form nor a claim's address, signed by our own account."""
    request = Request()
    report = z3.And(fits(request.resource, "Results.Arn/results/*"), request.equals("s3:authType", "POST"))
    claim = z3.And(
        fits(request.resource, "Claims.Arn/claims/*/claim.json"),
        request.equals("s3:authType", "REST-QUERY-STRING"),
        fits(request.value("aws:PrincipalArn"), LAUNCH),
    )
    proper = z3.And(
        request.action == z3.StringVal("s3:PutObject"),
        request.equals("aws:PrincipalAccount", OURS),
        z3.Or(report, claim),
    )
    for policy in policies.values():
        # Each kind of write by itself, which z3 decides much sooner.
        for writing in S3_WRITES:
            found = request.let_pass(policy, fits(request.action, writing), z3.Not(proper))
            if found is not None:
                return found
    return None


def test_nothing_is_written_to_s3_but_reports_by_our_forms_and_claims_by_our_addresses(
    policies: Policies,
) -> None:
    assert something_is_written_elsewhere(policies) is None


def _anywhere(statement: Statement) -> None:
    statement["Resource"] = "*"


def _writing_too(statement: Statement) -> None:
    statement["Action"] = ["s3:GetObject", "s3:PutObject"]


def _by_anybody_of_ours(statement: Statement) -> None:
    del statement["Condition"]["ArnLike"]


def _everything(statement: Statement) -> None:
    statement["Action"] = "s3:*"


@pytest.mark.parametrize(
    ("endpoint", "sid", "change"),
    [
        ("Scan s3", "LetTasksPostReportsByFormsOfLaunch", _anywhere),
        ("Scan s3", "LetTasksReadRequestsByAddressesOfLaunch", _writing_too),
        ("Scan s3", "LetTasksReadEnvelopesByAddressesOfLaunch", _writing_too),
        ("Scan s3", "LetTasksReadSnapshotsByAddressesOfSnapshot", _writing_too),
        ("Scan s3", "LetTasksReadSnapshotsByAddressesOfSnapshot", _everything),
        ("Scan s3", "LetTasksPutClaimsByAddressesOfLaunch", _anywhere),
        ("Scan s3", "LetTasksPutClaimsByAddressesOfLaunch", _by_anybody_of_ours),
        ("Scan s3", "LetImageLayersIntoTasks", _writing_too),
        ("Egress s3", "LetAuditorsReadPublicSites", _writing_too),
        ("Egress s3", "LetAuditRolesReadSettingsOfBuckets", _everything),
    ],
)
def test_a_policy_that_lets_something_be_written_is_refuted(
    policies: Policies, endpoint: str, sid: str, change: Change
) -> None:
    assert something_is_written_elsewhere(_changed(policies, endpoint, sid, change)) is not None


def a_snapshot_is_touched(policies: Policies) -> z3.ModelRef | None:
    """In any way but reading an archive by an address that `snapshot` signed; visitors have no keys."""
    request = Request()
    proper = z3.And(
        request.action == z3.StringVal("s3:GetObject"),
        fits(request.resource, "Snapshots.Arn/snapshots/*.tar.gz"),
        request.equals("aws:PrincipalArn", SNAPSHOT),
        request.equals("s3:authType", "REST-QUERY-STRING"),
    )
    # The bucket is ours; what a target's own buckets are asked has its account.
    there = z3.And(
        fits(request.action, "s3:*"),
        fits(request.resource, "Snapshots.Arn*"),
        z3.Not(request.equals("aws:ResourceAccount", *TARGETS)),
    )
    visitor = request.equals("aws:PrincipalType", "Anonymous")
    verdicts = (
        request.let_pass(policy, there, z3.Not(proper), z3.Not(visitor)) for policy in policies.values()
    )
    return next((each for each in verdicts if each is not None), None)


def test_a_task_reads_an_archive_by_an_address_of_snapshot_alone(policies: Policies) -> None:
    assert a_snapshot_is_touched(policies) is None


def _by_launch_too(statement: Statement) -> None:
    # Two operators for one key would both have to hold.
    statement["Condition"]["StringEquals"]["aws:PrincipalArn"] = [SNAPSHOT, LAUNCH.replace("*", "1")]


def _by_any_role(statement: Statement) -> None:
    del statement["Condition"]["StringEquals"]["aws:PrincipalArn"]


def _with_keys(statement: Statement) -> None:
    del statement["Condition"]["StringEquals"]["s3:authType"]


def _records_too(statement: Statement) -> None:
    statement["Resource"] = "Snapshots.Arn/snapshots/*"


@pytest.mark.parametrize(
    ("sid", "change"),
    [
        *(
            ("LetTasksReadSnapshotsByAddressesOfSnapshot", change)
            for change in (_by_launch_too, _by_any_role, _with_keys, _records_too, _writing_too)
        ),
        ("LetTasksReadRequestsByAddressesOfLaunch", _anywhere),
        ("LetFargateReadEnvironmentFiles", _anywhere),
    ],
)
def test_a_policy_that_lets_snapshots_be_touched_is_refuted(
    policies: Policies, sid: str, change: Change
) -> None:
    assert a_snapshot_is_touched(_changed(policies, "Scan s3", sid, change)) is not None


def an_image_is_uploaded(policies: Policies) -> z3.ModelRef | None:
    request = Request()
    uploading = z3.Or(*(request.action == z3.StringVal(each) for each in UPLOADS))
    verdicts = (request.let_pass(policy, uploading) for policy in policies.values())
    return next((each for each in verdicts if each is not None), None)


def test_no_endpoint_lets_an_image_be_uploaded(policies: Policies) -> None:
    assert an_image_is_uploaded(policies) is None


@pytest.mark.parametrize("action", ["ecr:*", "ecr:PutImage", "*", "ecr:*Layer*"])
def test_a_policy_that_lets_an_image_be_uploaded_is_refuted(policies: Policies, action: str) -> None:
    def upload(statement: Statement) -> None:
        statement["Action"] = action

    assert an_image_is_uploaded(_changed(policies, "Scan ecr.api", "LetFargatePullOurImages", upload))


def an_audit_role_touches_objects(policies: Policies) -> z3.ModelRef | None:
    request = Request()
    objects = z3.Or(*(fits(request.action, f"s3:{each}Object") for each in ("Get", "Put", "Delete")))
    targets = request.equals("aws:PrincipalAccount", *TARGETS)
    # A presigned address of a layer is the registry's; no audit role signs one.
    elsewhere = z3.Not(fits(request.resource, LAYERS))
    return request.let_pass(policies["Egress s3"], objects, targets, elsewhere)


def test_audit_roles_touch_no_object(policies: Policies) -> None:
    assert an_audit_role_touches_objects(policies) is None


def test_without_its_denial_an_audit_role_would_touch_objects(policies: Policies) -> None:
    def fewer(statement: Statement) -> None:
        statement["Action"] = ["s3:DeleteObject*"]

    assert an_audit_role_touches_objects(_changed(policies, "Egress s3", "DenyObjectsToAuditRoles", fewer))


def test_the_endpoints_still_let_pass_what_scans_need(policies: Policies) -> None:
    """Else every proof above would hold of a policy that lets nobody pass."""
    for policy in policies.values():
        for statement in policy:
            if statement["Effect"] == "Allow":
                others = [each for each in policy if each["Effect"] == "Deny"]
                assert Request().let_pass([statement, *others]) is not None, statement["Sid"]


# ---------------------------------------------------------------- audit sessions


def _boundary() -> list[Statement]:
    places = {"GatewayAddresses": [f"{EIP}/32"], "GatewayEndpoint": ENDPOINT, "Partition": "aws"}
    return [each.to_json() for each in statements("audit_role_boundary", {**places, "Target": TARGETS[0]})]


def a_session_acts_elsewhere(boundary: list[Statement]) -> z3.ModelRef | None:
    """Not from our address, not through our endpoint, and no service asks on its behalf."""
    request = Request()
    from_gateway = z3.And(request.has("aws:SourceIp"), request.source == int.from_bytes((198, 51, 100, 7)))
    by_endpoint = request.equals("aws:SourceVpce", ENDPOINT)
    by_service = z3.And(
        request.has("aws:ViaAWSService"), request.value("aws:ViaAWSService") != z3.StringVal("false")
    )
    return refuted_by(z3.Not(request.denied(boundary)), z3.Not(z3.Or(from_gateway, by_endpoint, by_service)))


def a_stranger_is_touched(boundary: list[Statement]) -> z3.ModelRef | None:
    """A resource of another account that AWS has not published."""
    request = Request()
    foreign = z3.And(
        request.has("aws:ResourceAccount"), request.value("aws:ResourceAccount") != z3.StringVal(TARGETS[0])
    )
    published = (
        "arn:aws:iam::aws:policy/*",
        "arn:aws:ssm:*::document/AWS-*",
        "arn:aws:ssm:*::parameter/aws/*",
    )
    of_aws = z3.Or(*(fits(request.resource, each) for each in published))
    return refuted_by(z3.Not(request.denied(boundary)), foreign, z3.Not(of_aws))


def test_an_audit_session_acts_from_the_box_alone() -> None:
    assert a_session_acts_elsewhere(_boundary()) is None


def test_an_audit_session_touches_its_own_account_alone() -> None:
    assert a_stranger_is_touched(_boundary()) is None


def test_an_audit_session_does_act_from_the_box() -> None:
    request = Request()
    here = (request.has("aws:SourceIp"), request.source == int.from_bytes((198, 51, 100, 7)))
    own = request.equals("aws:ResourceAccount", TARGETS[0])
    assert refuted_by(z3.Not(request.denied(_boundary())), *here, own) is not None


def _conditions(boundary: list[Statement], number: int) -> dict[str, Any]:
    conditions: dict[str, Any] = boundary[number]["Condition"]
    return conditions


def _any_address(boundary: list[Statement]) -> None:
    _conditions(boundary, 0)["NotIpAddressIfExists"] = {"aws:SourceIp": ["0.0.0.0/0"]}


def _neighbours_too(boundary: list[Statement]) -> None:
    _conditions(boundary, 0)["NotIpAddressIfExists"] = {"aws:SourceIp": ["198.51.100.0/24"]}


def _only_where_services_are_said(boundary: list[Statement]) -> None:
    conditions = _conditions(boundary, 0)
    conditions["Bool"] = conditions.pop("BoolIfExists")


def _upside_down(boundary: list[Statement]) -> None:
    conditions = _conditions(boundary, 0)
    conditions["IpAddressIfExists"] = conditions.pop("NotIpAddressIfExists")


def _only_this_action(boundary: list[Statement]) -> None:
    boundary[0]["Action"] = ["s3:*"]


@pytest.mark.parametrize(
    "change", [_any_address, _neighbours_too, _only_where_services_are_said, _upside_down, _only_this_action]
)
def test_a_boundary_that_lets_a_session_act_elsewhere_is_refuted(change: Change) -> None:
    boundary = _boundary()
    change(boundary)
    assert a_session_acts_elsewhere(boundary) is not None


def test_a_boundary_that_spares_a_service_is_refuted() -> None:
    boundary = _boundary()
    boundary[1]["NotResource"].append("arn:aws:s3:::*")
    assert a_stranger_is_touched(boundary) is not None


# ---------------------------------------------------------------- packets


@pytest.fixture(scope="module")
def groups(assembly: Assembly) -> dict[str, list[dict[str, Any]] | None]:
    return {
        each.short: assembly.as_text(each.properties.get("SecurityGroupEgress"))
        for each in assembly.of("AWS::EC2::SecurityGroup")
    }


def a_packet_gets_out(rules: list[dict[str, Any]] | None, *, ticket: bool) -> z3.ModelRef | None:
    """Anywhere but to endpoints and, with a ticket, to the gateway's two ports."""
    packet = Packet()
    https = z3.And(packet.protocol == z3.StringVal("tcp"), packet.port == 443)
    endpoint = z3.And(https, packet.group == z3.StringVal("RolesEndpoints.GroupId"))
    s3 = z3.And(https, packet.prefix_list == z3.StringVal("SetupScan.S3"))
    ways = [endpoint, s3] + ([packet.to(GATEWAYS, PORTS)] if ticket else [])
    return refuted_by(packet.let_out(rules), z3.Not(z3.Or(*ways)))


@pytest.mark.parametrize(("role", "ticket"), [("RolesTasks", True), ("RolesTasksWithoutTicket", False)])
def test_tasks_reach_endpoints_and_with_a_ticket_the_gateway(
    groups: dict[str, list[dict[str, Any]] | None], role: str, ticket: bool
) -> None:
    assert a_packet_gets_out(groups[role], ticket=ticket) is None


def test_rules_of_tasks_with_a_ticket_are_refuted_for_those_without(
    groups: dict[str, list[dict[str, Any]] | None],
) -> None:
    assert a_packet_gets_out(groups["RolesTasks"], ticket=False) is not None


TCP = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}


@pytest.mark.parametrize(
    "more",
    [
        {**TCP, "CidrIp": "0.0.0.0/0"},
        {**TCP, "CidrIp": "10.43.0.0/28", "FromPort": 3128, "ToPort": 3128},
        {**TCP, "CidrIp": "10.43.0.10/32", "FromPort": 22, "ToPort": 3129},
        {"IpProtocol": "-1", "CidrIp": "10.43.0.10/32"},
        {**TCP, "DestinationPrefixListId": "SetupScan.DynamoDb"},
        {**TCP, "DestinationSecurityGroupId": "RolesTasks.GroupId"},
    ],
    ids=str,
)
def test_a_rule_too_many_is_refuted(
    groups: dict[str, list[dict[str, Any]] | None], more: dict[str, Any]
) -> None:
    assert a_packet_gets_out([*(groups["RolesTasks"] or []), more], ticket=True) is not None


def test_a_group_without_a_word_about_egress_is_refuted() -> None:
    assert a_packet_gets_out(None, ticket=True) is not None


def _routes(assembly: Assembly) -> list[str]:
    """Destinations that a scan subnet's table knows, beside prefix lists of endpoints."""
    local = [each.properties["CidrBlock"] for each in assembly.of("AWS::EC2::VPC") if each.short == "Scan"]
    return local + [
        route.properties["DestinationCidrBlock"]
        for route in assembly.of("AWS::EC2::Route")
        if assembly.shown(route.properties["RouteTableId"]).startswith("ScanTasks")
    ]


def a_route_leads_away(routes: list[str]) -> z3.ModelRef | None:
    """To an address that is neither in the scan network nor in a gateway's subnet."""
    packet = Packet()
    box = packet.routed(["10.42.0.0/20", "10.43.0.0/28", "10.43.0.16/28"])
    return refuted_by(packet.routed(routes), z3.Not(box))


def test_routes_lead_to_the_box_alone(assembly: Assembly) -> None:
    assert a_route_leads_away(_routes(assembly)) is None


@pytest.mark.parametrize("more", ["0.0.0.0/0", "10.0.0.0/8", "10.43.0.0/24", "169.254.0.0/16"])
def test_a_route_too_many_is_refuted(assembly: Assembly, more: str) -> None:
    assert a_route_leads_away([*_routes(assembly), more]) is not None
