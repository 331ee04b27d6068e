"""What is changed of a template, and that it is told and documented."""

from __future__ import annotations

import copy
import json
from pathlib import Path

from glovebox.local import adaptations
from glovebox.local.adaptations import (
    LEFT_OUT,
    LEFT_OUT_TYPES,
    STANDING_IN,
    UNKNOWN_CONDITION_KEYS,
    Json,
    Object,
    adapt,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "local-cloud.md"


def adapted(**resources: Json) -> tuple[Object, set[tuple[str, str]]]:
    template: Object = {"Resources": resources}
    before = copy.deepcopy(template)
    after, changes = adapt("stack", template, gateway_port=4566)
    assert template == before, "the template itself stays as it is"
    found = after["Resources"]
    assert isinstance(found, dict)
    return found, {(change.kind, change.what) for change in changes}


def policy(effect: str, **conditions: dict[str, str]) -> Object:
    statement: Object = {"Sid": "One", "Effect": effect, "Action": "s3:GetObject", "Resource": "*"}
    if conditions:
        statement["Condition"] = {operator: dict(values) for operator, values in conditions.items()}
    document: Object = {"Statement": [statement]}
    return {"Type": "AWS::S3::BucketPolicy", "Properties": {"PolicyDocument": document}}


def test_a_template_without_anything_special_is_deployed_as_it_is() -> None:
    topic: Object = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "x"}}
    assert adapted(Topic=topic, Policy=policy("Deny", Bool={"aws:SecureTransport": "false"})) == (
        {"Topic": topic, "Policy": policy("Deny", Bool={"aws:SecureTransport": "false"})},
        set(),
    )


def test_what_points_at_a_left_out_resource_points_at_a_word_instead() -> None:
    found, changes = adapted(
        Log={"Type": "AWS::EC2::FlowLog"},
        Topic={
            "Type": "AWS::SNS::Topic",
            "DependsOn": ["Log", "Other"],
            "Properties": {"A": {"Ref": "Log"}, "B": [{"Fn::GetAtt": ["Log", "Id"]}, {"Ref": "Other"}]},
        },
    )
    assert found == {
        "Topic": {
            "Type": "AWS::SNS::Topic",
            "DependsOn": ["Other"],
            "Properties": {"A": LEFT_OUT, "B": [LEFT_OUT, {"Ref": "Other"}]},
        }
    }
    assert changes == {("left out", "AWS::EC2::FlowLog")}


def test_alarms_on_mathematics_are_left_out_and_others_stay() -> None:
    plain: Object = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"MetricName": "Errors"}}
    math: Object = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": [{"Expression": "a/b"}]}}
    found, changes = adapted(Plain=plain, Math=math)
    assert found == {"Plain": plain}
    assert changes == {("left out", "AWS::CloudWatch::Alarm")}


def test_a_denial_under_a_key_that_has_no_value_is_left_out_with_its_name() -> None:
    found, changes = adapted(Policy=policy("Deny", StringNotEquals={"s3:authType": "POST"}))
    assert found["Policy"]["Properties"]["PolicyDocument"]["Statement"] == []  # type: ignore[call-overload, index]
    assert changes == {("left out", "policy statement One (s3:authType)")}


def test_a_permission_loses_only_the_condition_that_has_no_value() -> None:
    found, changes = adapted(
        Policy=policy("Allow", StringEquals={"iam:PassedToService": "ecs"}, ArnLike={"aws:SourceArn": "arn"})
    )
    assert found == {"Policy": policy("Allow", ArnLike={"aws:SourceArn": "arn"})}
    assert changes == {("left out", "condition iam:PassedToService of a permission")}


