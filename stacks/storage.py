"""What must outlive every other stack: the key, the tables, the buckets."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from glovebox.sites.item import SUMMARY_ATTRIBUTES
from glovebox_constructs.buckets import LogBucket, PrivateBucket, UploadOnlyBucket, add_policy
from glovebox_constructs.policies import statements
from glovebox_constructs.tables import EncryptedTable, text
from stacks.names import REDEEM_ROLE, SNAPSHOT_ROLE
from stacks.outputs import output
from stacks.settings import Settings

BY_DOMAIN = "by-domain"
BY_NAME = "by-name"
BY_KIND = "by-kind"

HANDOFF_LIFE = cdk.Duration.days(1)
"""S3 counts in days; `watch` deletes a task's objects within minutes, this is for what it missed."""
CLAIM_LIFE = cdk.Duration.days(1)
"""A claim is read once, within seconds."""
SNAPSHOT_LIFE = cdk.Duration.days(1)
"""`snapshot` deletes its own after hours; S3 counts in days."""
REPORT_LIFE = cdk.Duration.days(90)
"""Reports are ingested within seconds; three months are for looking back at what a scanner really wrote."""
DRILL_LIFE = cdk.Duration.days(365)
"""Verdicts of a year: since when something leaked."""
LOG_LIFE = cdk.Duration.days(365)
OLD_VERSION_LIFE = cdk.Duration.days(365)


LEADING_KEYS = "dynamodb:LeadingKeys"


def of_kinds(*kinds: str) -> dict[str, dict[str, object]]:
    """The condition for entries of the registry of these kinds alone.

    The names of sites, which the public may ask for, stand there beside accounts and their ExternalIds.
    """
    # Without the second, a request that tells no keys would pass: "for all" holds for none.
    return {"ForAllValues:StringEquals": {LEADING_KEYS: [*kinds]}, "Null": {LEADING_KEYS: "false"}}


def role_arn(name: str) -> str:
    """Of a role with a fixed name, before it exists."""
    return f"arn:{cdk.Aws.PARTITION}:iam::{cdk.Aws.ACCOUNT_ID}:role/{name}"


