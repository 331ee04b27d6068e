"""The outlet: the only way out of the box.  Checks what the scanner left, uploads report and manifest.

The scanner is hostile and has ended; its files are not trusted to be files.  Ends with 0 where the
manifest was taken (also one that says that there is no report), else with 1.
"""

from __future__ import annotations

import base64
import binascii
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import IO

import msgspec
import requests

from containers.outlet.inspection import Report, UnfitError, exit_code, log_tail, report
from glovebox import log
from glovebox.errors import ConfigurationError, GloveboxError, UpstreamError
from glovebox.scans.airlock import authorities, no_new_privileges, out_folder
from glovebox.scans.model import MANIFEST_FILE, REPORT_FILE, Manifest, OutletOrder, UploadForm

VARIABLE = "GLOVEBOX_ORDER"
WAITS = (1.0, 3.0, 10.0)
TIMEOUT = (10.0, 120.0)
_PASSING = {429, 500, 502, 503, 504}


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
    reason = ""
    try:
        found = report(folder, order.max_report_bytes, open_files)
    except UnfitError as unfit:
        reason = str(unfit)
        log.warning("report not uploaded", scanId=order.scan_id, reason=reason)
    if found is not None:
        _upload(order.report, REPORT_FILE, found.file, time.sleep)
        reason = found.note
    manifest = Manifest(
        scan_id=order.scan_id,
        attempt=order.attempt,
        report_uploaded=found is not None,
        report_bytes=found.size if found else 0,
        report_sha256=found.sha256 if found else "",
        report_lines=found.lines if found else 0,
        scanner_exit=exit_code(folder),
        reason=reason,
        log_tail=log_tail(folder),
    )
    _upload(order.manifest, MANIFEST_FILE, msgspec.json.encode(manifest), time.sleep)
    log.info("manifest uploaded", scanId=order.scan_id, report=found is not None, lines=manifest.report_lines)


def _upload(form: UploadForm, name: str, body: IO[bytes] | bytes, sleep: Callable[[float], None]) -> None:
    """POST one file by its form.  Form and URL are secrets: no error quotes them.

    Raises UpstreamError where S3 does not take it.
    """
    said = ""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = authorities()
        for wait in (0.0, *WAITS):
            sleep(wait)
            if not isinstance(body, bytes):
                body.seek(0)
            try:
                answer = session.post(
                    form.url,
                    data=form.fields,
                    files={"file": (name, body, form.fields.get("Content-Type", ""))},
                    timeout=TIMEOUT,
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                said = f"no whole answer ({type(error).__name__})"
                continue
            if answer.ok and not answer.is_redirect:
                return
            said = f"the bucket answered {answer.status_code}"
            if answer.status_code not in _PASSING:
                break
    raise UpstreamError(f"{name} was not taken: {said}.")


if __name__ == "__main__":
    sys.exit(main())
