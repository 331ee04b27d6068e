"""Runs and scans: what was asked for, how far it is, and how it ended.

A **run** is what a person or a schedule started.  It is cut into **scans**, one shard of
the host list each.  A scan has at most two **attempts** (a task that dies is started once
more).  Every name of an object in a bucket is made here, and never from a report's text.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct

from glovebox.siteaudit.resolution import Resolution
from glovebox.siteaudit.settings import AuditSettings

MAX_ATTEMPTS = 2
"""A task that died is started once more; a second death is the target's or our defect."""
MAX_SHARD_HOSTS = 500
"""A shard's names must fit one DynamoDB item (400 KB at 253 bytes a name, with room to spare)."""
DEFAULT_SHARD_HOSTS = 200
"""At two or more sites a second and one Shodan look-up a second, a shard takes minutes."""
MAX_RUN_HOSTS = 50_000
"""250 tasks; a longer list is a mistake, or wants runs of its own."""
LAUNCHES_AT_ONCE = 7
"""Of `launch`, reserved: those for repositories wait for their snapshots, some ten seconds each."""
MAX_RUN_SCANS = 10_000
"""Their numbers have four digits."""
MAX_REPORT_BYTES = 64 << 20
"""What the upload form admits and ingest reads: 500 records of 128 KB."""
MAX_OCSF_REPORT_BYTES = 100 << 20
"""11,000 findings of today's Prowler with all frameworks' names; more wants shards by region or service."""
MAX_FOUND_BYTES = 64 << 20
"""What is found in a repository, and its packages: 100,000 lines of 600 bytes."""
MAX_FOUND_LINES = 100_000
MAX_REQUEST_BYTES = 16 << 20
"""Names may be made to say much: 756 of them with the longest aliases and tickets are 10 MB."""
MAX_LOGGED_ERRORS = 100
"""Kinds of errors that a manifest tells apart; the rest is counted as `other`."""
MAX_MANIFEST_BYTES = 64 << 10
"""The manifest holds counts, one digest and a bounded tail."""

RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
SCAN_ID = re.compile(r"([0-9]{8}T[0-9]{6}Z-[0-9a-f]{8})-([0-9]{4})")
RUN_SORT_KEY = "run"
"""The range key under which a run's own item stands beside its scans."""


class ScanState(StrEnum):
    """`requested → launching → running → ingesting → completed`, or one of the other ends."""

    REQUESTED = "requested"
    LAUNCHING = "launching"
    RUNNING = "running"
    INGESTING = "ingesting"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNTRUSTED = "untrusted"

    @property
    def ended(self) -> bool:
        return self in ENDED


ENDED = frozenset(
    {
        ScanState.COMPLETED,
        ScanState.PARTIAL,
        ScanState.FAILED,
        ScanState.EXPIRED,
        ScanState.CANCELLED,
        ScanState.UNTRUSTED,
    }
)


class RunState(StrEnum):
    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL = "partial"
    """Some hosts have no record; the run names them."""
    FAILED = "failed"
    """No host has one."""


MAX_TICKET = 1_600
"""Characters: claims of at most 1,500, a colon and a signature (docs/tickets.md)."""
MAX_ISSUERS = 256
"""Far more than the public authorities have hosts that matter."""


