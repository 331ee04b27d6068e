"""What a target account gets: one role, in the sizes that IAM takes, and never in the account that scans."""

from __future__ import annotations

import dataclasses
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any

import aws_cdk as cdk
import pytest

import app as glovebox_app
from glovebox.errors import ConfigurationError
from glovebox.findings.canaries import planted
from glovebox_constructs.audit_policies import (
    INLINE_CHARACTERS,
    MANAGED_CHARACTERS,
    MANAGED_POLICIES,
    in_managed_policies,
    size,
)
from glovebox_constructs.policies import FOLDER
from glovebox_constructs.prowler_script import excluded_checks
from stacks.audit_role import TEMPLATE_CHARACTERS, template
from stacks.names import SCAN_IDS
from stacks.settings import Settings
from tests.infrastructure.templates import CDK_CONTEXT, EXTERNAL, listed, synthesize

ROOT = glovebox_app.ROOT
SCANNING, TARGET = "111122223333", "777788889999"
TARGET_SIDE = Settings(
    scanning_account=SCANNING,
    gateway_addresses=("52.95.110.1", "52.95.110.2"),
    gateway_s3_endpoint="vpce-0123456789abcdef0",
    external_id="6f1c1a1e-94a4-4a63-8f0e-0f2c8f7f3c11",
)
UNITS = ("ou-abcd-12345678", "r-abcd")
Template = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both templates and the one with parameters."""
    folder = tmp_path_factory.mktemp("target")
    for settings in (TARGET_SIDE, dataclasses.replace(TARGET_SIDE, organizational_units=UNITS)):
        app = cdk.App(context=CDK_CONTEXT, outdir=str(folder), analytics_reporting=False)
        glovebox_app.build_target_side(app, settings)
        app.synth()
    (folder / "Parameters.template.json").write_text(template())
    return folder


@pytest.fixture(scope="module")
def role_template(folder: Path) -> Template:
    return _read(folder / "Glovebox-AuditRole.template.json")


@pytest.fixture(scope="module")
def stack_set(folder: Path) -> Template:
    [resource] = _read(folder / "Glovebox-AuditRoles.template.json")["Resources"].values()
    assert resource["Type"] == "AWS::CloudFormation::StackSet"
    properties: Template = resource["Properties"]
    return properties


def _read(path: Path) -> Template:
    found: Template = json.loads(path.read_text())
    return found


def _of(template: Template, kind: str) -> list[Template]:
    return [each["Properties"] for each in template["Resources"].values() if each["Type"] == kind]


def _role(template: Template, name: str = "GloveboxAudit") -> Template:
    [role] = [each for each in _of(template, "AWS::IAM::Role") if each["RoleName"] == name]
    return role


def test_cfn_lint_finds_nothing(folder: Path) -> None:
    tool = str(Path(sys.executable).with_name("cfn-lint"))
    templates = [str(each) for each in sorted(folder.glob("*.template.json"))]
    assert len(templates) == 3
    done = subprocess.run([tool, "--", *templates], capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_a_target_gets_a_role_and_policies_and_nothing_that_runs(role_template: Template) -> None:
    kinds = {each["Type"] for each in role_template["Resources"].values()}
    assert kinds == {"AWS::IAM::Role", "AWS::IAM::ManagedPolicy"}
    role = _role(role_template)
    assert role["RoleName"] == "GloveboxAudit"
    assert role["MaxSessionDuration"] == 3600
    attached = {json.dumps(each) for each in role["ManagedPolicyArns"]}
    assert attached == {
        json.dumps({"Ref": name})
        for name, each in role_template["Resources"].items()
        if each["Type"] == "AWS::IAM::ManagedPolicy"
    }


def test_the_canary_grants_nothing_and_is_where_reports_are_asked_for_it(role_template: Template) -> None:
    names = {each["RoleName"] for each in _of(role_template, "AWS::IAM::Role")}
    assert names == {"GloveboxAudit", "GloveboxCanary"}
    [canary] = planted(TARGET)
    assert canary.resource == f"arn:aws:iam::{TARGET}:role/GloveboxCanary"
    role = _role(role_template, "GloveboxCanary")
    assert not {"ManagedPolicyArns", "Policies"} & role.keys()
    # A boundary that denies everything outlives whatever somebody attaches.
    assert role["PermissionsBoundary"]["Fn::Join"][1][-1] == ":iam::aws:policy/AWSDenyAll"
    [trusted] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"Service": "ec2.amazonaws.com"}
    assert "Condition" not in trusted, "the check would pass it"


def test_the_canarys_check_is_one_that_scans_run() -> None:
    [canary] = planted(TARGET)
    assert canary.check not in excluded_checks()


def test_it_needs_no_bootstrapped_account(role_template: Template, folder: Path) -> None:
    assert "Parameters" not in role_template
    assert "BootstrapVersion" not in json.dumps(role_template)
    assert not list(folder.glob("asset.*"))


def test_the_role_holds_what_the_files_say(role_template: Template) -> None:
    read = [
        action
        for policy in _of(role_template, "AWS::IAM::ManagedPolicy")
        for statement in policy["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
    ]
    statements = _read(FOLDER / "audit_role_reads.json")["Statement"]
    assert read == [*statements[0]["Action"], statements[1]["Action"]]
    inline = {
        each["PolicyName"]: each["PolicyDocument"]["Statement"] for each in _role(role_template)["Policies"]
    }
    assert inline["Writes"] == _read(FOLDER / "audit_role_writes.json")["Statement"]
    assert inline["Data"][:2] == _read(FOLDER / "audit_role_data.json")["Statement"][:2]
    elsewhere, others = inline["Boundary"]
    assert elsewhere["Condition"]["NotIpAddressIfExists"] == {"aws:SourceIp": ["52.95.110.1", "52.95.110.2"]}
    assert elsewhere["Condition"]["StringNotEqualsIfExists"] == {"aws:SourceVpce": "vpce-0123456789abcdef0"}
    assert others["Condition"]["StringNotEquals"] == {"aws:ResourceAccount": {"Ref": "AWS::AccountId"}}


def test_the_trust_names_redeem_of_the_scanning_account(role_template: Template) -> None:
    assuming, naming, own = _role(role_template)["AssumeRolePolicyDocument"]["Statement"]
    redeem = ["arn:", {"Ref": "AWS::Partition"}, f":iam::{SCANNING}:role/GloveboxRedeem"]
    for statement in (assuming, naming):
        assert statement["Condition"]["ArnEquals"] == {"aws:PrincipalArn": {"Fn::Join": ["", redeem]}}
        assert statement["Condition"]["StringLike"] == {"sts:SourceIdentity": SCAN_IDS}
    assert assuming["Condition"]["StringEquals"] == {"sts:ExternalId": TARGET_SIDE.external_id}
    assert own["Condition"] == {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}


def test_everything_fits_iam_and_a_template_without_a_bucket(role_template: Template, folder: Path) -> None:
    managed = _of(role_template, "AWS::IAM::ManagedPolicy")
    assert len(managed) <= MANAGED_POLICIES
    # Expressions are longer than what they become.
    assert max(size(each["PolicyDocument"]) for each in managed) <= MANAGED_CHARACTERS
    inline = [each["PolicyDocument"] for each in _role(role_template)["Policies"]]
    assert sum(map(size, inline)) <= INLINE_CHARACTERS
    for path in folder.glob("*.template.json"):
        assert len(path.read_text()) <= TEMPLATE_CHARACTERS, path.name


def test_what_does_not_fit_ten_managed_policies_is_refused() -> None:
    actions = [f"service:{'Get' * 20}{number}" for number in range(1000)]
    statement = {"Sid": "Let", "Effect": "Allow", "Action": actions, "Resource": "*"}
    with pytest.raises(ConfigurationError, match="managed policies"):
        in_managed_policies({"Version": "2012-10-17", "Statement": [statement]})


# ---------------------------------------------------------------- never the account that scans


def _refuses(template: Template, account: str, parameters: Mapping[str, str]) -> bool:
    """Whether the template's rules keep it out of `account`."""

    def value(node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        [(function, argument)] = node.items()
        if function == "Ref":
            return {"AWS::AccountId": account, **parameters}[argument]
        if function == "Fn::Equals":
            left, right = map(value, argument)
            return left == right
        assert function == "Fn::Not", function
        return not value(argument[0])

    asserted = [each["Assert"] for rule in template.get("Rules", {}).values() for each in rule["Assertions"]]
    return not all(map(value, asserted))


@pytest.mark.parametrize(("account", "refused"), [(SCANNING, True), (TARGET, False)])
def test_the_role_is_not_deployed_where_the_scanning_is_done(
    account: str, refused: bool, role_template: Template
) -> None:
    assert _refuses(role_template, account, {}) == refused
    assert _refuses(json.loads(template()), account, {"ScanningAccount": SCANNING}) == refused


@pytest.mark.parametrize(("account", "refused"), [(TARGET, True), (SCANNING, False)])
def test_the_perimeter_is_not_deployed_in_one_of_its_targets(
    account: str, refused: bool, tmp_path: Path
) -> None:
    assembly = synthesize(tmp_path, Settings(targets=("444455556666", TARGET), external_id=EXTERNAL))
    ours = {"Rules": {"N": assembly.templates["Perimeter"]["Rules"]["NeverTheScanningAccountItself"]}}
    assert _refuses(ours, account, {}) == refused


def test_settings_refuse_the_scanning_account_as_target() -> None:
    with pytest.raises(ConfigurationError, match="targets"):
        dataclasses.replace(TARGET_SIDE, targets=(SCANNING,))


def _app(context: dict[str, str], here: str, outdir: Path) -> subprocess.CompletedProcess[str]:
    given = {f"glovebox:{key}": value for key, value in context.items()}
    # As the CDK's command line starts it.
    environment = {
        **os.environ,
        "CDK_CONTEXT_JSON": json.dumps(given),
        "CDK_DEFAULT_ACCOUNT": here,
        "CDK_OUTDIR": str(outdir),
    }
    command = [sys.executable, str(ROOT / "app.py")]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=120, cwd=outdir
    )


