"""Findings as others read them: OCSF, CSV, JSON lines, and rows of a table.

Their texts were cleaned when they came in; here each form escapes what it alone takes for more than text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from glovebox.dates import iso
from glovebox.findings.model import CheckText, Finding, State
from glovebox.findings.prowler import DETECTION_FINDING
from glovebox.sites.publication import safe_cell

OCSF_VERSION: Final = "1.5.0"
COLUMNS: Final = (
    "id",
    "state",
    "severity",
    "check",
    "title",
    "service",
    "account",
    "region",
    "resource",
    "name",
    "type",
    "detail",
    "since",
    "firstSeen",
    "acceptedBy",
    "acceptedUntil",
    "acceptanceReason",
    "remediation",
    "target",
    "places",
)
"""Of the CSV file: add at the end, as scripts read it."""
TABLE_COLUMNS: Final = ("state", "severity", "check", "region", "resource", "since")
_STATUS: Final = {
    State.NEW: (1, "New"),
    State.OPEN: (2, "In Progress"),
    State.REOPENED: (2, "In Progress"),
    State.ACCEPTED: (3, "Suppressed"),
    State.RESOLVED: (4, "Resolved"),
}
"""OCSF's `status_id`."""
_ACTIVITY: Final = {State.NEW: (1, "Create"), State.RESOLVED: (3, "Close")}
_UPDATE: Final = (2, "Update")
_NO_TEXT: Final = CheckText(check="")


def to_ocsf(finding: Finding) -> dict[str, object]:
    """An OCSF 1.5 Detection Finding; what OCSF has no place for is under `unmapped.glovebox`."""
    text = finding.text or _NO_TEXT
    status_id, status = _STATUS[finding.state]
    activity_id, activity = _ACTIVITY.get(finding.state, _UPDATE)
    return {
        "activity_id": activity_id,
        "activity_name": activity,
        "category_name": "Findings",
        "category_uid": 2,
        "class_name": "Detection Finding",
        "class_uid": DETECTION_FINDING,
        "type_uid": DETECTION_FINDING * 100 + activity_id,
        "type_name": f"Detection Finding: {activity}",
        "time": finding.since * 1_000,
        "time_dt": moment(finding.since),
        "message": finding.detail,
        "severity_id": int(finding.severity),
        "severity": finding.severity.name.capitalize(),
        "status_id": status_id,
        "status": status,
        "status_code": "PASS" if finding.state is State.RESOLVED else "FAIL",
        "status_detail": finding.detail,
        "metadata": {
            "event_code": finding.check,
            "product": {"name": "Glovebox", "vendor_name": "Glovebox"},
            "profiles": ["cloud", "datetime"] if finding.account else ["datetime"],
            "version": OCSF_VERSION,
        },
        "finding_info": {
            "uid": finding.id,
            "title": text.title or finding.check,
            "desc": text.description,
            "created_time": finding.first_seen * 1_000,
            "created_time_dt": moment(finding.first_seen),
        },
        **_where(finding),
        "remediation": {"desc": text.remediation, "references": list(text.references)},
        "risk_details": text.risk,
        "unmapped": {
            "categories": list(text.categories),
            "compliance": {name: list(each) for name, each in text.compliance.items()},
            "glovebox": _ours(finding),
        },
    }


def _where(finding: Finding) -> dict[str, object]:
    """The resource, and the cloud that it is in, where it is in one."""
    if not finding.account:
        resource = {
            "uid": finding.repository or finding.target,
            "name": finding.resource,
            "type": "Repository",
            "group": {"name": finding.service},
            "data": {
                "name": finding.name,
                "type": finding.type,
                "places": [{"path": each.path, "line": each.line} for each in finding.places],
                **({"ref": finding.ref} if finding.ref else {}),
            },
        }
        return {"resources": [resource]}
    return {
        "cloud": {
            "provider": "aws",
            "account": {"uid": finding.account, "type": "AWS Account", "type_id": 10},
            "region": finding.region,
        },
        "resources": [
            {
                "uid": finding.resource,
                "name": finding.name,
                "type": finding.type,
                "region": finding.region,
                "group": {"name": finding.service},
            }
        ],
    }


def ocsf(findings: Iterable[Finding]) -> Iterator[bytes]:
    """One JSON array, in pieces."""
    before = b"["
    for finding in findings:
        yield before + msgspec.json.encode(to_ocsf(finding))
        before = b",\n"
    yield b"[]\n" if before == b"[" else b"]\n"


def json_lines(findings: Iterable[Finding]) -> Iterator[bytes]:
    """A finding a line, with all that is kept of it."""
    for finding in findings:
        yield msgspec.json.encode(finding) + b"\n"


def csv_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """The header, then a finding a line; no cell is a formula to a spreadsheet."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")  # RFC 4180
    writer.writerow(COLUMNS)
    yield _drained(buffer)
    for finding in findings:
        writer.writerow([safe_cell(cell) for cell in _cells(finding)])
        yield _drained(buffer)


def table_rows(findings: Iterable[Finding]) -> Iterator[tuple[str, ...]]:
    """The cells of `TABLE_COLUMNS`."""
    for finding in findings:
        yield (
            finding.state.value,
            finding.severity.name.lower(),
            finding.check,
            finding.region,
            finding.resource,
            moment(finding.since),
        )


def _cells(finding: Finding) -> tuple[object, ...]:
    text, accepted = finding.text or _NO_TEXT, finding.acceptance
    return (
        finding.id,
        finding.state.value,
        finding.severity.name.lower(),
        finding.check,
        text.title,
        finding.service,
        finding.account,
        finding.region,
        finding.resource,
        finding.name,
        finding.type,
        finding.detail,
        moment(finding.since),
        moment(finding.first_seen),
        accepted.owner if accepted else None,
        moment(accepted.until) if accepted else None,
        accepted.reason if accepted else None,
        text.remediation,
        finding.target,
        "; ".join(map(str, finding.places)),
    )


def _ours(finding: Finding) -> dict[str, object]:
    ours: dict[str, object] = {
        "target": finding.target,
        "state": finding.state.value,
        "since": moment(finding.since),
        "scan": finding.scan_id,
    }
    if finding.acceptance is not None:
        ours["acceptance"] = {
            "reason": finding.acceptance.reason,
            "owner": finding.acceptance.owner,
            "until": moment(finding.acceptance.until),
        }
    return ours


def _drained(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def moment(seconds: int) -> str:
    """ISO 8601, of epoch seconds."""
    return iso(datetime.fromtimestamp(seconds, UTC))
