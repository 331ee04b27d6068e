"""What a task is handed: its request, an address that reads it, and two forms that upload one object each.

All of it is a capability for one attempt alone, for as long as the attempt may take.  Inlet and outlet get
theirs in environment files, so that the control plane shows the names of objects and nothing that they hold.
"""

from __future__ import annotations

import base64

import msgspec

from glovebox.scans.model import (
    MAX_FOUND_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_OCSF_REPORT_BYTES,
    MAX_REPORT_BYTES,
    OutletOrder,
    ReportKind,
    handoff_key,
    manifest_key,
    report_key,
)
from glovebox.scans.ports import HandOff, TaskOrder, Uploads

READ_SECONDS = 900
"""The inlet reads its request first of all; the bucket's own policy refuses an older URL."""

JSON = "application/json"
JSON_LINES = "application/x-ndjson"
REPORTS: dict[ReportKind, tuple[str, int]] = {
    "site": (JSON_LINES, MAX_REPORT_BYTES),
    "account": (JSON, MAX_OCSF_REPORT_BYTES),
    "trivy": (JSON_LINES, MAX_FOUND_BYTES),
    "trufflehog": (JSON_LINES, MAX_FOUND_BYTES),
    "kingfisher": (JSON_LINES, MAX_FOUND_BYTES),
}
"""Type and most bytes."""


def handed_off(
    hand_off: HandOff,
    uploads: Uploads,
    *,
    scan_id: str,
    attempt: int,
    request: bytes,
    seconds: int,
    token: str,
    kind: ReportKind = "site",
    inlet: str = "",
    fingerprint_key: str = "",
) -> TaskOrder:
    """Write the hand-off of this attempt; the URLs in it are seen by the task alone.

    `request` is the JSON that the inlet lays down, `inlet` are further lines of its environment; the forms
    live for `seconds`; two orders with one `token` start one task.
    """
    request_key, inlet_key, outlet_key = (
        handoff_key(scan_id, attempt, name) for name in ("request.json", "inlet.env", "outlet.env")
    )
    hand_off.put(request_key, request, JSON)
    url = hand_off.readable_url(request_key, READ_SECONDS)
    hand_off.put(inlet_key, f"GLOVEBOX_REQUEST_URL={url}\n{inlet}".encode(), "text/plain")
    forms = _forms(uploads, scan_id, attempt, kind, seconds, fingerprint_key)
    order = base64.b64encode(msgspec.json.encode(forms)).decode()
    hand_off.put(outlet_key, f"GLOVEBOX_ORDER={order}\n".encode(), "text/plain")
    return TaskOrder(
        scan_id=scan_id,
        attempt=attempt,
        token=token,
        inlet_environment=hand_off.arn(inlet_key),
        outlet_environment=hand_off.arn(outlet_key),
        kind=kind,
    )


def _forms(
    uploads: Uploads, scan_id: str, attempt: int, kind: ReportKind, seconds: int, fingerprint_key: str
) -> OutletOrder:
    content_type, most = REPORTS[kind]
    return OutletOrder(
        scan_id=scan_id,
        attempt=attempt,
        kind=kind,
        report=uploads.form(
            report_key(scan_id, attempt, kind), content_type=content_type, max_bytes=most, seconds=seconds
        ),
        manifest=uploads.form(
            manifest_key(scan_id, attempt), content_type=JSON, max_bytes=MAX_MANIFEST_BYTES, seconds=seconds
        ),
        max_report_bytes=most,
        fingerprint_key=fingerprint_key,
    )
