"""Each function: what it may do, exactly; what it is told; what wakes it; where its failures go."""

from __future__ import annotations

import importlib
import json
from collections import defaultdict
from dataclasses import fields
from pathlib import Path

import pytest

from glovebox.scans.model import LAUNCHES_AT_ONCE, MAX_OCSF_REPORT_BYTES, MAX_REPORT_BYTES
from glovebox.services.redeem import RedeemSettings
from stacks.names import REDEEM_ROLE, SNAPSHOT_ROLE
from stacks.settings import Settings
from tests.infrastructure.templates import TARGETS, Assembly, Resource, listed, synthesize

UNITS = {
    "Launch": "launch",
    "Redeem": "redeem",
    "Snapshot": "snapshot",
    "Ingest": "ingest",
    "Watch": "watch",
    "Publish": "publish",
    "Enrich": "enrich",
    "AuditApi": "audit_api",
    "Notify": "notify",
    "Drill": "drill",
    "Keys": "keys",
}

OWN_LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
STREAM = {
    "dynamodb:DescribeStream": {"Scans.StreamArn"},
    "dynamodb:GetRecords": {"Scans.StreamArn"},
    "dynamodb:GetShardIterator": {"Scans.StreamArn"},
    "dynamodb:ListStreams": {"*"},
}
NETWORK_INTERFACES = {
    "ec2:AssignPrivateIpAddresses": {"*"},
    "ec2:CreateNetworkInterface": {"*"},
    "ec2:DeleteNetworkInterface": {"*"},
    "ec2:DescribeNetworkInterfaces": {"*"},
    "ec2:DescribeSubnets": {"*"},
    "ec2:UnassignPrivateIpAddresses": {"*"},
}
TASKS = "arn:aws:ecs:region:account:task/Cluster/*"
DRILL_REVISIONS = "arn:aws:ecs:region:account:task-definition/Glovebox-Scanners-Drill:*"
REVISIONS = "arn:aws:ecs:region:account:task-definition/Glovebox-Scanners-SiteAudit:*"
UPSTREAM = ("Prowler", "Trivy", "TruffleHog", "Kingfisher")
UPSTREAM_REVISIONS = {
    f"arn:aws:ecs:region:account:task-definition/Glovebox-Scanners-{each}:*" for each in UPSTREAM
}
TICKET_KEY, LEAF = "GatewayKeysTicketKey", "GatewayKeysLeaf"
AUTHORITIES, TICKET_KEYS = (
    f"arn:aws:ssm:region:account:parameter/GatewayKeys{name}" for name in ("Authorities", "TicketKeys")
)
KEY_TEXTS = {AUTHORITIES, TICKET_KEYS}
CHANGE_SCANS = {f"dynamodb:{each}": {"Scans.Arn"} for each in ("GetItem", "PutItem", "UpdateItem")}
CLOSE_RUNS = {f"dynamodb:{each}": {"Scans.Arn"} for each in ("DeleteItem", "GetItem", "PutItem", "Query")}

