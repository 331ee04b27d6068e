"""The composition root of `redeem`."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from functools import cache

from functions.redeem.environment import Environment
from glovebox.adapters.aws import client
from glovebox.adapters.dynamodb_scans import DynamoScanStore
from glovebox.adapters.s3_claims import S3Claims, S3Envelopes
from glovebox.adapters.secrets import AwsSecret
from glovebox.adapters.sts import StsSessions
from glovebox.services.redeem import Redeem, RedeemSettings
from glovebox.tickets.signer import Signer


@cache
def bootstrap() -> Redeem:
    environment = Environment.read(os.environ)
    s3 = client("s3")
    ticket_key = AwsSecret(client("secretsmanager"), environment.ticket_key_secret)
    return Redeem(
        store=DynamoScanStore(client("dynamodb"), environment.scans_table),
        claims=S3Claims(s3, environment.claims_bucket),
        envelopes=S3Envelopes(s3, environment.handoff_bucket),
        sessions=StsSessions(client("sts")),
        # Read for each claim: one an account and hour, and never a key that has been changed since.
        signer=lambda: Signer.from_pem(ticket_key.value().encode()),
        settings=RedeemSettings(
            scanning_account=environment.scanning_account,
            audit_role=environment.audit_role,
            external_id=environment.external_id,
            session_policy=environment.session_policy,
            managed_policies=environment.session_managed_policies,
            gateways=environment.gateways,
        ),
        bucket=environment.claims_bucket,
        clock=lambda: datetime.now(UTC),
        sleep=time.sleep,
    )