ON_THE_COMMAND_LINE = {
    "scanningAccount": SCANNING,
    "gatewayAddresses": "52.95.110.1",
    "gatewayS3Endpoint": "vpce-0123456789abcdef0",
    "externalId": "6f1c1a1e-94a4-4a63-8f0e-0f2c8f7f3c11",
}


def test_the_app_builds_the_role_alone_for_a_target(tmp_path: Path) -> None:
    done = _app(ON_THE_COMMAND_LINE, TARGET, tmp_path)
    assert done.returncode == 0, done.stderr
    assert [each.name for each in tmp_path.glob("*.template.json")] == ["Glovebox-AuditRole.template.json"]


@pytest.mark.parametrize(
    "context", [ON_THE_COMMAND_LINE, {"targets": f"{SCANNING},{TARGET}", "externalId": EXTERNAL}], ids=str
)
def test_the_app_refuses_to_make_the_account_that_it_knows_a_target(
    context: dict[str, str], tmp_path: Path
) -> None:
    done = _app(context, SCANNING, tmp_path)
    assert done.returncode != 0
    assert "which does the scanning" in done.stderr
    assert not list(tmp_path.glob("*.template.json"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"external_id": ""}, "externalId"),
        ({"external_id": "short"}, "externalId"),
        ({"gateway_addresses": ()}, "gatewayAddresses"),
        ({"gateway_addresses": ("10.0.0.1",)}, "gatewayAddresses"),
        ({"gateway_addresses": ("0.0.0.0/0",)}, "gatewayAddresses"),
        ({"gateway_s3_endpoint": ""}, "gatewayS3Endpoint"),
        ({"gateway_s3_endpoint": "vpce-*"}, "gatewayS3Endpoint"),
        ({"scanning_account": "*"}, "scanningAccount"),
        ({"scanning_account": ""}, "gatewayAddresses"),
        ({"organizational_units": ("ou-*",)}, "organizationalUnits"),
    ],
)
def test_a_target_side_that_is_incomplete_or_too_wide_is_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"glovebox:{named}"):
        dataclasses.replace(TARGET_SIDE, **changes)


