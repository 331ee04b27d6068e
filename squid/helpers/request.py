"""The judge's question: the fields of squid/README.md, in their order, as Squid escaped them.

Squid escapes blanks, quotes, brackets and the like as %XX but leaves a percent sign that is already there,
so a field cannot be decoded to what was sent.  Where a rule needs one meaning, it therefore takes the
escaped text and one spelling only; where it looks for something forbidden, it decodes again and again.
"""

from __future__ import annotations

from typing import NamedTuple

from squid.helpers.refusals import RequestRefusedError

ABSENT = "-"


class Request(NamedTuple):
    """One request that wants to leave; `ABSENT` where Squid has no value."""

    client: str
    user: str
    method: str
    host: str
    port: str
    url: str
    authorization: str
    target: str
    content_type: str
    content_length: str
    transfer_encoding: str


_COUNT = len(Request._fields)


def parse_request(fields: list[str]) -> Request:
    """Raises RequestRefusedError for a wrong count; Squid's empty ACL data may stand behind the last."""
    if len(fields) == _COUNT + 1 and fields[-1] == ABSENT:
        fields = fields[:-1]
    if len(fields) != _COUNT or "" in fields:
        raise RequestRefusedError("line_malformed")
    return Request._make(fields)
