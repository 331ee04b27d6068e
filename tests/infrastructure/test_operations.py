"""Who is told what."""

from __future__ import annotations

from tests.infrastructure.templates import Assembly

ALARMS = {
    "RunFailed",
    "RunPartial",
    "SecondUpload",
    "Tripwire",
    "NoRun",
    *(f"{unit}Errors" for unit in ("Launch", "Ingest", "Watch", "Publish", "Enrich", "AuditApi", "Notify")),
    *(f"{stack}Failures" for stack in ("Broker", "Audit", "Operations")),
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


def test_metrics_count_lines_that_the_services_write(assembly: Assembly) -> None:
    filters = {
        each.properties["MetricTransformations"][0]["MetricName"]: (
            assembly.shown(each.properties["LogGroupName"]),
            each.properties["FilterPattern"],
        )
        for each in assembly.of("AWS::Logs::MetricFilter")
    }
    assert filters == {
        "RunsPublished": ("PublishLog", '{ $.message = "run published" }'),
        "RunsFailed": ("PublishLog", '{ ($.message = "run published") && ($.state = "failed") }'),
        "RunsPartial": ("PublishLog", '{ ($.message = "run published") && ($.state = "partial") }'),
        "SecondUploads": ("IngestLog", '{ $.message = "second_upload" }'),
        "Tripwires": ("GatewayLedger", '{ $.tripwire = "yes" }'),
    }


def test_there_is_one_dashboard(assembly: Assembly) -> None:
    assert len(assembly.of("AWS::CloudWatch::Dashboard")) == 1
