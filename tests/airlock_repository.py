"""What `launch` gives the outlet of a repository's scan, for a bucket of `airlock_server`."""

from __future__ import annotations

import base64

import msgspec

from glovebox.scans.model import MAX_FOUND_BYTES, OutletOrder, manifest_key, report_key
from glovebox.scans.repositories import RepositoryScanner
from tests.airlock_server import Bucket
from tests.envelopes import SCAN
from tests.native_reports import KEY

FOUND_KEY, MANIFEST_KEY = report_key(SCAN, 1, "trivy"), manifest_key(SCAN, 1)


def repository_order(
    s3: Bucket, scanner: RepositoryScanner, most: int = MAX_FOUND_BYTES, key: str = KEY
) -> str:
    """The outlet's variable, for at most `most` bytes of lines."""
    made = OutletOrder(
        scan_id=SCAN,
        attempt=1,
        kind=scanner,
        report=s3.form(FOUND_KEY, "application/x-ndjson", most),
        manifest=s3.form(MANIFEST_KEY, "application/json", 64 << 10),
        max_report_bytes=most,
        fingerprint_key=key,
    )
    return base64.b64encode(msgspec.json.encode(made)).decode()
