"""How Squid speaks to a helper: a line a question, a line an answer, each with its channel's number.

Nothing that arrives ends a helper but the end of its input.  Squid gives up where helpers keep dying, and a
scanner chooses most of what stands in these lines.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_LINE = 256 << 10
"""Bytes.  Squid admits 16 KB of headers and 8 KB of URL, each character three when escaped; with room to
spare."""
_CHANNEL = re.compile(rb"[0-9]{1,10}")
"""Squid counts in 32 bits."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Squid is told; `reason` and `message` only where the answer is no.

    `scan` is empty where the ticket did not prove one.  It travels as `clt_conn_tag`, which Squid remembers
    for the connection, so that the ledger names the scan also where a later request never reaches a helper.
    """

    scan: str = ""
    reason: str = ""
    message: str = ""

    def line(self, channel: bytes) -> bytes:
        scan = f" clt_conn_tag={self.scan}" if self.scan else ""
        if not self.reason:
            return channel + f" OK{scan}\n".encode("ascii")
        return channel + f' ERR reason_={self.reason} message="{self.message}"{scan}\n'.encode("ascii")


UNREADABLE = Answer(reason="line_malformed", message="The gateway could not read its own question.")


def serve(answer: Callable[[list[str]], Answer], questions: BinaryIO, answers: BinaryIO) -> None:
    """Answers until the questions end; `answer` gets the fields after the channel's number, still escaped."""
    for line in _lines(questions):
        channel, _, rest = line.partition(b" ")
        if not _CHANNEL.fullmatch(channel):
            print("helper: a line without a channel's number is not answered", file=sys.stderr, flush=True)
            continue
        if len(line) > MAX_LINE or not rest.isascii():
            given = UNREADABLE
        else:
            given = answer(rest.decode("ascii").split(" "))
        answers.write(given.line(channel))
        answers.flush()


def _lines(questions: BinaryIO) -> Iterator[bytes]:
    """Lines without their end; of one that is too long the beginning, cut just above `MAX_LINE`."""
    while line := questions.readline(MAX_LINE + 2):
        rest = line
        while not rest.endswith(b"\n") and len(rest) == MAX_LINE + 2:
            rest = questions.readline(MAX_LINE + 2)
        yield line.removesuffix(b"\n")
