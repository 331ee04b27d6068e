"""Runs over repositories on the flow's fakes: what honest outlets let out of their scanners' reports."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from glovebox.findings.canaries import PLANTED_FILES
from glovebox.findings.services import SERVICES
from glovebox.registry.model import Repository
from glovebox.scans.model import report_key
from glovebox.scans.repositories import REPOSITORY_SCANNERS, RepositoryScanner, target_of
from glovebox.scans.repository_lines import License, Line, Misconfiguration, Package, Secret, Vulnerability
from glovebox.scans.state import Scan
from tests.flow import Event, Flow, manifest_of

REPOSITORY = "github.com/acme/shop"
TARGET = target_of(REPOSITORY)
DATABASE = "2026-03-04T02:00:00.123456789Z"
"""Made some hours before the flow's clock begins."""


def vulnerability(number: object = 1, **said: object) -> Vulnerability:
    made = Vulnerability(
        path="repository/package-lock.json",
        id=f"CVE-2026-{number}",
        package="lodash",
        installed="4.17.4",
        fixed="4.17.21",
        purl="pkg:npm/lodash@4.17.4",
        status="fixed",
        severity="HIGH",
        title="Prototype pollution",
        description="Objects can be given properties.",
        url="https://avd.example.com/cve",
    )
    return msgspec.structs.replace(made, **said)


def misconfiguration(**said: object) -> Misconfiguration:
    made = Misconfiguration(
        path="repository/Dockerfile",
        id="DS-0002",
        type="dockerfile",
        line=3,
        end_line=3,
        severity="HIGH",
        title="Image user should not be root",
        resolution="Add USER to the Dockerfile",
        url="https://avd.example.com/ds002",
    )
    return msgspec.structs.replace(made, **said)


def secret(value: object = 1, **said: object) -> Secret:
    made = Secret(
        path="repository/src/settings.py",
        rule="github-pat",
        fingerprint=f"{value!s:0>64}",
        line=7,
        severity="CRITICAL",
        title="GitHub token",
    )
    return msgspec.structs.replace(made, **said)


def license_line(**said: object) -> License:
    made = License(
        path="repository/package-lock.json",
        name="AGPL-3.0-only",
        package="strict",
        category="restricted",
        severity="HIGH",
    )
    return msgspec.structs.replace(made, **said)


def package(name: str = "lodash", version: str = "4.17.4", **said: object) -> Package:
    made = Package(
        path="repository/package-lock.json",
        name=name,
        version=version,
        purl=f"pkg:npm/{name}@{version}",
        type="npm",
        licenses=["MIT"],
    )
    return msgspec.structs.replace(made, **said)


def planted_lines(scanner: RepositoryScanner) -> list[Line]:
    """What an honest scanner says of the files that the inlet lays beside a snapshot."""
    made: list[Line] = []
    for canary in PLANTED_FILES:
        if canary.service not in SERVICES[scanner]:
            continue
        match canary.service:
            case "trivy-vulnerability":
                made.append(vulnerability(9, path=canary.path, package=canary.rule))
            case "trivy-misconfiguration":
                made.append(misconfiguration(path=canary.path, id=canary.rule))
            case _:
                made.append(secret(9, path=canary.path, rule=canary.rule))
    return [*made, package("planted", path="canary/package-lock.json")] if scanner == "trivy" else made


def encoded(lines: Iterable[Line | bytes]) -> bytes:
    """As the outlet writes them; bytes stand for lines that it would not write."""
    bodies = (each if isinstance(each, bytes) else msgspec.json.encode(each) for each in lines)
    return b"".join(body + b"\n" for body in bodies)


def order(flow: Flow, *scanners: RepositoryScanner, ref: str = "") -> list[Scan]:
    """The scans of a new run over the repository, by these scanners (all where there are none)."""
    wanted = scanners or REPOSITORY_SCANNERS
    if (Repository, REPOSITORY) not in flow.targets.entries:
        flow.targets.put(Repository(id=REPOSITORY, scanners=REPOSITORY_SCANNERS), revision=0)
    scans = flow.store.scans(flow.launch.handle({"repositories": [REPOSITORY], "ref": ref}).run_id)
    return [each for each in scans if each.repository is not None and each.repository.scanner in wanted]


def upload(
    flow: Flow, scan: Scan, lines: Iterable[Line | bytes] | bytes, attempt: int = 1, /, **manifest: object
) -> Event:
    """Put report and manifest, `manifest` changed; the event that follows."""
    assert scan.repository is not None
    body = lines if isinstance(lines, bytes) else encoded(lines)
    flow.results.upload(report_key(scan.scan_id, attempt, scan.repository.scanner), body)
    database = {"database_updated": DATABASE} if scan.repository.scanner == "trivy" else {}
    told = {"report_lines": body.count(b"\n"), **database, **manifest}
    return flow.announce(scan.scan_id, manifest_of(scan.scan_id, attempt, body, **told), attempt)


def take(
    flow: Flow, scan: Scan, lines: Iterable[Line | bytes] | bytes, attempt: int = 1, /, **manifest: object
) -> Scan:
    """Upload and ingest; the scan as it is then."""
    flow.ingest.handle(upload(flow, scan, lines, attempt, **manifest))
    return flow.store.scan(scan.scan_id)


def scanned(
    flow: Flow, scanner: RepositoryScanner, *lines: Line | bytes, ref: str = "", **manifest: object
) -> Scan:
    """A run by one scanner that finds what was planted, and these; its scan at the end."""
    [scan] = order(flow, scanner, ref=ref)
    return take(flow, scan, [*planted_lines(scanner), *lines], **manifest)
