"""The templates as a whole."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from cdk_nag import AwsSolutionsChecks

from glovebox.errors import ConfigurationError
from glovebox_constructs.grants import grant
from stacks.settings import Settings
from tests.infrastructure.templates import CDK_CONTEXT, STACKS, Assembly, synthesize

OUTPUTS = {
    "Storage": {
        *(f"{table}Table" for table in ("Scans", "Sites", "Registry", "Findings")),
        *(
            f"{bucket}Bucket"
            for bucket in (
                *("Lists", "HandOff", "Results", "Publication", "Site", "Drills", "Claims", "Snapshots"),
                "Logs",
            )
        ),
        "KeyArn",
    },
    "Scanners": {
        "Cluster",
        "TaskDefinition",
        "DrillTaskDefinition",
        "ProwlerTaskDefinition",
        "TrivyTaskDefinition",
        "TruffleHogTaskDefinition",
        "KingfisherTaskDefinition",
        *(f"{image}Repository" for image in ("Prowler", "Trivybinary", "Trivy", "Trufflehog", "Kingfisher")),
        "BuildProject",
        "TrivyDataProject",
    },
    "Perimeter": {
        "GatewayAddresses",
        "GatewayAuthorities",
        "GatewayLeaf",
        "GatewayPublicAddresses",
        "GatewayS3Endpoint",
        "ScanS3Endpoint",
        "KeysFunction",
        "TicketKeys",
    },
    "Broker": {
        *(f"{unit}Function" for unit in ("Launch", "Redeem", "Snapshot", "Ingest", "Watch")),
        "GitHubAppSecret",
        "AcceptancesSchedule",
        "Schedule",
    },
    "Audit": {
        "PublishFunction",
        "EnrichFunction",
        "AuditApiFunction",
        "ApiUrl",
        "PageUrl",
        "Distribution",
        "ShodanSecret",
    },
    "Drill": {"DrillFunction"},
    "Operations": {"NotifyFunction", "Topic"},
}

GENERATED_BY_THE_CDK = "W3005"
"""It names each role that a function refers to anyway as a dependency, so that its policy comes first."""


def test_cfn_lint_finds_nothing(assembly: Assembly) -> None:
    templates = [str(assembly.folder / f"Glovebox-{name}.template.json") for name in STACKS]
    tool = str(Path(sys.executable).with_name("cfn-lint"))
    command = [tool, "--ignore-checks", GENERATED_BY_THE_CDK, "--", *templates]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_cdk_nag_stops_what_nobody_accepted(tmp_path: Path) -> None:
    """The plug-in that `app.build` adds does break a synthesis; that of the fixture passed it."""
    app = cdk.App(context=CDK_CONTEXT, outdir=str(tmp_path), analytics_reporting=False)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks())
    sqs.Queue(cdk.Stack(app, "Careless"), "Queue")
    with pytest.raises(RuntimeError, match="AwsSolutions-SQS4"):
        app.synth()


def test_a_wildcard_without_a_reason_is_refused() -> None:
    stack = cdk.Stack(cdk.App(context=CDK_CONTEXT), "Careless")
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    with pytest.raises(ConfigurationError, match="no reason"):
        grant(role, "s3:GetObject", on=["arn:aws:s3:::somebodys/*"])


def test_stacks_say_what_there_is(assembly: Assembly) -> None:
    for stack, names in OUTPUTS.items():
        outputs = assembly.templates[stack]["Outputs"]
        assert {name for name, output in outputs.items() if "Export" not in output} == names


def test_templates_name_no_account_no_region_and_no_resource(assembly: Assembly) -> None:
    names = {
        "BucketName",
        "TableName",
        "FunctionName",
        "RoleName",
        "QueueName",
        "TopicName",
        "RepositoryName",
    }
    for template in assembly.templates.values():
        # Which regions scanners may ask about is a setting, wherever the box itself stands.
        text = re.sub(r'"(AUDITED_REGION|ALLOW_LIST|REGIONS)": "[^"]+"', "", json.dumps(template))
        assert not re.search(r"(?<![0-9a-f])[0-9]{12}(?![0-9a-f])", text)
        assert not re.search(r"\b(us|eu|ap)-(east|west|central|south)[a-z]*-[0-9]\b", text)
    for resource in assembly.all():
        for name in names & resource.properties.keys():
            fixed = isinstance(resource.properties[name], str)
            # Audit roles in other accounts trust the one by its name, policies before it know the other.
            known = resource.short in ("RedeemRole", "SnapshotRole")
            assert fixed == known, f"{resource.name} has a fixed {name}"


def _exports(assembly: Assembly) -> dict[str, str]:
    """Name → what it exports, as text."""
    return {
        output["Export"]["Name"]: json.dumps(output["Value"])
        for template in assembly.templates.values()
        for output in template["Outputs"].values()
        if "Export" in output
    }


def test_what_one_stack_takes_from_another_outlives_a_change_of_settings(
    assembly: Assembly, tmp_path: Path
) -> None:
    """CloudFormation changes no export that another stack uses: the deployment would stop halfway."""
    digest = f"sha256:{'0' * 64}"
    later = Settings(
        shodan=True,
        emails=("other@example.org",),
        images=dict.fromkeys(("inlet", "outlet", "siteaudit"), digest),
        domain="audit.example.org",
        certificate="arn:aws:acm:us-east-1:111122223333:certificate/x",
        schedule="off",
        shard_hosts=50,
    )
    before, after = _exports(assembly), _exports(synthesize(tmp_path, later))
    assert {name: after.get(name) for name in before} == before


def test_no_stack_takes_a_resource_from_another_that_changes_by_being_replaced(assembly: Assembly) -> None:
    """Their names are new ones after each change: revisions of tasks, versions of functions."""
    replaced = {
        resource.name
        for resource in assembly.all()
        if resource.type in {"AWS::ECS::TaskDefinition", "AWS::Lambda::Version"}
    }
    assert replaced
    for value in _exports(assembly).values():
        assert not [name for name in replaced if f'"{name}"' in value]


def test_every_stack_can_be_deployed_after_those_before_it(assembly: Assembly) -> None:
    manifest = json.loads((assembly.folder / "manifest.json").read_text())["artifacts"]
    order = [f"Glovebox-{name}" for name in STACKS]
    for place, name in enumerate(order):
        needed = {each for each in manifest[name]["dependencies"] if each.startswith("Glovebox-")}
        assert {each for each in needed if not each.endswith(".assets")} <= set(order[:place])
