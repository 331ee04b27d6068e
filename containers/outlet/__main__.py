"""The outlet: the only way out of the box.  Checks what the scanner left, uploads report and manifest.

The scanner is hostile and has ended; its files are not trusted to be files.  Ends with 0 where the
manifest was taken (also one that says that there is no report), else with 1.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import msgspec

from containers.outlet import account, inspection
from containers.outlet.inspection import Report, UnfitError, exit_code, log_tail
from containers.outlet.logged import logged_errors, shown_lines
from containers.outlet.posting import post
from glovebox import log
from glovebox.errors import ConfigurationError, GloveboxError
from glovebox.scans.airlock import no_new_privileges, out_folder
from glovebox.scans.model import MANIFEST_FILE, REPORT_FILES, LoggedErrors, Manifest, OutletOrder

VARIABLE = "GLOVEBOX_ORDER"
MAX_REASON = 512
"""Characters; what a manifest admits."""


def main() -> int:
    no_new_privileges()
    try:
        order = _order(os.environ.get(VARIABLE, ""))
        with ExitStack() as open_files:
            _send(order, open_files)
    except GloveboxError as error:
        log.error("outlet failed", reason=error.reason)
        return 1
    return 0


def _order(text: str) -> OutletOrder:
    try:
        return msgspec.json.decode(base64.b64decode(text, validate=True), type=OutletOrder)
    except (binascii.Error, msgspec.DecodeError) as error:
        raise ConfigurationError(f"The environment variable {VARIABLE} holds no order.") from error


def _send(order: OutletOrder, open_files: ExitStack) -> None:
    folder = out_folder()
    found: Report | None = None
    try:
        found = _report(order, folder, open_files)
        reason = found.note
    except UnfitError as unfit:
        reason = str(unfit)
        log.warning("report not uploaded", scanId=order.scan_id, reason=reason)
    errors: list[LoggedErrors] = []
    if order.kind != "site":
        errors, unread = logged_errors(folder, order.kind)
        reason = "; ".join(filter(None, (reason, unread)))
    if found is not None:
        post(order.report, REPORT_FILES[order.kind], found.file, found.size)
    version, updated = _versions(order, folder)
    manifest = Manifest(
        scan_id=order.scan_id,
        attempt=order.attempt,
        report_uploaded=found is not None,
        report_bytes=found.size if found else 0,
        report_sha256=found.sha256 if found else "",
        report_lines=found.lines if found else 0,
        report_withheld=found.withheld if found else 0,
        logged_errors=errors,
        scanner_exit=exit_code(folder),
        reason=reason[:MAX_REASON],
        scanner_version=version,
        database_updated=updated,
        log_tail=log_tail(folder, found.forget if found else str, shown_lines(order.kind)),
    )
    body = msgspec.json.encode(manifest)
    post(order.manifest, MANIFEST_FILE, io.BytesIO(body), len(body))
    log.info("manifest uploaded", scanId=order.scan_id, report=found is not None, lines=manifest.report_lines)


def _report(order: OutletOrder, folder: Path, open_files: ExitStack) -> Report:
    """Raises UnfitError."""
    if order.kind == "site":
        return inspection.report(folder, order.max_report_bytes, open_files)
    if order.kind == "account":
        return account.report(folder, order.max_report_bytes, open_files)
    # Here and not above: the others start sooner without three readers more.
    from containers.outlet.repository.report import report

    return report(folder, order, order.kind)


def _versions(order: OutletOrder, folder: Path) -> tuple[str, str]:
    if order.kind in ("site", "account"):
        return "", ""
    from containers.outlet.repository.report import versions

    return versions(folder)


if __name__ == "__main__":
    sys.exit(main())
