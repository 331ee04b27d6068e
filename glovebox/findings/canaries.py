"""What we plant in each target so that a report which does not name it gives itself away.

One role, which the stack of the audit role brings along (`stacks/audit_role.py`): EC2 may assume it, and no
condition says for whom, which is what the check looks for.  Its boundary denies everything, so it grants
nothing to anybody, whatever is attached to it.
"""

from __future__ import annotations

from typing import Final

from glovebox.findings.judging import Canary
from glovebox.findings.model import GLOBAL

CANARY_ROLE: Final = "GloveboxCanary"
CHECK: Final = "iam_role_cross_service_confused_deputy_prevention"
"""In Prowler since version 3, asked whatever a target uses, and failed by the trust policy alone."""


def planted(account: str) -> tuple[Canary, ...]:
    """IAM knows no regions, so one scan of a target's shards sees to it."""
    return (Canary(check=CHECK, region=GLOBAL, resource=f"arn:aws:iam::{account}:role/{CANARY_ROLE}"),)
