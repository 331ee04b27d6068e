"""What the judge refuses for its contents, against AWS's models, the policies, and what Prowler asks."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path

import boto3
import pytest

from squid.helpers.aws_interfaces import TARGET_PREFIXES
from squid.helpers.contents import CONTENTS

POLICIES = Path(__file__).resolve().parents[2] / "policies"
NAMES = {
    "api.ecr": ("ecr", "ecr"),
    "states": ("stepfunctions", "states"),
    "streams.dynamodb": ("dynamodbstreams", "dynamodb"),
}
"""Label → the SDK's name of the service and IAM's, where they are not the label."""


def denied() -> list[str]:
    document = json.loads((POLICIES / "audit_role_data.json").read_text())
    actions = [statement["Action"] for statement in document["Statement"]]
    return [each for some in actions for each in ([some] if isinstance(some, str) else some)]


@pytest.mark.parametrize("label", CONTENTS)
def test_each_is_an_operation_of_its_service_and_denied_by_the_audit_role_too(label: str) -> None:
    client, prefix = NAMES.get(label, (label, label))
    model = boto3.session.Session()._session.get_service_model(client)
    assert CONTENTS[label] <= set(model.operation_names)
    assert model.metadata["targetPrefix"] in TARGET_PREFIXES[label]
    patterns = denied()
    for operation in CONTENTS[label]:
        assert any(fnmatchcase(f"{prefix}:{operation}", pattern) for pattern in patterns), operation


def test_none_is_one_that_prowler_asks_for_and_whose_denial_its_log_is_expected_to_tell() -> None:
    expected = json.loads((POLICIES / "costs" / "prowler.json").read_text())
    asked = {entry.lower() for entry in _actions(expected)}
    assert asked
    for label, operations in CONTENTS.items():
        prefix = NAMES.get(label, (label, label))[1]
        assert not {f"{prefix}:{operation}".lower() for operation in operations} & asked


def _actions(value: object) -> list[str]:
    if isinstance(value, dict):
        return [each for key, inner in value.items() for each in (*_actions(key), *_actions(inner))]
    if isinstance(value, list):
        return [each for inner in value for each in _actions(inner)]
    return [value] if isinstance(value, str) and ":" in value else []
