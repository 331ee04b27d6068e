"""The site auditor as a scanner: reads `/glovebox/in/request.json`, writes a report, a log and its exit code.

Ends with 0; with 1 where a defect of ours is on a record (`internal_error`); with 2 for a
request that cannot be read.  `exit.json` is written last, so a killed auditor leaves none.
"""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

import msgspec

from glovebox.scans.airlock import REQUEST_FILE, in_folder, no_new_privileges, out_folder
from glovebox.scans.model import EXIT_FILE, LOG_FILE, REPORT_FILE, SiteScanRequest
from glovebox.siteaudit.engine import audit_sites
from glovebox.siteaudit.loop import audit_runner
from glovebox.siteaudit.record import to_json

OK, DEFECT, UNUSABLE, CRASHED = 0, 1, 2, 3
MAX_LOG_BYTES = 1 << 20
"""Two files of it at most; the outlet reads the end only."""
REQUEST_BYTES = 4 << 20

_log = logging.getLogger("siteaudit")


def main() -> int:
    no_new_privileges()
    out = out_folder()
    _log_to(out / LOG_FILE)
    code = CRASHED
    try:
        code = _audit(in_folder() / REQUEST_FILE, out / REPORT_FILE)
    finally:
        (out / EXIT_FILE).write_bytes(msgspec.json.encode({"exit": code}))
    return code


def _audit(request_file: Path, report: Path) -> int:
    try:
        with request_file.open("rb") as file:
            request = msgspec.json.decode(file.read(REQUEST_BYTES), type=SiteScanRequest)
    except (OSError, msgspec.DecodeError) as error:
        _log.error("the request cannot be read: %s", error)
        return UNUSABLE
    with audit_runner() as runner:
        return runner.run(_write_report(request, report))


async def _write_report(request: SiteScanRequest, report: Path) -> int:
    """Every record as soon as it is there: what is done survives our death."""
    code, done = OK, 0
    with report.open("wb") as file:
        async for record in audit_sites(
            request.hosts, scan_date=request.scan_date, settings=request.settings
        ):
            file.write(to_json(record) + b"\n")
            file.flush()
            done += 1
            if record.failure_class == "internal_error":
                code = DEFECT
    _log.info("%d of %d sites audited", done, len(request.hosts))
    return code


def _log_to(path: Path) -> None:
    handler = RotatingFileHandler(path, maxBytes=MAX_LOG_BYTES, backupCount=1)
    logging.basicConfig(
        level=logging.INFO, handlers=[handler], format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    sys.excepthook = lambda kind, error, trace: _log.critical("crashed", exc_info=(kind, error, trace))


if __name__ == "__main__":
    sys.exit(main())
