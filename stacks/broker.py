"""What starts scans, takes their reports in, and sees to it that each of them ends."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from glovebox.scans.model import LAUNCHES_AT_ONCE
from glovebox_constructs.audit_policies import session_policy
from glovebox_constructs.failure_queue import FailureQueue
from glovebox_constructs.gateway_keys import IN_USE
from glovebox_constructs.grants import objects, tasks
from glovebox_constructs.runtime_function import RuntimeFunction
from glovebox_constructs.schedule import scheduled
from stacks.defaults import function_defaults
from stacks.names import AUDIT_ROLE, REDEEM_ROLE, SCAN_IDS, SESSION_MANAGED_POLICIES
from stacks.outputs import output
from stacks.perimeter import Perimeter
from stacks.repositories import Repositories
from stacks.scanners import Scanners
from stacks.settings import Settings
from stacks.storage import BY_KIND, Storage, of_kinds

REDEEM_TIME = cdk.Duration.minutes(2)
"""Four tries at STS with seven seconds between them, and none left unsaid."""
INGEST_MEMORY = 1769
"""MB, with which comes one whole core; a report of 100 MB takes a quarter."""
INGEST_DISK = 1024
"""MiB: the report lies on disk while it is read."""
KEEP_FINDINGS = tuple(f"dynamodb:{each}Item" for each in ("Delete", "Get", "Put", "Update"))
"""A transaction needs the permission of each of its writes."""
NO_EXTERNAL_ID = "none"
"""Where there is no target, and so no role that asks for one."""
NEXT_DAY = "cron(5 0 * * ? *)"
"""An acceptance ends with its last day, UTC."""
LAUNCH_TIME = cdk.Duration.minutes(15)
"""A run of 250 tasks at the region's pace of RunTask.  Where many names never answer it is not enough, and
`watch` asks for what was not begun, scan by scan."""
INGEST_TIME = cdk.Duration.minutes(10)
"""500 records of 128 KB take well under two; the first 50,000 findings of an account, each written, some
four."""
WATCH_TIME = cdk.Duration.minutes(2)


CHANGE_SCANS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
"""A scan moves forward in a transaction: its item is put under a condition, its run counts down."""


class Broker(cdk.Stack):
    """`launch` starts tasks, `redeem` gives them credentials, `snapshot` sources, `ingest` takes reports in
    without a way out, `watch` ends what hangs.
    """

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
        super().__init__(scope, id, description="Glovebox: launch, redeem, snapshot, ingest, watch")
        self._settings, self._storage = settings, storage
        self._scanners, self._perimeter = scanners, perimeter
        self.failures = FailureQueue(self, "Failures", key=storage.key)
        self._defaults = function_defaults(settings, key=storage.key, failures=self.failures)
        self.repositories = Repositories(
            self,
            settings=settings,
            storage=storage,
            scanners=scanners,
            perimeter=perimeter,
            defaults=self._defaults,
            failures=self.failures,
        )
        self.launch = self._launch()
        self.redeem = self._redeem()
        self.ingest = self._ingest()
        self.watch = self._watch()
        self._follow_tasks_and_reports()
        self._start_by_the_clock()
        units = {"Launch": self.launch, "Redeem": self.redeem, "Ingest": self.ingest, "Watch": self.watch}
        for name, unit in units.items():
            output(self, f"{name}Function", unit.function.function_name)

    # ------------------------------------------------------------ functions

    def _launch(self) -> RuntimeFunction:
        storage, scanners, settings = self._storage, self._scanners, self._settings
        ticket_key = self._perimeter.gateway_keys.ticket_key
        authorities = self._perimeter.gateway_keys.authorities
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
                "AUDIT_SETTINGS": settings.audit_settings,
                "SHARD_HOSTS": str(settings.shard_hosts),
                "ENRICHMENT": "on" if settings.shodan else "off",
                "GATEWAYS": ",".join(self._perimeter.site_gateways),
                "TICKET_KEY_SECRET": ticket_key.secret_arn,
                # The egress network is IPv4.
                "EGRESS_IPV6": "off",
                "REGISTRY_TABLE": storage.registry.table_name,
                "CLAIMS_BUCKET": storage.claims.bucket_name,
                "SCANNING_ACCOUNT": cdk.Aws.ACCOUNT_ID,
                "AUTHORITIES_PARAMETER": authorities.parameter_name,
                "PROWLER_TASK_DEFINITION": scanners.prowler.family,
                "REGIONS": ",".join(settings.regions),
                "REGIONS_PER_SCAN": str(settings.regions_per_scan),
                "SERVICE_PARTS": str(settings.service_parts),
                **self.repositories.told,
            },
            timeout=LAUNCH_TIME,
            memory=512,
            concurrency=LAUNCHES_AT_ONCE,
        )
        launch.may(*CHANGE_SCANS, "dynamodb:Query", on=[storage.scans.table_arn])
        launch.may(
            "s3:GetObject", on=[objects(storage.lists, "*")], because="Whoever uploads a list names it."
        )
        # Without this S3 says "forbidden" of a list that is only missing.
        launch.may("s3:ListBucket", on=[storage.lists.bucket_arn])
        # It signs the task's own reading and uploading, so it must be allowed to do both.
        launch.may("s3:GetObject", on=[objects(storage.handoff, "handoff/*/request.json")], because=_NAMES)
        # Not all of the hand-off: envelopes are for `redeem` to write.
        handed = [f"handoff/*/{name}" for name in ("request.json", "inlet.env", "outlet.env")]
        launch.may("s3:PutObject", on=[objects(storage.handoff, each) for each in handed], because=_NAMES)
        launch.may("s3:PutObject", on=[objects(storage.results, "results/*")], because=_NAMES)
        launch.may("s3:GetObject", on=[objects(storage.handoff, "handoff/*/envelope.json")], because=_NAMES)
        launch.may("s3:PutObject", on=[objects(storage.claims, "claims/*/claim.json")], because=_NAMES)
        launch.may("dynamodb:Query", on=[storage.registry.table_arn], when=of_kinds("account", "repository"))
        launch.may("ssm:GetParameter", on=[authorities.parameter_arn])
        for task in (scanners.siteaudit, scanners.prowler):
            task.may_be_started_by(launch, cluster=scanners.cluster)
        self.repositories.let(launch)
        launch.may("secretsmanager:GetSecretValue", on=[ticket_key.secret_arn], when=IN_USE)
        launch.may_use_key("dynamodb", "s3", write=True)
        launch.may_use_key("secretsmanager")
        return launch

    def _redeem(self) -> RuntimeFunction:
        """Holds what audit roles trust, and starts nothing; `launch` starts tasks, and assumes no role."""
        storage, perimeter = self._storage, self._perimeter
        ticket_key = perimeter.gateway_keys.ticket_key
        redeem = RuntimeFunction(
            self,
            "Redeem",
            unit="redeem",
            defaults=self._defaults,
            role_name=REDEEM_ROLE,
            environment={
                "SCANS_TABLE": storage.scans.table_name,
                "CLAIMS_BUCKET": storage.claims.bucket_name,
                "HANDOFF_BUCKET": storage.handoff.bucket_name,
                "SCANNING_ACCOUNT": cdk.Aws.ACCOUNT_ID,
                "AUDIT_ROLE": _audit_role("${Target}"),
                "EXTERNAL_ID": self._settings.external_id or NO_EXTERNAL_ID,
                "SESSION_POLICY": session_policy(
                    {
                        "GatewayAddresses": perimeter.public_addresses,
                        "GatewayEndpoint": perimeter.gateway_s3.vpc_endpoint_id,
                        "Partition": cdk.Aws.PARTITION,
                        "Target": "${Target}",
                    }
                ),
                "SESSION_MANAGED_POLICIES": ",".join(
                    f"arn:{cdk.Aws.PARTITION}:iam::aws:policy/{name}" for name in SESSION_MANAGED_POLICIES
                ),
                "GATEWAYS": ",".join(perimeter.aws_gateways),
                "TICKET_KEY_SECRET": ticket_key.secret_arn,
            },
            timeout=REDEEM_TIME,
            memory=512,
            concurrency=10,
        )
        redeem.may(*CHANGE_SCANS, on=[storage.scans.table_arn])
        redeem.may("s3:GetObject", on=[objects(storage.claims, "claims/*/claim.json")], because=_NAMES)
        redeem.may("s3:PutObject", on=[objects(storage.handoff, "handoff/*/envelope.json")], because=_NAMES)
        redeem.may("secretsmanager:GetSecretValue", on=[ticket_key.secret_arn], when=IN_USE)
        if self._settings.targets:
            self._may_assume_audit_roles(redeem)
        redeem.may_use_key("dynamodb", "s3", write=True)
        redeem.may_use_key("secretsmanager")
        return redeem

    def _may_assume_audit_roles(self, redeem: RuntimeFunction) -> None:
        """Those of the deployment's targets, by account: the registry, which more people may write, chooses
        among them and adds none.
        """
        redeem.may(
            "sts:AssumeRole",
            "sts:SetSourceIdentity",
            on=[_audit_role(target) for target in self._settings.targets],
            when={
                "StringLike": {"sts:SourceIdentity": SCAN_IDS},
                "StringNotEquals": {"aws:ResourceAccount": cdk.Aws.ACCOUNT_ID},
            },
        )

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
                "FINDINGS_TABLE": storage.findings.table_name,
                "RESULTS_BUCKET": storage.results.bucket_name,
                # The gateway endpoint knows the region's own name of DynamoDB, not one per account.
                "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
            },
            timeout=INGEST_TIME,
            memory=INGEST_MEMORY,
            storage=INGEST_DISK,
            concurrency=10,
            vpc=self._perimeter.scan,
            security_group=self._perimeter.groups.ingest,
        )
        ingest.may(*CHANGE_SCANS, on=[storage.scans.table_arn])
        ingest.may("dynamodb:BatchWriteItem", on=[storage.sites.table_arn])
        noted = of_kinds("site", "domain")
        ingest.may("dynamodb:UpdateItem", on=[storage.registry.table_arn], when=noted)
        ingest.may(*KEEP_FINDINGS, "dynamodb:Query", on=[storage.findings.table_arn])
        ingest.may("dynamodb:Query", on=[f"{storage.findings.table_arn}/index/{BY_KIND}"])
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
        self._rule(
            "Claimed",
            self.redeem,
            events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [self._storage.claims.bucket_name]},
                    "object": {"key": [{"wildcard": "claims/*/claim.json"}]},
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

    def _start_by_the_clock(self) -> None:
        """The time that an order was meant for names its run, so that one which comes twice starts one."""
        settings = self._settings
        ordered = {"requestedBy": "schedule", "scheduledTime": "<aws.scheduler.scheduled-time>"}
        sites = {"list": {"key": settings.list_key}, **ordered}
        self._schedule("Daily", self.launch, settings.schedule, sites, "Audits the sites of the list")
        accounts = {"accounts": "all", **ordered}
        self._schedule("Accounts", self.launch, settings.accounts_schedule, accounts, "Scans all accounts")
        repositories = {"repositories": "all", **ordered}
        self._schedule(
            "Repositories",
            self.launch,
            settings.repositories_schedule,
            repositories,
            "Scans all repositories",
        )
        self._schedule("Acceptances", self.ingest, NEXT_DAY, {"daily": True}, "Ends acceptances")

    def _schedule(
        self,
        id: str,
        unit: RuntimeFunction,
        expression: str,
        order: Mapping[str, object],
        description: str,
    ) -> None:
        if expression == "off":
            return
        schedule = scheduled(
            self,
            id,
            unit,
            expression=expression,
            order=order,
            description=description,
            key=self._storage.key,
            failures=self.failures,
        )
        output(self, _SCHEDULES[id], schedule.ref)


def _audit_role(account: str) -> str:
    return f"arn:{cdk.Aws.PARTITION}:iam::{account}:role/{AUDIT_ROLE}"


_SCHEDULES = {
    "Daily": "Schedule",
    "Accounts": "AccountsSchedule",
    "Repositories": "RepositoriesSchedule",
    "Acceptances": "AcceptancesSchedule",
}
"""Schedule → the output that tells its name."""
_NAMES = "Tasks and objects of a scan get their names when it starts."
