"""What the local cloud does otherwise than AWS: each change to a template, with its reason.

The synthesized templates stay as they are; a copy is changed, and every change is printed.
docs/local-cloud.md holds the same list; a test compares them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, cast

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Object: TypeAlias = dict[str, Json]

_NO_EMULATION = "the emulator's CloudFormation does not know the type"
_NO_NETWORK = "networks are records only here, so there is nothing to set up"
LEFT_OUT_TYPES = {
    "AWS::EC2::EIP": _NO_EMULATION,
    "AWS::EC2::EIPAssociation": _NO_EMULATION,
    "AWS::EC2::FlowLog": _NO_EMULATION,
    "AWS::EC2::NetworkInterface": _NO_EMULATION,
    "AWS::EC2::SecurityGroupEgress": _NO_EMULATION,
    "AWS::EC2::SecurityGroupIngress": _NO_EMULATION,
    "AWS::EC2::VPCPeeringConnection": _NO_EMULATION,
    "AWS::Logs::ResourcePolicy": _NO_EMULATION,
    "AWS::ECS::ClusterCapacityProviderAssociations": _NO_EMULATION,
    "AWS::ApplicationAutoScaling::ScalableTarget": _NO_EMULATION,
    "AWS::ApplicationAutoScaling::ScalingPolicy": _NO_EMULATION,
    "AWS::CloudWatch::CompositeAlarm": _NO_EMULATION,
    "AWS::Route53Resolver::FirewallDomainList": _NO_EMULATION,
    "AWS::Route53Resolver::FirewallRuleGroup": _NO_EMULATION,
    "AWS::Route53Resolver::FirewallRuleGroupAssociation": _NO_EMULATION,
    "AWS::Route53Resolver::ResolverQueryLoggingConfig": _NO_EMULATION,
    "AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation": _NO_EMULATION,
    "AWS::WAFv2::WebACLAssociation": _NO_EMULATION,
    "Custom::NetworkSetup": _NO_NETWORK,
}
UNKNOWN_CONDITION_KEYS = frozenset(
    {
        "aws:SourceAccount",
        "aws:SourceIdentity",
        "sts:SourceIdentity",
        "s3:authType",
        "s3:if-none-match",
        "s3:signatureAge",
        "s3:TlsVersion",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "dynamodb:LeadingKeys",
        "ecs:cluster",
        "ecs:CreateAction",
        "ecs:enable-execute-command",
        "iam:PassedToService",
        "kms:ViaService",
        "secretsmanager:VersionStage",
    }
)
"""Without a value for a key, an Allow would never hold and a Deny that negates would always hold."""
UNKNOWN_KEY = "the emulator gives the condition key no value"
METRIC_MATH = "the emulator reduces metric mathematics to its first metric, which would be another alarm"
BOOTSTRAP = "nobody bootstraps the local cloud, so there is no version to check"
ECS_RESOURCE = "the emulator judges every ECS action by its cluster, AWS these by task definition or task"
CLUSTERS: dict[str, Json] = {
    "Fn::Sub": "arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:cluster/*"
}
ABSENCE = (
    "the emulator's filter does not match an attribute that is absent; the function sees more and decides"
)
SPELLING = "the emulator hands these out in the template's spelling, where the ECS API has its own"
REFERENCE = "the emulator takes a reference to a secret for its name, AWS for its ARN"
PARAMETER_ARN = "the emulator's own names of parameters begin with a slash, which an ARN has once"
NO_GATEWAY = "no gateway stands here without --perimeter: tasks go straight out, to what launch has resolved"
SESSION_ARN = "the emulator knows a role's session by the session's own ARN, AWS by the role's"
UNKNOWN_POLICY = "the emulator has no such policy of AWS's"
STANDING_IN = {"job-function/ViewOnlyAccess": "ReadOnlyAccess"}
"""Policies of AWS's that the emulator lacks → the next larger one that it has."""
LOOPBACK = "127.0.0.1"
CALLERS = "whoever calls the emulator comes from loopback, also by way of the gateway"
API_ORIGIN = "the API has no public name here, so the distribution asks it on loopback"

