"""Prowler's report as Prowler 5.46 writes it, in miniature: indented, with what we never read."""

from __future__ import annotations

import json
from collections.abc import Iterable

from glovebox.findings.binding import Binding
from glovebox.findings.life import Coverage

ACCOUNT = "123456789012"
OTHER = "999999999999"
REGION = "eu-west-1"
BINDING = Binding(account=ACCOUNT, regions=frozenset({REGION}))
COVERAGE = Coverage(regions=frozenset({REGION}))

Json = dict[str, object]


def bucket(name: object) -> str:
    return f"arn:aws:s3:::bucket-{name}"


def item(
    resource: str = bucket(0),
    *,
    check: str = "s3_bucket_public_access",
    status: str = "FAIL",
    severity: int = 4,
    region: str = REGION,
    account: str = ACCOUNT,
    detail: str = "The bucket is public.",
    version: str = "1.5.0",
) -> Json:
    return {
        "message": detail,
        "metadata": {
            "event_code": check,
            "product": {"name": "Prowler", "uid": "prowler", "vendor_name": "Prowler", "version": "5.46.0"},
            "profiles": ["cloud", "datetime"],
            "tenant_uid": "",
            "version": version,
        },
        "severity_id": severity,
        "severity": "High",
        "status": "New",
        "status_code": status,
        "status_detail": detail,
        "status_id": 1,
        "unmapped": {
            "related_url": "",
            "categories": ["internet-exposed"],
            "notes": "",
            "compliance": {"CIS-3.0": ["2.1.4"]},
        },
        "activity_name": "Create",
        "activity_id": 1,
        "finding_info": {
            "created_time": 1795348013,
            "desc": "Buckets that everybody may read.",
            "title": "Bucket is not public",
            "types": ["Effects/Data Exposure"],
            "uid": f"prowler-aws-{check}-{account}-{region}-x",
        },
        "resources": [
            {
                "cloud_partition": "aws",
                "region": region,
                "data": {"details": "", "metadata": {"policy": {"Statement": [{"Effect": "Allow"}]}}},
                "group": {"name": check.split("_")[0]},
                "labels": [],
                "name": resource.rpartition(":")[2],
                "type": "AwsS3Bucket",
                "uid": resource,
            }
        ],
        "class_name": "Detection Finding",
        "class_uid": 2004,
        "cloud": {
            "account": {"name": "", "type": "AWS Account", "type_id": 10, "uid": account, "labels": []},
            "provider": "aws",
            "region": region,
        },
        "remediation": {"desc": "Block public access.", "references": ["https://docs.example.com/s3"]},
        "risk_details": "Anybody reads it.",
        "time_dt": "2026-11-22T11:46:53.032165",
        "type_uid": 200401,
    }


def report(items: Iterable[Json | bytes]) -> bytes:
    """The array as Prowler writes it; bytes stand for items that Prowler would not write."""
    written = (each if isinstance(each, bytes) else json.dumps(each, indent=4).encode() for each in items)
    return b"[" + b",".join(written) + b"]"
