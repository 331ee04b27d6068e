"""A small app with one of each thing that the real templates use: what the contract tests deploy."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field

from glovebox.local.adaptations import Change, Json, Object
from glovebox.local.aws import LocalAws

PATIENCE = 20.0
"""Seconds for what takes milliseconds on a quiet machine."""

FUNCTION = """
import json, os, time
import boto3
from botocore.config import Config

def handle(event, context):
    boto3.client("dynamodb").put_item(
        TableName=os.environ["EVENTS"],
        Item={"id": {"S": str(time.time_ns())}, "event": {"S": json.dumps(event)},
              "environment": {"S": json.dumps(dict(os.environ))}},
    )
    if "requestContext" in event:
        return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}
    return {"granted": grants() if event.get("do") == "grant" else None}

def grants():
    s3 = boto3.client("s3", config=Config(signature_version="s3v4"))
    bucket = os.environ["BUCKET"]
    kind = "application/x-ndjson"
    return {
        "form": s3.generate_presigned_post(
            bucket, "results/a/1/report.jsonl", Fields={"Content-Type": kind}, ExpiresIn=300,
            Conditions=[{"Content-Type": kind}, ["content-length-range", 1, 1000]]),
        "url": s3.generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": "handoff/request.json"}, ExpiresIn=300),
        "default": boto3.client("s3").generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": "handoff/request.json"}, ExpiresIn=300),
    }
