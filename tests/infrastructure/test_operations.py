"""Who is told what."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacks.settings import Settings
from tests.infrastructure.templates import Assembly

ALARMS = {
    "RunFailed",
    "RunPartial",
    "SecondUpload",
    "SecondClaim",
    "NotRedeemed",
    "ScanUntrusted",
    "EventRefused",
    "Tripwire",
    "NoRun",
    "DrillLeaked",
    "DrillUntraced",
    "KeysStale",
    *(
        f"{unit}Errors"
        for unit in (
            *("Launch", "Redeem", "Ingest", "Watch", "Publish", "Enrich", "AuditApi", "Notify"),
            *("Drill", "Keys", "Snapshot"),
        )
    ),
    *(f"{stack}Failures" for stack in ("Broker", "Audit", "Operations", "Drill", "Perimeter")),
}


def test_every_alarm_reaches_the_topic(assembly: Assembly) -> None:
    alarms = assembly.of("AWS::CloudWatch::Alarm")
    assert {alarm.short for alarm in alarms} == ALARMS
    for alarm in alarms:
        assert [assembly.shown(each) for each in alarm.properties["AlarmActions"]] == ["Topic"]
        assert alarm.properties["AlarmDescription"]


def test_people_subscribe_by_e_mail(assembly: Assembly) -> None:
    [subscription] = assembly.of("AWS::SNS::Subscription")
    assert subscription.properties["Protocol"] == "email"
    assert subscription.properties["Endpoint"] == "security@example.org"


def test_silence_for_26_hours_is_an_alarm(assembly: Assembly) -> None:
    alarm = assembly.one("AWS::CloudWatch::Alarm", "NoRun").properties
    assert alarm["EvaluationPeriods"] * alarm["Period"] == 26 * 3_600
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["ComparisonOperator"] == "LessThanThreshold"


def test_alarms_may_publish_to_the_topic(assembly: Assembly) -> None:
    """A topic with a policy of its own has lost what SNS allows by default."""
    [policy] = assembly.of("AWS::SNS::TopicPolicy")
    [allowed] = [
        each for each in policy.properties["PolicyDocument"]["Statement"] if each["Effect"] == "Allow"
    ]
    assert (allowed["Action"], allowed["Principal"]) == (
        "sns:Publish",
        {"Service": "cloudwatch.amazonaws.com"},
    )
    assert assembly.shown(allowed["Resource"]) == "Topic"
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


def test_all_refusals_count_as_one_metric(assembly: Assembly) -> None:
    found = {
        assembly.shown(each.properties["LogGroupName"])
        for each in assembly.of("AWS::Logs::MetricFilter")
        if each.properties["MetricTransformations"][0]["MetricName"] == "EventsRefused"
    }
    deployed = {each.properties["Handler"].split(".")[1] for each in assembly.of("AWS::Lambda::Function")}
    units = {
        path.parent.name
        for path in Path("functions").glob("*/handler.py")
        if path.parent.name in deployed and "refused(" in path.read_text()
    }
    assert found == {f"{unit.capitalize()}Log" for unit in units}
    alarm = assembly.one("AWS::CloudWatch::Alarm", "EventRefused").properties
    assert (alarm["MetricName"], alarm["Namespace"]) == ("EventsRefused", "Glovebox")


@pytest.mark.parametrize(
    ("schedule", "daily"),
    [
        ("cron(0 2 * * ? *)", True),
        ("cron(30 4,16 ? * * *)", True),
        ("rate(1 day)", True),
        ("rate(12 hours)", True),
        ("rate(15 minutes)", True),
        ("cron(0 2 ? * MON *)", False),
        ("cron(0 2 1 * ? *)", False),
        ("rate(7 days)", False),
        ("rate(48 hours)", False),
        ("at(2026-03-04T05:06:07)", False),
        ("off", False),
    ],
)
def test_silence_is_an_alarm_only_where_every_day_should_bring_a_run(schedule: str, daily: bool) -> None:
    assert Settings(schedule=schedule).is_daily is daily


def test_metrics_count_lines_that_the_services_write(assembly: Assembly) -> None:
    filters = {
        each.properties["MetricTransformations"][0]["MetricName"]: (
            assembly.shown(each.properties["LogGroupName"]),
            each.properties["FilterPattern"],
        )
        for each in assembly.of("AWS::Logs::MetricFilter")
        if each.properties["MetricTransformations"][0]["MetricName"] != "EventsRefused"
    }
    assert filters == {
        "RunsPublished": ("PublishLog", '{ $.message = "run published" }'),
        "RunsFailed": ("PublishLog", '{ ($.message = "run published") && ($.state = "failed") }'),
        "RunsPartial": ("PublishLog", '{ ($.message = "run published") && ($.state = "partial") }'),
        "SecondUploads": ("IngestLog", '{ $.message = "second_upload" }'),
        "SecondClaims": ("RedeemLog", '{ $.message = "second_claim" }'),
        "NotRedeemed": ("RedeemLog", '{ $.message = "not redeemed" }'),
        "ScansUntrusted": ("IngestLog", '{ $.message = "scan untrusted" }'),
        "Tripwires": ("GatewayLedger", '{ ($.tripwire = "yes") && ($.scan != "drill-*") }'),
        **{
            f"Drill{name}": ("DrillLog", '{ $.message = "drill judged" }')
            for name in ("Attempts", "Leaked", "Untraced")
        },
        "KeysFresh": ("KeysLog", '{ $.message = "keys are fresh" }'),
        "DrillAge": ("DrillLog", '{ $.message = "drill age" }'),
    }


def test_there_is_one_dashboard(assembly: Assembly) -> None:
    assert len(assembly.of("AWS::CloudWatch::Dashboard")) == 1
