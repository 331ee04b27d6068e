"""What `launch` and `redeem` give the airlock of an account's scan, for a bucket of `airlock_server`."""

from __future__ import annotations

import base64
from collections.abc import Callable

import msgspec

from glovebox.envelopes.credentials import Credentials, encode
from glovebox.envelopes.sealing import PublicKey, seal
from glovebox.farm.authority import pem_of
from glovebox.scans.accounts import AccountScanRequest, AccountTarget
from glovebox.scans.model import OutletOrder, manifest_key, report_key
from tests.airlock_server import Bucket
from tests.certificates import root
from tests.envelopes import ACCOUNT, SCAN, credentials

PEM = pem_of([root().certificate]).decode()
REPORT_KEY, MANIFEST_KEY = report_key(SCAN, 1, "account"), manifest_key(SCAN, 1)


def account_request(**changes: object) -> bytes:
    made = AccountScanRequest(
        scan_id=SCAN,
        attempt=1,
        target=AccountTarget(account=ACCOUNT, regions=["eu-west-1", "us-east-1"]),
        authorities=PEM,
    )
    return msgspec.json.encode(msgspec.structs.replace(made, **changes))


def redeeming(
    s3: Bucket, given: Credentials | bytes | None = None, scan_id: str = SCAN, attempt: int = 1
) -> Callable[[bytes], None]:
    """`redeem`, as far as the inlet sees it: answers a claim that was put."""
    message = given if isinstance(given, bytes) else encode(given or credentials())

    def redeem(claim: bytes) -> None:
        key = PublicKey.of_claim(claim)
        s3.objects["envelope.json"] = seal(key, message, scan_id=scan_id, attempt=attempt)

    return redeem


def account_order(s3: Bucket, most: int) -> str:
    """The outlet's variable, for a report of at most `most` bytes."""
    made = OutletOrder(
        scan_id=SCAN,
        attempt=1,
        kind="account",
        report=s3.form(REPORT_KEY, "application/json", most),
        manifest=s3.form(MANIFEST_KEY, "application/json", 64 << 10),
        max_report_bytes=most,
    )
    return base64.b64encode(msgspec.json.encode(made)).decode()
