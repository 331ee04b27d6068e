"""The public queries' parameters: once, known, short and well formed, or the call is refused."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import msgspec

from glovebox.errors import InputError
from glovebox.siteaudit.hosts import canonical_host

MAX_QUERY = 2_048
"""Every legal query is far shorter; a longer one is not looked at."""
MAX_FIELDS = 8
DEFAULT_LIMIT = 30
"""The field's default for histories."""
MAX_LIMIT = 100
"""A hundred summaries are 50 KB."""
DEFAULT_NAMES = 100
MAX_NAMES = 1_000
"""A thousand names with dates are 150 KB."""
MAX_TOKEN = 1_024

_SCAN_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_LIMIT = re.compile(r"[1-9][0-9]{0,3}")


class BadQueryError(InputError):
    """A parameter cannot be used; `code` names the reason for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of one call, each given at most once and each of a known name."""

    call: str
    values: Mapping[str, str]

    def host(self, name: str) -> str:
        """A canonical name.  Those of test networks are fine: nothing is asked but our tables."""
        value = self._required(name)
        try:
            return canonical_host(value, test_names=True)
        except InputError as error:
            raise BadQueryError(
                "malformed_parameter", f"{name} is no name of a site. {error.reason}"
            ) from error

    def scan_date(self, name: str = "scanDate") -> str:
        return self._date(name, self._required(name))

    def optional_scan_date(self, name: str = "scanDate") -> str | None:
        value = self.values.get(name)
        return None if value is None else self._date(name, value)

    def limit(self, *, default: int, most: int) -> int:
        value = self.values.get("limit")
        if value is None:
            return default
        if not _LIMIT.fullmatch(value) or int(value) > most:
            raise BadQueryError("malformed_parameter", f"limit is no number from 1 to {most}.")
        return int(value)

    def next(self, *about: str, parts: int) -> tuple[str, ...] | None:
        """Where the former page of this very question ended, from its `next`."""
        value = self.values.get("next")
        return None if value is None else _opened(value, [self.call, *about], parts)

    def _required(self, name: str) -> str:
        value = self.values.get(name, "")
        if not value.strip():
            raise BadQueryError("missing_parameter", f"{name} is missing.")
        return value

    @staticmethod
    def _date(name: str, value: str) -> str:
        try:
            datetime.strptime(value if _SCAN_DATE.fullmatch(value) else "", "%Y-%m-%dT%H:%M:%SZ").replace(
                tzinfo=UTC
            )
        except ValueError as error:
            raise BadQueryError(
                "malformed_parameter", f"{name} is no time such as 2026-01-31T04:00:00Z."
            ) from error
        return value


def parse(call: str, raw: str, known: frozenset[str]) -> Query:
    """The parameters of a query string as it was sent.  Raises BadQueryError.

    The raw string is read because the gateway joins repeated parameters with commas.
    """
    if len(raw) > MAX_QUERY:
        raise BadQueryError("query_too_long", f"The query is longer than {MAX_QUERY:,} characters.")
    try:
        pairs = parse_qsl(
            raw, keep_blank_values=True, strict_parsing=bool(raw), errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError as error:
        raise BadQueryError(
            "malformed_query", "The query is not of the form name=value&name=value."
        ) from error
    values: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            allowed = ", ".join(sorted(known)) or "none"
            raise BadQueryError("unknown_parameter", f"{call} knows these parameters: {allowed}.")
        if name in values:
            raise BadQueryError("repeated_parameter", f"{name} is given more than once.")
        values[name] = value
    return Query(call, values)


def token(call: str, *about: str, position: tuple[str, ...]) -> str:
    """An opaque `next`: where the page ended, and of which question it was."""
    packed = msgspec.json.encode([[call, *about], position])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _opened(value: str, about: list[str], parts: int) -> tuple[str, ...]:
    """What a token holds.  It is no secret and no right: a forged one only names another place to go on."""
    if len(value) > MAX_TOKEN:
        raise BadQueryError("malformed_parameter", "next is too long to be one of ours.")
    try:
        packed = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
        question, position = msgspec.json.decode(packed, type=tuple[list[str], tuple[str, ...]])
    except (ValueError, binascii.Error, msgspec.DecodeError, RecursionError) as error:
        raise BadQueryError("malformed_parameter", "next is none of ours.") from error
    if question != about or len(position) != parts or not all(0 < len(part) <= 256 for part in position):
        raise BadQueryError("malformed_parameter", "next belongs to another question.")
    return position