MAY = {
    "Launch": {
        **CHANGE_SCANS,
        "dynamodb:GetItem": {"Scans.Arn"},
        "dynamodb:Query": {"Scans.Arn", "Registry.Arn"},
        "s3:GetObject": {
            "Lists.Arn/*",
            "HandOff.Arn/handoff/*/envelope.json",
            "HandOff.Arn/handoff/*/request.json",
        },
        "s3:PutObject": {
            "Claims.Arn/claims/*/claim.json",
            "HandOff.Arn/handoff/*/request.json",
            "HandOff.Arn/handoff/*/inlet.env",
            "HandOff.Arn/handoff/*/outlet.env",
            "Results.Arn/results/*",
        },
        "s3:ListBucket": {"Lists.Arn"},
        "ecs:RunTask": {REVISIONS, *UPSTREAM_REVISIONS},
        "ecs:TagResource": {TASKS},
        "iam:PassRole": {f"{each}ExecutionRole.Arn" for each in ("SiteAudit", *UPSTREAM)},
        "lambda:InvokeFunction": {"SnapshotFunction.Arn"},
        "secretsmanager:GetSecretValue": {TICKET_KEY},
        "ssm:GetParameter": {AUTHORITIES},
    },
    "Redeem": {
        **CHANGE_SCANS,
        "s3:GetObject": {"Claims.Arn/claims/*/claim.json"},
        "s3:PutObject": {"HandOff.Arn/handoff/*/envelope.json"},
        "secretsmanager:GetSecretValue": {TICKET_KEY},
    },
    "Snapshot": {
        **{f"dynamodb:{each}": {"Registry.Arn"} for each in ("GetItem", "PutItem", "Query")},
        **{
            f"s3:{each}": {"Snapshots.Arn/snapshots/*"}
            for each in ("AbortMultipartUpload", "DeleteObject", "GetObject", "PutObject")
        },
        "s3:ListBucket": {"Snapshots.Arn"},
        "secretsmanager:GetSecretValue": {"GitHubApp"},
    },
    "Ingest": {
        **CHANGE_SCANS,
        "dynamodb:BatchWriteItem": {"Sites.Arn"},
        "dynamodb:DeleteItem": {"Findings.Arn"},
        "dynamodb:GetItem": {"Scans.Arn", "Findings.Arn"},
        "dynamodb:PutItem": {"Scans.Arn", "Findings.Arn"},
        "dynamodb:Query": {"Findings.Arn", "Findings.Arn/index/by-kind"},
        "dynamodb:UpdateItem": {"Scans.Arn", "Registry.Arn", "Findings.Arn"},
        "s3:GetObjectVersion": {"Results.Arn/results/*"},
        "s3:ListBucketVersions": {"Results.Arn"},
        **NETWORK_INTERFACES,
    },
    "Watch": {
        **CHANGE_SCANS,
        "dynamodb:Query": {"Scans.Arn"},
        "s3:DeleteObject": {"HandOff.Arn/handoff/*"},
        "ecs:StopTask": {TASKS},
        "lambda:InvokeFunction": {"LaunchFunction.Arn"},
    },
    "Publish": {
        **CLOSE_RUNS,
        "dynamodb:BatchGetItem": {"Sites.Arn"},
        "s3:PutObject": {"Publication.Arn/files/*"},
        "s3:AbortMultipartUpload": {"Publication.Arn/files/*"},
        **STREAM,
    },
    "Enrich": {
        **CHANGE_SCANS,
        "dynamodb:BatchGetItem": {"Sites.Arn"},
        "dynamodb:BatchWriteItem": {"Sites.Arn"},
        "dynamodb:GetItem": {"Scans.Arn", "Registry.Arn"},
        "dynamodb:PutItem": {"Scans.Arn", "Registry.Arn"},
        "secretsmanager:GetSecretValue": {"ShodanKey"},
        **STREAM,
    },
    "AuditApi": {
        "dynamodb:GetItem": {"Sites.Arn"},
        "dynamodb:Query": {
            "Sites.Arn",
            "Sites.Arn/index/by-domain",
            "Sites.Arn/index/by-name",
            "Registry.Arn",
        },
        "s3:ListBucket": {"Publication.Arn"},
    },
    "Notify": {
        **CLOSE_RUNS,
        "dynamodb:BatchGetItem": {"Sites.Arn", "Findings.Arn"},
        "dynamodb:GetItem": {"Scans.Arn", "Findings.Arn"},
        "dynamodb:Query": {
            "Scans.Arn",
            "Sites.Arn/index/by-name",
            "Findings.Arn",
            "Findings.Arn/index/by-kind",
            "Registry.Arn",
        },
        "sns:Publish": {"Topic"},
        **STREAM,
    },
    "Drill": {
        "s3:GetObject": {"HandOff.Arn/handoff/drill-*/request.json", "Drills.Arn/drills/*"},
        "s3:PutObject": {
            "HandOff.Arn/handoff/drill-*",
            "Results.Arn/results/drill-*",
            "Drills.Arn/drills/*",
        },
        "s3:DeleteObject": {"HandOff.Arn/handoff/drill-*"},
        "s3:GetObjectVersion": {"Results.Arn/results/drill-*"},
        "s3:ListBucketVersions": {"Results.Arn"},
        "s3:ListBucket": {"Drills.Arn"},
        "ecs:RunTask": {DRILL_REVISIONS},
        "ecs:DescribeTasks": {TASKS},
        "ecs:TagResource": {TASKS},
        "iam:PassRole": {"DrillExecutionRole.Arn"},
        "secretsmanager:GetSecretValue": {TICKET_KEY},
        "logs:FilterLogEvents": {
            "ScanFlowLog.Arn",
            "EgressFlowLog.Arn",
            "DnsFirewallQueryLog.Arn",
            "GatewayLedger.Arn",
        },
        "sqs:DeleteMessage": {"Waiting.Arn"},
        "sqs:GetQueueAttributes": {"Waiting.Arn"},
        "sqs:ReceiveMessage": {"Waiting.Arn"},
    },
    "Keys": {
        "secretsmanager:GetSecretValue": {TICKET_KEY, LEAF},
        "secretsmanager:PutSecretValue": {TICKET_KEY, LEAF},
        "ssm:GetParameter": KEY_TEXTS,
        "ssm:PutParameter": KEY_TEXTS,
    },
}
"""Unit → action → resources, beside its own log, its failure queue and our key, which all have alike."""

