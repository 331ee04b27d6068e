"""Tasks of others' scanners: somebody else's image, as it is, in the same airlock as ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from glovebox_constructs.prowler_script import prowler_script
from glovebox_constructs.scan_script import scan_script
from stacks.settings import DATA_IMAGE, UPSTREAM_IMAGES
from tests.infrastructure.templates import DIGESTS, Assembly, listed


@dataclass(frozen=True)
class Upstream:
    task: str
    image: str
    script: str
    user: str
    cpu: str
    memory: str


TASKS = [
    Upstream("Prowler", "prowler", prowler_script(), "1000:10001", "1024", "4096"),
    Upstream("Trivy", "trivy", scan_script("trivy"), "10001:10001", "1024", "4096"),
    Upstream("TruffleHog", "trufflehog", scan_script("trufflehog"), "10001:10001", "1024", "4096"),
    Upstream("Kingfisher", "kingfisher", scan_script("kingfisher"), "10001:10001", "1024", "2048"),
]
AWS_COMMAND_CHARACTERS = 8_192
"""Of what RunTask takes; a definition has 64 KB, but nobody should need them for a script."""

of_each = pytest.mark.parametrize("scanner", TASKS, ids=lambda scanner: scanner.task)


def _definition(assembly: Assembly, scanner: Upstream) -> dict[str, Any]:
    return dict(assembly.one("AWS::ECS::TaskDefinition", f"{scanner.task}Definition").properties)


def _containers(assembly: Assembly, scanner: Upstream) -> dict[str, dict[str, Any]]:
    return {each["Name"]: each for each in _definition(assembly, scanner)["ContainerDefinitions"]}


@of_each
def test_it_is_nobody_in_aws_and_has_what_it_needs(assembly: Assembly, scanner: Upstream) -> None:
    definition = _definition(assembly, scanner)
    assert "TaskRoleArn" not in definition
    assert definition["Family"] == f"Glovebox-Scanners-{scanner.task}"
    assert (definition["Cpu"], definition["Memory"]) == (scanner.cpu, scanner.memory)
    assert definition["RequiresCompatibilities"] == ["FARGATE"]
    assert assembly.shown(definition["ExecutionRoleArn"]) == f"{scanner.task}ExecutionRole.Arn"


@of_each
def test_its_containers_are_held_like_ours(assembly: Assembly, scanner: Upstream) -> None:
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
    for name, container in _containers(assembly, scanner).items():
        assert {key: container.get(key) for key in same} == {key: ours[name].get(key) for key in same}
        assert not {"Environment", "EnvironmentFiles", "Secrets"} & container.keys()
    assert "LogConfiguration" not in _containers(assembly, scanner)["scanner"]


@of_each
def test_the_scanner_is_in_our_group_and_the_airlock_is_ours(assembly: Assembly, scanner: Upstream) -> None:
    users = {name: each["User"] for name, each in _containers(assembly, scanner).items()}
    assert users == {"inlet": "10001:10001", "scanner": scanner.user, "outlet": "10001:10001"}


@of_each
def test_the_scanner_reads_in_and_writes_out_and_a_folder_of_its_own(
    assembly: Assembly, scanner: Upstream
) -> None:
    mounts = {
        name: {
            mount["ContainerPath"]: (mount["SourceVolume"], "ro" if mount["ReadOnly"] else "rw")
            for mount in container["MountPoints"]
        }
        for name, container in _containers(assembly, scanner).items()
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
    assert {each["Name"] for each in _definition(assembly, scanner)["Volumes"]} == {"in", "out", "scratch"}


@of_each
def test_the_scanner_alone_has_a_command_and_it_is_the_script(assembly: Assembly, scanner: Upstream) -> None:
    containers = _containers(assembly, scanner)
    assert containers["scanner"]["EntryPoint"] == ["/bin/sh", "-c"]
    assert containers["scanner"]["Command"] == [scanner.script]
    assert len(scanner.script) < AWS_COMMAND_CHARACTERS
    for name in ("inlet", "outlet"):
        assert not {"Command", "EntryPoint"} & containers[name].keys()


@of_each
def test_the_image_is_the_one_that_was_promoted(
    promoted: Assembly, assembly: Assembly, scanner: Upstream
) -> None:
    image = _containers(promoted, scanner)["scanner"]["Image"]["Fn::Join"][1]
    assert str(image[-1]).endswith(f"@{DIGESTS[scanner.image]}")
    assert str(_containers(assembly, scanner)["scanner"]["Image"]["Fn::Join"][1][-1]).endswith(":unpromoted")


@of_each
def test_its_execution_role_pulls_its_three_images_logs_and_reads_environments(
    assembly: Assembly, scanner: Upstream
) -> None:
    [policy] = [
        each
        for each in assembly.of("AWS::IAM::Policy")
        if f"{scanner.task}ExecutionRole" in map(assembly.shown, each.properties["Roles"])
    ]
    granted = {
        action: {assembly.shown(each) for each in listed(statement["Resource"])}
        for statement in policy.properties["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
    }
    images = {"ImagesInlet.Arn", f"Images{scanner.image.capitalize()}.Arn", "ImagesOutlet.Arn"}
    assert granted == {
        "ecr:GetAuthorizationToken": {"*"},
        "ecr:BatchCheckLayerAvailability": images,
        "ecr:BatchGetImage": images,
        "ecr:GetDownloadUrlForLayer": images,
        "logs:CreateLogStream": {f"{scanner.task}Log.Arn"},
        "logs:PutLogEvents": {f"{scanner.task}Log.Arn"},
        "s3:GetObject": {"HandOff.Arn/handoff/*/*/inlet.env", "HandOff.Arn/handoff/*/*/outlet.env"},
        "s3:GetBucketLocation": {"HandOff.Arn"},
        "kms:Decrypt": {"Key.Arn"},
    }


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
    assert not {f"Images{each.capitalize()}.Arn" for each in (*UPSTREAM_IMAGES, DATA_IMAGE)} & pushed
    assert "ImagesInlet.Arn" in pushed
    project = assembly.one("AWS::CodeBuild::Project", "ImagesBuild")
    told = {each["Name"] for each in project.properties["Environment"]["EnvironmentVariables"]}
    assert "REPOSITORY_inlet" in told
    assert not {f"REPOSITORY_{each}" for each in (*UPSTREAM_IMAGES, DATA_IMAGE)} & told