class Storage(cdk.Stack):
    """One key, four tables, nine buckets; they keep their logical names for ever, which a test holds."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings) -> None:
        super().__init__(scope, id, description="Glovebox: key, tables and buckets")
        self._disposable = settings.disposable
        self.key = self._key()
        self.scans = self._table("Scans", hash="runId", range="scanId", streams=True)
        self.sites = self._table("Sites", hash="FQDN", range="scanDate")
        self._index_of_summaries(BY_DOMAIN, "domain")
        self._index_of_summaries(BY_NAME, "FQDN")
        self.registry = self._table("Registry", hash="kind", range="name", expires="expires")
        self.findings = self._table("Findings", hash="target", range="item", expires="expires")
        self._index_of_targets()
        self.logs = LogBucket(self, "Logs", disposable=settings.disposable, forget_after=LOG_LIFE)
        self.lists = self._bucket("Lists", versioned=True, forget_old_versions_after=OLD_VERSION_LIFE)
        self.handoff = self._bucket(
            "HandOff",
            forget_after=HANDOFF_LIFE,
            policies=("handoff_bucket_policy",),
            places={"RedeemRole": role_arn(REDEEM_ROLE)},
        )
        self.results = UploadOnlyBucket(
            self,
            "Results",
            key=self.key,
            logs=self.logs,
            disposable=settings.disposable,
            forget_after=REPORT_LIFE,
        )
        self.publication = self._public_bucket("Publication")
        self.site = self._public_bucket("Site")
        self.drills = self._bucket("Drills", versioned=True, forget_after=DRILL_LIFE)
        self.claims = self._bucket(
            "Claims", forget_after=CLAIM_LIFE, events=True, policies=("claims_bucket_policy",)
        )
        self.snapshots = self._bucket(
            "Snapshots",
            forget_after=SNAPSHOT_LIFE,
            policies=("snapshots_bucket_policy",),
            places={"SnapshotRole": role_arn(SNAPSHOT_ROLE)},
        )
        if settings.scan_s3_endpoint:
            self._bind_to_the_scan_network(settings.scan_s3_endpoint)
        self._say_what_there_is()

    def _key(self) -> kms.Key:
        key = kms.Key(
            self,
            "Key",
            description="Glovebox: tables, buckets, logs, queues, topics",
            enable_key_rotation=True,
            removal_policy=cdk.RemovalPolicy.DESTROY if self._disposable else cdk.RemovalPolicy.RETAIN,
        )
        here = {"Account": cdk.Aws.ACCOUNT_ID, "Partition": cdk.Aws.PARTITION, "Region": cdk.Aws.REGION}
        for statement in statements("key_policy", here):
            key.add_to_resource_policy(statement)
        return key

    def _table(
        self, id: str, *, hash: str, range: str, streams: bool = False, expires: str | None = None
    ) -> EncryptedTable:
        return EncryptedTable(
            self,
            id,
            hash=hash,
            range=range,
            key=self.key,
            disposable=self._disposable,
            streams=streams,
            expires=expires,
        )

    def _index_of_summaries(self, name: str, hash: str) -> None:
        """An index without the records: a page of a history reads kilobytes of it, not megabytes of them.

        The public may ask for histories, and each request costs what it reads.
        """
        keys = {"FQDN", "scanDate", hash}
        self.sites.add_global_secondary_index(
            index_name=name,
            partition_key=text(hash),
            sort_key=text("scanDate"),
            projection_type=dynamodb.ProjectionType.INCLUDE,
            non_key_attributes=[each for each in SUMMARY_ATTRIBUTES if each not in keys],
        )

    def _index_of_targets(self) -> None:
        """One line a target: only the heads of ledgers have a `kind`, so the index holds nothing else."""
        self.findings.add_global_secondary_index(
            index_name=BY_KIND,
            partition_key=text("kind"),
            sort_key=text("target"),
            projection_type=dynamodb.ProjectionType.INCLUDE,
            non_key_attributes=["asOf", "hold", "tally"],
        )

    def _bucket(
        self,
        id: str,
        *,
        versioned: bool = False,
        forget_after: cdk.Duration | None = None,
        forget_old_versions_after: cdk.Duration | None = None,
        events: bool = False,
        policies: tuple[str, ...] = (),
        places: dict[str, str] | None = None,
    ) -> PrivateBucket:
        return PrivateBucket(
            self,
            id,
            key=self.key,
            logs=self.logs,
            disposable=self._disposable,
            versioned=versioned,
            forget_after=forget_after,
            forget_old_versions_after=forget_old_versions_after,
            events=events,
            policies=policies,
            places=places or {},
        )

    def _public_bucket(self, id: str) -> PrivateBucket:
        """Private as all are, but CloudFront may read its objects."""
        return self._bucket(
            id,
            versioned=True,
            forget_old_versions_after=OLD_VERSION_LIFE,
            policies=("public_bucket_policy",),
            places={"Account": cdk.Aws.ACCOUNT_ID, "Partition": cdk.Aws.PARTITION},
        )

    def _bind_to_the_scan_network(self, endpoint: str) -> None:
        """By a setting, because the endpoint's own policy names these buckets: it stands after them."""
        for bucket in (self.results, self.claims):
            add_policy(bucket, "uploads_from_scans_policy", ScanEndpoint=endpoint)
        for bucket in (self.handoff, self.snapshots):
            add_policy(bucket, "reading_from_scans_policy", ScanEndpoint=endpoint)

    def _say_what_there_is(self) -> None:
        tables: dict[str, dynamodb.ITable] = {
            "Scans": self.scans,
            "Sites": self.sites,
            "Registry": self.registry,
            "Findings": self.findings,
        }
        for name, table in tables.items():
            output(self, f"{name}Table", table.table_name)
        buckets: dict[str, s3.IBucket] = {
            "Lists": self.lists,
            "HandOff": self.handoff,
            "Results": self.results,
            "Publication": self.publication,
            "Site": self.site,
            "Drills": self.drills,
            "Claims": self.claims,
            "Snapshots": self.snapshots,
            "Logs": self.logs,
        }
        for name, bucket in buckets.items():
            output(self, f"{name}Bucket", bucket.bucket_name)
        output(self, "KeyArn", self.key.key_arn)
