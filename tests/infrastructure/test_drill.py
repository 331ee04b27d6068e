"""The escape drill: a scanner's task like any other, a schedule, a judge by logs, and who hears of it."""

from __future__ import annotations

import json
from typing import Any

from glovebox.drill.flow_log import FIELDS
from glovebox.services.drill import LIFE_SECONDS
from tests.infrastructure.templates import Assembly, Resource, listed


def _definition(assembly: Assembly, name: str) -> dict[str, Any]:
    """A task's definition without what is its own: names, image, size, role and log."""
    whole = json.loads(json.dumps(assembly.one("AWS::ECS::TaskDefinition", f"{name}Definition").properties))
    for key in ("Family", "Cpu", "Memory", "ExecutionRoleArn"):
        del whole[key]
    for container in whole["ContainerDefinitions"]:
        del container["Image"]
        container.get("LogConfiguration", {}).get("Options", {}).pop("awslogs-group", None)
    return dict(whole)


def _wakers(assembly: Assembly) -> list[Resource]:
    return [
        each for each in assembly.all() if each.stack == "Drill" and each.type == "AWS::Scheduler::Schedule"
    ]


def test_the_drill_is_the_task_of_any_scanner(assembly: Assembly) -> None:
    assert _definition(assembly, "Drill") == _definition(assembly, "SiteAudit")
    assert "TaskRoleArn" not in _definition(assembly, "Drill")


def test_its_execution_role_is_its_own_and_no_wider_than_a_scanners(assembly: Assembly) -> None:
    def granted(name: str) -> set[str]:
        [policy] = [
            each
            for each in assembly.of("AWS::IAM::Policy")
            if f"{name}ExecutionRole" in map(assembly.shown, each.properties["Roles"])
        ]
        return {
            f"{action} {assembly.shown(resource)}"
            for statement in policy.properties["PolicyDocument"]["Statement"]
            for action in listed(statement["Action"])
            for resource in listed(statement["Resource"])
        }

    theirs = {
        each.replace("SiteAuditLog", "DrillLog").replace("ImagesSiteaudit", "ImagesDrill")
        for each in granted("SiteAudit")
    }
    assert granted("Drill") == theirs


def test_it_runs_where_scans_run(assembly: Assembly) -> None:
    def told(name: str) -> dict[str, str]:
        variables = assembly.one("AWS::Lambda::Function", f"{name}Function").properties["Environment"][
            "Variables"
        ]
        same = ("SUBNETS", "SECURITY_GROUPS", "CLUSTER", "GATEWAYS", "TICKET_KEY_SECRET", "RESULTS_BUCKET")
        return {key: assembly.shown(variables[key]) for key in same}

    assert told("Drill") == told("Launch")


def test_its_forms_end_before_the_tickets_of_the_next_hour(assembly: Assembly) -> None:
    role = assembly.one("AWS::Lambda::Function", "DrillFunction").properties
    assert role["Timeout"] < LIFE_SECONDS <= 3_600


def test_it_starts_every_week_once_all_its_images_are_promoted(
    assembly: Assembly, promoted: Assembly
) -> None:
    assert _wakers(assembly) == []
    [weekly] = _wakers(promoted)
    assert weekly.properties["ScheduleExpression"] == "cron(0 5 ? * SUN *)"
    order = json.loads(weekly.properties["Target"]["Input"])
    assert order == {"start": True, "scheduledTime": "<aws.scheduler.scheduled-time>"}
    assert promoted.shown(weekly.properties["Target"]["Arn"]) == "DrillFunction.Arn"


def test_its_report_reaches_the_judge_when_the_logs_are_there(assembly: Assembly) -> None:
    rule = assembly.one("AWS::Events::Rule", "Uploads").properties
    assert rule["EventPattern"]["detail"]["object"] == {
        "key": [{"wildcard": "results/drill-*/manifest.json"}]
    }
    assert assembly.shown(rule["Targets"][0]["Arn"]) == "Waiting.Arn"
    waiting = assembly.one("AWS::SQS::Queue", "Waiting").properties
    assert waiting["DelaySeconds"] == 900
    assert assembly.shown(waiting["RedrivePolicy"]["deadLetterTargetArn"]) == "Failures.Arn"
    function = assembly.one("AWS::Lambda::Function", "DrillFunction").properties
    assert waiting["VisibilityTimeout"] >= function["Timeout"], "Lambda takes no shorter one"
    [mapping] = [
        each.properties for each in assembly.of("AWS::Lambda::EventSourceMapping") if each.stack == "Drill"
    ]
    assert assembly.shown(mapping["EventSourceArn"]) == "Waiting.Arn"
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_ingest_is_not_woken_for_it(assembly: Assembly) -> None:
    """Its own rule takes names that begin with a year."""
    [key] = assembly.one("AWS::Events::Rule", "Reports").properties["EventPattern"]["detail"]["object"]["key"]
    assert key == {"wildcard": "results/2*/manifest.json"}


def test_who_reads_the_logs_is_no_scanner(assembly: Assembly) -> None:
    readers = {
        role
        for policy in assembly.of("AWS::IAM::Policy")
        for statement in policy.properties["PolicyDocument"]["Statement"]
        if "logs:FilterLogEvents" in listed(statement["Action"])
        for role in map(assembly.shown, policy.properties["Roles"])
    }
    assert readers == {"DrillRole"}
    [trusted] = assembly.one("AWS::IAM::Role", "DrillRole").properties["AssumeRolePolicyDocument"][
        "Statement"
    ]
    assert trusted["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_flow_logs_say_what_the_judge_reads(assembly: Assembly) -> None:
    for each in assembly.of("AWS::EC2::FlowLog"):
        assert each.properties["LogFormat"].split() == [f"${{{name}}}" for name in FIELDS]


def test_leaks_and_missing_traces_ring(assembly: Assembly) -> None:
    values = {
        each.properties["MetricTransformations"][0]["MetricName"]: each.properties["MetricTransformations"][
            0
        ]["MetricValue"]
        for each in assembly.of("AWS::Logs::MetricFilter")
        if assembly.shown(each.properties["LogGroupName"]) == "DrillLog"
    }
    assert values == {
        "DrillAttempts": "$.attempts",
        "DrillLeaked": "$.leaked",
        "DrillUntraced": "$.untraced",
        "DrillAge": "$.days",
    }
    for name in ("DrillLeaked", "DrillUntraced"):
        alarm = assembly.one("AWS::CloudWatch::Alarm", name).properties
        assert (alarm["MetricName"], alarm["Threshold"], alarm["Statistic"]) == (name, 1, "Sum")


def test_eight_days_without_a_drill_ring_within_what_cloudwatch_looks_back(promoted: Assembly) -> None:
    alarm = promoted.one("AWS::CloudWatch::Alarm", "NoDrill").properties
    assert (alarm["MetricName"], alarm["Threshold"], alarm["Statistic"]) == ("DrillAge", 8, "Maximum")
    assert alarm["Period"] * alarm["EvaluationPeriods"] <= 7 * 86_400
    assert alarm["TreatMissingData"] == "breaching", "a check that does not run is no good news"
    check = promoted.one("AWS::Events::Rule", "Check").properties
    assert check["ScheduleExpression"] == "rate(12 hours)"
    assert json.loads(check["Targets"][0]["Input"]) == {"check": True}
