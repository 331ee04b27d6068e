"""The errors that `ingest` expects in a scan's log are those of the audit role's denials, and no others."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import botocore.session
import pytest

from glovebox.findings.denials import DENIED_OPERATIONS, expected

ROOT = Path(__file__).resolve().parents[2]
DENIED = json.loads((ROOT / "policies/costs/prowler.json").read_text())["denied"]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("reads_for_denials", str(ROOT / "tools/prowler-reads"))
    spec = importlib.util.spec_from_loader("reads_for_denials", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reads_for_denials"] = module
    loader.exec_module(module)
    return module


def test_the_operations_are_those_of_the_denied_actions(tool: ModuleType) -> None:
    """By botocore's own names of operations, and the tool's list of actions that are named otherwise."""
    session, operations = botocore.session.get_session(), defaultdict[str, set[str]](set)
    prefixes = {action.partition(":")[0] for action in DENIED}
    # Clients are named as their actions' prefix is; one prefix has two.
    for model in map(session.get_service_model, {*prefixes, "bedrock-agent"}):
        prefix = model.signing_name
        for operation in model.operation_names:
            action = tool.NAMED_OTHERWISE.get((prefix, operation), f"{prefix}:{operation}")
            operations[action].add(operation)
    assert set().union(*(operations[action] for action in DENIED)) == DENIED_OPERATIONS
    assert not [action for action in DENIED if not operations[action]]


@pytest.mark.parametrize(
    ("what", "ours"),
    [
        ("AccessDenied:ListObjectsV2", True),
        ("403:HeadBucket", True),
        ("UnauthorizedOperation:DescribeInstanceAttribute", True),
        ("AccessDeniedException:GetConnections", True),
        ("AccessDeniedException:ListDelegatedAdministrators", True),
        ("AccessDeniedException:ListPolicies", True),
        ("AccessDenied:ListPolicies", False),
        ("EgressDenied:ListPolicies", False),
        ("AccessDenied:ListRoles", False),
        ("ThrottlingException:GetConnections", False),
        ("other", False),
        ("AccessDenied:", False),
        ("", False),
    ],
)
def test_only_a_denial_of_one_of_them_or_of_a_member_is_expected(what: str, ours: bool) -> None:
    assert expected(what) is ours
