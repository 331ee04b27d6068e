"""Tasks, messages, invocations and secrets: what is sent, and what a refusal means."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import ANY, Stubber

from glovebox.adapters.aws import client
from glovebox.adapters.ecs import EcsStopper, EcsTasks
from glovebox.adapters.functions import LambdaLauncher
from glovebox.adapters.secrets import AwsSecret
from glovebox.adapters.sns import SnsTopic
from glovebox.errors import RefusedError, UpstreamError
from glovebox.scans.model import ReportKind
from glovebox.scans.ports import NoCapacityError, TaskOrder

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

ORDER = TaskOrder(
    scan_id="20260304T050607Z-0badcafe-0000",
    attempt=1,
    token="20260304T050607Z-0badcafe-0000-1-0",
    inlet_environment="arn:aws:s3:::handoff/inlet.env",
    outlet_environment="arn:aws:s3:::handoff/outlet.env",
)


@pytest.fixture
def ecs(aws: None) -> ECSClient:
    return client("ecs")


def tasks(ecs: ECSClient) -> EcsTasks:
    return EcsTasks(
        ecs, cluster="cluster", task_definition="scanner:1", subnets=["subnet-1"], security_groups=["sg-1"]
    )


EXPECTED: dict[str, Any] = {
    "cluster": "cluster",
    "taskDefinition": "scanner:1",
    "launchType": "FARGATE",
    "count": 1,
    "clientToken": ORDER.token,
    "startedBy": "20260304T050607Z-0badcafe-0000-1",
    "enableExecuteCommand": False,
    "tags": [{"key": "scanId", "value": ORDER.scan_id}],
    "networkConfiguration": {
        "awsvpcConfiguration": {
            "subnets": ["subnet-1"],
            "securityGroups": ["sg-1"],
            "assignPublicIp": "DISABLED",
        }
    },
    "overrides": {
        "containerOverrides": [
            {"name": "inlet", "environmentFiles": [{"type": "s3", "value": ORDER.inlet_environment}]},
            {"name": "outlet", "environmentFiles": [{"type": "s3", "value": ORDER.outlet_environment}]},
        ]
    },
}


def test_a_task_gets_arns_in_its_overrides_and_nothing_else(ecs: ECSClient) -> None:
    with Stubber(ecs) as stub:
        stub.add_response("run_task", {"tasks": [{"taskArn": "arn:task"}], "failures": []}, EXPECTED)
        assert tasks(ecs).start(ORDER) == "arn:task"


def test_each_kind_is_a_task_of_its_definition_and_who_gets_no_ticket_has_no_way_to_the_gateway(
    ecs: ECSClient,
) -> None:
    made = EcsTasks(
        ecs,
        cluster="cluster",
        task_definition="scanner:1",
        other_task_definitions={"account": "prowler:1", "trivy": "trivy:1"},
        subnets=["subnet-1"],
        security_groups=["sg-1"],
        unticketed_security_groups=["sg-0"],
    )
    kinds: list[tuple[str, ReportKind, str]] = [
        ("prowler:1", "account", "sg-1"),
        ("scanner:1", "site", "sg-1"),
        ("trivy:1", "trivy", "sg-0"),
    ]
    with Stubber(ecs) as stub:
        for family, kind, group in kinds:
            answer = {"tasks": [{"taskArn": f"arn:{family}"}], "failures": []}
            network = EXPECTED["networkConfiguration"]["awsvpcConfiguration"]
            expected = {
                **EXPECTED,
                "taskDefinition": family,
                "networkConfiguration": {"awsvpcConfiguration": {**network, "securityGroups": [group]}},
            }
            stub.add_response("run_task", answer, expected)
            assert made.start(replace(ORDER, kind=kind)) == f"arn:{family}"
    with pytest.raises(RefusedError, match="no task for kingfisher"):
        made.start(replace(ORDER, kind="kingfisher"))


def test_a_failure_in_the_answer_is_a_lack_of_room(ecs: ECSClient) -> None:
    with Stubber(ecs) as stub:
        stub.add_response("run_task", {"tasks": [], "failures": [{"reason": "RESOURCE:ENI"}]}, EXPECTED)
        with pytest.raises(NoCapacityError, match="RESOURCE:ENI"):
            tasks(ecs).start(ORDER)


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        ("ClientException", "Capacity is unavailable at this time.", NoCapacityError),
        ("ClientException", "You've reached the limit on the number of vCPUs.", NoCapacityError),
        ("ThrottlingException", "Rate exceeded", NoCapacityError),
        ("ClientException", "TaskDefinition is inactive", RefusedError),
        ("InvalidParameterException", "No Fargate configuration exists for given values", RefusedError),
        ("AccessDeniedException", "not authorized to perform: iam:PassRole", RefusedError),
        ("ServerException", "Service Unavailable. Please try again later.", UpstreamError),
    ],
)
def test_a_refusal_means_later_or_never(
    ecs: ECSClient, code: str, message: str, error: type[Exception]
) -> None:
    stub = Stubber(ecs)
    for _ in range(5):  # The client itself tries throttled calls again.
        stub.add_client_error("run_task", code, message)
    with stub, pytest.raises(error) as caught:
        tasks(ecs).start(ORDER)
    assert type(caught.value) is error
    assert isinstance(caught.value.__cause__, ClientError)


def test_a_network_without_ecs_is_an_upstream_error(ecs: ECSClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(**arguments: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://ecs")

    monkeypatch.setattr(ecs, "run_task", failing)
    with pytest.raises(UpstreamError, match="EndpointConnectionError"):
        tasks(ecs).start(ORDER)


def test_a_task_that_is_forgotten_already_needs_no_stop(ecs: ECSClient) -> None:
    asked = {"cluster": "cluster", "task": "arn:task", "reason": "late"}
    with Stubber(ecs) as stub:
        stub.add_response("stop_task", {}, asked)
        stub.add_client_error("stop_task", "InvalidParameterException", "The referenced task was not found.")
        stub.add_client_error("stop_task", "ClusterNotFoundException", "Cluster not found.")
        stopper = EcsStopper(ecs, "cluster")
        stopper.stop("arn:task", "late")
        stopper.stop("arn:task", "late")
        with pytest.raises(UpstreamError):
            stopper.stop("arn:task", "late")


def test_a_message_reaches_the_topics_subscribers(aws: None) -> None:
    sns, sqs = client("sns"), boto3.client("sqs")
    topic = sns.create_topic(Name="topic")["TopicArn"]
    queue: Any = sqs.create_queue(QueueName="queue")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    SnsTopic(sns, topic).send("A subject", "A body\nof two lines\n")
    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
    told = json.loads(message["Body"])
    assert (told["Subject"], told["Message"]) == ("A subject", "A body\nof two lines\n")


def test_a_message_that_sns_would_refuse_for_its_length_is_cut_and_says_so(aws: None) -> None:
    """Counted in bytes: letters of a resource's name may have four."""
    sns = client("sns")
    with Stubber(sns) as stub:
        sent: list[str] = []
        sns.meta.events.register(
            "provide-client-params.sns.Publish", lambda params, **_: sent.append(params["Message"])
        )
        for body in ("𝕏" * 62_500, "x" + "𝕏" * 62_500):
            stub.add_response("publish", {}, {"TopicArn": "arn", "Subject": "S", "Message": ANY})
            SnsTopic(sns, "arn").send("S", body)
    whole, cut = sent
    assert whole == "𝕏" * 62_500
    assert 249_990 < len(cut.encode()) <= 250_000
    assert cut.startswith("x𝕏𝕏")
    assert cut.endswith("𝕏\n[The rest does not fit into one message.]\n")


def test_a_retry_is_asked_for_without_waiting(aws: None) -> None:
    functions = client("lambda")
    with Stubber(functions) as stub:
        stub.add_response(
            "invoke",
            {"StatusCode": 202},
            {"FunctionName": "launch", "InvocationType": "Event", "Payload": ANY},
        )
        LambdaLauncher(functions, "launch").retry("scan", 2)
        stub.add_client_error("invoke", "ResourceNotFoundException", "no such function")
        with pytest.raises(UpstreamError):
            LambdaLauncher(functions, "launch").retry("scan", 2)


def test_a_secret_is_its_text_without_blanks_round_it(aws: None) -> None:
    secrets = client("secretsmanager")
    secrets.create_secret(Name="shodan", SecretString=" key\n")
    assert AwsSecret(secrets, "shodan").value() == "key"
    with pytest.raises(UpstreamError):
        AwsSecret(secrets, "other").value()


def test_an_error_of_aws_keeps_its_cause(aws: None) -> None:
    with pytest.raises(UpstreamError) as caught:
        AwsSecret(client("secretsmanager"), "other").value()
    assert isinstance(caught.value.__cause__, ClientError)
