"""What bakes Trivy's database into an image: what it may, what it builds from, and when."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stacks.settings import Settings
from tests.infrastructure.templates import DIGESTS, Assembly, listed, synthesize

PULL = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")


@pytest.fixture(scope="module")
def daily(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    settings = Settings(images=DIGESTS, trivy_database="rate(1 day)")
    return synthesize(tmp_path_factory.mktemp("daily"), settings)


def _project(assembly: Assembly) -> dict[str, object]:
    return dict(assembly.one("AWS::CodeBuild::Project", "TrivyDataBuild").properties)


def test_it_pulls_the_binary_pushes_the_data_image_and_reaches_no_other(assembly: Assembly) -> None:
    [policy] = [
        each
        for each in assembly.of("AWS::IAM::Policy")
        if "TrivyDataBuildRole" in map(assembly.shown, each.properties["Roles"])
    ]
    images: dict[str, set[str]] = {}
    for statement in policy.properties["PolicyDocument"]["Statement"]:
        for action in listed(statement["Action"]):
            images.setdefault(action, set()).update(map(assembly.shown, listed(statement["Resource"])))
    assert images.pop("ecr:GetAuthorizationToken") == {"*"}
    pulled = {f"ecr:{each}" for each in PULL}
    assert {action for action, on in images.items() if "ImagesTrivybinary.Arn" in on} == pulled
    reached = {each for action, on in images.items() if action.startswith("ecr:") for each in on}
    assert reached == {"ImagesTrivybinary.Arn", "ImagesTrivy.Arn"}
    assert {action.split(":")[0] for action in images} == {"ecr", "logs", "s3"}
    assert "ecr:PutImage" in images


def test_it_builds_on_the_promoted_binary_under_a_tag_of_the_day(daily: Assembly) -> None:
    project = _project(daily)
    environment = project["Environment"]
    assert isinstance(environment, dict)
    told = {each["Name"]: daily.shown(each["Value"]) for each in environment["EnvironmentVariables"]}
    assert told.keys() == {"REPOSITORY_trivy", "TRIVY"}
    assert told["TRIVY"].endswith(f"@{DIGESTS['trivybinary']}")
    source = project["Source"]
    assert isinstance(source, dict)
    [command] = json.loads(source["BuildSpec"])["phases"]["build"]["commands"]
    assert "TAG=$(date -u +%Y%m%dT%H%M%SZ)\n" in command
    assert "docker build --build-arg TRIVY --file" in command


def test_the_database_is_baked_when_the_setting_says_so_and_else_by_a_person(
    assembly: Assembly, daily: Assembly
) -> None:
    by_the_clock = [each for each in daily.of("AWS::Events::Rule") if each.stack == "Scanners"]
    [rule] = by_the_clock
    assert rule.properties["ScheduleExpression"] == "rate(1 day)"
    assert [daily.shown(each["Arn"]) for each in rule.properties["Targets"]] == ["TrivyDataBuild.Arn"]
    assert not [each for each in assembly.of("AWS::Events::Rule") if each.stack == "Scanners"]


def test_old_data_images_go_and_no_other_image_with_a_tag_does(assembly: Assembly) -> None:
    for repository in assembly.of("AWS::ECR::Repository"):
        rules = json.loads(repository.properties["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
        counted = [each["selection"] for each in rules if each["selection"]["tagStatus"] == "any"]
        if repository.short == "ImagesTrivy":
            assert [each["countNumber"] for each in counted] == [10]
        else:
            assert counted == []


def test_the_dockerfile_takes_the_binary_by_argument_and_leaves_a_cache_that_all_may_read() -> None:
    lines = Path("containers/trivy/Dockerfile").read_text().splitlines()
    assert [each for each in lines if each.startswith(("ARG", "FROM", "USER"))] == [
        "ARG TRIVY",
        "FROM ${TRIVY}",
        "USER 0:0",
        "USER 10001:10001",
    ]
    assert any("chmod -R a+rX,a-w /trivy-cache" in each for each in lines)