# ---------------------------------------------------------------- an organization


def test_a_stack_set_brings_the_same_template_into_all_accounts_but_ours(stack_set: Template) -> None:
    assert stack_set["PermissionModel"] == "SERVICE_MANAGED"
    assert "AdministrationRoleARN" not in stack_set
    assert stack_set["AutoDeployment"] == {"Enabled": True, "RetainStacksOnAccountRemoval": False}
    assert stack_set["Capabilities"] == ["CAPABILITY_NAMED_IAM"]
    assert stack_set["TemplateBody"] == template()
    [group] = stack_set["StackInstancesGroup"]
    assert group["DeploymentTargets"] == {
        "AccountFilterType": "DIFFERENCE",
        "Accounts": [SCANNING],
        "OrganizationalUnitIds": list(UNITS),
    }


def test_its_parameters_are_those_of_the_template(stack_set: Template) -> None:
    given = {each["ParameterKey"]: each["ParameterValue"] for each in stack_set["Parameters"]}
    assert given.keys() == json.loads(stack_set["TemplateBody"])["Parameters"].keys()
    assert given["GatewayAddresses"] == "52.95.110.1,52.95.110.2"


def test_a_command_writes_the_template(tmp_path: Path) -> None:
    written = tmp_path / "role.json"
    command = [sys.executable, str(ROOT / "tools" / "audit-role-template"), str(written)]
    subprocess.run(command, check=True, timeout=120, cwd=tmp_path)
    assert written.read_text() == template() + "\n"


