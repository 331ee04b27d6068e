"""What the scanner of an account runs: a script for the unmodified image, which has a shell."""

from __future__ import annotations

import json
from pathlib import Path

from glovebox_constructs.scan_script import scan_script

COSTS = Path(__file__).resolve().parents[2] / "policies" / "costs" / "prowler.json"
NEVER = (
    "ec2_elastic_ip_shodan",
    "route53_dangling_ip_subdomain_takeover",
    "s3_bucket_shadow_resource_vulnerability",
)
"""Checks that ask somebody else than AWS, every region that there is, or for buckets that need not be the
account's, and take the gateway's refusal for an answer of AWS."""
LOOK_AT_BUCKETS = (
    "bedrock_model_invocation_logs_encryption_enabled",
    "cloudfront_distributions_s3_origin_non_existent_bucket",
    "cloudtrail_bucket_requires_mfa_delete",
    "cloudtrail_logs_s3_bucket_access_logging_enabled",
    "cloudtrail_logs_s3_bucket_is_not_publicly_accessible",
    "cloudtrail_s3_dataevents_read_enabled",
    "cloudtrail_s3_dataevents_write_enabled",
    "macie_is_enabled",
    "route53_dangling_ip_subdomain_takeover",
)
"""Checks of other services that ask S3 for the account's buckets.  Where a scan is without S3, they would
ask all the same, and take a bucket that they do not see for one that is not there."""


def excluded_checks() -> list[str]:
    """Checks that would judge what the audit role may not read, and those that go elsewhere."""
    denied = json.loads(COSTS.read_text())["denied"]
    return sorted({check for cost in denied.values() for check in cost["checks"]} | set(NEVER))


def bucket_checks() -> list[str]:
    """Further checks that are left out where S3 is."""
    return sorted(set(LOOK_AT_BUCKETS) - set(excluded_checks()))


def filled(script: str) -> str:
    """The script with the names of the checks that it leaves out."""
    script = script.replace("@EXCLUDED_CHECKS@", " ".join(excluded_checks()))
    return script.replace("@BUCKET_CHECKS@", " ".join(bucket_checks()))


def prowler_script() -> str:
    """For `/bin/sh -c`."""
    return filled(scan_script("prowler"))
