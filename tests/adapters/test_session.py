"""Finding the deployment: by the outputs of its stacks, with a sentence where it is not there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from glovebox.adapters.aws import client as client_of
from glovebox.adapters.dynamodb_targets import DynamoTargets
from glovebox.adapters.session import STACKS, AwsClients, deployed
from glovebox.cli.remote import DeployedRemote
from glovebox.errors import ConfigurationError, UpstreamError
from glovebox.registry.model import Account
from glovebox.rotation import Stage
from tests.findings import create_table

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient

OURS = "123456789012"
"""moto's account."""


class Stacks:
    """CloudFormation's `describe_stacks`; moto's needs a dozen packages more."""

    def __init__(self, client: CloudFormationClient) -> None:
        self.meta = client.meta
        self.stacks: dict[str, dict[str, str]] = {}

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        if StackName not in self.stacks:
            error = {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}
            raise ClientError({"Error": error}, "DescribeStacks")
        outputs = [{"OutputKey": key, "OutputValue": text} for key, text in self.stacks[StackName].items()]
        arn = f"arn:aws:cloudformation:eu-west-1:{OURS}:stack/{StackName}/1-2-3"
        return {"Stacks": [{"StackName": StackName, "StackId": arn, "Outputs": outputs}]}


@pytest.fixture
def client(aws: None) -> CloudFormationClient:
    return AwsClients(None, None).cloudformation()


@pytest.fixture
def stacks(client: CloudFormationClient) -> Any:
    return Stacks(client)


def test_tables_and_function_come_from_the_stacks_outputs(stacks: Any) -> None:
    stacks.stacks = {
        STACKS[0]: {"RegistryTable": "registry", "FindingsTable": "findings"},
        STACKS[1]: {"LaunchFunction": "launch"},
        "Others": {"RegistryTable": "not ours"},
    }
    found = deployed(stacks)
    assert found.account == OURS
    assert (found.output("RegistryTable"), found.output("LaunchFunction")) == ("registry", "launch")
    with pytest.raises(ConfigurationError, match="no output Nothing"):
        found.output("Nothing")


def test_a_deployment_without_the_broker_has_its_tables(stacks: Any) -> None:
    stacks.stacks = {STACKS[0]: {"RegistryTable": "registry"}}
    found = deployed(stacks)
    assert found.output("RegistryTable") == "registry"
    with pytest.raises(ConfigurationError, match="LaunchFunction"):
        found.output("LaunchFunction")


def test_no_deployment_is_said_with_the_region(stacks: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"no stack Glovebox-Storage in eu-west-1 .* --profile"):
        deployed(stacks)


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        ("ExpiredToken", ConfigurationError, "Sign in again"),
        ("InvalidClientTokenId", ConfigurationError, "Sign in again"),
        ("AccessDenied", UpstreamError, "docs/cli.md"),
        ("ValidationError", UpstreamError, "ValidationError"),
    ],
)
def test_what_aws_refuses_is_said_with_what_to_do(
    client: CloudFormationClient, code: str, error: type[Exception], said: str
) -> None:
    with Stubber(client) as answers:
        answers.add_client_error("describe_stacks", code, "No.")
        with pytest.raises(error, match=said):
            deployed(client)


def test_a_deployed_registry_is_that_of_the_stacks_account(
    stacks: Any, dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_table(dynamodb)
    stacks.stacks = {
        STACKS[0]: {"RegistryTable": "registry", "FindingsTable": "findings", "ScansTable": "scans"},
        STACKS[1]: {"GitHubAppSecret": "app"},
    }
    client_of("secretsmanager").create_secret(Name="app", SecretString="made")
    monkeypatch.setattr(AwsClients, "cloudformation", lambda _: stacks)
    remote = DeployedRemote(AwsClients(None, None))
    assert remote.registry.scanning_account == OURS
    remote.registry.add(Account(id="111122223333"))
    assert DynamoTargets(dynamodb, "registry").get(Account, "111122223333").revision == 1
    assert remote.findings.targets() == []
    assert remote.scans.open_runs() == []
    assert OURS in remote.caller
    remote.github_app.write(Stage.CURRENT, "changed")
    assert remote.github_app.read(Stage.CURRENT) == "changed"


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A shell without anything of AWS."""
    for name in (
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID",
    ):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


def test_without_a_region_or_a_profile_it_is_said_how_to_name_one(nobody: None) -> None:
    with pytest.raises(ConfigurationError, match="--region"):
        AwsClients(None, None)
    with pytest.raises(ConfigurationError, match="profiles"):
        AwsClients("none", None)


def test_without_credentials_nothing_is_sent(nobody: None) -> None:
    with pytest.raises(ConfigurationError, match="no AWS credentials"):
        deployed(AwsClients(None, "eu-west-1").cloudformation())


def test_an_order_is_never_retried(aws: None) -> None:
    config: Any = AwsClients(None, None).functions().meta.config
    assert config.retries["total_max_attempts"] == 1
