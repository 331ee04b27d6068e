"""What the lab's programs saw, as JSON lines that others read while they are written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

Event = Mapping[str, object]
SHOWN_BYTES = 512
"""Enough of a packet or a request to find a marker in it."""


class Journal:
    """Appends to a file; each event is one write, so that several programs may share a folder of them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, **event: object) -> None:
        with self._path.open("ab", buffering=0) as file:
            file.write(json.dumps(event).encode() + b"\n")


class Reader:
    """What was added to a journal since the last look.  Lines that are no JSON object are kept as `text`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def news(self) -> Iterator[Event]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                yield _event(line)


def shown(data: bytes) -> str:
    """Bytes as text that any terminal may show."""
    return data[:SHOWN_BYTES].decode("ascii", "backslashreplace")


def _event(line: bytes) -> Event:
    try:
        event = json.loads(line)
    except ValueError:
        return {"text": shown(line)}
    return event if isinstance(event, dict) else {"text": shown(line)}
