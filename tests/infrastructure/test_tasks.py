"""The airlock's task and the images that it is made of."""

from __future__ import annotations

from typing import Any

import pytest

from stacks.settings import PROMOTED, Settings
from tests.infrastructure.templates import Assembly, synthesize

DIGESTS = {name: f"sha256:{number:064x}" for number, name in enumerate(("inlet", "siteaudit", "outlet"))}


def _containers(assembly: Assembly, task: str = "SiteAudit") -> dict[str, dict[str, Any]]:
    definition = assembly.one("AWS::ECS::TaskDefinition", f"{task}Definition")
    return {each["Name"]: each for each in definition.properties["ContainerDefinitions"]}


def test_no_container_can_be_anybody_in_aws(assembly: Assembly) -> None:
    definition = assembly.one("AWS::ECS::TaskDefinition", "SiteAuditDefinition")
    assert "TaskRoleArn" not in definition.properties
    assert assembly.shown(definition.properties["ExecutionRoleArn"]) == "SiteAuditExecutionRole.Arn"


def test_the_three_run_in_order_and_the_outlet_decides(assembly: Assembly) -> None:
    containers = _containers(assembly)
    assert list(containers) == ["inlet", "scanner", "outlet"]
    assert [each["Essential"] for each in containers.values()] == [False, False, True]
    assert "DependsOn" not in containers["inlet"]
    assert containers["scanner"]["DependsOn"] == [{"ContainerName": "inlet", "Condition": "SUCCESS"}]
    assert containers["outlet"]["DependsOn"] == [{"ContainerName": "scanner", "Condition": "COMPLETE"}]


def test_containers_are_unprivileged_with_roots_that_cannot_be_written(assembly: Assembly) -> None:
    for container in _containers(assembly).values():
        assert container["ReadonlyRootFilesystem"] is True
        assert container["Privileged"] is False
        assert container["User"] == "10001:10001"
        assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}


def test_volumes_lead_one_way_through_the_scanner(assembly: Assembly) -> None:
    mounts = {
        name: {
            mount["ContainerPath"]: "ro" if mount["ReadOnly"] else "rw" for mount in container["MountPoints"]
        }
        for name, container in _containers(assembly).items()
    }
    assert mounts == {
        "inlet": {"/glovebox/in": "rw", "/glovebox/out": "rw"},
        "scanner": {"/glovebox/in": "ro", "/glovebox/out": "rw"},
        "outlet": {"/glovebox/out": "ro"},
    }


def test_the_definition_tells_no_container_anything(assembly: Assembly) -> None:
    for container in _containers(assembly).values():
        assert not {"Environment", "EnvironmentFiles", "Secrets", "Command", "EntryPoint"} & container.keys()


def test_what_the_scanner_prints_goes_nowhere(assembly: Assembly) -> None:
    containers = _containers(assembly)
    assert "LogConfiguration" not in containers["scanner"]
    for name in ("inlet", "outlet"):
        assert containers[name]["LogConfiguration"]["LogDriver"] == "awslogs"


def test_unpromoted_images_name_a_tag_that_no_image_carries(assembly: Assembly) -> None:
    for container in _containers(assembly).values():
        assert str(container["Image"]["Fn::Join"][1][-1]).endswith(":unpromoted")


def test_promoted_images_are_named_by_digest(tmp_path_factory: pytest.TempPathFactory) -> None:
    promoted = synthesize(
        tmp_path_factory.mktemp("promoted"), Settings(images=DIGESTS, architecture="x86_64")
    )
    images = {name: str(each["Image"]["Fn::Join"][1][-1]) for name, each in _containers(promoted).items()}
    assert images["inlet"].endswith(f"@{DIGESTS['inlet']}")
    assert images["scanner"].endswith(f"@{DIGESTS['siteaudit']}")
    assert images["outlet"].endswith(f"@{DIGESTS['outlet']}")
    definition = promoted.one("AWS::ECS::TaskDefinition", "SiteAuditDefinition")
    assert definition.properties["RuntimePlatform"]["CpuArchitecture"] == "X86_64"


def test_the_execution_role_pulls_reads_environments_and_logs(assembly: Assembly) -> None:
    [policy] = [
        each
        for each in assembly.of("AWS::IAM::Policy")
        if "SiteAuditExecutionRole" in map(assembly.shown, each.properties["Roles"])
    ]
    granted = {
        tuple(sorted([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]))
        for statement in policy.properties["PolicyDocument"]["Statement"]
    }
    assert granted == {
        ("ecr:GetAuthorizationToken",),
        ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
        ("logs:CreateLogStream", "logs:PutLogEvents"),
        ("s3:GetObject",),
        ("s3:GetBucketLocation",),
        ("kms:Decrypt",),
    }
    [files] = [
        statement["Resource"]
        for statement in policy.properties["PolicyDocument"]["Statement"]
        if statement["Action"] == "s3:GetObject"
    ]
    assert [assembly.shown(each) for each in files] == [
        "HandOff.Arn/handoff/*/*/inlet.env",
        "HandOff.Arn/handoff/*/*/outlet.env",
    ]


def test_image_tags_never_move_and_images_are_scanned(assembly: Assembly) -> None:
    repositories = assembly.of("AWS::ECR::Repository")
    assert {each.short for each in repositories} == {f"Images{image.capitalize()}" for image in PROMOTED}
    for repository in repositories:
        assert repository.properties["ImageTagMutability"] == "IMMUTABLE"
        assert repository.properties["ImageScanningConfiguration"] == {"ScanOnPush": True}
        assert repository.properties["EncryptionConfiguration"]["EncryptionType"] == "KMS"
