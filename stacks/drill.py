"""The escape drill: every week a hostile scanner of ours goes down the way of all scanners, and is judged."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secrets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from glovebox_constructs.failure_queue import FailureQueue
from glovebox_constructs.gateway_keys import IN_USE
from glovebox_constructs.grants import objects, tasks
from glovebox_constructs.role_groups import AWS_PORT
from glovebox_constructs.runtime_function import RuntimeFunction
from glovebox_constructs.schedule import scheduled
from stacks.defaults import function_defaults
from stacks.outputs import output
from stacks.perimeter import EGRESS_NETWORK, SCAN_NETWORK, Perimeter
from stacks.scanners import Scanners
from stacks.settings import Settings
from stacks.storage import Storage

WEEKLY = "cron(0 5 ? * SUN *)"
"""UTC; when the daily list is through."""
CHECKED = cdk.Duration.hours(12)
"""Twice in each day that the alarm about missing drills looks at."""
LOGS_ARRIVE = cdk.Duration.minutes(15)
"""The longest that SQS holds a message back, and what flow logs need at worst."""
AGAIN = cdk.Duration.minutes(10)
"""Where traces are missing then, and may still come."""
JUDGE_TIME = cdk.Duration.minutes(5)
TRIES = 6
"""An hour: then the message is a failure."""


class Drill(cdk.Stack):
    """`drill` starts the task that `Scanners` defines, and judges it by logs that no scanner writes."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        storage: Storage,
        scanners: Scanners,
        perimeter: Perimeter,
        ticket_key: secrets.ISecret,
    ) -> None:
        super().__init__(scope, id, description="Glovebox: the weekly escape drill and its judge")
        self._settings, self._storage = settings, storage
        self._scanners, self._perimeter, self._ticket_key = scanners, perimeter, ticket_key
        self.failures = FailureQueue(self, "Failures", key=storage.key)
        self.drill = self._drill()
        self._may_start()
        self._may_judge()
        self._follow_reports()
        if settings.drills:
            self._every_week()
            self._count_the_days()
        output(self, "DrillFunction", self.drill.function.function_name)

    def _drill(self) -> RuntimeFunction:
        storage, scanners, perimeter = self._storage, self._scanners, self._perimeter
        flow_logs = [network.flow_log.log_group_name for network in (perimeter.scan, perimeter.egress)]
        return RuntimeFunction(
            self,
            "Drill",
            unit="drill",
            defaults=function_defaults(self._settings, key=storage.key, failures=self.failures),
            environment={
                "ACCOUNT": cdk.Aws.ACCOUNT_ID,
                "API_PORT": str(AWS_PORT),
                "AUDITED_REGION": self._settings.regions[0],
                "CLUSTER": scanners.cluster.ref,
                "DRILLS_BUCKET": storage.drills.bucket_name,
                "EGRESS_NETWORK": EGRESS_NETWORK,
                "FLOW_LOGS": cdk.Fn.join(",", flow_logs),
                "GATEWAYS": ",".join(perimeter.site_gateways),
                "HANDOFF_BUCKET": storage.handoff.bucket_name,
                "LEDGER": perimeter.gateway.log_group.log_group_name,
                "QUERY_LOG": perimeter.dns.log_group.log_group_name,
                "REGION": cdk.Aws.REGION,
                "RESULTS_BUCKET": storage.results.bucket_name,
                "RESULTS_KEY_ARN": storage.key.key_arn,
                "SCAN_NETWORK": SCAN_NETWORK,
                "SECURITY_GROUPS": perimeter.groups.tasks.security_group_id,
                "SUBNETS": cdk.Fn.join(",", perimeter.task_subnets),
                "TASK_DEFINITION": scanners.drill.family,
                "TICKET_KEY_SECRET": self._ticket_key.secret_arn,
            },
            timeout=JUDGE_TIME,
            memory=512,
            concurrency=1,
        )

    def _may_start(self) -> None:
        """What `launch` may for its scans, this may for its own alone."""
        drill, storage, scanners = self.drill, self._storage, self._scanners
        drill.may(
            "s3:GetObject", on=[objects(storage.handoff, "handoff/drill-*/request.json")], because=_NAMES
        )
        drill.may(
            "s3:DeleteObject",
            "s3:PutObject",
            on=[objects(storage.handoff, "handoff/drill-*")],
            because=_NAMES,
        )
        drill.may("s3:PutObject", on=[objects(storage.results, "results/drill-*")], because=_NAMES)
        scanners.drill.may_be_started_by(drill, cluster=scanners.cluster)
        drill.may(
            "ecs:DescribeTasks",
            on=[tasks(scanners.cluster)],
            when={"ArnEquals": {"ecs:cluster": scanners.cluster.attr_arn}},
            because=_NAMES,
        )
        drill.may("secretsmanager:GetSecretValue", on=[self._ticket_key.secret_arn], when=IN_USE)
        drill.may_use_key("s3", write=True)
        drill.may_use_key("secretsmanager")

    def _may_judge(self) -> None:
        drill, storage, perimeter = self.drill, self._storage, self._perimeter
        drill.may("s3:GetObjectVersion", on=[objects(storage.results, "results/drill-*")], because=_NAMES)
        drill.may(
            "s3:ListBucketVersions",
            on=[storage.results.bucket_arn],
            when={"StringLike": {"s3:prefix": "results/drill-*"}},
        )
        drill.may("s3:GetObject", "s3:PutObject", on=[objects(storage.drills, "drills/*")], because=_NAMES)
        drill.may("s3:ListBucket", on=[storage.drills.bucket_arn])
        read = (perimeter.scan.flow_log, perimeter.egress.flow_log, perimeter.dns.log_group)
        groups = [group.log_group_arn for group in (*read, perimeter.gateway.log_group)]
        drill.may("logs:FilterLogEvents", on=groups)

    def _follow_reports(self) -> None:
        """From the manifest's arrival to the judge, by way of a queue that waits for the logs."""
        waiting = sqs.Queue(
            self,
            "Waiting",
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=self._storage.key,
            enforce_ssl=True,
            delivery_delay=LOGS_ARRIVE,
            visibility_timeout=AGAIN,
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.failures, max_receive_count=TRIES),
        )
        rule = events.CfnRule(
            self,
            "Uploads",
            event_pattern={
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {
                    "bucket": {"name": [self._storage.results.bucket_name]},
                    "object": {"key": [{"wildcard": "results/drill-*/manifest.json"}]},
                },
            },
            targets=[events.CfnRule.TargetProperty(id="Waiting", arn=waiting.queue_arn)],
        )
        # Not the library's own target, which would add to the key's policy what that says already.
        waiting.add_to_resource_policy(
            iam.PolicyStatement(
                sid="LetTheRuleSend",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[waiting.queue_arn],
                conditions={"ArnEquals": {"aws:SourceArn": rule.attr_arn}},
            )
        )
        self.drill.may(
            "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", on=[waiting.queue_arn]
        )
        mapping = lambda_.CfnEventSourceMapping(
            self,
            "Judging",
            function_name=self.drill.function.function_name,
            event_source_arn=waiting.queue_arn,
            batch_size=1,
            function_response_types=["ReportBatchItemFailures"],
        )
        # Lambda tries the queue with this role while the mapping is made.
        mapping.node.add_dependency(self.drill.role)

    def _every_week(self) -> None:
        order = {"start": True, "scheduledTime": "<aws.scheduler.scheduled-time>"}
        scheduled(
            self,
            "Weekly",
            self.drill,
            expression=WEEKLY,
            order=order,
            description="Tries to get out of the box",
            key=self._storage.key,
            failures=self.failures,
        )

    def _count_the_days(self) -> None:
        check = events.Rule(self, "Check", schedule=events.Schedule.rate(CHECKED))
        # A count that failed is followed by the next one: nothing to keep.
        check.add_target(
            targets.LambdaFunction(
                self.drill.function,
                event=events.RuleTargetInput.from_object({"check": True}),
                retry_attempts=0,
            )
        )


_NAMES = "Tasks and objects of a drill get their names when it starts."
