"""The few fixed names: both sides of an account's border must know them before either exists."""

from __future__ import annotations

AUDIT_ROLE = "GloveboxAudit"
"""The audit role in each target account; policies name it with the account, never alone."""
REDEEM_ROLE = "GloveboxRedeem"
"""The role of the function `redeem` in the scanning account, the only one that audit roles trust."""
SNAPSHOT_ROLE = "GloveboxSnapshot"
"""The role of the function `snapshot`; the bucket of snapshots and the way to it know no other."""
SCAN_IDS = "????????T??????Z-????????-????"
"""Scan ids as IAM can say them: the source identity of each audit session."""
SESSION_MANAGED_POLICIES = ("SecurityAudit", "job-function/ViewOnlyAccess")
"""AWS's own policies that bound an audit session beside `policies/audit_session_policy.json`."""
