"""What is kept: encrypted, recoverable, reached over TLS alone, and never public."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from glovebox.adapters.dynamodb_findings import BY_KIND
from glovebox.adapters.dynamodb_sites import BY_DOMAIN, BY_NAME
from glovebox.findings.store import TargetSummary
from glovebox.services.attempts import FORM_MARGIN_SECONDS, MAX_ATTEMPT_SECONDS, START_SECONDS
from glovebox.sites.item import SUMMARY_ATTRIBUTES
from glovebox_constructs.policies import FOLDER
from stacks.settings import Settings
from tests.infrastructure.templates import Assembly, Resource, listed, synthesize

BUCKETS = {"Lists", "HandOff", "Results", "Publication", "Site", "Drills", "Claims", "Snapshots", "Logs"}
STATEFUL = {
    # A changed logical name makes CloudFormation replace the resource: an empty table beside an orphan.
    "AWS::KMS::Key": {"Key961B73FD"},
    "AWS::DynamoDB::Table": {"Scans941C181C", "Sites3DA126B0", "Registry4DB9CCA5", "Findings172CF60E"},
    "AWS::S3::Bucket": {
        "Logs6819BB44",
        "ListsCB6DC742",
        "HandOff6E191807",
        "Results25575328",
        "PublicationBB6C00E4",
        "SiteE53D7754",
        "Drills98490295",
        "ClaimsE8D96B24",
        "SnapshotsD03D071C",
    },
}


def test_stateful_resources_keep_their_logical_names(assembly: Assembly) -> None:
    for kind, names in STATEFUL.items():
        assert {each.name for each in assembly.of(kind)} == names


def test_tables_are_encrypted_recoverable_and_protected(assembly: Assembly) -> None:
    for table in assembly.of("AWS::DynamoDB::Table"):
        properties = table.properties
        assert properties["SSESpecification"]["SSEEnabled"] is True
        assert properties["SSESpecification"]["SSEType"] == "KMS"
        assert assembly.shown(properties["SSESpecification"]["KMSMasterKeyId"]) == "Key.Arn"
        assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
        assert properties["DeletionProtectionEnabled"] is True
        assert properties["BillingMode"] == "PAY_PER_REQUEST"
        assert table.whole["DeletionPolicy"] == "Retain"


def test_tables_have_the_keys_of_the_architecture(assembly: Assembly) -> None:
    keys = {
        table.short: [key["AttributeName"] for key in table.properties["KeySchema"]]
        for table in assembly.of("AWS::DynamoDB::Table")
    }
    assert keys == {
        "Scans": ["runId", "scanId"],
        "Sites": ["FQDN", "scanDate"],
        "Registry": ["kind", "name"],
        "Findings": ["target", "item"],
    }
    scans = assembly.one("AWS::DynamoDB::Table", "Scans")
    assert scans.properties["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    registry = assembly.one("AWS::DynamoDB::Table", "Registry")
    assert registry.properties["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    findings = assembly.one("AWS::DynamoDB::Table", "Findings")
    assert findings.properties["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}


def test_the_index_of_targets_holds_a_summary_of_each(assembly: Assembly) -> None:
    """By its hash, which heads of ledgers alone have, no finding is written to it."""
    [index] = assembly.one("AWS::DynamoDB::Table", "Findings").properties["GlobalSecondaryIndexes"]
    assert index["IndexName"] == BY_KIND
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["kind", "target"]
    carried = {*index["Projection"]["NonKeyAttributes"], "target"}
    assert carried == {field.encode_name for field in msgspec.structs.fields(TargetSummary)}


def test_indexes_hold_summaries_and_no_records(assembly: Assembly) -> None:
    """The public asks for histories: with the records in it, a page of one would be megabytes."""
    indexes = assembly.one("AWS::DynamoDB::Table", "Sites").properties["GlobalSecondaryIndexes"]
    keys = {each["IndexName"]: [key["AttributeName"] for key in each["KeySchema"]] for each in indexes}
    assert keys == {BY_DOMAIN: ["domain", "scanDate"], BY_NAME: ["FQDN", "scanDate"]}
    for index in indexes:
        carried = {*index["Projection"]["NonKeyAttributes"], *keys[index["IndexName"]], "FQDN", "scanDate"}
        assert carried == set(SUMMARY_ATTRIBUTES)
        assert index["Projection"]["ProjectionType"] == "INCLUDE"


def test_no_bucket_can_be_public(assembly: Assembly) -> None:
    buckets = assembly.of("AWS::S3::Bucket")
    assert {bucket.short for bucket in buckets} == BUCKETS
    for bucket in buckets:
        assert set(bucket.properties["PublicAccessBlockConfiguration"].values()) == {True}


def test_buckets_are_encrypted_with_our_key(assembly: Assembly) -> None:
    for bucket in assembly.of("AWS::S3::Bucket"):
        [rule] = bucket.properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        default = rule["ServerSideEncryptionByDefault"]
        if bucket.short == "Logs":
            assert default == {"SSEAlgorithm": "AES256"}
        else:
            assert default["SSEAlgorithm"] == "aws:kms"
            assert assembly.shown(default["KMSMasterKeyID"]) == "Key.Arn"
            assert rule["BucketKeyEnabled"] is True


def test_buckets_but_those_of_a_day_keep_versions(assembly: Assembly) -> None:
    versioned = {
        bucket.short
        for bucket in assembly.of("AWS::S3::Bucket")
        if bucket.properties.get("VersioningConfiguration") == {"Status": "Enabled"}
    }
    assert versioned == BUCKETS - {"HandOff", "Claims", "Snapshots"}


def test_reads_of_buckets_are_logged(assembly: Assembly) -> None:
    for bucket in assembly.of("AWS::S3::Bucket"):
        if bucket.short != "Logs":
            assert (
                assembly.shown(bucket.properties["LoggingConfiguration"]["DestinationBucketName"]) == "Logs"
            )


@pytest.mark.parametrize("bucket", ["HandOff", "Claims", "Snapshots"])
def test_what_a_task_is_given_and_claims_is_forgotten_within_a_day(assembly: Assembly, bucket: str) -> None:
    [rule] = assembly.one("AWS::S3::Bucket", bucket).properties["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == 1
    assert rule["Status"] == "Enabled"


@pytest.mark.parametrize("bucket", ["Results", "Claims"])
def test_buckets_tell_events_without_a_function_that_may_change_buckets(
    assembly: Assembly, bucket: str
) -> None:
    events = assembly.one("AWS::S3::Bucket", bucket).properties["NotificationConfiguration"][
        "EventBridgeConfiguration"
    ]
    assert events == {"EventBridgeEnabled": True}
    # The one custom resource sets networks up (docs/decisions/0006-perimeter.md), and no bucket.
    assert {each.type for each in assembly.all() if each.type.startswith("Custom::")} == {
        "Custom::NetworkSetup"
    }


def _policy(assembly: Assembly, bucket: str) -> dict[str, dict[str, object]]:
    [policy] = [
        each
        for each in assembly.of("AWS::S3::BucketPolicy")
        if assembly.shown(each.properties["Bucket"]) == bucket
    ]
    statements = policy.properties["PolicyDocument"]["Statement"]
    return {statement["Sid"]: statement for statement in statements if "Sid" in statement}


@pytest.mark.parametrize("bucket", sorted(BUCKETS))
def test_every_bucket_refuses_plain_http_and_old_tls(assembly: Assembly, bucket: str) -> None:
    policy = _policy(assembly, bucket)
    for sid, condition in (
        ("DenyEverythingWithoutTls", {"Bool": {"aws:SecureTransport": "false"}}),
        ("DenyTlsOlderThanOnePointTwo", {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
    ):
        statement = policy[sid]
        assert (statement["Effect"], statement["Action"]) == ("Deny", "s3:*")
        assert statement["Condition"] == condition
        assert [assembly.shown(each) for each in listed(statement["Resource"])] == [
            f"{bucket}.Arn",
            f"{bucket}.Arn/*",
        ]


@pytest.mark.parametrize(
    ("bucket", "file"),
    [
        ("Results", "results_bucket_policy"),
        ("HandOff", "handoff_bucket_policy"),
        ("Claims", "claims_bucket_policy"),
        ("Snapshots", "snapshots_bucket_policy"),
        ("Publication", "public_bucket_policy"),
        ("Site", "public_bucket_policy"),
    ],
)
def test_a_buckets_own_rules_stand_in_its_policy(assembly: Assembly, bucket: str, file: str) -> None:
    wanted = {each["Sid"]: each for each in json.loads((FOLDER / f"{file}.json").read_text())["Statement"]}
    policy = _policy(assembly, bucket)
    assert wanted.keys() <= policy.keys()
    for sid, statement in wanted.items():
        assert policy[sid]["Action"] == statement["Action"]
        assert policy[sid]["Effect"] == statement["Effect"]
        condition = policy[sid].get("Condition", {})
        assert isinstance(condition, dict)
        assert condition.keys() == statement.get("Condition", {}).keys()


def test_buckets_are_bound_to_the_scan_network_once_its_endpoint_is_known(
    assembly: Assembly, tmp_path: Path
) -> None:
    bound = synthesize(tmp_path, Settings(scan_s3_endpoint="vpce-0123456789abcdef0"))
    for bucket, sid in (
        ("Results", "DenyUploadsFromElsewhere"),
        ("Claims", "DenyUploadsFromElsewhere"),
        ("HandOff", "DenyReadingByAddressFromElsewhere"),
        ("Snapshots", "DenyReadingByAddressFromElsewhere"),
    ):
        assert sid not in _policy(assembly, bucket)
        condition = _policy(bound, bucket)[sid]["Condition"]
        assert isinstance(condition, dict)
        assert condition["StringNotEquals"] == {"aws:SourceVpce": "vpce-0123456789abcdef0"}


def test_services_use_the_key_for_this_account_alone_by_what_they_tell_of_themselves(
    assembly: Assembly,
) -> None:
    """EventBridge and CloudFront do not tell the account: a condition on it would refuse them all."""
    [key] = assembly.of("AWS::KMS::Key")
    conditions = {
        statement["Sid"]: {key for test in statement["Condition"].values() for key in test}
        for statement in key.properties["KeyPolicy"]["Statement"]
        if "Service" in statement["Principal"]
    }
    assert conditions == {
        "LetCloudWatchLogsEncryptOurLogGroups": {"kms:EncryptionContext:aws:logs:arn"},
        "LetCloudFrontDecryptWhatItServes": {"aws:SourceArn"},
        "LetEventsReachEncryptedQueues": {"kms:EncryptionContext:aws:sqs:arn"},
        "LetAlarmsReachEncryptedTopics": {"aws:SourceAccount"},
    }


def test_cloudfront_alone_is_let_into_buckets_by_their_policies(assembly: Assembly) -> None:
    for bucket in BUCKETS - {"Logs"}:
        allowed = {sid for sid, each in _policy(assembly, bucket).items() if each["Effect"] == "Allow"}
        expected = {"LetOurDistributionsReadObjects"} if bucket in {"Publication", "Site"} else set()
        assert allowed == expected


def test_forms_may_be_as_old_as_launch_makes_them_and_not_much_older(assembly: Assembly) -> None:
    statement = _policy(assembly, "Results")["DenyFormsSignedLongAgo"]
    condition = statement["Condition"]
    assert isinstance(condition, dict)
    oldest = int(condition["NumericGreaterThan"]["s3:signatureAge"]) / 1_000
    longest = MAX_ATTEMPT_SECONDS + FORM_MARGIN_SECONDS
    assert longest <= oldest <= longest + 600


def test_a_request_can_be_read_until_its_task_must_have_started(assembly: Assembly) -> None:
    statement = _policy(assembly, "HandOff")["DenyReadingByOldPresignedUrl"]
    condition = statement["Condition"]
    assert isinstance(condition, dict)
    oldest = int(condition["NumericGreaterThan"]["s3:signatureAge"]) / 1_000
    assert START_SECONDS < oldest <= START_SECONDS + 600


def test_the_key_rotates_and_stays(assembly: Assembly) -> None:
    [key] = assembly.of("AWS::KMS::Key")
    assert key.properties["EnableKeyRotation"] is True
    assert key.whole["DeletionPolicy"] == "Retain"


def test_queues_topics_and_logs_use_our_key(assembly: Assembly) -> None:
    for kind, attribute in (
        ("AWS::SQS::Queue", "KmsMasterKeyId"),
        ("AWS::SNS::Topic", "KmsMasterKeyId"),
        ("AWS::Logs::LogGroup", "KmsKeyId"),
        ("AWS::SecretsManager::Secret", "KmsKeyId"),
    ):
        for resource in assembly.of(kind):
            assert assembly.shown(resource.properties[attribute]) == "Key.Arn"


def test_every_log_ends_some_day(assembly: Assembly) -> None:
    for log in assembly.of("AWS::Logs::LogGroup"):
        assert log.properties["RetentionInDays"] == Settings().log_retention_days


def test_queues_and_topics_refuse_plain_http(assembly: Assembly) -> None:
    policies = assembly.of("AWS::SQS::QueuePolicy") + assembly.of("AWS::SNS::TopicPolicy")
    assert len(policies) == len(assembly.of("AWS::SQS::Queue") + assembly.of("AWS::SNS::Topic"))
    for policy in policies:
        assert any(map(_denies_plain_http, policy.properties["PolicyDocument"]["Statement"])), policy.name


def _denies_plain_http(statement: dict[str, object]) -> bool:
    return statement["Effect"] == "Deny" and statement.get("Condition") == {
        "Bool": {"aws:SecureTransport": "false"}
    }


def test_a_disposable_deployment_leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = Settings(disposable=True, schedule="off", domain="", reserve_concurrency=False)
    disposable = synthesize(tmp_path_factory.mktemp("disposable"), settings)
    kept: list[Resource] = [each for each in disposable.all() if each.whole.get("DeletionPolicy") == "Retain"]
    assert kept == []
    for table in disposable.of("AWS::DynamoDB::Table"):
        assert table.properties["DeletionProtectionEnabled"] is False
    schedules = {each.short for each in disposable.all() if each.type == "AWS::Scheduler::Schedule"}
    assert "Daily" not in schedules
    secrets = {each.short for each in disposable.all() if each.type == "AWS::SecretsManager::Secret"}
    assert secrets == {"GatewayKeysLeaf", "GatewayKeysTicketKey", "GitHubApp"}
    for function in disposable.of("AWS::Lambda::Function"):
        assert "ReservedConcurrentExecutions" not in function.properties
