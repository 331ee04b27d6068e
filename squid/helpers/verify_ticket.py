"""Squid's basic-authentication helper: is this user name a ticket, and this password its signature?

    python -m squid.helpers.verify_ticket <public keys file>

`<channel> <user> <password>` → `<channel> OK clt_conn_tag=…` or `<channel> ERR reason_=… message="…"`.  The
keys are read once: to change them, let Squid reconfigure, which starts its helpers anew.

Squid escapes what is not safe in a line.  A ticket holds no such character, so nothing is decoded here, and
an escape is refused like any other stranger: a name has one spelling in the log, in the judge and here.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from glovebox.errors import ConfigurationError
from glovebox.tickets.errors import MalformedTicketError, TicketError
from glovebox.tickets.keys import KeySet
from squid.helpers.channel import Answer, serve

_FIELDS = 2
USAGE = "usage: python -m squid.helpers.verify_ticket <public keys file>"


def verifier(keys: KeySet, clock: Callable[[], float] = time.time) -> Callable[[list[str]], Answer]:
    """The helper's answer to `[user, password]`."""

    def answer(fields: list[str]) -> Answer:
        try:
            if len(fields) != _FIELDS:
                raise MalformedTicketError
            claims = keys.verify(fields[0], fields[1], clock())
        except TicketError as error:
            return Answer(reason=error.word, message=error.sentence)
        return Answer(scan=claims.scan)

    return answer


def main(arguments: list[str]) -> int:
    """The exit code: 0 when Squid has closed the channel, 2 where the helper cannot start."""
    if len(arguments) != 1:
        print(USAGE, file=sys.stderr)
        return 2
    try:
        keys = KeySet.from_pem(Path(arguments[0]).read_bytes())
    except (OSError, ConfigurationError) as error:
        print(f"verify_ticket: {error}", file=sys.stderr)
        return 2
    serve(verifier(keys), sys.stdin.buffer, sys.stdout.buffer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
