"""What a scanner's log tells: most scanners go on after errors, and their reports do not show it.

Prowler's log looks like JSON lines and is none (messages are not escaped, and have line breaks), so words are
searched for.  Those of the scanners of repositories have a line an event, whose beginning tells its level.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Final

from containers.outlet.inspection import UnfitError, opened
from glovebox.scans.model import LOG_FILE, MAX_LOGGED_ERRORS, LoggedErrors, ReportKind
from glovebox.scans.redaction import WITHHELD, redact

MAX_LOG_BYTES = 64 << 20
"""A scan in which all is denied writes two; this takes a second to search."""
OTHER = "other"
_CHUNK = 1 << 20
_LONGEST = 1024
"""More bytes than what is searched for: it may stand across two chunks."""
_DENIALS = re.compile(
    r"AccessDenied(?:Exception)?|(?:Client\.)?UnauthorizedOperation|AuthorizationError|EgressDenied"
    r"|UnrecognizedClientException|403"
)
"""Answers that leave a report incomplete though Prowler may only warn of them; no other warning counts."""
_WORDS = re.compile(
    rb'"level": "(?P<level>WARNING|ERROR|CRITICAL)"'
    # Where Prowler puts an exception's class and text: `eu-west-1 -- ClientError[12]: An error ...`, or with
    # the line's number elsewhere.  What the text quotes, such as a tag, is never at its beginning.
    rb'(?:, "module": "\w{0,64}", "message": "(?:[^\s"]{1,128} --? )?'
    rb"(?P<exception>\w{1,64})(?:\[\d{1,6}\]|:\d{1,6})?(?:: ?| -- )(?:\[\d{1,6}\]: ?)?"
    # botocore's ClientError, whichever service it is about.
    rb"An error occurred \((?P<code>[A-Za-z0-9._-]{1,63})\)"
    rb" when calling the (?P<operation>\w{1,63}) operation)?"
)


_LINE: Final = rb"\n(?:\x1b\[[0-9;]{0,16}m)?"
_TIME: Final = rb"[0-9T:.Z+-]{8,40}"
_EVENTS: Final[dict[ReportKind, re.Pattern[bytes]]] = {
    # `2026-11-22T18:15:12Z<TAB>ERROR<TAB>…`, with colours or without.
    # Told as errors, and none: that it uses the checks which it brings, and that it could not fetch a
    # module of Terraform's, which is no part of the repository.
    "trivy": re.compile(
        _LINE + _TIME + rb"\t(?:\x1b\[[0-9;]{0,16}m)?(?:ERROR|FATAL)"
        rb"(?!\t\[misconfig\] Falling back to embedded checks\t"
        rb"|\t\[terraform evaluator\] Failed to load module\.)"
    ),
    # zap's levels, as logr writes them: `{"level":"error","ts":…`; one of detail is `info-2`.
    "trufflehog": re.compile(rb'\n\{"level":"(?:error|dpanic|panic|fatal)'),
    # tracing's: ` ERROR kingfisher::scanner: …`, behind a time or not.
    "kingfisher": re.compile(_LINE + rb"(?:" + _TIME + rb" )?[ \t]{0,4}(?:\x1b\[[0-9;]{0,16}m)?ERROR\b"),
}
_LEVEL: Final = r"(?P<level>TRACE|DEBUG|INFO|WARN|ERROR|FATAL)"
_WHEN: Final = r"(?P<time>[0-9][0-9T:.Z+-]{7,39})"
_HEADS: Final[dict[ReportKind, re.Pattern[str]]] = {
    # Behind `plain`, which makes blanks of tabs.
    "trivy": re.compile(rf"{_WHEN} {_LEVEL} (?P<component>\[[a-z][a-z -]{{0,39}}\])?"),
    "trufflehog": re.compile(
        r'\{"level":"(?P<level>[a-z]{4,6}(?:-[0-9])?)","ts":"?(?P<time>[0-9][0-9T:.Z+-]{7,39})"?'
        r'(?:,"logger":"(?P<component>[a-z-]{1,40})")?'
    ),
    "kingfisher": re.compile(
        rf"(?:{_WHEN} )? {{0,4}}{_LEVEL} (?P<component>[a-z_]{{1,40}}(?:::[a-z_]{{1,40}}){{0,5}}):"
    ),
}


def shown_lines(kind: ReportKind) -> Callable[[list[str]], list[str]]:
    """What is shown of a log's lines: all, or, where they quote a repository's files, when, how bad and who.

    Trivy tells lines of a file that it cannot parse, with whatever is written there.
    """
    head = _HEADS.get(kind)
    return list if head is None else partial(_heads, head)


def _heads(expression: re.Pattern[str], lines: list[str]) -> list[str]:
    shown: list[str] = []
    for line in lines:
        head = expression.match(line)
        parts = head.group("time", "level", "component") if head else (WITHHELD,)
        told = " ".join(filter(None, parts))
        if head or shown[-1:] != [told]:
            shown.append(told)
    return shown


def logged_errors(folder: Path, kind: ReportKind = "account") -> tuple[list[LoggedErrors], str]:
    """How often the log tells of each kind of error, and why that may not be all.

    Without a log nobody knows whether there were any: every scanner's begins before anything else.  An error
    of an account's counts by the answer of AWS that its message names first, else as `other`; so does
    whatever is of one kind too many, and every error of a scanner of repositories.
    """
    expression = _EVENTS.get(kind, _WORDS)
    name: Callable[[re.Match[bytes]], str] = _other if kind in _EVENTS else _kind
    try:
        with opened(folder / LOG_FILE) as log:
            kinds = _bounded(filter(None, map(name, _words(log, expression))))
            more = bool(log.read(1))
    except UnfitError as unfit:
        return [], f"{unfit}, so errors are not counted"
    note = f"the log is larger than {MAX_LOG_BYTES:,} bytes; errors behind that are not counted"
    return [LoggedErrors(what=what, count=count) for what, count in kinds.most_common()], note if more else ""


def _words(log: IO[bytes], expression: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
    # Lines are told by the end of the one before.
    seen, left = b"\n", MAX_LOG_BYTES
    while True:
        chunk = log.read(min(_CHUNK, left))
        left -= len(chunk)
        seen += chunk
        end, sure = 0, len(seen) - _LONGEST if chunk else len(seen)
        for match in expression.finditer(seen):
            if match.start() > sure:
                break
            end = match.end()
            yield match
        if not chunk:
            return
        seen = seen[max(end, sure, 0) :]


def _kind(match: re.Match[bytes]) -> str:
    """The name of an error; empty for a warning that is none."""
    code = _code(match)
    return _name(code, match) if match["level"] != b"WARNING" or _DENIALS.fullmatch(code) else ""


def _other(match: re.Match[bytes]) -> str:
    return OTHER


def _code(match: re.Match[bytes]) -> str:
    """What AWS answered; empty for any other error.  A service's own exceptions are named as its codes."""
    code, exception = (match["code"] or b"").decode(), (match["exception"] or b"").decode()
    return code if exception in {"ClientError", code, f"{code}Exception"} else ""


def _name(code: str, match: re.Match[bytes]) -> str:
    name = f"{code}:{match['operation'].decode()}" if code else OTHER
    return name if redact(name) == name else OTHER


def _bounded(kinds: Iterator[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for kind in kinds:
        room = kind in counts or len(counts) < MAX_LOGGED_ERRORS - 1
        counts[kind if room else OTHER] += 1
    return counts
