"""A small scanner in Prowler's place: a handful of its checks, its command line, its report, its exit codes.

    prowler aws -M json-ocsf -F report -o OUT … -f REGION… [-s SERVICE…]

It exists because Prowler is larger than everything else together.  Each check bears the name of Prowler's
own, looks at the same settings over the same calls, and judges alike; of the several hundred others nothing
is said.  The report names it as what it is.  An option that Prowler would take and this does not know is an
error: what our tasks start is to be understood wholly.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import IpPermissionOutputTypeDef

NAME, VERSION = "Glovebox stand-in for Prowler", "5.46.0"
"""The version is that of the report's form."""
SCHEMA = "1.5.0"
DETECTION_FINDING = 2004
FINDINGS_EXIT, BAD_CREDENTIALS_EXIT = 3, 1
"""Prowler's own; argparse ends with 2 as it does."""
HOME_REGION = "us-east-1"
"""Where IAM is asked, and what has no region is reported."""
SSH = 22
EVERYBODY = ("0.0.0.0/0", "::/0")
LEAST_LENGTH = 14

Severity = Literal["Low", "Medium", "High", "Critical"]
SEVERITY_IDS: Mapping[Severity, int] = {"Low": 2, "Medium": 3, "High": 4, "Critical": 5}


@dataclass(frozen=True, slots=True)
class Resource:
    uid: str
    name: str
    type: str
    region: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says of one resource."""

    resource: Resource
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What is looked at, and with which clients."""

    account: str
    regions: tuple[str, ...]
    session: boto3.Session
    retries: int

    # One function for all services: each check knows the interface of its own.
    def client(self, service: str, region: str) -> Any:
        settings = Config(retries={"mode": "standard", "total_max_attempts": self.retries + 1})
        return self.session.client(service, region_name=region, config=settings)  # type: ignore[call-overload]  # a name


Look = Callable[[Scope], Iterator[Verdict]]


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    severity: Severity
    title: str
    description: str
    risk: str
    remedy: str
    look: Look

    @property
    def service(self) -> str:
        return self.name.partition("_")[0]


# ---------------------------------------------------------------- the checks


def _buckets(scope: Scope) -> Iterator[tuple[Any, Resource]]:
    for bucket in scope.client("s3", HOME_REGION).list_buckets()["Buckets"]:
        name = bucket["Name"]
        place = scope.client("s3", HOME_REGION).get_bucket_location(Bucket=name)["LocationConstraint"]
        region = place or HOME_REGION
        if region in scope.regions:
            yield (
                scope.client("s3", region),
                Resource(f"arn:aws:s3:::{name}", name, "AwsS3Bucket", region),
            )


