"""The account that the local cloud scans: its audit role, what is wrong in it, and its place on record.

The emulator takes twelve digits for an account with everything of its own, so the account is another one than
that of the deployment, and the deployment gets into it by the audit role's trust alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from glovebox.adapters.dynamodb_targets import DynamoTargets
from glovebox.local.adaptations import LOOPBACK, Change, adapt
from glovebox.local.aws import ACCOUNT, REGION, Credentials, LocalAws
from glovebox.local.deployment import Deployment, create_stack
from glovebox.registry.model import Account
from glovebox.registry.registry import Registry

TARGET = "111122223333"
"""AWS's own example of an account."""
STACK = "Glovebox-AuditRole"
EXTERNAL_ID = "the-local-clouds-own-id"
NO_ENDPOINT = "vpce-00000000"
"""Nobody calls the emulator by an endpoint."""
PUBLIC_BUCKET, CAREFUL_BUCKET = f"{TARGET}-open-letters", f"{TARGET}-careful-records"
CARELESS_USER, CAREFUL_USER = "careless-user", "careful-user"
OPEN_GROUP, CLOSED_GROUP = "open-to-the-world", "open-to-us"
_SSH = 22


@dataclass(frozen=True, slots=True)
class TargetAccount:
    """The account as its owner has it."""

    owner: LocalAws

    @classmethod
    def beside(cls, aws: LocalAws) -> TargetAccount:
        """In the same emulator, which takes an account's number for the key of its root."""
        return cls(aws.acting_as(Credentials(TARGET, aws.credentials.secret)))

    def prepare(self, template: str, deployment: Deployment, aws: LocalAws) -> tuple[Change, ...]:
        """Deploy the audit role, plant what is to be found, put the account on record; what differs from AWS.

        Raises UpstreamError where the stack could not be made.
        """
        adapted, changes = adapt(STACK, json.loads(template), gateway_port=self.owner.port)
        parameters = {
            "ScanningAccount": ACCOUNT,
            "GatewayAddresses": LOOPBACK,
            "GatewayS3Endpoint": NO_ENDPOINT,
            "ExternalId": EXTERNAL_ID,
        }
        create_stack(self.owner, STACK, json.dumps(adapted), parameters)
        self.plant()
        store = DynamoTargets(aws.client("dynamodb"), deployment.output("RegistryTable"))
        Registry(store, ACCOUNT).add(Account(id=TARGET, name="Planted faults", ou=("Root", "Local")))
        return tuple(changes)

    def plant(self) -> None:
        """Something wrong of each kind, and something right beside it."""
        self._plant_buckets()
        self._plant_users()
        self._plant_groups()
        keys = self.owner.client("kms")
        keys.create_key(Description="never rotated")
        keys.enable_key_rotation(KeyId=keys.create_key(Description="rotated")["KeyMetadata"]["KeyId"])

    def repair_bucket(self) -> None:
        """What an owner does about the public bucket."""
        storage = self.owner.client("s3")
        storage.delete_bucket_policy(Bucket=PUBLIC_BUCKET)
        self._block(PUBLIC_BUCKET)

    def open_bucket(self) -> None:
        """Let everybody read the public bucket."""
        everybody = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "LetEverybodyRead",
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": "s3:GetObject",
                    "Resource": f"arn:aws:s3:::{PUBLIC_BUCKET}/*",
                }
            ],
        }
        storage = self.owner.client("s3")
        storage.delete_public_access_block(Bucket=PUBLIC_BUCKET)
        storage.put_bucket_policy(Bucket=PUBLIC_BUCKET, Policy=json.dumps(everybody))

    def _plant_buckets(self) -> None:
        storage = self.owner.client("s3")
        for bucket in (PUBLIC_BUCKET, CAREFUL_BUCKET):
            storage.create_bucket(Bucket=bucket)
        self.open_bucket()
        self._block(CAREFUL_BUCKET)
        storage.put_bucket_versioning(Bucket=CAREFUL_BUCKET, VersioningConfiguration={"Status": "Enabled"})

    def _block(self, bucket: str) -> None:
        self.owner.client("s3").put_public_access_block(
            Bucket=bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )

    def _plant_users(self) -> None:
        identities = self.owner.client("iam")
        for user in (CARELESS_USER, CAREFUL_USER):
            identities.create_user(UserName=user)
        identities.create_login_profile(UserName=CARELESS_USER, Password="without-a-second-factor")  # noqa: S106
        identities.update_account_password_policy(MinimumPasswordLength=6, RequireNumbers=True)

    def _plant_groups(self) -> None:
        network = self.owner.client("ec2")
        [home] = network.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        for name, source in {OPEN_GROUP: "0.0.0.0/0", CLOSED_GROUP: "10.0.0.0/8"}.items():
            group = network.create_security_group(
                GroupName=name, Description=name, VpcId=home.get("VpcId", "")
            )
            network.authorize_security_group_ingress(
                GroupId=group["GroupId"],
                IpPermissions=[
                    {
                        "IpProtocol": "tcp",
                        "FromPort": _SSH,
                        "ToPort": _SSH,
                        "IpRanges": [{"CidrIp": source}],
                    }
                ],
            )


def names_in_aws(hosts: list[str]) -> list[str]:
    """The names by which the gateway reaches the account: those of its list, and of the account's own."""
    buckets = (f"{bucket}.s3.{REGION}.amazonaws.com" for bucket in (PUBLIC_BUCKET, CAREFUL_BUCKET))
    controls = (host for host in hosts if host.startswith("s3-control."))
    return sorted({*hosts, *buckets, *(f"{TARGET}.{host}" for host in controls)})