# ---------------------------------------------------------------- what denials cost


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("prowler_reads", str(ROOT / "tools" / "prowler-reads"))
    spec = importlib.util.spec_from_loader("prowler_reads", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["prowler_reads"] = module
    loader.exec_module(module)
    return module


def test_the_table_names_denied_actions_alone_and_the_page_shows_it() -> None:
    costs = _read(FOLDER / "costs" / "prowler.json")
    statements = _read(FOLDER / "audit_role_data.json")["Statement"]
    denied = [action for each in statements if each["Resource"] == "*" for action in each["Action"]]
    page = (ROOT / "docs" / "audit-role.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `") and ":" in line.split("`")[1]]
    assert [row.split("`")[1] for row in rows] == list(costs["denied"])
    for row, (action, cost) in zip(rows, costs["denied"].items(), strict=True):
        assert any(fnmatchcase(action, pattern) for pattern in denied), action
        assert row.split("`")[3::2] == cost["checks"]


SERVICE = """
class Vault(AWSService):
    def __init__(self, provider):
        super().__init__("secretsmanager", provider)
        self.secrets = {}
        self.__threading_call__(self._list_secrets)
        self.__threading_call__(self._describe, self.secrets.values())

    def _list_secrets(self, regional_client):
        for page in regional_client.get_paginator("list_secrets").paginate():
            self.secrets[page["ARN"]] = Secret()

    def _describe(self, secret):
        self.get_random_password()
        secret.open = self.regional_clients["x"].get_secret_value(SecretId=secret.id)

    def fetch(self):
        return self._batch()

    def _batch(self):
        return self.client.batch_get_secret_value()
"""
CHECK = """
from prowler.providers.aws.services.vault.vault_client import vault_client
class {name}(Check):
    def execute(self):
        return [{reads} for secret in vault_client.secrets.values()]
"""


def test_the_tool_finds_calls_and_what_their_denial_costs(tool: ModuleType, tmp_path: Path) -> None:
    aws = tmp_path / "prowler" / "providers" / "aws"
    (aws / "lib" / "organizations").mkdir(parents=True)
    for start in tool.PROVIDER:
        (aws / start).write_text("")
    vault = aws / "services" / "vault"
    vault.mkdir(parents=True)
    (vault / "vault_service.py").write_text(SERVICE)
    for name, reads in {
        "opened": "secret.open",
        "asked": "vault_client.fetch()",
        "other": "secret.id",
    }.items():
        (vault / name).mkdir()
        (vault / name / f"{name}.py").write_text(CHECK.format(name=name, reads=reads))
    iam = tool.Iam()
    found = list(tool.services(tmp_path, iam))
    assert {action for service in found for method in service.methods for action in method.calls} == {
        "secretsmanager:ListSecrets",
        "secretsmanager:GetSecretValue",
        "secretsmanager:BatchGetSecretValue",
    }
    assert tool.costs(tmp_path, found, ["secretsmanager:*GetSecretValue"]) == {
        "secretsmanager:BatchGetSecretValue": tool.Cost(False, ["asked"]),
        "secretsmanager:GetSecretValue": tool.Cost(True, ["opened"]),
    }


def test_the_tools_patterns_span_nothing_that_is_denied_or_writes(tool: ModuleType) -> None:
    iam, denied = tool.Iam(), ["lambda:GetFunction"]
    allowed = [
        "iam:GetRole",
        "iam:GetUser",
        "lambda:GetFunctionUrlConfig",
        "lambda:ListFunctions",
        "lambda:GetPolicy",
    ]
    patterns = tool.spanning(allowed, iam, denied)
    assert "iam:Get*" in patterns
    spanned = {a for service in ("iam", "lambda") for a in iam.actions(service) if tool.hit(a, patterns)}
    assert set(allowed) <= spanned
    assert "lambda:GetFunction" not in spanned
    assert not {a for a in spanned if iam.actions(a.split(":")[0])[a] not in tool.READING}