def _public_access_block(scope: Scope) -> Iterator[Verdict]:
    for storage, bucket in _buckets(scope):
        try:
            block = storage.get_public_access_block(Bucket=bucket.name)["PublicAccessBlockConfiguration"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "NoSuchPublicAccessBlockConfiguration":
                raise
            block = {}
        passed = bool(block.get("IgnorePublicAcls") and block.get("RestrictPublicBuckets"))
        said = "is configured" if passed else "is not configured"
        yield Verdict(bucket, passed, f"Block Public Access {said} for the S3 Bucket {bucket.name}.")


def _versioning(scope: Scope) -> Iterator[Verdict]:
    for storage, bucket in _buckets(scope):
        passed = storage.get_bucket_versioning(Bucket=bucket.name).get("Status") == "Enabled"
        said = "enabled" if passed else "disabled"
        yield Verdict(bucket, passed, f"S3 Bucket {bucket.name} has versioning {said}.")


def _password_length(scope: Scope) -> Iterator[Verdict]:
    identities = scope.client("iam", HOME_REGION)
    try:
        least = identities.get_account_password_policy()["PasswordPolicy"].get("MinimumPasswordLength", 0)
    except identities.exceptions.NoSuchEntityException:
        least = 0
    uid = f"arn:aws:iam:{HOME_REGION}:{scope.account}:password-policy"
    resource = Resource(uid, scope.account, "AwsIamPolicy", HOME_REGION)
    passed = least >= LEAST_LENGTH
    said = "requires" if passed else "does not require"
    yield Verdict(
        resource, passed, f"IAM password policy {said} minimum length of {LEAST_LENGTH} characters."
    )


def _console_without_mfa(scope: Scope) -> Iterator[Verdict]:
    identities = scope.client("iam", HOME_REGION)
    for page in identities.get_paginator("list_users").paginate():
        for user in page["Users"]:
            name = user["UserName"]
            resource = Resource(user["Arn"], name, "AwsIamUser", HOME_REGION)
            try:
                identities.get_login_profile(UserName=name)
            except identities.exceptions.NoSuchEntityException:
                yield Verdict(resource, True, f"User {name} does not have Console Password enabled.")
                continue
            passed = bool(identities.list_mfa_devices(UserName=name)["MFADevices"])
            said = "and MFA enabled" if passed else "but MFA disabled"
            yield Verdict(resource, passed, f"User {name} has Console Password enabled {said}.")


def _confused_deputy(scope: Scope) -> Iterator[Verdict]:
    """Of roles for services: whether no condition says on whose behalf a service may come."""
    for page in scope.client("iam", HOME_REGION).get_paginator("list_roles").paginate():
        for role in page["Roles"]:
            trusts = [each for each in role["AssumeRolePolicyDocument"]["Statement"] if _is_for_service(each)]
            if not trusts or "aws-service-role" in role["Arn"]:
                continue
            name = role["RoleName"]
            passed = all(each.get("Condition") for each in trusts)
            said = "prevents against" if passed else "does not prevent against"
            resource = Resource(role["Arn"], name, "AwsIamRole", HOME_REGION)
            detail = f"IAM Service Role {name} {said} a cross-service confused deputy attack."
            yield Verdict(resource, passed, detail)


def _is_for_service(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    return statement.get("Effect") == "Allow" and isinstance(principal, dict) and "Service" in principal


def _open_to_ssh(scope: Scope) -> Iterator[Verdict]:
    for region in scope.regions:
        pages = scope.client("ec2", region).get_paginator("describe_security_groups").paginate()
        for group in (each for page in pages for each in page["SecurityGroups"]):
            name, uid = group["GroupName"], group["GroupId"]
            arn = f"arn:aws:ec2:{region}:{scope.account}:security-group/{uid}"
            passed = not any(_lets_everybody_in(rule) for rule in group["IpPermissions"])
            said = "does not have SSH port 22 open" if passed else "has SSH port 22 open"
            resource = Resource(arn, uid, "AwsEc2SecurityGroup", region)
            yield Verdict(resource, passed, f"Security group {name} ({uid}) {said} to the Internet.")


def _lets_everybody_in(rule: IpPermissionOutputTypeDef) -> bool:
    from_all = any(
        source in EVERYBODY
        for source in (
            *(each.get("CidrIp") for each in rule.get("IpRanges", [])),
            *(each.get("CidrIpv6") for each in rule.get("Ipv6Ranges", [])),
        )
    )
    protocol = rule.get("IpProtocol", "-1")
    if protocol not in ("-1", "tcp", "6"):
        return False
    every_port = protocol == "-1"
    return from_all and (every_port or rule.get("FromPort", 0) <= SSH <= rule.get("ToPort", 65_535))


def _rotation(scope: Scope) -> Iterator[Verdict]:
    for region in scope.regions:
        keys = scope.client("kms", region)
        for listed in (each for page in keys.get_paginator("list_keys").paginate() for each in page["Keys"]):
            key = keys.describe_key(KeyId=listed["KeyId"])["KeyMetadata"]
            rotates = key["KeyManager"] == "CUSTOMER" and key["KeySpec"] == "SYMMETRIC_DEFAULT"
            if not rotates or key["KeyState"] != "Enabled":
                continue
            passed = keys.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]
            said = "enabled" if passed else "disabled"
            resource = Resource(key["Arn"], key["KeyId"], "AwsKmsKey", region)
            yield Verdict(resource, passed, f"KMS key {key['KeyId']} has automatic rotation {said}.")


CHECKS = (
    Check(
        "ec2_securitygroup_allow_ingress_from_internet_to_tcp_port_22",
        "High",
        "Security group does not let the internet in on port 22 (SSH)",
        "Rules of security groups that admit 0.0.0.0/0 or ::/0 on TCP port 22.",
        "Whoever finds the address may try passwords and weaknesses of the server.",
        "Admit the addresses that need it, or use Session Manager.",
        _open_to_ssh,
    ),
    Check(
        "iam_password_policy_minimum_length_14",
        "Medium",
        "Passwords have at least 14 characters",
        "The account's password policy for console users.",
        "Short passwords are guessed.",
        "Set the minimum length to 14 or more.",
        _password_length,
    ),
    Check(
        "iam_role_cross_service_confused_deputy_prevention",
        "High",
        "Roles of services say on whose behalf a service may come",
        "Trusts of roles for services, and their conditions.",
        "Somebody else may have the service act with the role.",
        "Ask for aws:SourceAccount or aws:SourceArn in the trust.",
        _confused_deputy,
    ),
    Check(
        "iam_user_mfa_enabled_console_access",
        "High",
        "Users with a console password have a second factor",
        "Users with a login profile, and their MFA devices.",
        "A stolen password is enough to act as the user.",
        "Register an MFA device, or take the password away.",
        _console_without_mfa,
    ),
    Check(
        "kms_cmk_rotation_enabled",
        "High",
        "Symmetric customer keys are rotated",
        "Automatic rotation of KMS keys that the customer manages.",
        "A key that leaks opens all that was ever encrypted with it.",
        "Enable automatic rotation.",
        _rotation,
    ),
    Check(
        "s3_bucket_level_public_access_block",
        "High",
        "Buckets have Block Public Access",
        "Whether IgnorePublicAcls and RestrictPublicBuckets are on.",
        "One wrong policy or ACL, and everybody reads the bucket.",
        "Turn Block Public Access on.",
        _public_access_block,
    ),
    Check(
        "s3_bucket_object_versioning",
        "Medium",
        "Buckets keep versions",
        "Whether versioning is enabled.",
        "What is overwritten or deleted is gone.",
        "Enable versioning.",
        _versioning,
    ),
)  # fmt: skip
"""Prowler's names."""


# ---------------------------------------------------------------- command line, log and report


def parser() -> argparse.ArgumentParser:
    """Of Prowler's options those that our tasks give, spelled as they give them."""
    made = argparse.ArgumentParser(prog="prowler", description=NAME, allow_abbrev=False)
    made.add_argument("provider", choices=["aws"])
    made.add_argument("-M", dest="formats", nargs="+", choices=["json-ocsf"], required=True)
    made.add_argument("-F", dest="name", required=True)
    made.add_argument("-o", dest="folder", type=Path, required=True)
    made.add_argument("-b", dest="no_banner", action="store_true")
    made.add_argument("--no-color", action="store_true")
    made.add_argument("-z", dest="findings_are_fine", action="store_true")
    made.add_argument("--log-level", choices=["WARNING"], default="WARNING")
    made.add_argument("--log-file", type=Path, required=True)
    made.add_argument("--aws-retries-max-attempts", type=int, default=3)
    made.add_argument("-w", dest="mutelist", type=Path, required=True)
    made.add_argument("-f", dest="regions", nargs="+", required=True)
    made.add_argument("-e", dest="without_checks", nargs="+", default=[])
    made.add_argument("-s", dest="services", nargs="+", default=[])
    made.add_argument("--excluded-services", dest="without", nargs="+", default=[])
    return made


def main(arguments: Sequence[str]) -> int:
    """Scan, write report and log, and give Prowler's exit code."""
    said = parser().parse_args(arguments)
    session = boto3.Session(region_name=HOME_REGION)
    with said.log_file.open("a", encoding="utf-8") as file:
        log = _Log(file.write)
        scope = Scope("", tuple(said.regions), session, said.aws_retries_max_attempts)
        try:
            account = scope.client("sts", said.regions[0]).get_caller_identity()["Account"]
        except (BotoCoreError, ClientError) as error:
            log.note("sts", said.regions[0], error, level="CRITICAL")
            return BAD_CREDENTIALS_EXIT
        scope = Scope(account, scope.regions, session, scope.retries)
        items = list(_scan(scope, _chosen(said), log))
    report = said.folder / f"{said.name}.ocsf.json"
    report.write_text(json.dumps(items, indent=4))
    failed = any(item["status_code"] == "FAIL" for item in items)
    return FINDINGS_EXIT if failed and not said.findings_are_fine else 0


def _chosen(said: argparse.Namespace) -> list[Check]:
    return [
        check
        for check in CHECKS
        if (not said.services or check.service in said.services)
        and check.service not in said.without
        and check.name not in said.without_checks
    ]


def _scan(scope: Scope, checks: Sequence[Check], log: _Log) -> Iterator[dict[str, Any]]:
    for check in checks:
        try:
            yield from (_item(scope, check, verdict) for verdict in check.look(scope))
        except (BotoCoreError, ClientError) as error:
            # As Prowler does: what was not told is not in the report, and the log says so.
            log.note(check.service, HOME_REGION, error)


@dataclass(frozen=True, slots=True)
class _Log:
    """Lines as Prowler writes them."""

    write: Callable[[str], object]

    def note(self, module: str, region: str, error: Exception, *, level: str = "ERROR") -> None:
        line = {
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S,%f")[:-3],
            "filename": "stand_in_prowler.py:1",
            "level": level,
            "module": module,
            "message": f"{region} -- {type(error).__name__}[1]: {error}",
        }
        self.write(json.dumps(line) + "\n")


def _item(scope: Scope, check: Check, verdict: Verdict) -> dict[str, Any]:
    """An OCSF Detection Finding with Prowler's fields."""
    now, resource = time.time(), verdict.resource
    return {
        "message": verdict.detail,
        "metadata": {
            "event_code": check.name,
            "product": {
                "name": NAME,
                "uid": "glovebox-stand-in",
                "vendor_name": "Glovebox",
                "version": VERSION,
            },
            "profiles": ["cloud", "datetime"],
            "tenant_uid": "",
            "version": SCHEMA,
        },
        "severity_id": SEVERITY_IDS[check.severity],
        "severity": check.severity,
        "status": "New",
        "status_code": "PASS" if verdict.passed else "FAIL",
        "status_detail": verdict.detail,
        "status_id": 1,
        "unmapped": {"related_url": "", "categories": [], "notes": "", "compliance": {}},
        "activity_name": "Create",
        "activity_id": 1,
        "finding_info": {
            "created_time": int(now),
            "desc": check.description,
            "title": check.title,
            "types": [],
            "uid": f"prowler-aws-{check.name}-{scope.account}-{resource.region}-{resource.name}",
        },
        "resources": [
            {
                "cloud_partition": "aws",
                "region": resource.region,
                "data": {"details": "", "metadata": {"name": resource.name}},
                "group": {"name": check.service},
                "labels": [],
                "name": resource.name,
                "type": resource.type,
                "uid": resource.uid,
            }
        ],
        "category_name": "Findings",
        "category_uid": 2,
        "class_name": "Detection Finding",
        "class_uid": DETECTION_FINDING,
        "cloud": {
            "account": {"name": "", "type": "AWS Account", "type_id": 10, "uid": scope.account, "labels": []},
            "org": {"name": "", "uid": ""},
            "provider": "aws",
            "region": resource.region,
        },
        "remediation": {"desc": check.remedy, "references": []},
        "risk_details": check.risk,
        "time": int(now),
        "time_dt": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "type_uid": DETECTION_FINDING * 100 + 1,
        "type_name": "Detection Finding: Create",
    }


def _start() -> NoReturn:
    # Like Prowler's own, the report is for those who may read the volume.
    os.umask(0o027)
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    _start()
