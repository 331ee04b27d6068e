"""What starts scans, takes their reports in, and sees to it that each of them ends."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from glovebox_constructs.failure_queue import FailureQueue
from glovebox_constructs.gateway_keys import IN_USE
from glovebox_constructs.grants import objects, tasks
from glovebox_constructs.runtime_function import RuntimeFunction
from glovebox_constructs.schedule import scheduled
from stacks.defaults import function_defaults
from stacks.outputs import output
from stacks.perimeter import Perimeter
from stacks.scanners import Scanners
from stacks.settings import Settings
from stacks.storage import Storage

LAUNCH_TIME = cdk.Duration.minutes(15)
"""A run of 250 tasks at the region's pace of RunTask.  Where many names never answer it is not enough, and
`watch` asks for what was not begun, scan by scan."""
INGEST_TIME = cdk.Duration.minutes(5)
"""500 records of 128 KB are checked and written in well under two."""
WATCH_TIME = cdk.Duration.minutes(2)


CHANGE_SCANS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
"""A scan moves forward in a transaction: its item is put under a condition, its run counts down."""


class Broker(cdk.Stack):
    """`launch` starts tasks, `ingest` takes reports in without a way out, `watch` ends what hangs."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        storage: Storage,
        scanners: Scanners,
        perimeter: Perimeter,
    ) -> None:
        super().__init__(scope, id, description="Glovebox: launch, ingest, watch")
        self._settings, self._storage = settings, storage
        self._scanners, self._perimeter = scanners, perimeter
        self.failures = FailureQueue(self, "Failures", key=storage.key)
        self._defaults = function_defaults(settings, key=storage.key, failures=self.failures)
        self.launch = self._launch()
        self.ingest = self._ingest()
        self.watch = self._watch()
        self._follow_tasks_and_reports()
        self._start_every_day()
        for name, unit in {"Launch": self.launch, "Ingest": self.ingest, "Watch": self.watch}.items():
            output(self, f"{name}Function", unit.function.function_name)

    # ------------------------------------------------------------ functions

    def _launch(self) -> RuntimeFunction:
        storage, scanners = self._storage, self._scanners
        ticket_key = self._perimeter.gateway_keys.ticket_key
        launch = RuntimeFunction(
            self,
            "Launch",
            unit="launch",
            defaults=self._defaults,
            environment={
                "SCANS_TABLE": storage.scans.table_name,
                "LISTS_BUCKET": storage.lists.bucket_name,
                "HANDOFF_BUCKET": storage.handoff.bucket_name,
                "RESULTS_BUCKET": storage.results.bucket_name,
                "RESULTS_KEY_ARN": storage.key.key_arn,
                "CLUSTER": scanners.cluster.ref,
                "TASK_DEFINITION": scanners.siteaudit.family,
                "SUBNETS": cdk.Fn.join(",", self._perimeter.task_subnets),
                "SECURITY_GROUPS": self._perimeter.groups.tasks.security_group_id,
                "AUDIT_SETTINGS": self._settings.audit_settings,
                "SHARD_HOSTS": str(self._settings.shard_hosts),
                "ENRICHMENT": "on" if self._settings.shodan else "off",
                "GATEWAYS": ",".join(self._perimeter.site_gateways),
                "TICKET_KEY_SECRET": ticket_key.secret_arn,
                # The egress network is IPv4.
                "EGRESS_IPV6": "off",
            },
            timeout=LAUNCH_TIME,
            memory=512,
            concurrency=2,
        )
        launch.may(*CHANGE_SCANS, "dynamodb:Query", on=[storage.scans.table_arn])
        launch.may(
            "s3:GetObject", on=[objects(storage.lists, "*")], because="Whoever uploads a list names it."
        )
        # Without this S3 says "forbidden" of a list that is only missing.
        launch.may("s3:ListBucket", on=[storage.lists.bucket_arn])
        # It signs the task's own reading and uploading, so it must be allowed to do both.
        launch.may("s3:GetObject", on=[objects(storage.handoff, "handoff/*/request.json")], because=_NAMES)
        launch.may("s3:PutObject", on=[objects(storage.handoff, "handoff/*")], because=_NAMES)
        launch.may("s3:PutObject", on=[objects(storage.results, "results/*")], because=_NAMES)
        scanners.siteaudit.may_be_started_by(launch, cluster=scanners.cluster)
        launch.may("secretsmanager:GetSecretValue", on=[ticket_key.secret_arn], when=IN_USE)
        launch.may_use_key("dynamodb", "s3", write=True)
        launch.may_use_key("secretsmanager")
        return launch

    def _ingest(self) -> RuntimeFunction:
        """Reads what a hostile scanner wrote, so its only ways out are the endpoints of S3 and DynamoDB."""
        storage = self._storage
        ingest = RuntimeFunction(
            self,
            "Ingest",
            unit="ingest",
            defaults=self._defaults,
            environment={
                "SCANS_TABLE": storage.scans.table_name,
                "SITES_TABLE": storage.sites.table_name,
                "REGISTRY_TABLE": storage.registry.table_name,
                "RESULTS_BUCKET": storage.results.bucket_name,
                # The gateway endpoint knows the region's own name of DynamoDB, not one per account.
                "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
            },
            timeout=INGEST_TIME,
            memory=1024,
            concurrency=10,
            vpc=self._perimeter.scan,
            security_group=self._perimeter.groups.ingest,
        )
        ingest.may(*CHANGE_SCANS, on=[storage.scans.table_arn])
        ingest.may("dynamodb:BatchWriteItem", on=[storage.sites.table_arn])
        ingest.may("dynamodb:UpdateItem", on=[storage.registry.table_arn])
        ingest.may("s3:GetObjectVersion", on=[objects(storage.results, "results/*")], because=_NAMES)
        ingest.may(
            "s3:ListBucketVersions",
            on=[storage.results.bucket_arn],
            when={"StringLike": {"s3:prefix": "results/*"}},
        )
        ingest.may_use_key("dynamodb", write=True)
        ingest.may_use_key("s3")
        return ingest

    def _watch(self) -> RuntimeFunction:
        storage, cluster = self._storage, self._scanners.cluster
        watch = RuntimeFunction(
            self,
            "Watch",
            unit="watch",
            defaults=self._defaults,
            environment={
                "SCANS_TABLE": storage.scans.table_name,
                "CLUSTER": cluster.ref,
                "HANDOFF_BUCKET": storage.handoff.bucket_name,
                "LAUNCH_FUNCTION": self.launch.function.function_name,
            },
            timeout=WATCH_TIME,
            memory=256,
            concurrency=10,
        )
        watch.may(*CHANGE_SCANS, "dynamodb:Query", on=[storage.scans.table_arn])
        watch.may("s3:DeleteObject", on=[objects(storage.handoff, "handoff/*")], because=_NAMES)
        watch.may(
            "ecs:StopTask",
            on=[tasks(cluster)],
            when={"ArnEquals": {"ecs:cluster": cluster.attr_arn}},
            because=_NAMES,
        )
        watch.may("lambda:InvokeFunction", on=[self.launch.function.function_arn])
        watch.may_use_key("dynamodb", write=True)
        return watch

    # ------------------------------------------------------------ what wakes them

    def _follow_tasks_and_reports(self) -> None:
        self._rule(
            "Tasks",
            self.watch,
            events.EventPattern(
                source=["aws.ecs"],
                detail_type=["ECS Task State Change"],
                detail={
                    "clusterArn": [self._scanners.cluster.attr_arn],
                    "lastStatus": ["RUNNING", "STOPPED"],
                },
            ),
        )
        self._rule(
            "Reports",
            self.ingest,
            events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [self._storage.results.bucket_name]},
                    # A run's id begins with its year; a drill's does not, and is judged elsewhere.
                    "object": {"key": [{"wildcard": "results/2*/manifest.json"}]},
                },
            ),
        )
        tick = events.Rule(self, "Tick", schedule=events.Schedule.rate(cdk.Duration.minutes(1)))
        # A tick that failed is followed by the next one: nothing to keep.
        tick.add_target(
            targets.LambdaFunction(
                self.watch.function,
                event=events.RuleTargetInput.from_object({"tick": True}),
                retry_attempts=0,
            )
        )

    def _rule(self, id: str, unit: RuntimeFunction, pattern: events.EventPattern) -> None:
        rule = events.Rule(self, id, event_pattern=pattern)
        rule.add_target(targets.LambdaFunction(unit.function, dead_letter_queue=self.failures))

    def _start_every_day(self) -> None:
        """The schedule asks `launch` for the list; the time that it was meant for names the run."""
        if self._settings.schedule == "off":
            return
        order = {
            "list": {"key": self._settings.list_key},
            "requestedBy": "schedule",
            "scheduledTime": "<aws.scheduler.scheduled-time>",
        }
        schedule = scheduled(
            self,
            "Daily",
            self.launch,
            expression=self._settings.schedule,
            order=order,
            description="Audits the sites of the list",
            key=self._storage.key,
            failures=self.failures,
        )
        output(self, "Schedule", schedule.ref)


_NAMES = "Tasks and objects of a scan get their names when it starts."
