"""What `keys` mints and rotates: two secrets, and the two texts in which others find their public halves."""

from __future__ import annotations

from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secrets
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from glovebox_constructs.findings import accept
from glovebox_constructs.runtime_function import RuntimeFunction

IN_USE = {"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}
"""Of a secret, the version in use and not the one that waits."""
NOTHING_YET = "Nothing yet: the function `keys` writes it."


class GatewayKeys(Construct):
    """They stay what they are when the stack is deployed again.

    The secrets are made empty, so CloudFormation knows no value that it could set them back to.  A parameter
    must have one: should another property of it ever change, its text is set back, and `keys` writes it anew
    within the hour; gateways go on meanwhile with what they have.
    """

    def __init__(self, scope: Construct, id: str, *, key: kms.IKey) -> None:
        super().__init__(scope, id)
        self.ticket_key = self._secret("TicketKey", "Glovebox: the private key that signs tickets (PEM)", key)
        self.leaf = self._secret(
            "Leaf", "Glovebox: certificate and key that the gateway shows to scanners (JSON)", key
        )
        self.ticket_keys = self._text(
            "TicketKeys", "Glovebox: public keys by which the gateway believes tickets (PEM)"
        )
        self.authorities = self._text(
            "Authorities", "Glovebox: authorities that scanners trust for their way through the gateway (PEM)"
        )

    def _secret(self, id: str, description: str, key: kms.IKey) -> secrets.ISecret:
        secret = secrets.CfnSecret(self, id, description=description, kms_key_id=key.key_arn)
        accept(secret, "AwsSolutions-SMG4", "`keys` rotates it, hourly if need be, with an overlap.")
        return secrets.Secret.from_secret_complete_arn(self, f"{id}Secret", secret.ref)

    def _text(self, id: str, description: str) -> ssm.StringParameter:
        return ssm.StringParameter(self, id, description=description, string_value=NOTHING_YET)

    def written_by(self, unit: RuntimeFunction) -> None:
        """Lets `unit`, and nobody else, write them."""
        secrets_ = [self.ticket_key.secret_arn, self.leaf.secret_arn]
        texts = [self.ticket_keys.parameter_arn, self.authorities.parameter_arn]
        unit.may("secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", on=secrets_)
        unit.may("ssm:GetParameter", "ssm:PutParameter", on=texts)
        unit.may_use_key("secretsmanager", write=True)
