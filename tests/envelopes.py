"""Credentials, tickets and keys that fit each other, all made up."""

from __future__ import annotations

from msgspec.structs import replace

from glovebox.envelopes.credentials import Credentials
from glovebox.tickets.claims import AwsApiClaims
from glovebox.tickets.proxy import ProxyTicket
from tests.tickets import SIGNER

SCAN = "20260304T050607Z-0badcafe-0000"
OTHER_SCAN = "20260304T050607Z-0badcafe-0001"
ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
KEY = "ASIAQEFAAAAAGLOVEBOX"
SECRET, TOKEN = "S3CR3T/" + "s" * 33, "T0K3N+" + "t" * 400 + "=="
EXPIRES = 1_772_604_367
GATEWAY = "10.43.0.10:3128"


def ticket(*, key: str = KEY, account: str = ACCOUNT, scan: str = SCAN, exp: int = EXPIRES) -> ProxyTicket:
    begins = exp - 1_800
    return SIGNER.sign(
        AwsApiClaims(scan=scan, iat=begins, nbf=begins, exp=exp, key=key, account=account, buckets=[])
    )


def credentials(**changes: object) -> Credentials:
    made = Credentials(
        access_key_id=KEY,
        secret_access_key=SECRET,
        session_token=TOKEN,
        expires=EXPIRES,
        account=ACCOUNT,
        regions=["eu-west-1", "us-east-1"],
        ticket=ticket(),
        gateway=GATEWAY,
    )
    return replace(made, **changes)
