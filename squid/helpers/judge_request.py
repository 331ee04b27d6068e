"""Squid's external-ACL helper: may this request leave with this ticket?

    python -m squid.helpers.judge_request aws-api [<the gateway's region>]
    python -m squid.helpers.judge_request site

Squid asks at every request and keeps no answer, so a ticket's end counts at once.  The ticket's signature
has been checked by `verify_ticket` before: Squid names a user only once that one has said yes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import lru_cache

from glovebox.tickets.claims import AwsApiClaims, Claims, SiteClaims, check_time, decode
from glovebox.tickets.errors import TicketError
from squid.helpers.account_rules import judge_account_request
from squid.helpers.channel import Answer, serve
from squid.helpers.refusals import RequestRefusedError
from squid.helpers.request import Request, parse_request
from squid.helpers.site_rules import judge_site_request

PROFILES = ("aws-api", "site")
USAGE = "usage: python -m squid.helpers.judge_request aws-api [<region>] | site"
REMEMBERED_TICKETS = 4_096
"""Tickets that are taken apart once: more than scans and sites at a time, at 2 KB each."""

_remembered = lru_cache(maxsize=REMEMBERED_TICKETS)(decode)
"""Keeps what a ticket says, by its exact text.  Its time is asked for at every request."""


def judge(
    profile: str, clock: Callable[[], float] = time.time, *, region: str = ""
) -> Callable[[list[str]], Answer]:
    """The helper's answer to the fields of a question; `region` is the gateway's own."""

    def answer(fields: list[str]) -> Answer:
        scan = ""
        try:
            request = parse_request(fields)
            claims = _remembered(request.user)
            scan = claims.scan
            _decide(profile, claims, request, clock(), region)
        except RequestRefusedError as error:
            return Answer(scan, error.word, error.reason)
        except TicketError as error:
            return Answer(scan, error.word, error.sentence)
        return Answer(scan)

    return answer


def _decide(profile: str, claims: Claims, request: Request, now: float, region: str) -> None:
    check_time(claims, now)
    if isinstance(claims, AwsApiClaims) and profile == "aws-api":
        judge_account_request(claims, request, now, region)
    elif isinstance(claims, SiteClaims) and profile == "site":
        judge_site_request(claims, request)
    else:
        raise RequestRefusedError("wrong_profile")


def main(arguments: list[str]) -> int:
    """The exit code: 0 when Squid has closed the channel, 2 for a profile that does not exist."""
    profile, *rest = arguments or [""]
    if profile not in PROFILES or len(rest) > (profile == "aws-api"):
        print(USAGE, file=sys.stderr)
        return 2
    serve(judge(profile, region="".join(rest)), sys.stdin.buffer, sys.stdout.buffer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
