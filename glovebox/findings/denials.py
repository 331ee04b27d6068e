"""Errors that each scan's log has because the audit role denies what reads contents and secrets, or because
the account is a member of an organization.

They say nothing of a scan's completeness: the checks that they cost do not belong into it
(docs/audit-role.md).  Every other error does, since Prowler leaves out without a word what it was not told.
"""

from __future__ import annotations

from typing import Final

DENIED_CODES: Final = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "Client.UnauthorizedOperation",
        "UnauthorizedOperation",
    }
)
"""How AWS's services say that a role may not; the number is of HEAD requests, whose answers have no body."""
DENIED_OPERATIONS: Final = frozenset(
    {
        "BatchGetImage",
        "DescribeInstanceAttribute",
        "DescribeLaunchConfigurations",
        "DescribeLaunchTemplateVersions",
        "DescribeNotebookInstanceLifecycleConfig",
        "DescribeUserPoolClient",
        "DescribeVirtualInterfaces",
        "DescribeVpnConnections",
        "FilterLogEvents",
        "GetBlob",
        "GetConnections",
        "GetDocument",
        "GetDownloadUrlForLayer",
        "GetFolder",
        "GetFunction",
        "GetLayerVersion",
        "GetLayerVersionByArn",
        "GetObjectAcl",
        "GetPipelineDefinition",
        "GetPrompt",
        "HeadBucket",
        "ListApps",
        "ListBranches",
        "ListObjectsV2",
        "LookupEvents",
    }
)
"""The operations behind the actions of `policies/costs/prowler.json`, which a test compares.

A log names no service, so a denial of another service's operation of the same name passes for one of these.
"""


MEMBER_DENIALS: Final = frozenset(
    {
        "AccessDeniedException:DescribeOrganizationConfiguration",
        "AccessDeniedException:ListDelegatedAdministrators",
        "AccessDeniedException:ListOrganizationAdminAccounts",
        "AccessDeniedException:ListPolicies",
    }
)
"""What AWS Organizations, GuardDuty and Security Hub tell an organization's management account or its
delegated administrator alone: each member is denied it whatever its role may do.  IAM, which has a
ListPolicies as well, says `AccessDenied`, so its denials count."""


def expected(what: str) -> bool:
    """Whether an error, as a manifest names it (`AccessDenied:ListApps`), says nothing against a scan: it
    is of our own policy's making, or of every member of an organization."""
    code, colon, operation = what.partition(":")
    denied = bool(colon) and code in DENIED_CODES and operation in DENIED_OPERATIONS
    return denied or what in MEMBER_DENIALS
