"""Each function as deployed: its environment, its composition root and its handler, on moto's AWS."""

from __future__ import annotations

import ast
import base64
import importlib
import io
import json
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import msgspec
import pytest
from cryptography import x509

from glovebox.adapters.aws import client
from glovebox.adapters.dynamodb_targets import DynamoTargets
from glovebox.envelopes.credentials import decode
from glovebox.envelopes.sealing import KeyPair
from glovebox.errors import ConfigurationError, InputError
from glovebox.farm.dns import Answer, serving_names_apart
from glovebox.registry.model import Account, Disabled, Repository
from glovebox.scans.accounts import CLAIM_VARIABLE, AccountScanRequest, claim_key
from glovebox.scans.model import OutletOrder, handoff_key, manifest_key, report_key
from glovebox.siteaudit.record import to_json
from glovebox.tickets.keys import KeySet
from tests.account_flow import planted_item
from tests.fakes import PUBLIC_ADDRESS, snapshot_answer
from tests.findings import create_table
from tests.flow import created, manifest_of, stream_event
from tests.prowler import item, report
from tests.records import good_record
from tests.small_ecs import make_cluster

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ROOT = Path(__file__).resolve().parents[2]
UNITS = (
    *("launch", "keys", "ingest", "watch", "publish", "enrich", "notify", "audit_api", "redeem"),
    "snapshot",
)
HOST = "www.example.com"
TARGET = "111122223333"
ENVIRONMENT = {
    "SCANS_TABLE": "scans",
    "SITES_TABLE": "sites",
    "REGISTRY_TABLE": "registry",
    "FINDINGS_TABLE": "findings",
    "LISTS_BUCKET": "lists",
    "HANDOFF_BUCKET": "handoff",
    "RESULTS_BUCKET": "results",
    "PUBLICATION_BUCKET": "publication",
    "RESULTS_KEY_ARN": "arn:aws:kms:eu-west-1:123456789012:key/0badcafe",
    "CLUSTER": "cluster",
    "TASK_DEFINITION": "scanner",
    "SECURITY_GROUPS": "sg-0badcafe",
    "AUDIT_SETTINGS": '{"concurrency": 50}',
    "SHARD_HOSTS": "200",
    "ENRICHMENT": "off",
    "GATEWAYS": "10.43.0.10:3129,10.43.0.26:3129",
    "TICKET_KEY_SECRET": "ticket-key",
    "TICKET_KEYS_PARAMETER": "ticket-keys",
    "LEAF_SECRET": "leaf",
    "AUTHORITIES_PARAMETER": "authorities",
    "ALLOW_LIST": "prowler-us-east-1.txt",
    "EGRESS_IPV6": "off",
    "CLAIMS_BUCKET": "claims",
    "SCANNING_ACCOUNT": "123456789012",
    "PROWLER_TASK_DEFINITION": "prowler",
    "REGIONS": "eu-west-1,us-east-1",
    "REGIONS_PER_SCAN": "4",
    "SERVICE_PARTS": "1",
    "SNAPSHOT_FUNCTION": "snapshot",
    "SNAPSHOTS_BUCKET": "snapshots",
    "GITHUB_SECRET": "github-app",
    "GITHUB_HOST": "github.com",
    "GITHUB_API": "https://api.github.com",
    "REPOSITORY_SCANNERS": "trivy,trufflehog",
    "TRIVY_TASK_DEFINITION": "trivy",
    "TRUFFLEHOG_TASK_DEFINITION": "trufflehog",
    "KINGFISHER_TASK_DEFINITION": "kingfisher",
    "UNTICKETED_SECURITY_GROUPS": "sg-0cafe",
    "AUDIT_ROLE": "arn:aws:iam::${Target}:role/GloveboxAudit",
    "EXTERNAL_ID": "external-id-of-sixteen",
    "SESSION_POLICY": '{"Version":"2012-10-17","Id":"${Target}","Statement":[]}',
    "SESSION_MANAGED_POLICIES": "arn:aws:iam::aws:policy/SecurityAudit",
    "LAUNCH_FUNCTION": "launch",
    "SHODAN_SECRET": "shodan",
    "PAGE_URL": "https://audit.example.org",
}


REPOSITORY = "github.com/acme/shop"


class Context:
    """Lambda's, as far as it is used."""

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def handle(unit: str, event: object) -> Any:
    return importlib.import_module(f"functions.{unit}.handler").handle(event, Context())


