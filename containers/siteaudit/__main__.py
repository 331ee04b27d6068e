"""The site auditor as a scanner: reads `/glovebox/in/request.json`, writes a report, a log and its exit code.

It knows the addresses of the request and resolves nothing.  Where the request names a gateway, every
connection is a tunnel of it, opened with the ticket of the host.

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
from glovebox.scans.model import EXIT_FILE, LOG_FILE, MAX_REQUEST_BYTES, REPORT_FILE, SiteScanRequest
from glovebox.siteaudit.connect import Connector, DirectConnector
from glovebox.siteaudit.engine import audit_sites
from glovebox.siteaudit.gateway import GatewayConnector
from glovebox.siteaudit.loop import audit_runner
from glovebox.siteaudit.network import Network, given_network
from glovebox.siteaudit.record import to_json

OK, DEFECT, UNUSABLE, CRASHED = 0, 1, 2, 3
MAX_LOG_BYTES = 1 << 20
"""Two files of it at most; the outlet reads the end only."""

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
            request = msgspec.json.decode(file.read(MAX_REQUEST_BYTES), type=SiteScanRequest)
    except (OSError, msgspec.DecodeError) as error:
        _log.error("the request cannot be read: %s", error)
        return UNUSABLE
    with audit_runner() as runner:
        return runner.run(_write_report(request, report))


async def _write_report(request: SiteScanRequest, report: Path) -> int:
    """Every record as soon as it is there: what is done survives our death."""
    code, done = OK, 0
    hosts = request.hosts
    records = audit_sites(
        hosts, scan_date=request.scan_date, settings=request.settings, network=network_of(request)
    )
    with report.open("wb") as file:
        async for record in records:
            file.write(to_json(record) + b"\n")
            file.flush()
            done += 1
            if record.failure_class == "internal_error":
                code = DEFECT
    _log.info("%d of %d sites audited", done, len(hosts))
    return code


def network_of(request: SiteScanRequest) -> Network:
    """Raises ConfigurationError for a gateway that is none: that request is a defect of ours."""
    # A host that is both is a target: its ticket names this scan's ports.
    known = {each.host: each for each in (*request.issuers, *request.targets)}
    settings = request.settings
    connector: Connector = DirectConnector(settings)
    ports: frozenset[int] = frozenset()
    if request.gateway:
        tickets = {host: each.ticket for host, each in known.items()}
        connector = GatewayConnector(settings, request.gateway, tickets)
        ports = frozenset({settings.http_port, settings.https_port})
    return given_network(connector, {host: each.resolution for host, each in known.items()}, ports=ports)


def _log_to(path: Path) -> None:
    handler = RotatingFileHandler(path, maxBytes=MAX_LOG_BYTES, backupCount=1)
    logging.basicConfig(
        level=logging.INFO, handlers=[handler], format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    sys.excepthook = lambda kind, error, trace: _log.critical("crashed", exc_info=(kind, error, trace))


if __name__ == "__main__":
    sys.exit(main())
