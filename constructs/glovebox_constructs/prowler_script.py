"""What the scanner of an account runs: a script for the unmodified image, which has a shell."""

from __future__ import annotations

import json
from pathlib import Path

SCRIPT = Path(__file__).with_name("prowler_scan.sh")
COSTS = Path(__file__).resolve().parents[2] / "policies" / "costs" / "prowler.json"
NEVER = ("ec2_elastic_ip_shodan", "s3_bucket_shadow_resource_vulnerability")
"""Checks that ask somebody else than AWS, or for buckets that need not be the account's."""
_PLACE = "@EXCLUDED_CHECKS@"


def excluded_checks() -> list[str]:
    """Checks that would judge what the audit role may not read, and those that go elsewhere."""
    denied = json.loads(COSTS.read_text())["denied"]
    return sorted({check for cost in denied.values() for check in cost["checks"]} | set(NEVER))


def prowler_script() -> str:
    """For `/bin/sh -c`, without its comments: the same in AWS, in Podman and in the local cloud."""
    lines = SCRIPT.read_text().splitlines()
    bare = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    return bare.replace(_PLACE, " ".join(excluded_checks()))