class _Message(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Crosses a boundary as JSON: strict when read."""


class SiteTarget(_Message, frozen=True, kw_only=True):
    """A host as `launch` found it: resolved once, and with the ticket that opens the gateway to it."""

    host: Annotated[str, Meta(max_length=253)]
    resolution: Resolution
    ticket: Annotated[str, Meta(max_length=MAX_TICKET)] = ""
    """`user:password` as in docs/tickets.md; empty where there is no address, or no gateway."""


class SiteScanRequest(_Message, frozen=True, kw_only=True):
    """What the inlet hands to the site auditor as `request.json`."""

    scan_id: Annotated[str, Meta(max_length=64)]
    attempt: Annotated[int, Meta(ge=1, le=MAX_ATTEMPTS)]
    scan_date: Annotated[str, Meta(max_length=32)]
    targets: Annotated[list[SiteTarget], Meta(max_length=MAX_SHARD_HOSTS)]
    issuers: Annotated[list[SiteTarget], Meta(max_length=MAX_ISSUERS)] = []
    """Hosts of public authorities, where chains are completed and revocation lists are read."""
    gateway: Annotated[str, Meta(max_length=64)] = ""
    """`address:port` of the egress gateway's listener for sites; empty where tasks go straight out."""
    settings: AuditSettings

    @property
    def hosts(self) -> list[str]:
        return [target.host for target in self.targets]


class UploadForm(_Message, frozen=True, kw_only=True):
    """A presigned POST: one key, one type, a range of sizes, a few minutes."""

    url: str
    fields: dict[str, str]


RunKind = Literal["site", "account", "repository"]
"""What a run is about."""
ReportKind = Literal["site", "account", "trivy", "trufflehog", "kingfisher"]
"""Lines of site records, an array of OCSF Detection Findings, or what a scanner of repositories found
(`glovebox.scans.repository_lines`).  Each has a task definition of its own."""


class OutletOrder(_Message, frozen=True, kw_only=True):
    """What the outlet alone holds: where the report and then the manifest go."""

    scan_id: str
    attempt: int
    kind: ReportKind = "site"
    report: UploadForm
    manifest: UploadForm
    max_report_bytes: int = MAX_REPORT_BYTES
    fingerprint_key: Annotated[str, Meta(max_length=64)] = ""
    """Of a repository's scan (`SnapshotAnswer.fingerprint_key`), 64 hexadecimal digits."""


class LoggedErrors(_Message, frozen=True, kw_only=True):
    """How often the scanner's log tells of one kind of error."""

    what: Annotated[str, Meta(max_length=128)]
    """`AccessDenied:ListBuckets` for an answer of AWS, else `other`."""
    count: Annotated[int, Meta(ge=1)]


class Manifest(_Message, frozen=True, kw_only=True):
    """Written last by the outlet; its arrival starts ingest."""

    scan_id: Annotated[str, Meta(max_length=64)]
    attempt: Annotated[int, Meta(ge=1, le=MAX_ATTEMPTS)]
    report_uploaded: bool
    report_bytes: Annotated[int, Meta(ge=0)] = 0
    report_sha256: Annotated[str, Meta(max_length=64)] = ""
    report_lines: Annotated[int, Meta(ge=0)] = 0
    """Records: lines of a report of sites, items of an array of findings."""
    report_withheld: Annotated[int, Meta(ge=0)] = 0
    """Items that could not be read, and stand as `null` in what was uploaded."""
    logged_errors: Annotated[list[LoggedErrors], Meta(max_length=MAX_LOGGED_ERRORS)] = []
    scanner_exit: Annotated[int, Meta(ge=-255, le=255)] | None = None
    """`None` where the scanner left no exit code: it was killed."""
    reason: Annotated[str, Meta(max_length=512)] = ""
    """Why there is no report, or why it was cut."""
    scanner_version: Annotated[str, Meta(max_length=64)] = ""
    """As the scanner says it."""
    database_updated: Annotated[str, Meta(max_length=64)] = ""
    """When Trivy's database was made (ISO 8601), as Trivy says it."""
    log_tail: Annotated[str, Meta(max_length=8_192)] = ""
    """The end of the scanner's log, redacted and bounded."""


REPORT_FILE = "report.jsonl"
OCSF_REPORT_FILE = "report.ocsf.json"
"""As Prowler names it, asked for a report `report`."""
FOUND_FILE = "found.jsonl"
"""What the outlet made of the report of a scanner of repositories."""
REPORT_FILES: dict[ReportKind, str] = {
    "site": REPORT_FILE,
    "account": OCSF_REPORT_FILE,
    "trivy": FOUND_FILE,
    "trufflehog": FOUND_FILE,
    "kingfisher": FOUND_FILE,
}
"""As they are uploaded."""
MANIFEST_FILE = "manifest.json"
VERSION_FILE = "version.json"
"""What the scanner of a repository says of itself, written by its launcher (`trivy version -f json`)."""
EXIT_FILE = "exit.json"
"""`{"exit": N}`, written by the scanner's launcher in `/glovebox/out` when the scanner has ended."""
LOG_FILE = "scanner.log"


def scan_id_of(run_id: str, shard: int) -> str:
    """Shards count from 0."""
    return f"{run_id}-{shard:04d}"


def run_id_of(scan_id: str) -> str:
    """Raises ValueError for anything that is not a scan id."""
    match = SCAN_ID.fullmatch(scan_id)
    if match is None:
        raise ValueError(f"{scan_id!r} is not a scan id")
    return match.group(1)


def report_key(scan_id: str, attempt: int, kind: ReportKind = "site") -> str:
    return f"results/{scan_id}/{attempt}/{REPORT_FILES[kind]}"


def manifest_key(scan_id: str, attempt: int) -> str:
    return f"results/{scan_id}/{attempt}/{MANIFEST_FILE}"


def handoff_key(scan_id: str, attempt: int, name: str) -> str:
    """`name`: `request.json`, `inlet.env` or `outlet.env`."""
    return f"handoff/{scan_id}/{attempt}/{name}"
