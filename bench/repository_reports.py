"""What a large report about a repository costs: in the outlet, which makes lines of it, and in `ingest`."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench.accounts import Forgetful
from containers.outlet.repository.report import report
from glovebox.scans.model import MAX_FOUND_BYTES, OutletOrder, ScanState, UploadForm
from glovebox.scans.repositories import NATIVE_REPORTS
from tests import native_reports
from tests.findings import small_findings
from tests.flow import Flow
from tests.native_reports import Json
from tests.repository_flow import order, take

NATIVE_BYTES: Final = 20_000_000
LOCK_FILES: Final = 40
PACKAGES: Final = 500
"""Of a lock file, as large web applications have; one in five has a vulnerability here."""
CVES: Final = 4
"""How many lock files name a vulnerable package, so that a description comes so often."""
_SENTENCE: Final = "An attacker who controls the input: may read memory of the process, or bring it down. "
_URL: Final = "https://lists.example.com/archives/list/package-announce@lists.example.com/message/"


class Costs(Struct, frozen=True, kw_only=True):
    """Seconds are of processor time."""

    native_bytes: int
    found_bytes: int
    vulnerabilities: int
    packages: int
    outlet_seconds: float
    first_seconds: float
    """Of `ingest`, where all findings are new."""
    again_seconds: float
    """The next day's."""


def measured(folder: Path) -> Costs:
    """A report of `NATIVE_BYTES`, made in this folder and taken all the way."""
    body, vulnerabilities, packages = native_report()
    (folder / NATIVE_REPORTS["trivy"]).write_bytes(body)
    began = time.process_time()
    found = report(folder, _order(), "trivy")
    outlet = time.process_time() - began
    lines = found.file.read()
    first, again = _ingested([lines, lines])
    return Costs(
        native_bytes=len(body),
        found_bytes=len(lines),
        vulnerabilities=vulnerabilities,
        packages=packages,
        outlet_seconds=outlet,
        first_seconds=first,
        again_seconds=again,
    )


def native_report() -> tuple[bytes, int, int]:
    """As Trivy writes it with `--list-all-pkgs`; how many vulnerabilities and packages it has."""
    planted = [
        native_reports.result("canary/package-lock.json", Vulnerabilities=[native_reports.vulnerability()]),
        native_reports.result(
            "canary/Dockerfile", "dockerfile", Misconfigurations=[native_reports.misconfiguration()]
        ),
        native_reports.result("canary/key.pem", "", Secrets=[native_reports.trivy_secret()]),
    ]
    each = len(native_reports.trivy(native_reports.result("x", Vulnerabilities=[_vulnerability(0, 0)])))
    rest = NATIVE_BYTES - len(native_reports.trivy(*(_lock_file(file, 0) for file in range(LOCK_FILES))))
    count = rest // (each - 200) // LOCK_FILES
    body = native_reports.trivy(*planted, *(_lock_file(file, count) for file in range(LOCK_FILES)))
    return body, count * LOCK_FILES, PACKAGES * LOCK_FILES


def _lock_file(file: int, vulnerabilities: int) -> Json:
    shared = file // CVES
    return native_reports.result(
        f"repository/services/number-{file}/package-lock.json",
        Packages=[_package(shared, number) for number in range(PACKAGES)],
        Vulnerabilities=[_vulnerability(shared, number) for number in range(vulnerabilities)],
    )


def _package(shared: int, number: int) -> Json:
    name = f"package-{shared}-{number}"
    return native_reports.package(
        ID=f"{name}@1.{number}.0",
        Name=name,
        Version=f"1.{number}.0",
        Identifier={"PURL": f"pkg:npm/{name}@1.{number}.0", "UID": f"{number:016x}"},
    )


def _vulnerability(shared: int, number: int) -> Json:
    name, version = f"package-{shared}-{number % PACKAGES}", f"1.{number % PACKAGES}.0"
    return native_reports.vulnerability(
        VulnerabilityID=f"CVE-2026-{shared:02}{number:04}",
        PkgID=f"{name}@{version}",
        PkgName=name,
        PkgIdentifier={"PURL": f"pkg:npm/{name}@{version}", "UID": f"{number:016x}"},
        InstalledVersion=version,
        FixedVersion="2.0.0",
        Title=f"{name}: {_SENTENCE}",
        Description=f"In {name} before 2.0.0: " + _SENTENCE * 5,
        References=[f"{_URL}{number:032X}/{place}" for place in range(12)],
        PublishedDate="2026-01-02T03:04:05.678Z",
        LastModifiedDate="2026-01-02T03:04:05.678Z",
    )


def _order() -> OutletOrder:
    form = UploadForm(url="https://example.com", fields={})
    return OutletOrder(
        scan_id="20261122T000000Z-00000000-0000",
        attempt=1,
        kind="trivy",
        report=form,
        manifest=form,
        max_report_bytes=MAX_FOUND_BYTES,
        fingerprint_key=native_reports.KEY,
    )


def _ingested(reports: Sequence[bytes]) -> Iterator[float]:
    """Seconds of each scan's `ingest`, an hour apart."""
    flow = Flow(findings=small_findings(Forgetful()))
    for body in reports:
        with contextlib.redirect_stdout(io.StringIO()):
            [scan] = order(flow, "trivy")
            began = time.process_time()
            after = take(flow, scan, body)
        seconds = time.process_time() - began
        if after.state is not ScanState.COMPLETED:
            raise SystemExit(f"{after.state}: {after.reason}")
        yield seconds
        flow.clock.pass_seconds(3_600)