KEY_SERVICES = {
    "Launch": {"dynamodb", "s3", "secretsmanager", "sqs"},
    "Redeem": {"dynamodb", "s3", "secretsmanager", "sqs"},
    "Snapshot": {"dynamodb", "s3", "secretsmanager", "sqs"},
    "Ingest": {"dynamodb", "s3", "sqs"},
    "Watch": {"dynamodb", "sqs"},
    "Publish": {"dynamodb", "s3", "sqs"},
    "Enrich": {"dynamodb", "secretsmanager", "sqs"},
    "AuditApi": {"dynamodb", "sqs"},
    "Notify": {"dynamodb", "sns", "sqs"},
    "Drill": {"s3", "secretsmanager", "sqs"},
    "Keys": {"secretsmanager", "sqs"},
}


def _function(assembly: Assembly, name: str) -> Resource:
    return assembly.one("AWS::Lambda::Function", f"{name}Function")


def _statements(assembly: Assembly, role: str) -> list[dict[str, object]]:
    """All statements that a role has, from wherever they were attached."""
    found: list[dict[str, object]] = []
    for policy in assembly.of("AWS::IAM::Policy"):
        if role in map(assembly.shown, policy.properties["Roles"]):
            found += policy.properties["PolicyDocument"]["Statement"]
    return found


def _granted(assembly: Assembly, role: str) -> dict[str, set[str]]:
    granted: defaultdict[str, set[str]] = defaultdict(set)
    for statement in _statements(assembly, role):
        if statement["Effect"] == "Deny":
            continue
        for action in listed(statement["Action"]):
            granted[action] |= {assembly.shown(each) for each in listed(statement["Resource"])}
    return dict(granted)


def test_the_table_covers_every_function(assembly: Assembly) -> None:
    names = {each.short for each in assembly.of("AWS::Lambda::Function")}
    # It runs while stacks are deployed and never else; test_perimeter.py holds what it may.
    names.remove("SetupFunction")
    assert names == {f"{name}Function" for name in UNITS} == {f"{name}Function" for name in MAY}


@pytest.mark.parametrize("name", UNITS)
def test_a_function_may_do_exactly_this(assembly: Assembly, name: str) -> None:
    granted = _granted(assembly, f"{name}Role")
    for action in OWN_LOG:
        assert granted.pop(action) == {f"{name}Log.Arn"}
    assert granted.pop("sqs:SendMessage") == {"Failures.Arn"}
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        assert granted.pop(action) == {"Key.Arn"}
    assert granted == MAY[name]


@pytest.mark.parametrize("name", UNITS)
def test_a_function_uses_our_key_only_through_the_services_that_it_calls(
    assembly: Assembly, name: str
) -> None:
    services: set[str] = set()
    for statement in _statements(assembly, f"{name}Role"):
        if any(str(action).startswith("kms:") for action in listed(statement["Action"])):
            condition = statement["Condition"]
            assert isinstance(condition, dict)
            assert condition.keys() == {"StringEquals"}
            via = listed(condition["StringEquals"]["kms:ViaService"])
            services |= {assembly.shown(each).split(".")[0] for each in via}
    assert services == KEY_SERVICES[name]


