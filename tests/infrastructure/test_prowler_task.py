"""Prowler's task: somebody else's image, as it is, in the same airlock as ours."""

from __future__ import annotations

from typing import Any

from glovebox_constructs.prowler_script import prowler_script
from tests.infrastructure.templates import DIGESTS, Assembly, listed

EXECUTION_ROLE = {
    "ecr:GetAuthorizationToken": {"*"},
    **{
        f"ecr:{each}": {"ImagesInlet.Arn", "ImagesProwler.Arn", "ImagesOutlet.Arn"}
        for each in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
    },
    "logs:CreateLogStream": {"ProwlerLog.Arn"},
    "logs:PutLogEvents": {"ProwlerLog.Arn"},
    "s3:GetObject": {"HandOff.Arn/handoff/*/*/inlet.env", "HandOff.Arn/handoff/*/*/outlet.env"},
    "s3:GetBucketLocation": {"HandOff.Arn"},
    "kms:Decrypt": {"Key.Arn"},
}
AWS_COMMAND_CHARACTERS = 8_192
"""Of what RunTask takes; a definition has 64 KB, but nobody should need them for a script."""


def _definition(assembly: Assembly) -> dict[str, Any]:
    return dict(assembly.one("AWS::ECS::TaskDefinition", "ProwlerDefinition").properties)


def _containers(assembly: Assembly) -> dict[str, dict[str, Any]]:
    return {each["Name"]: each for each in _definition(assembly)["ContainerDefinitions"]}


def test_it_is_nobody_in_aws_and_has_a_core_and_four_gigabytes(assembly: Assembly) -> None:
    definition = _definition(assembly)
    assert "TaskRoleArn" not in definition
    assert definition["Family"] == "Glovebox-Scanners-Prowler"
    assert (definition["Cpu"], definition["Memory"]) == ("1024", "4096")
    assert definition["RequiresCompatibilities"] == ["FARGATE"]
    assert assembly.shown(definition["ExecutionRoleArn"]) == "ProwlerExecutionRole.Arn"


def test_its_containers_are_held_like_ours(assembly: Assembly) -> None:
    ours = {
        each["Name"]: each
        for each in assembly.one("AWS::ECS::TaskDefinition", "SiteAuditDefinition").properties[
            "ContainerDefinitions"
        ]
    }
    same = (
        *("Essential", "DependsOn", "ReadonlyRootFilesystem", "Privileged", "LinuxParameters"),
        *("Ulimits", "StopTimeout"),
    )
    for name, container in _containers(assembly).items():
        assert {key: container.get(key) for key in same} == {key: ours[name].get(key) for key in same}
        assert not {"Environment", "EnvironmentFiles", "Secrets"} & container.keys()
    assert "LogConfiguration" not in _containers(assembly)["scanner"]


def test_the_scanner_is_the_images_own_user_in_our_group_and_the_airlock_is_ours(assembly: Assembly) -> None:
    users = {name: each["User"] for name, each in _containers(assembly).items()}
    assert users == {"inlet": "10001:10001", "scanner": "1000:10001", "outlet": "10001:10001"}


def test_the_scanner_reads_in_and_writes_out_and_a_folder_of_its_own(assembly: Assembly) -> None:
    mounts = {
        name: {
            mount["ContainerPath"]: (mount["SourceVolume"], "ro" if mount["ReadOnly"] else "rw")
            for mount in container["MountPoints"]
        }
        for name, container in _containers(assembly).items()
    }
    assert mounts == {
        "inlet": {
            "/glovebox/in": ("in", "rw"),
            "/glovebox/out": ("out", "rw"),
            "/glovebox/scratch": ("scratch", "rw"),
        },
        "scanner": {
            "/glovebox/in": ("in", "ro"),
            "/glovebox/out": ("out", "rw"),
            "/tmp": ("scratch", "rw"),
        },
        "outlet": {"/glovebox/out": ("out", "ro")},
    }
    assert {each["Name"] for each in _definition(assembly)["Volumes"]} == {"in", "out", "scratch"}


def test_the_scanner_alone_has_a_command_and_it_is_the_script(assembly: Assembly) -> None:
    containers = _containers(assembly)
    assert containers["scanner"]["EntryPoint"] == ["/bin/sh", "-c"]
    assert containers["scanner"]["Command"] == [prowler_script()]
    assert len(prowler_script()) < AWS_COMMAND_CHARACTERS
    for name in ("inlet", "outlet"):
        assert not {"Command", "EntryPoint"} & containers[name].keys()


def test_the_image_is_the_one_that_was_promoted(promoted: Assembly, assembly: Assembly) -> None:
    image = _containers(promoted)["scanner"]["Image"]["Fn::Join"][1]
    assert str(image[-1]).endswith(f"@{DIGESTS['prowler']}")
    assert str(_containers(assembly)["scanner"]["Image"]["Fn::Join"][1][-1]).endswith(":unpromoted")


def test_its_execution_role_pulls_its_three_images_logs_and_reads_environments(assembly: Assembly) -> None:
    [policy] = [
        each
        for each in assembly.of("AWS::IAM::Policy")
        if "ProwlerExecutionRole" in map(assembly.shown, each.properties["Roles"])
    ]
    granted = {
        action: {assembly.shown(each) for each in listed(statement["Resource"])}
        for statement in policy.properties["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
    }
    assert granted == EXECUTION_ROLE


def test_what_builds_our_images_may_not_push_others(assembly: Assembly) -> None:
    [policy] = [
        each
        for each in assembly.of("AWS::IAM::Policy")
        if "ImagesBuildRole" in map(assembly.shown, each.properties["Roles"])
    ]
    pushed = {
        assembly.shown(each)
        for statement in policy.properties["PolicyDocument"]["Statement"]
        if "ecr:PutImage" in listed(statement["Action"])
        for each in listed(statement["Resource"])
    }
    assert "ImagesProwler.Arn" not in pushed
    assert "ImagesInlet.Arn" in pushed
    project = assembly.one("AWS::CodeBuild::Project", "ImagesBuild")
    told = {each["Name"] for each in project.properties["Environment"]["EnvironmentVariables"]}
    assert "REPOSITORY_inlet" in told
    assert "REPOSITORY_prowler" not in told