@pytest.fixture(scope="module")
def names() -> Iterator[str]:
    with serving_names_apart({HOST: Answer(addresses=(PUBLIC_ADDRESS,))}) as address:
        yield address


@pytest.fixture
def deployed(dynamodb: DynamoDBClient, names: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Buckets, cluster, task definition and topic, and an environment that names them."""
    s3, ecs, ec2, sns = client("s3"), client("ecs"), boto3.client("ec2"), client("sns")
    for name in ("lists", "handoff", "results", "publication", "claims"):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    make_cluster(ecs, "cluster", families=("scanner", "prowler", "trivy", "kingfisher"))
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    topic = sns.create_topic(Name="topic")["TopicArn"]
    for secret in ("ticket-key", "leaf"):
        client("secretsmanager").create_secret(Name=secret)
    for parameter in ("ticket-keys", "authorities"):
        client("ssm").put_parameter(Name=parameter, Value="Nothing yet.", Type="String")
    audit = json.dumps({"concurrency": 50, "resolver": names})
    told = {**ENVIRONMENT, "SUBNETS": subnet, "TOPIC": topic, "AUDIT_SETTINGS": audit}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    roots = [importlib.import_module(f"functions.{unit}.bootstrap").bootstrap for unit in UNITS]
    for bootstrap in roots:
        bootstrap.cache_clear()
    yield
    for bootstrap in roots:
        bootstrap.cache_clear()


@pytest.mark.usefixtures("deployed")
def test_a_run_goes_from_its_list_to_its_files_its_message_and_the_public_queries() -> None:
    s3, sns, sqs = client("s3"), client("sns"), boto3.client("sqs")
    s3.put_object(Bucket="lists", Key="hosts.txt", Body=HOST.encode())
    queue = sqs.create_queue(QueueName="mail")["QueueUrl"]
    [topic] = [one["TopicArn"] for one in sns.list_topics()["Topics"]]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    handle("keys", {})
    answer = handle("launch", {"list": {"key": "hosts.txt"}, "requestedBy": "test"})
    assert json.loads(json.dumps(answer)) == answer
    run_id, scan_id = answer["runId"], f"{answer['runId']}-0000"
    [task_arn] = client("ecs").list_tasks(cluster="cluster")["taskArns"]
    started = {"lastStatus": "RUNNING", "taskArn": task_arn, "startedBy": f"{scan_id}-1"}

    env = s3.get_object(Bucket="handoff", Key=f"handoff/{scan_id}/1/outlet.env")["Body"].read()
    order = msgspec.json.decode(base64.b64decode(env.partition(b"=")[2]), type=OutletOrder)
    request = json.loads(
        s3.get_object(Bucket="handoff", Key=f"handoff/{scan_id}/1/request.json")["Body"].read()
    )
    assert order.report.fields["key"] == report_key(scan_id, 1)
    assert request["settings"]["concurrency"] == 50
    [target] = request["targets"]
    assert target["resolution"]["dns"]["addresses"] == [PUBLIC_ADDRESS]
    published = client("ssm").get_parameter(Name="ticket-keys")["Parameter"].get("Value", "")
    KeySet.from_pem(published.encode()).verify(*target["ticket"].split(":"), time.time())
    handle("watch", {"detail": started})

    body = to_json(good_record(HOST, scan_date=request["scanDate"])) + b"\n"
    s3.put_object(Bucket="results", Key=report_key(scan_id, 1), Body=body)
    manifest = manifest_of(scan_id, 1, body)
    version = s3.put_object(
        Bucket="results", Key=manifest_key(scan_id, 1), Body=msgspec.json.encode(manifest)
    )["VersionId"]
    handle("ingest", created(manifest_key(scan_id, 1), version))
    for unit in ("publish", "enrich", "notify"):
        handle(unit, stream_event((run_id, "run"), (run_id, scan_id)))
    handle("watch", {"tick": True})

    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert "completed" in json.loads(message["Body"])["Subject"]
    for call, query in {
        "siteDetails": f"FQDN={HOST}",
        "DNSHistory": "DN=example.com",
        "listScans": "",
    }.items():
        event = {
            "rawPath": f"/api/{call}",
            "rawQueryString": query,
            "requestContext": {"http": {"method": "GET"}, "stage": "$default"},
        }
        answer = handle("audit_api", event)
        assert answer["statusCode"] == 200
        assert HOST in answer["body"] or run_id in answer["body"]


@pytest.mark.usefixtures("deployed")
def test_an_order_of_accounts_goes_from_the_registry_to_credentials_that_one_task_can_open() -> None:
    s3, ecs = client("s3"), client("ecs")
    registry = DynamoTargets(client("dynamodb"), "registry")
    registry.put(Account(id=TARGET, regions=("eu-west-1",), external_id="external-id-of-its-own"), revision=0)
    registry.put(Account(id="444455556666", disabled=Disabled.BY_HAND), revision=0)

    handle("keys", {})
    order = {"accounts": [TARGET, "444455556666"], "requestedBy": "test"}
    answer = json.loads(json.dumps(handle("launch", order)))
    assert (answer["scans"], answer["accounts"]) == (1, 1)
    assert [each["account"] for each in answer["refused"]] == ["444455556666"]
    scan_id = f"{answer['runId']}-0000"
    [task_arn] = ecs.list_tasks(cluster="cluster")["taskArns"]
    [task] = ecs.describe_tasks(cluster="cluster", tasks=[task_arn])["tasks"]
    assert ":task-definition/prowler:" in task["taskDefinitionArn"]

    def object_of(name: str) -> bytes:
        return s3.get_object(Bucket="handoff", Key=handoff_key(scan_id, 1, name))["Body"].read()

    request = msgspec.json.decode(object_of("request.json"), type=AccountScanRequest)
    x509.load_pem_x509_certificates(request.authorities.encode())
    variables = dict(line.split("=", 1) for line in object_of("inlet.env").decode().splitlines())
    claim = urlsplit(variables[CLAIM_VARIABLE])
    assert claim.path == f"/{claim_key(scan_id, 1)}"
    assert claim.hostname == "claims.s3.eu-west-1.amazonaws.com"

    pair = KeyPair()
    s3.put_object(Bucket="claims", Key=claim_key(scan_id, 1), Body=pair.public.claim())
    handle("redeem", created(claim_key(scan_id, 1), "v1", bucket="claims"))
    message = pair.open(object_of("envelope.json"), scan_id=scan_id, attempt=1)
    credentials = decode(message, scan_id=scan_id, account=TARGET)
    assert credentials.regions == ["eu-west-1"]
    handle("launch", {"retry": {"scanId": scan_id, "attempt": 1}})
    assert len(ecs.list_tasks(cluster="cluster")["taskArns"]) == 1


@pytest.mark.usefixtures("deployed")
def test_an_order_of_repositories_asks_snapshot_and_starts_a_task_that_can_unpack_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    class Snapshot:
        """Lambda, and the one function that `launch` waits for."""

        def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - Lambda's
            asked.append((FunctionName, json.loads(Payload)))
            return {"Payload": io.BytesIO(msgspec.json.encode(snapshot_answer(REPOSITORY, "main")))}

    monkeypatch.setattr("functions.launch.bootstrap.patient_client", lambda service: Snapshot())
    registry = DynamoTargets(client("dynamodb"), "registry")
    registry.put(Repository(id=REPOSITORY, scanners=("kingfisher", "trivy")), revision=0)

    order = {"repositories": [REPOSITORY, "github.com/acme/none"], "ref": "main"}
    answer = json.loads(json.dumps(handle("launch", order)))
    assert (answer["scans"], answer["repositories"]) == (2, 1)
    assert [each["repository"] for each in answer["refused"]] == ["github.com/acme/none"]
    wanted = {"runId": answer["runId"], "repository": REPOSITORY, "ref": "main"}
    assert asked == [("snapshot", {"snapshot": wanted})] * 2
    ecs = client("ecs")
    arns = ecs.list_tasks(cluster="cluster")["taskArns"]
    tasks = ecs.describe_tasks(cluster="cluster", tasks=arns)["tasks"]
    families = {task["taskDefinitionArn"].split("/")[1].split(":")[0] for task in tasks}
    assert families == {"trivy", "kingfisher"}
    key = handoff_key(f"{answer['runId']}-0000", 1, "inlet.env")
    lines = client("s3").get_object(Bucket="handoff", Key=key)["Body"].read().decode().splitlines()
    assert f"GLOVEBOX_SNAPSHOT_URL={snapshot_answer(REPOSITORY).url}" in lines


@pytest.mark.usefixtures("deployed")
def test_a_report_of_an_account_becomes_findings_a_closed_run_and_a_message(
    dynamodb: DynamoDBClient,
) -> None:
    create_table(dynamodb)
    s3, sns, sqs = client("s3"), client("sns"), boto3.client("sqs")
    queue = sqs.create_queue(QueueName="mail")["QueueUrl"]
    [topic] = [one["TopicArn"] for one in sns.list_topics()["Topics"]]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    registry = DynamoTargets(dynamodb, "registry")
    registry.put(Account(id=TARGET, regions=("eu-west-1",), team="payments"), revision=0)

    handle("keys", {})
    run_id = handle("launch", {"accounts": [TARGET]})["runId"]
    scan_id = f"{run_id}-0000"
    body = report([planted_item(TARGET), item(account=TARGET)])
    s3.put_object(Bucket="results", Key=report_key(scan_id, 1, "account"), Body=body)
    manifest = manifest_of(scan_id, 1, body, report_lines=2)
    version = s3.put_object(
        Bucket="results", Key=manifest_key(scan_id, 1), Body=msgspec.json.encode(manifest)
    )["VersionId"]
    handle("ingest", created(manifest_key(scan_id, 1), version))
    handle("ingest", {"daily": True})
    for unit in ("publish", "notify"):
        handle(unit, stream_event((run_id, "run"), (run_id, scan_id)))

    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
    mail = json.loads(message["Body"])
    assert mail["Subject"].endswith("completed, 1 (1 high) new")
    assert "payments: 1 (1 high) new" in mail["Message"]
    assert s3.list_objects_v2(Bucket="publication")["KeyCount"] == 0


@pytest.mark.usefixtures("deployed")
def test_keys_changes_nothing_where_nothing_is_due_and_gateways_and_scanners_fit_together() -> None:
    secrets, parameters = client("secretsmanager"), client("ssm")

    def there() -> list[str]:
        values = [secrets.get_secret_value(SecretId=name)["SecretString"] for name in ("ticket-key", "leaf")]
        names = ("ticket-keys", "authorities")
        return values + [parameters.get_parameter(Name=name)["Parameter"].get("Value", "") for name in names]

    handle("keys", {})
    first = there()
    handle("keys", {})
    assert there() == first
    leaf = x509.load_pem_x509_certificate(json.loads(first[1])["certificate"].encode())
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(first[3].encode()))


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize("unit", ["ingest", "watch", "publish", "enrich", "notify"])
def test_an_event_that_can_never_be_used_is_logged_and_not_sent_again(
    unit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    handle(unit, {"something": "else"})
    assert json.loads(capsys.readouterr().out)["message"] == "event refused"


@pytest.mark.usefixtures("deployed")
def test_whoever_launches_sees_why_his_list_is_refused() -> None:
    with pytest.raises(InputError, match="No line of the host list"):
        handle("launch", {"hosts": ["not a host"]})


def environment_of(unit: str) -> Any:
    return importlib.import_module(f"functions.{unit}.environment").Environment


@pytest.mark.parametrize("unit", UNITS)
def test_a_missing_variable_is_named_whichever_it_is(unit: str) -> None:
    whole = {**ENVIRONMENT, "SUBNETS": "subnet-1,subnet-2", "TOPIC": "arn:topic"}
    environment = environment_of(unit)
    environment.read(whole)
    for field in fields(environment):
        name = field.name.upper()
        with pytest.raises(ConfigurationError, match=name):
            environment.read({key: value for key, value in whole.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUBNETS", " , "),
        ("SHARD_HOSTS", "0"),
        ("SHARD_HOSTS", "501"),
        ("SHARD_HOSTS", "many"),
        ("REGIONS", " , "),
        ("REGIONS_PER_SCAN", "0"),
        ("REGIONS_PER_SCAN", "65"),
        ("SERVICE_PARTS", "9"),
        ("REPOSITORY_SCANNERS", "trivy,semgrep"),
        ("ENRICHMENT", "yes"),
        ("AUDIT_SETTINGS", "{"),
        ("AUDIT_SETTINGS", '{"perHost": 0}'),
        ("AUDIT_SETTINGS", '{"unknown": 1}'),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(name: str, value: str) -> None:
    whole = {**ENVIRONMENT, "SUBNETS": "subnet-1", "TOPIC": "arn:topic", name: value}
    with pytest.raises(ConfigurationError, match=name):
        environment_of("launch").read(whole)


@pytest.mark.parametrize("unit", UNITS)
def test_a_handler_parses_calls_one_service_and_maps_errors_and_no_more(unit: str) -> None:
    tree = ast.parse((ROOT / "functions" / unit / "handler.py").read_text())
    [function] = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert function.name == "handle"
    assert (function.end_lineno or 0) - function.lineno < 15