def test_the_code_of_ingest_may_not_do_what_lambda_does_with_its_role(assembly: Assembly) -> None:
    [denied] = [each for each in _statements(assembly, "IngestRole") if each["Effect"] == "Deny"]
    assert set(listed(denied["Action"])) == NETWORK_INTERFACES.keys()
    condition = denied["Condition"]
    assert isinstance(condition, dict)
    assert assembly.shown(condition["ArnEquals"]["lambda:SourceFunctionArn"]) == "IngestFunction.Arn"


def test_launch_runs_the_latest_revision_of_the_one_definition(assembly: Assembly) -> None:
    definition = assembly.one("AWS::ECS::TaskDefinition", "SiteAuditDefinition")
    told = _function(assembly, "Launch").properties["Environment"]["Variables"]
    assert told["TASK_DEFINITION"] == definition.properties["Family"]
    assert REVISIONS.endswith(f":task-definition/{definition.properties['Family']}:*")


def test_no_role_has_a_managed_policy(assembly: Assembly) -> None:
    for role in assembly.of("AWS::IAM::Role"):
        assert "ManagedPolicyArns" not in role.properties, role.name


def test_no_policy_has_an_action_with_a_wildcard(assembly: Assembly) -> None:
    for policy in assembly.of("AWS::IAM::Policy"):
        for statement in policy.properties["PolicyDocument"]["Statement"]:
            assert not [action for action in listed(statement["Action"]) if "*" in action], policy.name


