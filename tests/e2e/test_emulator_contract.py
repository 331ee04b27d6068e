"""What we rely on of the emulator, each fact once; a new version of it that breaks one breaks here.

Where the emulator differs from AWS, the fact says so: the local cloud then makes up for it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import requests
from botocore.exceptions import ClientError

from glovebox.local.aws import Credentials
from glovebox.local.edge import running_edge
from tests.e2e.small_app import PATIENCE, Small

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

pytestmark = pytest.mark.e2e


def test_functions_run_as_their_role_and_reach_the_emulator_with_its_authority(small: Small) -> None:
    small.grants()
    item = small.aws.client("dynamodb").scan(TableName=small.outputs["Events"])["Items"][0]
    environment = json.loads(item["environment"]["S"])
    assert environment["AWS_ENDPOINT_URL"] == small.aws.endpoint
    assert environment["AWS_CA_BUNDLE"] == str(small.aws.authority)
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert small.aws.credentials.secret not in environment.values()


def test_a_function_may_not_do_what_its_role_does_not_allow(small: Small) -> None:
    answer = small.aws.client("lambda").get_function_configuration(FunctionName=small.outputs["Unit"])
    session = small.aws.client("sts").assume_role(RoleArn=answer["Role"], RoleSessionName="test")[
        "Credentials"
    ]
    keys = Credentials(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    with pytest.raises(ClientError, match="not authorized"):
        small.aws.acting_as(keys).client("dynamodb").scan(TableName=small.outputs["Events"])


def test_a_role_needs_its_secret_and_root_does_not(small: Small) -> None:
    # Unlike in AWS: whoever reaches the port is root. It listens on loopback for that reason, too.
    unit = small.aws.client("lambda").get_function_configuration(FunctionName=small.outputs["Unit"])
    session = small.aws.client("sts").assume_role(RoleArn=unit["Role"], RoleSessionName="test")["Credentials"]
    forged = small.aws.acting_as(Credentials(session["AccessKeyId"], "wrong", session["SessionToken"]))
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        forged.client("s3").get_object(Bucket=small.outputs["Bucket"], Key="page/index.html")
    stranger = small.aws.acting_as(Credentials(small.aws.credentials.key_id, "wrong"))
    assert stranger.client("s3").list_objects_v2(Bucket=small.outputs["Bucket"])["KeyCount"] >= 0


def test_presigned_addresses_need_the_signature_version_to_be_asked_for(small: Small) -> None:
    granted = small.grants()
    assert "X-Amz-Signature" in str(granted["url"])
    assert "X-Amz-Signature" not in str(granted["default"])
    small.put("handoff/request.json", b"request")
    trust = str(small.aws.authority)
    assert requests.get(str(granted["url"]), verify=trust, timeout=PATIENCE).content == b"request"
    other = str(granted["url"]).replace("request.json", "other.json")
    assert requests.get(other, verify=trust, timeout=PATIENCE).status_code == 403


@pytest.mark.parametrize(
    ("body", "fields", "status"),
    [
        pytest.param(b"x" * 1001, {}, 400, id="too large"),
        pytest.param(b"", {}, 400, id="empty"),
        pytest.param(b"ok", {"key": "results/b/1/report.jsonl"}, 403, id="another key"),
        pytest.param(b"ok", {"Content-Type": "text/html"}, 403, id="another type"),
        pytest.param(b"ok", {"acl": "public-read"}, 403, id="one field more"),
        pytest.param(b"ok", {"x-amz-signature": "0" * 64}, 403, id="forged signature"),
        pytest.param(b"ok", {}, 204, id="as granted"),
    ],
)
def test_an_upload_form_is_held_to(small: Small, body: bytes, fields: dict[str, str], status: int) -> None:
    form = small.grants()["form"]
    assert isinstance(form, dict)
    assert isinstance(form["fields"], dict)
    answer = requests.post(
        str(form["url"]),
        data={**form["fields"], **fields},
        files={"file": ("report", body)},
        verify=str(small.aws.authority),
        timeout=PATIENCE,
    )
    assert answer.status_code == status, answer.text


def test_an_object_wakes_the_function_only_where_the_rules_pattern_says_so(small: Small) -> None:
    small.put("other/a/1/manifest.json")
    small.put("results/manifest.json")
    small.put("results/a/1/manifest.json")
    event = small.next_event(lambda event: event.get("source") == "aws.s3")
    assert event is not None
    assert event["detail"]["object"]["key"] == "results/a/1/manifest.json"  # type: ignore[call-overload, index]
    assert small.next_event(lambda event: event.get("source") == "aws.s3", patience=0.5) is None


def test_a_stream_is_filtered(small: Small) -> None:
    table = small.aws.client("dynamodb")
    for state in ("running", "completed"):
        item = {"runId": {"S": "r"}, "scanId": {"S": "run"}, "state": {"S": state}}
        table.put_item(TableName=small.outputs["Scans"], Item=item)
    event = small.next_event(lambda event: "Records" in event)
    assert event is not None
    records = event["Records"]
    assert isinstance(records, list)
    assert [record["dynamodb"]["NewImage"]["state"]["S"] for record in records] == ["completed"]  # type: ignore[call-overload, index]


def test_a_task_without_an_engine_is_a_record_that_runs_until_it_is_stopped(small: Small) -> None:
    ecs = small.aws.client("ecs")
    file = f"arn:aws:s3:::{small.outputs['Bucket']}/handoff/inlet.env"
    task = ecs.run_task(
        cluster=small.outputs["Cluster"],
        taskDefinition=small.outputs["Task"],
        launchType="FARGATE",
        startedBy="scan-1",
        overrides={
            "containerOverrides": [{"name": "inlet", "environmentFiles": [{"type": "s3", "value": file}]}]
        },
    )["tasks"][0]
    arn, cluster = task["taskArn"], small.outputs["Cluster"]
    assert ecs.list_tasks(cluster=cluster, desiredStatus="RUNNING")["taskArns"] == [arn]
    kept = ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"][0]
    assert kept["overrides"]["containerOverrides"][0]["environmentFiles"][0]["value"] == file
    assert kept["startedBy"] == "scan-1"
    stopped = ecs.stop_task(cluster=cluster, task=arn, reason="because")["task"]
    assert stopped["stoppedReason"] == "because"
    assert ecs.list_tasks(cluster=cluster, desiredStatus="RUNNING")["taskArns"] == []
    # Unlike in AWS: whatever happened, the record says that all ended well.
    assert {container["exitCode"] for container in stopped["containers"]} == {0}
    # Unlike in AWS: nobody is told.
    assert small.next_event(lambda event: event.get("resources") == [arn], patience=0.5) is None


def test_a_task_definition_keeps_volumes_and_order_once_they_are_in_the_apis_spelling(small: Small) -> None:
    described = small.aws.client("ecs").describe_task_definition(taskDefinition=small.outputs["Task"])
    definition = described["taskDefinition"]
    assert [volume["name"] for volume in definition["volumes"]] == ["in", "out"]
    scanner = definition["containerDefinitions"][1]
    assert scanner["dependsOn"] == [{"containerName": "inlet", "condition": "SUCCESS"}]
    assert scanner["mountPoints"][0] == {
        "sourceVolume": "in",
        "containerPath": "/glovebox/in",
        "readOnly": True,
    }


def test_root_may_take_the_execution_role_and_then_has_its_rights_alone(small: Small) -> None:
    # Unlike in AWS, where the role trusts the service alone.
    role = small.aws.client("ecs").describe_task_definition(taskDefinition=small.outputs["Task"])
    arn = role["taskDefinition"]["executionRoleArn"]
    session = small.aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="agent")["Credentials"]
    keys = Credentials(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    storage = small.aws.acting_as(keys).client("s3")
    small.put("handoff/inlet.env", b"A=b")
    small.put("results/secret")
    assert (
        storage.get_object(Bucket=small.outputs["Bucket"], Key="handoff/inlet.env")["Body"].read() == b"A=b"
    )
    with pytest.raises(ClientError, match="AccessDenied"):
        storage.get_object(Bucket=small.outputs["Bucket"], Key="results/secret")


def test_nobody_may_put_events_of_aws_but_rules_can_be_asked(small: Small) -> None:
    events = small.aws.client("events")
    detail = json.dumps({"clusterArn": "x"})
    entry: PutEventsRequestEntryTypeDef = {
        "Source": "aws.ecs",
        "DetailType": "ECS Task State Change",
        "Detail": detail,
    }
    answer = events.put_events(Entries=[entry])
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"
    patterns = [rule["EventPattern"] for rule in events.list_rules()["Rules"]]
    event = {
        "id": "1", "account": "000000000000", "source": "aws.s3", "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1", "resources": [], "detail-type": "Object Created",
        "detail": {
            "bucket": {"name": small.outputs["Bucket"]}, "object": {"key": "results/a/1/manifest.json"},
        },
    }  # fmt: skip
    matching = [
        events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"]
        for pattern in patterns
    ]
    assert sorted(matching) == [False, True]


def test_a_schedule_can_be_read_with_its_target_and_input(small: Small) -> None:
    schedules = small.aws.client("scheduler").list_schedules()["Schedules"]
    assert len(schedules) == 1
    schedule = small.aws.client("scheduler").get_schedule(Name=schedules[0]["Name"])
    assert schedule["Target"]["Input"] == '{"do": "tick"}'
    assert ":function:" in schedule["Target"]["Arn"]


def test_a_bucket_that_wants_tls_is_asked_over_tls(small: Small) -> None:
    assert small.aws.endpoint.startswith("https://127.0.0.1:")
    anonymous = requests.get(
        f"{small.aws.endpoint}/{small.outputs['Bucket']}/page/index.html",
        verify=str(small.aws.authority),
        timeout=PATIENCE,
    )
    assert anonymous.status_code == 403


def test_the_edge_shows_the_distribution_with_page_api_and_headers(small: Small) -> None:
    small.put("page/index.html", b"<title>page</title>")
    with running_edge(small.aws, small.outputs["Domain"], None) as address:
        page = requests.get(f"{address}/", timeout=PATIENCE)
        assert (page.status_code, page.text) == (200, "<title>page</title>")
        assert page.headers["x-content-type-options"] == "nosniff"
        assert requests.head(f"{address}/", timeout=PATIENCE).headers["content-length"] == "19"
        api = requests.get(f"{address}/api/listScans?limit=1&q=a%20b", timeout=PATIENCE)
        assert api.status_code == 200, api.text
        assert api.headers["x-content-type-options"] == "nosniff"
        assert api.json()["queryStringParameters"] == {"limit": "1", "q": "a b"}
        assert api.json()["rawPath"] == "/api/listScans"
        assert requests.get(f"{address}/missing", timeout=PATIENCE).status_code in (403, 404)


def test_what_is_changed_of_a_template_is_told(small: Small) -> None:
    assert {(change.kind, change.what) for change in small.changes} == {
        ("left out", "parameter BootstrapVersion"),
        ("left out", "AWS::EC2::FlowLog"),
        ("changed", "volumes and dependsOn of AWS::ECS::TaskDefinition"),
        ("changed", "the API's origin in AWS::CloudFront::Distribution"),
    }
