"""How people learn what happened: messages, alarms, one dashboard."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from glovebox_constructs.failure_queue import FailureQueue
from glovebox_constructs.policies import statements
from glovebox_constructs.runtime_function import RuntimeFunction
from glovebox_constructs.squid_egress import SquidEgress
from stacks.audit import CLOSE_RUNS, Audit
from stacks.broker import Broker
from stacks.defaults import function_defaults
from stacks.drill import Drill
from stacks.outputs import output
from stacks.perimeter import Perimeter
from stacks.settings import Settings
from stacks.storage import BY_KIND, BY_NAME, Storage, of_kinds

NAMESPACE = "Glovebox"
DRILL_DAYS = 8
"""A week, and a day for somebody to look."""
WATCHED_HOURS = 26
"""A daily run may take two hours before somebody should look."""
STALE_HOURS = 3
"""`keys` runs by the hour; two that fail are not worth a message."""
ANSWERING = ("Launch", "Snapshot", "AuditApi", "Drill", "Keys")
"""Units that tell their caller what is wrong, or their queue; the others refuse by a line in the log."""
WAITS_FOR_NOTICE = {
    "scanId": {"S": ["run"]},
    "publishedAt": {"S": [{"exists": True}]},
    "notifiedAt": {"S": [{"exists": False}]},
}


class Operations(cdk.Stack):
    """`notify` tells about finished runs; alarms tell about what went wrong, or did not happen."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        storage: Storage,
        perimeter: Perimeter,
        broker: Broker,
        audit: Audit,
        drill: Drill,
    ) -> None:
        super().__init__(scope, id, description="Glovebox: messages, alarms, dashboard")
        self.topic = sns.Topic(
            self, "Topic", display_name="Glovebox", master_key=storage.key, enforce_ssl=True
        )
        here = {"Account": cdk.Aws.ACCOUNT_ID, "Partition": cdk.Aws.PARTITION, "Region": cdk.Aws.REGION}
        for statement in statements("topic_policy", {"Topic": self.topic.topic_arn, **here}):
            self.topic.add_to_resource_policy(statement)
        for address in settings.emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(address))
        self.failures = FailureQueue(self, "Failures", key=storage.key)
        self.notify = self._notify(settings, storage, audit)
        self._units = {
            "Launch": broker.launch,
            "Redeem": broker.redeem,
            "Snapshot": broker.repositories.snapshot,
            "Ingest": broker.ingest,
            "Watch": broker.watch,
            "Publish": audit.publish,
            **({"Enrich": audit.enrich} if audit.enrich else {}),
            "AuditApi": audit.audit_api,
            "Notify": self.notify,
            "Keys": perimeter.keys,
            "Drill": drill.drill,
        }
        self._queues = {
            "Broker": broker.failures,
            "Audit": audit.failures,
            "Operations": self.failures,
            "Perimeter": perimeter.failures,
            "Drill": drill.failures,
        }
        self._runs = self._counted(audit.publish, "RunsPublished", {"message": "run published"})
        self._alarm_about_runs(settings, audit, broker)
        self._alarm_about_units()
        self._alarm_about_the_gateway(perimeter.gateway)
        self._alarm(
            "KeysStale",
            self._counted(perimeter.keys, "KeysFresh", {"message": "keys are fresh"}),
            "Nobody sees to the gateway's keys, or a successor is overdue; look at the log of `keys`.",
            below=1,
            periods=STALE_HOURS,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )
        self._alarm_about_drills(settings, drill.drill)
        self._dashboard()
        output(self, "Topic", self.topic.topic_arn)
        output(self, "NotifyFunction", self.notify.function.function_name)

    def _notify(self, settings: Settings, storage: Storage, audit: Audit) -> RuntimeFunction:
        notify = RuntimeFunction(
            self,
            "Notify",
            unit="notify",
            defaults=function_defaults(settings, key=storage.key, failures=self.failures),
            environment={
                "SCANS_TABLE": storage.scans.table_name,
                "SITES_TABLE": storage.sites.table_name,
                "FINDINGS_TABLE": storage.findings.table_name,
                "REGISTRY_TABLE": storage.registry.table_name,
                "TOPIC": self.topic.topic_arn,
                "PAGE_URL": audit.site.url,
            },
            timeout=cdk.Duration.minutes(5),
            memory=512,
            concurrency=1,
        )
        notify.may(*CLOSE_RUNS, on=[storage.scans.table_arn])
        notify.may("dynamodb:BatchGetItem", on=[storage.sites.table_arn])
        notify.may("dynamodb:Query", on=[f"{storage.sites.table_arn}/index/{BY_NAME}"])
        findings = storage.findings.table_arn
        notify.may("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query", on=[findings])
        notify.may("dynamodb:Query", on=[f"{findings}/index/{BY_KIND}"])
        owned = of_kinds("account", "repository", "team", "owner")
        notify.may("dynamodb:Query", on=[storage.registry.table_arn], when=owned)
        notify.may("sns:Publish", on=[self.topic.topic_arn])
        notify.may_use_key("dynamodb", "sns", write=True)
        notify.follow(storage.scans, WAITS_FOR_NOTICE)
        return notify

    # ------------------------------------------------------------ alarms

    def _counted(
        self,
        unit: RuntimeFunction | SquidEgress,
        name: str,
        fields: dict[str, str],
        *,
        of: str = "",
        but: dict[str, str] | None = None,
        value: str = "1",
    ) -> cloudwatch.Metric:
        """Counts a unit's log lines that have these fields; `of` tells units apart that count as one.

        `but`: fields that a line must not have; `value`: what is summed up, such as `$.leaked`.
        """
        pattern = logs.FilterPattern.all(
            *(logs.FilterPattern.string_value(f"$.{field}", "=", text) for field, text in fields.items()),
            *(
                logs.FilterPattern.string_value(f"$.{field}", "!=", text)
                for field, text in (but or {}).items()
            ),
        )
        counter = logs.MetricFilter(
            self,
            f"{of}{name}Count",
            log_group=unit.log_group,
            metric_namespace=NAMESPACE,
            metric_name=name,
            filter_pattern=pattern,
            metric_value=value,
        )
        return counter.metric(statistic="Sum", period=cdk.Duration.hours(1))

    def _alarm_about_runs(self, settings: Settings, audit: Audit, broker: Broker) -> None:
        for state in ("failed", "partial"):
            metric = self._counted(
                audit.publish, f"Runs{state.capitalize()}", {"message": "run published", "state": state}
            )
            self._alarm(
                f"Run{state.capitalize()}", metric, f"A run ended {state}; its message names the hosts."
            )
        second = self._counted(broker.ingest, "SecondUploads", {"message": "second_upload"})
        self._alarm(
            "SecondUpload", second, "A report was uploaded twice: somebody kept a form that was used."
        )
        self._alarm_about_accounts(broker)
        self._alarm_about_refusals()
        if settings.is_daily:
            self._alarm(
                "NoRun",
                self._runs,
                f"No run was published for {WATCHED_HOURS} hours.",
                below=1,
                periods=WATCHED_HOURS,
                missing=cloudwatch.TreatMissingData.BREACHING,
            )

    def _alarm_about_accounts(self, broker: Broker) -> None:
        second = self._counted(broker.redeem, "SecondClaims", {"message": "second_claim"})
        self._alarm(
            "SecondClaim", second, "Credentials were claimed twice: somebody kept an address that was used."
        )
        unredeemed = self._counted(broker.redeem, "NotRedeemed", {"message": "not redeemed"})
        self._alarm("NotRedeemed", unredeemed, "A scan got no credentials; the log of `redeem` says why.")
        untrusted = self._counted(broker.ingest, "ScansUntrusted", {"message": "scan untrusted"})
        self._alarm(
            "ScanUntrusted", untrusted, "A report cannot be believed; the scan's reasons are in the log."
        )

    def _alarm_about_refusals(self) -> None:
        """All units that refuse events count as one: each refusal is rare, and its log names the unit."""
        refused = [
            self._counted(unit, "EventsRefused", {"message": "event refused"}, of=name)
            for name, unit in self._units.items()
            if name not in ANSWERING
        ]
        self._alarm(
            "EventRefused",
            refused[0],
            "A function got an event that nothing of ours sends; its log says which and why.",
        )

    def _alarm_about_units(self) -> None:
        for name, unit in self._units.items():
            errors = unit.function.metric_errors(period=cdk.Duration.minutes(5))
            self._alarm(f"{name}Errors", errors, f"The function {name} ended with an error; look at its log.")
        for name, queue in self._queues.items():
            depth = queue.metric_approximate_number_of_messages_visible(
                period=cdk.Duration.minutes(5), statistic="Maximum"
            )
            self._alarm(
                f"{name}Failures", depth, f"Events of {name} were given up and wait in the failure queue."
            )

    def _alarm_about_the_gateway(self, gateway: SquidEgress) -> None:
        # The drill runs into them every week.  The ledger names a scan only by a good ticket of that scan.
        hits = self._counted(gateway, "Tripwires", {"tripwire": "yes"}, but={"scan": "drill-*"})
        self._alarm(
            "Tripwire", hits, "A scanner asked for a name that only an attacker would; see the ledger."
        )
        if not gateway.promoted:
            return
        for number, metric in enumerate(gateway.in_service(), start=1):
            self._alarm(
                f"GatewayDown{number}",
                metric,
                "The egress gateway is gone and no new one came: scans cannot get out.",
                below=1,
                periods=2,
                missing=cloudwatch.TreatMissingData.BREACHING,
            )

    def _alarm_about_drills(self, settings: Settings, drill: RuntimeFunction) -> None:
        judged = {"message": "drill judged"}
        self._counted(drill, "DrillAttempts", judged, value="$.attempts")
        leaked = self._counted(drill, "DrillLeaked", judged, value="$.leaked")
        self._alarm("DrillLeaked", leaked, "The box leaks: the drill's verdict names the attempts.")
        untraced = self._counted(drill, "DrillUntraced", judged, value="$.untraced")
        self._alarm(
            "DrillUntraced", untraced, "An attempt left no trace, so nothing says that it was blocked."
        )
        age = self._counted(drill, "DrillAge", {"message": "drill age"}, value="$.days")
        if settings.drills:
            # CloudWatch looks back seven days at most: so the function counts the days, twice a day.
            self._alarm(
                "NoDrill",
                age.with_(statistic="Maximum", period=cdk.Duration.days(1)),
                f"No drill was judged for {DRILL_DAYS} days.",
                reaching=DRILL_DAYS,
                missing=cloudwatch.TreatMissingData.BREACHING,
            )

    def _alarm(
        self,
        id: str,
        metric: cloudwatch.IMetric,
        description: str,
        *,
        below: int | None = None,
        reaching: int = 1,
        periods: int = 1,
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> None:
        compare = cloudwatch.ComparisonOperator
        alarm = cloudwatch.Alarm(
            self,
            id,
            metric=metric,
            alarm_description=description,
            threshold=reaching if below is None else below,
            comparison_operator=compare.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
            if below is None
            else compare.LESS_THAN_THRESHOLD,
            evaluation_periods=periods,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))

    # ------------------------------------------------------------ dashboard

    def _dashboard(self) -> None:
        functions = [unit.function for unit in self._units.values()]
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            widgets=[
                [
                    cloudwatch.GraphWidget(title="Runs published", left=[self._runs], width=8),
                    cloudwatch.GraphWidget(
                        title="Errors of functions",
                        left=[each.metric_errors() for each in functions],
                        width=8,
                    ),
                    cloudwatch.GraphWidget(
                        title="Events given up",
                        left=[
                            queue.metric_approximate_number_of_messages_visible()
                            for queue in self._queues.values()
                        ],
                        width=8,
                    ),
                ],
                [
                    cloudwatch.GraphWidget(
                        title="Duration (longest)",
                        left=[each.metric_duration(statistic="Maximum") for each in functions],
                        width=12,
                    ),
                    cloudwatch.GraphWidget(
                        title="Throttled", left=[each.metric_throttles() for each in functions], width=12
                    ),
                ],
            ],
        )