def test_launch_runs_one_definition_on_one_cluster_and_passes_one_role_to_tasks(assembly: Assembly) -> None:
    by_action = {
        action: statement
        for statement in _statements(assembly, "LaunchRole")
        for action in listed(statement["Action"])
    }
    run = by_action["ecs:RunTask"]["Condition"]
    assert isinstance(run, dict)
    assert assembly.shown(run["ArnEquals"]["ecs:cluster"]) == "Cluster.Arn"
    assert run["BoolIfExists"] == {"ecs:enable-execute-command": "false"}
    assert by_action["iam:PassRole"]["Condition"] == {
        "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    }
    assert by_action["ecs:TagResource"]["Condition"] == {"StringEquals": {"ecs:CreateAction": "RunTask"}}


def test_redeem_alone_assumes_audit_roles_and_only_those_of_targets(promoted: Assembly) -> None:
    """No role of ours assumes any other: what runs as somebody else is started by AWS."""
    granted = _granted(promoted, "RedeemRole")
    roles = {f"arn:aws:iam::{target}:role/GloveboxAudit" for target in TARGETS}
    assert granted["sts:AssumeRole"] == granted["sts:SetSourceIdentity"] == roles
    for role in promoted.of("AWS::IAM::Role"):
        if role.short != "RedeemRole":
            assert not [each for each in _granted(promoted, role.short) if each.startswith("sts:")]


def test_without_targets_redeem_assumes_nothing(assembly: Assembly) -> None:
    assert not [each for each in _granted(assembly, "RedeemRole") if each.startswith("sts:")]


def test_redeem_has_the_name_that_audit_roles_trust(assembly: Assembly) -> None:
    assert assembly.one("AWS::IAM::Role", "RedeemRole").properties["RoleName"] == REDEEM_ROLE


def test_what_redeem_is_told_fits_its_environment_and_a_session(promoted: Assembly) -> None:
    """Lambda takes 4 KB of variables; expressions count as what they stand for, at its longest."""
    told = {
        name: promoted.shown(value).replace("GatewayPublicAddress", "255.255.255.255")
        for name, value in _function(promoted, "Redeem").properties["Environment"]["Variables"].items()
    }
    room = 64 * len(told)  # A name that CloudFormation makes is at most 63 characters long.
    assert sum(len(name) + len(value) for name, value in told.items()) + room < 4_096
    assert json.loads(told["SESSION_POLICY"].replace("${Target}", "444455556666"))
    assert told["AUDIT_ROLE"] == "arn:aws:iam::${Target}:role/GloveboxAudit"
    RedeemSettings(
        scanning_account="111122223333",
        audit_role=told["AUDIT_ROLE"],
        external_id=told["EXTERNAL_ID"],
        session_policy=told["SESSION_POLICY"],
        managed_policies=tuple(told["SESSION_MANAGED_POLICIES"].split(",")),
        gateways=tuple(told["GATEWAYS"].split(",")),
    )


def test_watch_alone_stops_tasks_and_each_definition_has_one_who_starts_it(assembly: Assembly) -> None:
    holders: defaultdict[str, set[str]] = defaultdict(set)
    for role in assembly.of("AWS::IAM::Role"):
        for action in _granted(assembly, role.short):
            holders[action].add(role.short)
    assert holders["ecs:RunTask"] == {"LaunchRole", "DrillRole"}
    assert holders["ecs:StopTask"] == {"WatchRole"}
    assert holders["iam:PassRole"] == {"LaunchRole", "DrillRole"}
    readers = ("Enrich", "Gateway", "Drill", "Launch", "Redeem", "Keys", "Snapshot")
    assert holders["secretsmanager:GetSecretValue"] == {f"{each}Role" for each in readers}
    assert holders["secretsmanager:PutSecretValue"] == holders["ssm:PutParameter"] == {"KeysRole"}
    schedulers = {f"{each}SchedulerRole" for each in ("Daily", "Acceptances", "Hourly", "Sweep")}
    assert holders["lambda:InvokeFunction"] - {"WeeklySchedulerRole"} == {
        "LaunchRole",
        "WatchRole",
        *schedulers,
    }


@pytest.mark.parametrize("name", UNITS)
def test_a_function_is_told_what_its_environment_reads(assembly: Assembly, name: str) -> None:
    told = _function(assembly, name).properties["Environment"]["Variables"]
    environment = importlib.import_module(f"functions.{UNITS[name]}.environment").Environment
    ours = {variable for variable in told if not variable.startswith("AWS_")}
    assert ours == {each.name.upper() for each in fields(environment)}


@pytest.mark.parametrize("name", UNITS)
def test_what_a_function_is_told_can_be_read(assembly: Assembly, name: str) -> None:
    told = _function(assembly, name).properties["Environment"]["Variables"]
    environment = importlib.import_module(f"functions.{UNITS[name]}.environment").Environment
    environment.read({variable: assembly.shown(value) for variable, value in told.items()})


@pytest.mark.parametrize("name", UNITS)
def test_functions_are_made_alike(assembly: Assembly, name: str) -> None:
    properties = _function(assembly, name).properties
    assert properties["Handler"] == f"functions.{UNITS[name]}.handler.handle"
    assert properties["Runtime"] == "python3.13"
    assert properties["Architectures"] == ["arm64"]
    assert assembly.shown(properties["LoggingConfig"]["LogGroup"]) == f"{name}Log"
    assert properties["ReservedConcurrentExecutions"] >= 1


def test_each_launch_finds_a_free_snapshot_and_so_does_a_sync(assembly: Assembly) -> None:
    """A snapshot that is refused costs its scan a minute."""
    launch, snapshot = (
        _function(assembly, name).properties["ReservedConcurrentExecutions"]
        for name in ("Launch", "Snapshot")
    )
    assert launch == LAUNCHES_AT_ONCE < snapshot


def test_every_function_hands_over_what_it_cannot_handle(assembly: Assembly) -> None:
    configured = {
        assembly.shown(each.properties["FunctionName"]): assembly.shown(
            each.properties["DestinationConfig"]["OnFailure"]["Destination"]
        )
        for each in assembly.of("AWS::Lambda::EventInvokeConfig")
    }
    assert configured == {f"{name}Function": "Failures.Arn" for name in UNITS}


def test_no_function_lets_in_anybody_but_our_rules_and_the_api(assembly: Assembly) -> None:
    """By a policy of its own; so whoever else invokes one was granted that himself."""
    for permission in assembly.of("AWS::Lambda::Permission"):
        principal = permission.properties["Principal"]
        assert principal in {"events.amazonaws.com", "apigateway.amazonaws.com"}
        assert permission.properties["SourceArn"]


def test_other_functions_stand_in_no_network(assembly: Assembly) -> None:
    for name in UNITS.keys() - {"Ingest"}:
        assert "VpcConfig" not in _function(assembly, name).properties


def test_endpoints_admit_ingest_to_what_it_does_and_nothing_else(assembly: Assembly) -> None:
    granted = _granted(assembly, "IngestRole")
    admitted: defaultdict[str, set[str]] = defaultdict(set)
    for endpoint in assembly.of("AWS::EC2::VPCEndpoint"):
        for statement in endpoint.properties["PolicyDocument"]["Statement"]:
            roles = statement["Condition"].get("ArnLike", {}).get("aws:PrincipalArn", "")
            if "IngestRole" in assembly.shown(roles):
                for action in listed(statement["Action"]):
                    admitted[action] |= {assembly.shown(each) for each in listed(statement["Resource"])}
    through = {action for action in granted if action.startswith(("s3:", "dynamodb:"))}
    assert admitted.keys() == through
    for action in through:
        assert granted[action] <= admitted[action]


FILTERS = {
    "Publish": {
        "scanId": {"S": ["run"]},
        "pending": {"N": ["0"]},
        "publishedAt": {"S": [{"exists": False}]},
    },
    "Enrich": {
        "scanId": {"S": [{"anything-but": ["run"]}]},
        "endedAt": {"S": [{"exists": True}]},
        "enrichedAt": {"S": [{"exists": False}]},
        "account": {"S": [{"exists": False}]},
        "repository": {"S": [{"exists": False}]},
    },
    "Notify": {
        "scanId": {"S": ["run"]},
        "publishedAt": {"S": [{"exists": True}]},
        "notifiedAt": {"S": [{"exists": False}]},
    },
}


def test_streams_wake_only_those_who_have_something_to_do(assembly: Assembly) -> None:
    found = {}
    for mapping in assembly.of("AWS::Lambda::EventSourceMapping"):
        properties = mapping.properties
        if assembly.shown(properties["EventSourceArn"]) == "Waiting.Arn":
            continue  # A queue, of which test_drill.py speaks.
        assert assembly.shown(properties["EventSourceArn"]) == "Scans.StreamArn"
        assert properties["BisectBatchOnFunctionError"] is True
        assert properties["MaximumRetryAttempts"] == 5
        assert assembly.shown(properties["DestinationConfig"]["OnFailure"]["Destination"]) == "Failures.Arn"
        [pattern] = properties["FilterCriteria"]["Filters"]
        name = assembly.shown(properties["FunctionName"]).removesuffix("Function")
        found[name] = json.loads(pattern["Pattern"])["dynamodb"]["NewImage"]
    assert found == FILTERS


def test_rules_wake_ingest_for_manifests_redeem_for_claims_and_watch_for_tasks(assembly: Assembly) -> None:
    claims = assembly.one("AWS::Events::Rule", "Claimed").properties
    assert claims["EventPattern"]["detail"]["object"] == {"key": [{"wildcard": "claims/*/claim.json"}]}
    assert assembly.shown(claims["EventPattern"]["detail"]["bucket"]["name"][0]) == "Claims"
    assert assembly.shown(claims["Targets"][0]["Arn"]) == "RedeemFunction.Arn"
    reports = assembly.one("AWS::Events::Rule", "Reports").properties
    assert reports["EventPattern"]["detail"]["object"] == {"key": [{"wildcard": "results/2*/manifest.json"}]}
    assert assembly.shown(reports["EventPattern"]["detail"]["bucket"]["name"][0]) == "Results"
    assert assembly.shown(reports["Targets"][0]["Arn"]) == "IngestFunction.Arn"
    tasks = assembly.one("AWS::Events::Rule", "Tasks").properties
    assert tasks["EventPattern"]["source"] == ["aws.ecs"]
    assert assembly.shown(tasks["EventPattern"]["detail"]["clusterArn"][0]) == "Cluster.Arn"
    assert assembly.shown(tasks["Targets"][0]["Arn"]) == "WatchFunction.Arn"
    for rule in (reports, claims, tasks):
        assert assembly.shown(rule["Targets"][0]["DeadLetterConfig"]["Arn"]) == "Failures.Arn"
    tick = assembly.one("AWS::Events::Rule", "Tick").properties
    assert tick["ScheduleExpression"] == "rate(1 minute)"
    assert json.loads(tick["Targets"][0]["Input"]) == {"tick": True}


def test_the_schedule_gives_launch_the_list_and_the_time_that_names_the_run(assembly: Assembly) -> None:
    schedule = assembly.one("AWS::Scheduler::Schedule", "Daily")
    assert schedule.properties["ScheduleExpression"] == Settings().schedule
    assert schedule.properties["ScheduleExpressionTimezone"] == "UTC"
    target = schedule.properties["Target"]
    assert assembly.shown(target["Arn"]) == "LaunchFunction.Arn"
    assert json.loads(target["Input"]) == {
        "list": {"key": "hosts.txt"},
        "requestedBy": "schedule",
        "scheduledTime": "<aws.scheduler.scheduled-time>",
    }


def test_accounts_are_scanned_by_a_schedule_of_their_own(tmp_path: Path, assembly: Assembly) -> None:
    schedules = {each.short for each in assembly.of("AWS::Scheduler::Schedule")}
    assert "Accounts" not in schedules
    scheduled = synthesize(tmp_path, Settings(accounts_schedule="rate(7 days)"))
    schedule = scheduled.one("AWS::Scheduler::Schedule", "Accounts").properties
    assert schedule["ScheduleExpression"] == "rate(7 days)"
    assert scheduled.shown(schedule["Target"]["Arn"]) == "LaunchFunction.Arn"
    assert json.loads(schedule["Target"]["Input"]) == {
        "accounts": "all",
        "requestedBy": "schedule",
        "scheduledTime": "<aws.scheduler.scheduled-time>",
    }


def test_repositories_are_put_on_record_then_scanned_by_a_schedule_and_swept_in_any_case(
    tmp_path: Path, assembly: Assembly
) -> None:
    schedules = {each.short for each in assembly.of("AWS::Scheduler::Schedule")}
    assert "Sweep" in schedules
    assert not {"Repositories", "Sync"} & schedules
    by_the_week = synthesize(tmp_path, Settings(repositories_schedule="cron(0 3 ? * SUN *)"))
    told = {
        name: by_the_week.one("AWS::Scheduler::Schedule", name).properties
        for name in ("Repositories", "Sync", "Sweep")
    }
    assert {
        name: (
            each["ScheduleExpression"],
            by_the_week.shown(each["Target"]["Arn"]),
            json.loads(each["Target"]["Input"]),
        )
        for name, each in told.items()
    } == {
        "Repositories": (
            "cron(0 3 ? * SUN *)",
            "LaunchFunction.Arn",
            {
                "repositories": "all",
                "requestedBy": "schedule",
                "scheduledTime": "<aws.scheduler.scheduled-time>",
            },
        ),
        "Sync": ("cron(30 0 * * ? *)", "SnapshotFunction.Arn", {"sync": True}),
        "Sweep": ("rate(1 hour)", "SnapshotFunction.Arn", {"sweep": True}),
    }


def test_launch_starts_scanners_of_repositories_where_no_way_leads_to_the_gateway(assembly: Assembly) -> None:
    told = assembly.as_text(_function(assembly, "Launch").properties["Environment"]["Variables"])
    assert told["UNTICKETED_SECURITY_GROUPS"] == "RolesTasksWithoutTicket.GroupId"
    assert told["SNAPSHOT_FUNCTION"] == "SnapshotFunction"
    assert told["REPOSITORY_SCANNERS"] == "trivy,trufflehog"
    for scanner in ("Trivy", "TruffleHog", "Kingfisher"):
        definition = assembly.one("AWS::ECS::TaskDefinition", f"{scanner}Definition")
        assert told[f"{scanner.upper()}_TASK_DEFINITION"] == definition.properties["Family"]


def test_snapshot_asks_the_host_of_the_settings(tmp_path: Path, assembly: Assembly) -> None:
    told = _function(assembly, "Snapshot").properties["Environment"]["Variables"]
    assert (told["GITHUB_HOST"], told["GITHUB_API"]) == ("github.com", "https://api.github.com")
    elsewhere = synthesize(tmp_path, Settings(github_host="github.example.org"))
    told = _function(elsewhere, "Snapshot").properties["Environment"]["Variables"]
    assert told["GITHUB_HOST"] == "github.example.org"
    assert told["GITHUB_API"] == "https://github.example.org/api/v3"


def test_the_apps_secret_is_made_with_a_key_for_fingerprints_and_stays(assembly: Assembly) -> None:
    """Made anew, every known secret would have another fingerprint, and so be a new finding."""
    secret = assembly.one("AWS::SecretsManager::Secret", "GitHubApp")
    made = secret.properties["GenerateSecretString"]
    assert json.loads(made["SecretStringTemplate"]) == {"appId": "", "privateKey": ""}
    assert (made["GenerateStringKey"], made["PasswordLength"]) == ("fingerprintKey", 64)
    assert secret.whole["DeletionPolicy"] == secret.whole["UpdateReplacePolicy"] == "Retain"
    assert assembly.shown(secret.properties["KmsKeyId"]) == "Key.Arn"


def test_snapshot_has_the_name_that_its_bucket_and_the_endpoint_know(assembly: Assembly) -> None:
    assert assembly.one("AWS::IAM::Role", "SnapshotRole").properties["RoleName"] == SNAPSHOT_ROLE


def test_acceptances_end_with_the_day(assembly: Assembly) -> None:
    schedule = assembly.one("AWS::Scheduler::Schedule", "Acceptances").properties
    assert schedule["ScheduleExpression"] == "cron(5 0 * * ? *)"
    assert assembly.shown(schedule["Target"]["Arn"]) == "IngestFunction.Arn"
    assert json.loads(schedule["Target"]["Input"]) == {"daily": True}


def test_ingest_has_room_for_the_largest_report(assembly: Assembly) -> None:
    properties = _function(assembly, "Ingest").properties
    room = properties["EphemeralStorage"]["Size"] << 20
    assert room >= 2 * max(MAX_REPORT_BYTES, MAX_OCSF_REPORT_BYTES)
    assert properties["MemorySize"] >= 1024


def test_keys_runs_by_the_hour_and_never_twice_at_once(assembly: Assembly) -> None:
    schedule = assembly.one("AWS::Scheduler::Schedule", "Hourly").properties
    assert schedule["ScheduleExpression"] == "rate(1 hour)"
    assert assembly.shown(schedule["Target"]["Arn"]) == "KeysFunction.Arn"
    assert _function(assembly, "Keys").properties["ReservedConcurrentExecutions"] == 1


@pytest.mark.parametrize("name", ["Launch", "Redeem", "Drill", "Gateway"])
def test_a_key_that_is_not_in_use_yet_is_read_by_keys_alone(assembly: Assembly, name: str) -> None:
    statements = _statements(assembly, f"{name}Role")
    [read] = [each for each in statements if each["Action"] == "secretsmanager:GetSecretValue"]
    assert read["Condition"] == {"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("Launch", ["account", "repository"]),
        ("Snapshot", ["repository"]),
        ("Ingest", ["site", "domain"]),
        ("Enrich", ["shodan"]),
        ("AuditApi", ["site", "domain"]),
        ("Notify", ["account", "repository", "team", "owner"]),
    ],
)
def test_of_the_registry_each_reaches_its_own_kinds_alone(
    assembly: Assembly, name: str, kinds: list[str]
) -> None:
    """The names of sites are public; accounts, with the ExternalIds of their roles, stand beside them."""
    there = [
        each
        for each in _statements(assembly, f"{name}Role")
        if "Registry.Arn" in map(assembly.shown, listed(each["Resource"]))
    ]
    assert [each["Condition"] for each in there] == [
        {
            "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": kinds},
            "Null": {"dynamodb:LeadingKeys": "false"},
        }
    ]


def test_redeem_tells_scanners_of_every_zone_s_listener_for_aws(promoted: Assembly) -> None:
    told = _function(promoted, "Redeem").properties["Environment"]["Variables"]
    assert told["GATEWAYS"] == "10.43.0.10:3128,10.43.0.26:3128"


def test_launch_is_told_of_every_zone_s_gateway(promoted: Assembly) -> None:
    told = _function(promoted, "Launch").properties["Environment"]["Variables"]
    assert told["GATEWAYS"] == "10.43.0.10:3129,10.43.0.26:3129"
    assert told["EGRESS_IPV6"] == "off"


def test_units_have_a_handler(assembly: Assembly) -> None:
    for unit in UNITS.values():
        assert Path("functions", unit, "handler.py").is_file()