LEFT_OUT = "left-out-of-the-local-cloud"
"""Stands wherever a template points at something that is left out."""


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One difference between a template and what is deployed."""

    kind: str
    """`left out` or `changed`."""
    what: str
    reason: str
    where: str


def adapt(
    stack: str, template: Object, *, gateway_port: int, bootstrapped: bool = False, perimeter: bool = False
) -> tuple[Object, list[Change]]:
    """A copy of the template that the emulator can deploy, and what is different in it.

    `bootstrapped`: whether the CDK's own bootstrap stack is there, so that its check may stay; `perimeter`:
    whether an egress gateway is there.
    """
    adapted = copy.deepcopy(template)
    changes = [
        *(() if bootstrapped else _without_bootstrap_check(adapted)),
        *_without_unknown_resources(adapted),
        *_without_unknown_conditions(adapted),
        *_with_cluster_resources(adapted),
        *_without_absence_filters(adapted),
        *_with_api_spelling(adapted),
        *_with_secret_arns(adapted),
        *_with_parameter_arns(adapted),
        *_with_session_arns(adapted),
        *_with_known_policies(adapted),
        *_with_loopback_api(adapted, gateway_port),
        *(() if perimeter else _without_gateways(adapted)),
    ]
    return adapted, [Change(kind, what, reason, f"{stack}/{name}") for kind, what, reason, name in changes]


_Difference: TypeAlias = tuple[str, str, str, str]


def _without_bootstrap_check(template: Object) -> Iterator[_Difference]:
    for section, name in (("Parameters", "BootstrapVersion"), ("Rules", "CheckBootstrapVersion")):
        entries = _object(template.get(section))
        if entries.pop(name, None) is not None:
            yield "left out", f"{section[:-1].lower()} {name}", BOOTSTRAP, name
        if not entries:
            template.pop(section, None)


def _without_unknown_resources(template: Object) -> Iterator[_Difference]:
    resources = _object(template["Resources"])
    gone: set[str] = set()
    addresses = {name for name, each in resources.items() if _type(each) == "AWS::EC2::EIP"}
    if addresses:
        for section in ("Resources", "Outputs"):
            template[section] = _with_loopback_addresses(template.get(section, {}), addresses)
        resources = _object(template["Resources"])
        yield "changed", "public addresses of AWS::EC2::EIP", CALLERS, ", ".join(sorted(addresses))
    for name, resource in list(resources.items()):
        kind = _type(resource)
        reason = METRIC_MATH if _is_metric_math(resource) else LEFT_OUT_TYPES.get(kind)
        if reason:
            del resources[name]
            gone.add(name)
            yield "left out", kind, reason, name
    if gone:
        for section in ("Resources", "Outputs"):
            if section in template:
                template[section] = _without_references(template[section], gone)


def _is_metric_math(resource: Json) -> bool:
    metrics = _properties(resource).get("Metrics")
    return _type(resource) == "AWS::CloudWatch::Alarm" and any(
        "Expression" in _object(m) for m in _list(metrics)
    )


def _with_loopback_addresses(value: Json, addresses: set[str]) -> Json:
    if isinstance(value, list):
        return [_with_loopback_addresses(item, addresses) for item in value]
    if not isinstance(value, dict):
        return value
    if any(value == {"Fn::GetAtt": [name, "PublicIp"]} for name in addresses):
        return LOOPBACK
    return {key: _with_loopback_addresses(item, addresses) for key, item in value.items()}


def _without_references(value: Json, gone: set[str]) -> Json:
    if isinstance(value, list):
        return [_without_references(item, gone) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("Ref") in gone:
        return LEFT_OUT
    attribute = value.get("Fn::GetAtt")
    if isinstance(attribute, list) and attribute and attribute[0] in gone:
        return LEFT_OUT
    kept = {key: _without_references(item, gone) for key, item in value.items()}
    if "DependsOn" in kept:
        # A container has a `DependsOn` as well, of objects.
        names = _as_list(kept["DependsOn"])
        kept["DependsOn"] = [name for name in names if not (isinstance(name, str) and name in gone)]
    return kept


def _without_unknown_conditions(template: Object) -> Iterator[_Difference]:
    for name, resource in _object(template["Resources"]).items():
        for document in _policy_documents(resource):
            kept: list[Json] = []
            for statement in map(_object, _list(document.get("Statement"))):
                conditions = _object(statement.get("Condition"))
                unknown = {
                    key for each in conditions.values() for key in _object(each)
                } & UNKNOWN_CONDITION_KEYS
                if unknown and statement.get("Effect") == "Deny":
                    what = f"policy statement {statement.get('Sid', '')} ({', '.join(sorted(unknown))})"
                    yield "left out", what, UNKNOWN_KEY, name
                    continue
                for key in sorted(unknown):
                    _drop_condition(statement, key)
                    yield "left out", f"condition {key} of a permission", UNKNOWN_KEY, name
                kept.append(statement)
            document["Statement"] = kept


def _with_cluster_resources(template: Object) -> Iterator[_Difference]:
    for name, resource in _object(template["Resources"]).items():
        for document in _policy_documents(resource):
            for statement in map(_object, _list(document.get("Statement"))):
                actions = statement.get("Action")
                ecs = [action for action in _as_list(actions) if str(action).startswith("ecs:")]
                if ecs and statement.get("Effect") == "Allow":
                    statement["Resource"] = [*_as_list(statement.get("Resource")), CLUSTERS]
                    yield "changed", f"resource of {', '.join(map(str, ecs))}", ECS_RESOURCE, name


def _without_absence_filters(template: Object) -> Iterator[_Difference]:
    for name, resource in _object(template["Resources"]).items():
        if _type(resource) != "AWS::Lambda::EventSourceMapping":
            continue
        for each in map(_object, _list(_object(_properties(resource).get("FilterCriteria")).get("Filters"))):
            pattern = cast("Json", json.loads(str(each["Pattern"])))
            without = _without_absence(pattern)
            if without != pattern:
                each["Pattern"] = json.dumps(without)
                yield (
                    "changed",
                    "absent attributes in filters of AWS::Lambda::EventSourceMapping",
                    ABSENCE,
                    name,
                )


def _without_absence(pattern: Json) -> Json:
    if not isinstance(pattern, dict):
        return pattern
    kept = {name: _without_absence(each) for name, each in pattern.items() if each != [{"exists": False}]}
    return {name: each for name, each in kept.items() if each != {}}


def _policy_documents(resource: Json) -> list[Object]:
    """What a bucket or a role is allowed or denied; the emulator does not judge the policies of keys."""
    properties = _properties(resource)
    if _type(resource) in ("AWS::S3::BucketPolicy", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        return [_object(properties["PolicyDocument"])]
    if _type(resource) == "AWS::IAM::Role":
        inline = [_object(each)["PolicyDocument"] for each in _list(properties.get("Policies"))]
        return [_object(each) for each in (properties["AssumeRolePolicyDocument"], *inline)]
    return []


def _drop_condition(statement: Object, key: str) -> None:
    conditions = _object(statement["Condition"])
    for operator in list(conditions):
        _object(conditions[operator]).pop(key, None)
        if not conditions[operator]:
            del conditions[operator]
    if not conditions:
        del statement["Condition"]


def _with_api_spelling(template: Object) -> Iterator[_Difference]:
    for name, resource in _object(template["Resources"]).items():
        if _type(resource) != "AWS::ECS::TaskDefinition":
            continue
        properties = _properties(resource)
        if "Volumes" in properties:
            properties["Volumes"] = _camel(properties["Volumes"])
        for container in _list(properties.get("ContainerDefinitions")):
            for key in ("DependsOn", "Ulimits", "LinuxParameters", "HealthCheck"):
                if key in _object(container):
                    _object(container)[key] = _camel(_object(container)[key])
        yield "changed", "volumes and dependsOn of AWS::ECS::TaskDefinition", SPELLING, name


def _camel(value: Json) -> Json:
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _camel(item) for key, item in value.items()}
    return value


def _with_secret_arns(template: Object) -> Iterator[_Difference]:
    for name, resource in _object(template["Resources"]).items():
        if _type(resource) != "AWS::SecretsManager::Secret":
            continue
        for section in ("Resources", "Outputs"):
            if section in template:
                arn: Json = {"Fn::GetAtt": [name, "Id"]}
                template[section] = _replaced(template[section], {"Ref": name}, arn)
        yield "changed", "references to AWS::SecretsManager::Secret", REFERENCE, name


def _replaced(value: Json, old: Json, new: Json) -> Json:
    if value == old:
        return new
    if isinstance(value, list):
        return [_replaced(item, old, new) for item in value]
    if isinstance(value, dict):
        return {key: _replaced(item, old, new) for key, item in value.items()}
    return value


def _with_parameter_arns(template: Object) -> Iterator[_Difference]:
    for name, resource in _object(template["Resources"]).items():
        for document in _policy_documents(resource):
            trimmed = [_trimmed(statement) for statement in _list(document.get("Statement"))]
            if trimmed != document.get("Statement"):
                document["Statement"] = trimmed
                yield "changed", "ARNs of AWS::SSM::Parameter in permissions", PARAMETER_ARN, name


def _trimmed(value: Json) -> Json:
    """Without the slash before a parameter's name that only a deployment knows."""
    if isinstance(value, dict):
        return {key: _trimmed(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    followers = [*value[1:], None]
    return [
        one.removesuffix("/")
        if isinstance(one, str) and one.endswith(":parameter/") and isinstance(following, dict)
        else _trimmed(one)
        for one, following in zip(value, followers, strict=True)
    ]


def _with_session_arns(template: Object) -> Iterator[_Difference]:
    """In trusts and in policies of buckets: everything else names roles as its principals."""
    for name, resource in _object(template["Resources"]).items():
        trust = _object(_properties(resource).get("AssumeRolePolicyDocument"))
        yield from _named_by_session(trust, "the trust of AWS::IAM::Role", name)
        if _type(resource) == "AWS::S3::BucketPolicy":
            policy = _object(_properties(resource).get("PolicyDocument"))
            yield from _named_by_session(policy, "AWS::S3::BucketPolicy", name)


def _named_by_session(policy: Object, where: str, name: str) -> Iterator[_Difference]:
    for statement in map(_object, _list(policy.get("Statement"))):
        conditions = _object(statement.get("Condition"))
        for operator, values in [(key, _object(each)) for key, each in conditions.items()]:
            if "aws:PrincipalArn" not in values:
                continue
            # A session's name is anything, and strings compare without wildcards.
            found = {"aws:PrincipalArn": _of_session(values.pop("aws:PrincipalArn"))}
            if not values:
                del conditions[operator]
            _object(conditions.setdefault(operator.replace("String", "Arn"), {})).update(found)
            yield "changed", f"aws:PrincipalArn in {where}", SESSION_ARN, name


def _of_session(value: Json) -> Json:
    if isinstance(value, list):
        return [_of_session(item) for item in value]
    if isinstance(value, dict):
        return {key: _of_session(item) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    ending = "/*" if ":role/" in value else ""
    return value.replace(":iam::", ":sts::").replace(":role/", ":assumed-role/") + ending


def _with_known_policies(template: Object) -> Iterator[_Difference]:
    for name, resource in _object(template["Resources"]).items():
        variables = _object(_object(_properties(resource).get("Environment")).get("Variables"))
        wanted = variables.get("SESSION_MANAGED_POLICIES")
        for lacking, instead in STANDING_IN.items():
            if wanted is not None and lacking in json.dumps(wanted):
                wanted = cast("Json", json.loads(json.dumps(wanted).replace(lacking, instead)))
                variables["SESSION_MANAGED_POLICIES"] = wanted
                yield "changed", f"{lacking} of SESSION_MANAGED_POLICIES, to {instead}", UNKNOWN_POLICY, name


def _with_loopback_api(template: Object, port: int) -> Iterator[_Difference]:
    resources = _object(template["Resources"])
    stages = {
        name: "$default" if _type(resource) == "AWS::ApiGatewayV2::Api" else _rest_stage(resources, name)
        for name, resource in resources.items()
        if _type(resource) in ("AWS::ApiGatewayV2::Api", "AWS::ApiGateway::RestApi")
    }
    for name, resource in resources.items():
        if _type(resource) != "AWS::CloudFront::Distribution":
            continue
        configuration = _object(_properties(resource)["DistributionConfig"])
        for origin in map(_object, _list(configuration["Origins"])):
            api = next(iter(_references(origin.get("DomainName")) & stages.keys()), None)
            if api is None:
                continue
            origin["DomainName"] = "localhost"
            origin["OriginPath"] = {"Fn::Join": ["", ["/_aws/execute-api/", {"Ref": api}, "/", stages[api]]]}
            _object(origin["CustomOriginConfig"])["HTTPSPort"] = port
            yield "changed", "the API's origin in AWS::CloudFront::Distribution", API_ORIGIN, name


def _without_gateways(template: Object) -> Iterator[_Difference]:
    for name, resource in _object(template["Resources"]).items():
        variables = _object(_object(_properties(resource).get("Environment")).get("Variables"))
        if "GATEWAYS" in variables and "EGRESS_IPV6" not in variables:
            variables["GATEWAYS"] = ""
            unit = "redeem" if "SESSION_POLICY" in variables else "drill"
            yield "changed", f"GATEWAYS of {unit}", NO_GATEWAY, name
        if "EGRESS_IPV6" in variables:
            variables |= {"GATEWAYS": "", "EGRESS_IPV6": "on"}
            yield "changed", "GATEWAYS and EGRESS_IPV6 of launch", NO_GATEWAY, name


def _rest_stage(resources: Object, api: str) -> Json:
    """The stage that belongs to a REST API."""
    for resource in resources.values():
        properties = _properties(resource)
        if _type(resource) == "AWS::ApiGateway::Stage" and properties.get("RestApiId") == {"Ref": api}:
            return properties.get("StageName", "prod")
    return "prod"


def _references(value: Json) -> set[str]:
    """The names of the resources that an expression points at."""
    if isinstance(value, list):
        return set().union(*map(_references, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    found = set().union(*map(_references, value.values())) if value else set()
    if isinstance(value.get("Ref"), str):
        found.add(cast("str", value["Ref"]))
    attribute = value.get("Fn::GetAtt")
    if isinstance(attribute, list) and attribute and isinstance(attribute[0], str):
        found.add(attribute[0])
    return found


def _type(resource: Json) -> str:
    return str(_object(resource).get("Type", ""))


def _properties(resource: Json) -> Object:
    return _object(_object(resource).get("Properties"))


def _object(value: Json) -> Object:
    return value if isinstance(value, dict) else {}


def _as_list(value: Json) -> list[Json]:
    """CloudFormation takes one thing for a list of one."""
    return value if isinstance(value, list) else [value]


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
