"""STS: one session of one audit role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from glovebox.adapters.aws import calling, error_code, error_message
from glovebox.errors import RefusedError
from glovebox.scans.brokering import SessionKeys, SessionOrder

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

_FIXES = {
    "AccessDenied": (
        "Deploy the audit role in this account, with this box's account, ExternalId and gateway; a new role "
        "needs a minute."
    ),
    "MalformedPolicyDocument": "Deploy the broker anew: its session policy is none.",
    "PackedPolicyTooLarge": "Shorten policies/audit_session_policy.json.",
    "RegionDisabledException": "Let the account use this region's STS.",
    "ValidationError": "Deploy the broker anew: what it asks for is no session.",
}
"""What AWS says no to, whenever it is asked (AssumeRole, errors), and what to do about it."""


class StsSessions:
    """`glovebox.scans.brokering.Sessions`."""

    def __init__(self, client: STSClient) -> None:
        self._client = client

    def assume(self, order: SessionOrder) -> SessionKeys:
        with calling("Assuming the audit role"):
            try:
                given = self._client.assume_role(
                    RoleArn=order.role_arn,
                    RoleSessionName=order.name,
                    ExternalId=order.external_id,
                    SourceIdentity=order.source_identity,
                    DurationSeconds=order.seconds,
                    Policy=order.policy,
                    PolicyArns=[{"arn": arn} for arn in order.managed_policies],
                )["Credentials"]
            except ClientError as error:
                if (code := error_code(error)) in _FIXES:
                    raise RefusedError(
                        f"No session of {order.role_arn}: {code} {error_message(error)[:200]}".strip(),
                        fix=_FIXES[code],
                    ) from error
                raise
        return SessionKeys(
            access_key_id=given["AccessKeyId"],
            secret_access_key=given["SecretAccessKey"],
            session_token=given["SessionToken"],
            expires=int(given["Expiration"].timestamp()),
        )
