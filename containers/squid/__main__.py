"""Runs Squid and looks after it.

    python -m containers.squid             renders, checks, runs; SIGHUP reloads, SIGTERM ends it gracefully
    python -m containers.squid health      ends with 0 where the gateway decides

`GLOVEBOX_GATEWAY` names the JSON file of `GatewaySettings`.  The ledger is on standard output, a line of
JSON a request; Squid's own words are on standard error.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from containers.squid import health
from containers.squid.configuration import prepare
from glovebox import log
from glovebox.errors import ConfigurationError, GloveboxError
from glovebox.scans.airlock import no_new_privileges
from squid.helpers import judge_request, verify_ticket
from squid.render import settings_from

SETTINGS = "/glovebox/gateway/settings.json"
CONFIGURATION = Path("/tmp/squid.conf")  # noqa: S108 - the container's own, and its only place to write
HELPERS = (verify_ticket, judge_request)
"""Imported so that they ship, and so that a gateway without them does not start."""


def main(arguments: list[str]) -> int:
    settings_file = Path(os.environ.get("GLOVEBOX_GATEWAY", SETTINGS))
    try:
        if arguments == ["health"]:
            health.check(settings_from(settings_file))
            return 0
        return run(settings_file)
    except GloveboxError as error:
        log.error("gateway failed", reason=error.reason, fix=error.fix)
        return 1


def run(settings_file: Path) -> int:
    """Until Squid ends; gives its exit code."""
    no_new_privileges()
    # Before anything can go wrong halfway: a signal that comes early must not be lost.
    waiting = {signal.SIGHUP, signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, waiting)
    prepare(settings_file, CONFIGURATION)
    squid = subprocess.Popen(
        ["squid", "-N", "-f", str(CONFIGURATION)],
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, waiting),  # noqa: PLW1509 - one thread
    )

    def reload(_signal: int, _frame: FrameType | None) -> None:
        try:
            prepare(settings_file, CONFIGURATION)
        except ConfigurationError as error:
            log.error("configuration refused", reason=error.reason, fix=error.fix)
            return
        squid.send_signal(signal.SIGHUP)
        log.info("configuration reloaded")

    def stop(_signal: int, _frame: FrameType | None) -> None:
        squid.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGHUP, reload)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, waiting)
    return squid.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