"""
ASSETS = "assets"
CODE = "code.zip"
MANIFESTS = "results/*/*/manifest.json"


def code() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("unit.py", FUNCTION)
    return packed.getvalue()


def _ref(name: str) -> Object:
    return {"Ref": name}


def _arn(name: str, attribute: str = "Arn") -> Object:
    return {"Fn::GetAtt": [name, attribute]}


def _sub(text: str) -> Object:
    return {"Fn::Sub": text}


def _policy(*statements: Object) -> Object:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(actions: list[Json], *resources: Json) -> Object:
    return {"Effect": "Allow", "Action": actions, "Resource": list(resources)}


def _resource(kind: str, **properties: Json) -> Object:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def _role(service: str, *statements: Object) -> Object:
    trust: Object = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    inline: Json = [{"PolicyName": "own", "PolicyDocument": _policy(*statements)}] if statements else []
    return _resource("IAM::Role", AssumeRolePolicyDocument=_policy(trust), Policies=inline)


def _table(*keys: str, **more: Json) -> Object:
    return _resource(
        "DynamoDB::Table",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": key, "KeyType": kind}
            for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
        ],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        **more,
    )


def _rule(pattern: Object) -> Object:
    return _resource("Events::Rule", EventPattern=pattern, Targets=[{"Id": "unit", "Arn": _arn("Unit")}])


def _permission(service: str, source: Json) -> Object:
    return _resource(
        "Lambda::Permission",
        Action="lambda:InvokeFunction",
        FunctionName=_arn("Unit"),
        Principal=f"{service}.amazonaws.com",
        SourceArn=source,
    )


def _container(name: str, *mounts: tuple[str, bool], after: dict[str, str] | None = None) -> Object:
    return {
        "Name": name,
        "Image": f"registry.example/{name}",
        "Essential": name == "outlet",
        "MountPoints": [
            {"SourceVolume": volume, "ContainerPath": f"/glovebox/{volume}", "ReadOnly": read_only}
            for volume, read_only in mounts
        ],
        "DependsOn": [
            {"ContainerName": other, "Condition": condition} for other, condition in (after or {}).items()
        ],
    }


def template() -> Object:
    """In the spelling of CloudFormation, as the CDK writes it."""
    resources: Object = {
        "Bucket": _resource(
            "S3::Bucket",
            NotificationConfiguration={"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
            VersioningConfiguration={"Status": "Enabled"},
        ),
        "TlsOnly": _resource(
            "S3::BucketPolicy",
            Bucket=_ref("Bucket"),
            PolicyDocument=_policy(
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [_arn("Bucket"), _sub("${Bucket.Arn}/*")],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "cloudfront.amazonaws.com"},
                    "Action": "s3:GetObject",
                    "Resource": _sub("${Bucket.Arn}/page/*"),
                },
            ),
        ),
        "Events": _table("id"),
        "Scans": _table("runId", "scanId", StreamSpecification={"StreamViewType": "NEW_AND_OLD_IMAGES"}),
        "UnitRole": _role(
            "lambda",
            _allow(["dynamodb:PutItem"], _arn("Events")),
            _allow(["s3:PutObject", "s3:GetObject"], _sub("${Bucket.Arn}/*")),
            _allow(["dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream"], "*"),
        ),
        "Unit": _resource(
            "Lambda::Function",
            Runtime="python3.13",
            Handler="unit.handle",
            Role=_arn("UnitRole"),
            Timeout=20,
            Code={"S3Bucket": ASSETS, "S3Key": CODE},
            Environment={"Variables": {"EVENTS": _ref("Events"), "BUCKET": _ref("Bucket")}},
        ),
        "OnManifest": _rule(
            {
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {
                    "bucket": {"name": [_ref("Bucket")]},
                    "object": {"key": [{"wildcard": MANIFESTS}]},
                },
            }
        ),
        "OnManifestMay": _permission("events", _arn("OnManifest")),
        "OnTask": _rule(
            {
                "source": ["aws.ecs"],
                "detail-type": ["ECS Task State Change"],
                "detail": {"clusterArn": [_arn("Cluster")]},
            }
        ),
        "OnTaskMay": _permission("events", _arn("OnTask")),
        "OnScans": _resource(
            "Lambda::EventSourceMapping",
            EventSourceArn=_arn("Scans", "StreamArn"),
            FunctionName=_arn("Unit"),
            StartingPosition="LATEST",
            FilterCriteria={
                "Filters": [
                    {
                        "Pattern": json.dumps(
                            {
                                "eventName": ["MODIFY"],
                                "dynamodb": {"NewImage": {"state": {"S": ["completed"]}}},
                            }
                        )
                    }
                ]
            },
        ),
        "TickRole": _role("scheduler", _allow(["lambda:InvokeFunction"], _arn("Unit"))),
        "Tick": _resource(
            "Scheduler::Schedule",
            FlexibleTimeWindow={"Mode": "OFF"},
            ScheduleExpression="cron(0 2 * * ? *)",
            Target={"Arn": _arn("Unit"), "RoleArn": _arn("TickRole", "Arn"), "Input": '{"do": "tick"}'},
        ),
        "Cluster": _resource("ECS::Cluster"),
        "ExecutionRole": _role("ecs-tasks", _allow(["s3:GetObject"], _sub("${Bucket.Arn}/handoff/*"))),
        "Task": _resource(
            "ECS::TaskDefinition",
            Family="small",
            Cpu="256",
            Memory="512",
            NetworkMode="awsvpc",
            RequiresCompatibilities=["FARGATE"],
            ExecutionRoleArn=_arn("ExecutionRole"),
            Volumes=[{"Name": "in"}, {"Name": "out"}],
            ContainerDefinitions=[
                _container("inlet", ("in", False), ("out", False)),
                _container("scanner", ("in", True), ("out", False), after={"inlet": "SUCCESS"}),
                _container("outlet", ("out", True), after={"scanner": "COMPLETE"}),
            ],
        ),
        "Api": _resource("ApiGatewayV2::Api", Name="small", ProtocolType="HTTP"),
        "Integration": _resource(
            "ApiGatewayV2::Integration",
            ApiId=_ref("Api"),
            IntegrationType="AWS_PROXY",
            IntegrationUri=_arn("Unit"),
            PayloadFormatVersion="2.0",
        ),
        "Route": _resource(
            "ApiGatewayV2::Route",
            ApiId=_ref("Api"),
            RouteKey="GET /api/listScans",
            Target=_sub("integrations/${Integration}"),
        ),
        "Stage": _resource("ApiGatewayV2::Stage", ApiId=_ref("Api"), StageName="$default", AutoDeploy=True),
        "ApiMay": _permission(
            "apigateway", _sub("arn:aws:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*")
        ),
        "Headers": _resource(
            "CloudFront::ResponseHeadersPolicy",
            ResponseHeadersPolicyConfig={
                "Name": "small",
                "SecurityHeadersConfig": {"ContentTypeOptions": {"Override": True}},
            },
        ),
        "Access": _resource(
            "CloudFront::OriginAccessControl",
            OriginAccessControlConfig={
                "Name": "small",
                "OriginAccessControlOriginType": "s3",
                "SigningBehavior": "always",
                "SigningProtocol": "sigv4",
            },
        ),
        "Distribution": _resource("CloudFront::Distribution", DistributionConfig=_distribution()),
        "FlowLog": _resource("EC2::FlowLog", ResourceId="vpc-1", ResourceType="VPC"),
    }
    outputs = {name: _ref(name) for name in ("Bucket", "Events", "Scans", "Unit", "Cluster", "Task", "Tick")}
    outputs |= {"Domain": _arn("Distribution", "DomainName")}
    return {
        "Resources": resources,
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
        "Parameters": {
            "BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/none"}
        },
    }


def _distribution() -> Object:
    def behavior(origin: str) -> Object:
        return {
            "TargetOriginId": origin,
            "ViewerProtocolPolicy": "redirect-to-https",
            "ResponseHeadersPolicyId": _ref("Headers"),
            # CachingDisabled, one of AWS's own policies.
            "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
            # AllViewerExceptHostHeader: the query goes on to the origin.
            "OriginRequestPolicyId": "b689b0a8-53d0-40ab-baf2-68738e2966ac",
        }

    return {
        "Enabled": True,
        "DefaultRootObject": "index.html",
        "DefaultCacheBehavior": behavior("page"),
        "CacheBehaviors": [{"PathPattern": "/api/*", **behavior("api")}],
        "Origins": [
            {
                "Id": "page",
                "DomainName": _arn("Bucket", "RegionalDomainName"),
                "OriginPath": "/page",
                "S3OriginConfig": {"OriginAccessIdentity": ""},
                "OriginAccessControlId": _arn("Access", "Id"),
            },
            {
                "Id": "api",
                "DomainName": {
                    "Fn::Join": ["", [_ref("Api"), ".execute-api.", _ref("AWS::Region"), ".amazonaws.com"]]
                },
                "CustomOriginConfig": {"OriginProtocolPolicy": "https-only"},
            },
        ],
    }


@dataclass
class Small:
    """The small app as deployed, and the events that its function has got."""

    aws: LocalAws
    outputs: dict[str, str]
    changes: list[Change]
    seen: set[str] = field(default_factory=set)

    def grants(self) -> Object:
        answer = self.aws.client("lambda").invoke(
            FunctionName=self.outputs["Unit"], Payload=json.dumps({"do": "grant"})
        )
        assert "FunctionError" not in answer, answer["Payload"].read()
        granted: Object = json.loads(answer["Payload"].read())["granted"]
        return granted

    def next_event(self, wanted: Callable[[Object], bool], patience: float = PATIENCE) -> Object | None:
        """The next event that is wanted; nothing when the patience is over."""
        table = self.aws.client("dynamodb")
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            for item in table.scan(TableName=self.outputs["Events"], ConsistentRead=True)["Items"]:
                if item["id"]["S"] not in self.seen:
                    event: Object = json.loads(item["event"]["S"])
                    if wanted(event):
                        self.seen.add(item["id"]["S"])
                        return event
            time.sleep(0.05)
        return None

    def put(self, key: str, body: bytes = b"{}") -> None:
        self.aws.client("s3").put_object(Bucket=self.outputs["Bucket"], Key=key, Body=body)
