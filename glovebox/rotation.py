"""Changing a secret of which others know the public half, so that nobody ever meets what he does not know.

    pending  a successor is made, and waits in the secret's stage `AWSPENDING`
    public   its public half is published beside the one in use
    in use   after `publish_before`, when everybody has read that, it becomes the secret's `AWSCURRENT`
    gone     after `retire_after`, when nothing of the former one is in use, that one's public half goes

`next_step` says what to write next, and is asked again after each write, with what is then there.  So a step
may be lost, repeated or cut off anywhere: what is there decides, and no step relies on memory.  What is
published carries its times as comments, in text that every reader of PEM skips.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from glovebox.dates import iso

PATIENCE = timedelta(hours=6)
"""So many hourly runs may fail before a successor that waits is late."""
MAX_PUBLISHED = 3
"""Former, current, next."""

_TIME = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"
_ENTRY = re.compile(
    rf"# published {_TIME}(?:, in use {_TIME})?(?:, retired {_TIME})?\n"
    r"(-----BEGIN ([A-Z ]+)-----\n[^-]+-----END \5-----)"
)


class Stage(StrEnum):
    """Secrets Manager's own names of what is in use and of what will be."""

    CURRENT = "AWSCURRENT"
    PENDING = "AWSPENDING"


@dataclass(frozen=True, slots=True)
class Published:
    """A public half, in PEM, and its times."""

    pem: str
    published: datetime
    used: datetime | None = None
    """When it was first seen in use."""
    retired: datetime | None = None
    """When it was first seen not to be."""

    def text(self) -> str:
        said = [f"published {iso(self.published)}"]
        if self.used:
            said.append(f"in use {iso(self.used)}")
        if self.retired:
            said.append(f"retired {iso(self.retired)}")
        return f"# {', '.join(said)}\n{self.pem}"


@dataclass(frozen=True, slots=True)
class Private:
    """A secret's text, which no log shows, and its public half."""

    text: str
    pem: str

    def __repr__(self) -> str:
        return f"Private({self.pem!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is there."""

    current: Private | None
    pending: Private | None
    published: tuple[Published, ...]


@dataclass(frozen=True, slots=True)
class MakePending:
    """Write a new secret as `AWSPENDING`."""

    why: str


@dataclass(frozen=True, slots=True)
class Publish:
    entries: tuple[Published, ...]

    def text(self) -> str:
        return "".join(entry.text() for entry in self.entries)


@dataclass(frozen=True, slots=True)
class Promote:
    """Write the pending secret as `AWSCURRENT`."""

    private: Private


Step = MakePending | Publish | Promote


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How long each part takes, and when a successor is due."""

    publish_before: timedelta
    retire_after: timedelta
    why_due: Callable[[Private, datetime, datetime], str | None]
    """Of the current secret, since when it is in use, and now: why it needs a successor, or `None`."""
    overdue: Callable[[Private, datetime, datetime], bool]
    """Of the same: whether the successor should long be there."""


class Safe(Protocol):
    """A secret with two stages.  Methods raise UpstreamError."""

    def read(self, stage: Stage) -> str | None:
        """`None` where nothing was ever written."""
        ...

    def write(self, stage: Stage, text: str) -> None: ...


class Board(Protocol):
    """A text that others read.  Methods raise UpstreamError."""

    def read(self) -> str: ...

    def write(self, text: str) -> None: ...


def next_step(found: Found, rule: Rule, now: datetime) -> Step | None:
    """The one thing to write now; `None` where nothing is due."""
    published = _as_it_should_be(found, rule, now)
    if published != found.published:
        return Publish(published)
    times = {entry.pem: entry for entry in published}
    if found.current is None:
        # Nobody waits for the former one: there is none, or it was thrown away.
        return Promote(found.pending) if found.pending else MakePending("there is none")
    waiting = _waiting(found)
    if waiting is not None:
        known_for = now - times[waiting.pem].published
        return Promote(waiting) if known_for >= rule.publish_before else None
    why = rule.why_due(found.current, times[found.current.pem].used or now, now)
    # A third one only when the first is gone: more than three nobody publishes.
    return MakePending(why) if why and len(published) == 1 else None


def is_overdue(found: Found, rule: Rule, now: datetime) -> bool:
    """Whether people should look, because nothing is there or a successor does not come."""
    times = {entry.pem: entry for entry in found.published}
    if found.current is None or found.current.pem not in times:
        return True
    waiting = _waiting(found)
    if waiting and waiting.pem in times:
        return now > times[waiting.pem].published + rule.publish_before + PATIENCE
    return rule.overdue(found.current, times[found.current.pem].used or now, now)


def entries_of(text: str) -> tuple[Published, ...]:
    """What `Publish.text` wrote; nothing of what anybody else did, a template's placeholder for instance."""
    found: list[Published] = []
    for match in _ENTRY.finditer(text):
        published, used, retired = (_moment(match[number]) for number in (1, 2, 3))
        if published is not None:
            found.append(Published(f"{match[4]}\n", published, used, retired))
    return tuple(found)


def _as_it_should_be(found: Found, rule: Rule, now: datetime) -> tuple[Published, ...]:
    """Current and pending, and what was in use until a while ago."""
    moment = now.replace(microsecond=0)
    waiting = _waiting(found)
    kept: list[Published] = []
    for entry in found.published:
        if found.current and entry.pem == found.current.pem:
            kept.append(replace(entry, used=entry.used or moment, retired=None))
        elif waiting and entry.pem == waiting.pem:
            kept.append(replace(entry, used=None, retired=None))
        elif entry.retired is None or now < entry.retired + rule.retire_after:
            kept.append(replace(entry, retired=entry.retired or moment))
    known = {entry.pem for entry in kept}
    if found.current and found.current.pem not in known:
        kept.append(Published(found.current.pem, moment, used=moment))
    if waiting and waiting.pem not in known:
        kept.append(Published(waiting.pem, moment))
    return _newest(kept)


def _newest(entries: Iterable[Published]) -> tuple[Published, ...]:
    """At most three.  More there are only where somebody else wrote; the longest retired go first."""
    kept = list(entries)
    retired = sorted((each.retired, each.pem, each) for each in kept if each.retired)
    gone = [entry for *_, entry in retired[: max(0, len(kept) - MAX_PUBLISHED)]]
    return tuple(entry for entry in kept if entry not in gone)


def _waiting(found: Found) -> Private | None:
    """The pending secret, unless it is the current one already."""
    if found.pending is None or (found.current and found.current.pem == found.pending.pem):
        return None
    return found.pending


def _moment(text: str | None) -> datetime | None:
    """`None` for no moment, and for a day that no month has."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