def test_ecs_permissions_are_given_for_the_cluster_as_well() -> None:
    run = policy("Allow")
    run["Properties"]["PolicyDocument"]["Statement"][0]["Action"] = "ecs:RunTask"  # type: ignore[call-overload, index]
    found, changes = adapted(Policy=run)
    statement = found["Policy"]["Properties"]["PolicyDocument"]["Statement"][0]  # type: ignore[call-overload, index]
    assert statement["Resource"] == ["*", adaptations.CLUSTERS]  # type: ignore[call-overload, index]
    assert changes == {("changed", "resource of ecs:RunTask")}


def test_absence_goes_from_a_filter_and_the_rest_stays() -> None:
    wanted = {"dynamodb": {"NewImage": {"pending": {"N": ["0"]}, "endedAt": {"S": [{"exists": True}]}}}}
    absent = copy.deepcopy(wanted)
    absent["dynamodb"]["NewImage"]["publishedAt"] = {"S": [{"exists": False}]}
    found, changes = adapted(
        Stream={
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {"FilterCriteria": {"Filters": [{"Pattern": json.dumps(absent)}]}},
        }
    )
    pattern = found["Stream"]["Properties"]["FilterCriteria"]["Filters"][0]["Pattern"]  # type: ignore[call-overload, index]
    assert json.loads(pattern) == wanted  # type: ignore[arg-type]
    assert len(changes) == 1


def test_without_a_gateway_launch_is_told_of_none_and_with_one_it_keeps_it() -> None:
    variables: Object = {"GATEWAYS": "10.43.0.10:3129", "EGRESS_IPV6": "off", "CLUSTER": "c"}
    launch: Object = {
        "Type": "AWS::Lambda::Function",
        "Properties": {"Environment": {"Variables": variables}},
    }
    found, changes = adapted(Launch=launch)
    told = {"GATEWAYS": "", "EGRESS_IPV6": "on", "CLUSTER": "c"}
    assert found["Launch"]["Properties"]["Environment"]["Variables"] == told  # type: ignore[call-overload, index]
    assert changes == {("changed", "GATEWAYS and EGRESS_IPV6 of launch")}
    template: Object = {"Resources": {"Launch": launch}}
    assert adapt("stack", template, gateway_port=4566, perimeter=True) == (template, [])


def test_a_reference_to_a_secret_becomes_its_arn_in_permissions_variables_and_outputs() -> None:
    statement: Object = {
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": {"Ref": "Key"},
    }
    found, changes = adapted(
        Key={"Type": "AWS::SecretsManager::Secret", "Properties": {}},
        Policy={
            "Type": "AWS::IAM::Policy",
            "Properties": {"PolicyDocument": {"Statement": [statement]}, "Roles": [{"Ref": "Role"}]},
        },
    )
    arn = {"Fn::GetAtt": ["Key", "Id"]}
    assert found["Policy"]["Properties"] == {  # type: ignore[call-overload, index]
        "PolicyDocument": {"Statement": [{**statement, "Resource": arn}]},
        "Roles": [{"Ref": "Role"}],
    }
    assert changes == {("changed", "references to AWS::SecretsManager::Secret")}


