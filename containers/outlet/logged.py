"""What a scanner's log tells of errors: Prowler goes on after most of them, and its report does not show it.

Its log looks like JSON lines and is none (messages are not escaped, and have line breaks), so words are
searched for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from containers.outlet.inspection import UnfitError, opened
from glovebox.scans.model import LOG_FILE, MAX_LOGGED_ERRORS, LoggedErrors
from glovebox.scans.redaction import redact

MAX_LOG_BYTES = 64 << 20
"""A scan in which all is denied writes two; this takes a second to search."""
OTHER = "other"
_CHUNK = 1 << 20
_LONGEST = 512
"""More bytes than the longest words that are searched for: they may stand across two chunks."""
_WORDS = re.compile(
    rb'"level": "(?P<level>ERROR|CRITICAL)"'
    # botocore's ClientError, whichever service it is about.
    rb"|An error occurred \((?P<code>[A-Za-z0-9._-]{1,63})\)"
    rb" when calling the (?P<operation>\w{1,63}) operation"
)


def logged_errors(folder: Path) -> tuple[list[LoggedErrors], str]:
    """How often the log tells of each kind of error, and why that may not be all.

    Without a log nobody knows whether there were any: Prowler begins one before anything else.  An error
    counts by the answer of AWS that its message names first, else as `other`; so does whatever is of one
    kind too many.
    """
    try:
        with opened(folder / LOG_FILE) as log:
            kinds = _bounded(_kinds(_words(log)))
            more = bool(log.read(1))
    except UnfitError as unfit:
        return [], f"{unfit}, so errors are not counted"
    note = f"the log is larger than {MAX_LOG_BYTES:,} bytes; errors behind that are not counted"
    return [LoggedErrors(what=what, count=count) for what, count in kinds.most_common()], note if more else ""


def _words(log: IO[bytes]) -> Iterator[re.Match[bytes]]:
    seen, left = b"", MAX_LOG_BYTES
    while chunk := log.read(min(_CHUNK, left)):
        left -= len(chunk)
        seen += chunk
        end = 0
        for match in _WORDS.finditer(seen):
            end = match.end()
            yield match
        seen = seen[max(end, len(seen) - _LONGEST) :]


def _kinds(words: Iterator[re.Match[bytes]]) -> Iterator[str]:
    """One name for each error."""
    told = True
    for match in words:
        if match["level"]:
            if not told:
                yield OTHER
            told = False
        elif not told:
            told = True
            yield _name(match)
    if not told:
        yield OTHER


def _name(match: re.Match[bytes]) -> str:
    name = f"{match['code'].decode()}:{match['operation'].decode()}"
    return name if redact(name) == name else OTHER


def _bounded(kinds: Iterator[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for kind in kinds:
        room = kind in counts or len(counts) < MAX_LOGGED_ERRORS - 1
        counts[kind if room else OTHER] += 1
    return counts