def test_the_arn_of_a_parameter_has_one_slash_where_its_name_is_made_by_the_deployment() -> None:
    def permission(prefix: str, name: Json) -> Object:
        arn: Json = {"Fn::Join": ["", [prefix, name]]}
        statement: Json = {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": arn}
        return {"Type": "AWS::IAM::Policy", "Properties": {"PolicyDocument": {"Statement": [statement]}}}

    reference: Json = {"Ref": "Keys"}
    found, changes = adapted(
        Made=permission("arn:aws:ssm:us-east-1:1:parameter/", reference),
        Named=permission("arn:aws:ssm:us-east-1:1:parameter/", "keys"),
    )
    assert found["Made"] == permission("arn:aws:ssm:us-east-1:1:parameter", reference)
    assert found["Named"] == permission("arn:aws:ssm:us-east-1:1:parameter/", "keys")
    assert changes == {("changed", "ARNs of AWS::SSM::Parameter in permissions")}


def test_a_trust_names_a_roles_session_as_the_emulator_does_and_asks_for_no_source_identity() -> None:
    role: Json = {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":iam::1:role/Redeem"]]}
    session: Json = {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":sts::1:assumed-role/Redeem/*"]]}

    def trusting(**conditions: Json) -> Object:
        statement: Json = {"Effect": "Allow", "Action": "sts:AssumeRole", "Condition": conditions}
        trust: Json = {"Statement": [statement]}
        return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}

    found, changes = adapted(
        Audit=trusting(
            ArnEquals={"aws:PrincipalArn": role},
            StringEquals={"sts:ExternalId": "x"},
            StringLike={"sts:SourceIdentity": "????"},
        )
    )
    assert found["Audit"] == trusting(
        ArnEquals={"aws:PrincipalArn": session}, StringEquals={"sts:ExternalId": "x"}
    )
    assert changes == {
        ("changed", "aws:PrincipalArn in the trust of AWS::IAM::Role"),
        ("left out", "condition sts:SourceIdentity of a permission"),
    }


def test_a_buckets_policy_names_a_roles_session_as_the_emulator_does() -> None:
    def denying(**conditions: Json) -> Object:
        statement: Json = {"Effect": "Deny", "Action": "s3:PutObject", "Condition": conditions}
        return {"Type": "AWS::S3::BucketPolicy", "Properties": {"PolicyDocument": {"Statement": [statement]}}}

    others: Json = {"aws:SecureTransport": "true"}
    found, changes = adapted(
        Policy=denying(
            StringNotEquals={"aws:PrincipalArn": "arn:aws:iam::1:role/Redeem", "aws:SecureTransport": "true"}
        )
    )
    session: Json = {"aws:PrincipalArn": "arn:aws:sts::1:assumed-role/Redeem/*"}
    assert found["Policy"] == denying(StringNotEquals=others, ArnNotEquals=session)
    assert changes == {("changed", "aws:PrincipalArn in AWS::S3::BucketPolicy")}


def test_a_session_is_bound_to_loopback_and_to_policies_that_the_emulator_has() -> None:
    address: Json = {"Fn::GetAtt": ["Address", "PublicIp"]}
    managed: Json = {"Fn::Join": ["", [":policy/SecurityAudit,", ":policy/job-function/ViewOnlyAccess"]]}

    def redeem(address: Json, managed: Json, gateways: str) -> Object:
        variables: Json = {
            "SESSION_POLICY": {"Fn::Join": ["", ["…", address, "…"]]},
            "SESSION_MANAGED_POLICIES": managed,
            "GATEWAYS": gateways,
        }
        return {"Type": "AWS::Lambda::Function", "Properties": {"Environment": {"Variables": variables}}}

    found, changes = adapted(
        Address={"Type": "AWS::EC2::EIP"}, Redeem=redeem(address, managed, "10.0.0.1:3128")
    )
    instead: Json = {"Fn::Join": ["", [":policy/SecurityAudit,", ":policy/ReadOnlyAccess"]]}
    assert found == {"Redeem": redeem("127.0.0.1", instead, "")}
    assert changes == {
        ("left out", "AWS::EC2::EIP"),
        ("changed", "public addresses of AWS::EC2::EIP"),
        ("changed", "job-function/ViewOnlyAccess of SESSION_MANAGED_POLICIES, to ReadOnlyAccess"),
        ("changed", "GATEWAYS of redeem"),
    }


def test_whatever_may_differ_from_aws_is_documented() -> None:
    text = DOCUMENT.read_text()
    left_out = (*LEFT_OUT_TYPES, *UNKNOWN_CONDITION_KEYS, "BootstrapVersion", "CheckBootstrapVersion")
    instead = (each for pair in STANDING_IN.items() for each in pair)
    for name in (*left_out, *instead, "AWS::EC2::EIP", "aws:PrincipalArn"):
        assert f"`{name}`" in text, name
