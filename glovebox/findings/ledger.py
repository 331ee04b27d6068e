"""A target's ledger: one small entry a finding, all of them in a few items.

To know what a scan changes, one must know what there was.  Reading 50,000 findings for that would be 30 MB;
their entries are 2 MB as values and half of that packed.  So a ledger is also the index by state, severity,
service and region.  Entries are packed in columns, of which all but the ids compress well.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from glovebox.findings.model import ID_BYTES, Severity, State

_STATES: Final = (State.NEW, State.OPEN, State.RESOLVED, State.REOPENED, State.ACCEPTED)
"""Their places are written to the table: add at the end, change nothing."""
_DROPPED: Final = 255
"""The state, in a log, of a finding that is forgotten."""
MAX_UNPACKED: Final = 64 << 20
"""We wrote what is unpacked; the bound is against defects of our own."""


class Entry(Struct, frozen=True, gc=False):
    """What the life cycle needs to know of a finding."""

    state: State
    severity: Severity
    service: str
    region: str
    digest: bytes
    """`Observation.digest`: four bytes."""
    since: int
    """When its state began; epoch seconds."""
    until: int = 0
    """When its acceptance ends."""
    held: bool = False
    """Unseen, but a person must say that it is resolved."""


class Hold(Struct, frozen=True, kw_only=True, rename="camel"):
    """Findings that a scan did not see any more, too many to believe it."""

    scan_id: str
    since: int
    reason: str


Entries = Mapping[bytes, Entry]


class Ledger(Struct, frozen=True, kw_only=True):
    """A target's findings at one revision, as a store gives them."""

    revision: int = 0
    """Counts the commits; a commit stands only on the revision that it was made from."""
    as_of: int = 0
    """When the latest scan that counts was asked for."""
    entries: Entries = {}
    checks: Mapping[str, bytes] = {}
    """Digests of the checks' texts."""
    hold: Hold | None = None

    def shown(self, entry: Entry) -> State:
        """Its state as people see it: what the latest scan was not the first to see is no longer new."""
        return State.OPEN if entry.state is State.NEW and entry.since < self.as_of else entry.state


class _Columns(Struct, array_like=True):
    ids: bytes
    digests: bytes
    states: bytes
    severities: bytes
    held: bytes
    since: bytes
    until: bytes
    services: bytes
    regions: bytes
    names: list[str]
    """What `services` and `regions` count in."""


def pack(entries: Mapping[bytes, Entry | None]) -> bytes:
    """Entries in a form that `unpack` reads; `None` stands for one that is forgotten."""
    names: dict[str, int] = {}

    def place(name: str) -> int:
        return names.setdefault(name, len(names))

    columns = _Columns(
        ids=b"".join(entries),
        digests=b"".join(entry.digest if entry else bytes(4) for entry in entries.values()),
        states=bytes(_STATES.index(entry.state) if entry else _DROPPED for entry in entries.values()),
        severities=bytes(entry.severity if entry else 0 for entry in entries.values()),
        held=bytes(entry.held if entry else 0 for entry in entries.values()),
        since=_wide(entry.since if entry else 0 for entry in entries.values()),
        until=_wide(entry.until if entry else 0 for entry in entries.values()),
        services=_wide(place(entry.service) if entry else 0 for entry in entries.values()),
        regions=_wide(place(entry.region) if entry else 0 for entry in entries.values()),
        names=[],
    )
    columns.names = list(names)
    return zlib.compress(msgspec.msgpack.encode(columns), 6)


def unpack(body: bytes) -> Iterator[tuple[bytes, Entry | None]]:
    """What was packed, in its order."""
    columns = msgspec.msgpack.decode(_inflated(body), type=_Columns)
    ids, digests, names = columns.ids, columns.digests, columns.names
    since, until = _narrow(columns.since), _narrow(columns.until)
    services, regions = _narrow(columns.services), _narrow(columns.regions)
    for index, state in enumerate(columns.states):
        key = ids[index * ID_BYTES : (index + 1) * ID_BYTES]
        if state == _DROPPED:
            yield key, None
            continue
        yield (
            key,
            Entry(
                _STATES[state],
                Severity(columns.severities[index]),
                names[services[index]],
                names[regions[index]],
                digests[index * 4 : index * 4 + 4],
                since[index],
                until[index],
                bool(columns.held[index]),
            ),
        )


def squeeze(value: object) -> bytes:
    """Any value that msgpack can write, compressed."""
    return zlib.compress(msgspec.msgpack.encode(value), 6)


def unsqueeze(body: bytes) -> bytes:
    """The msgpack of what was squeezed."""
    return _inflated(body)


def _inflated(body: bytes) -> bytes:
    inflater = zlib.decompressobj()
    raw = inflater.decompress(body, MAX_UNPACKED)
    if inflater.unconsumed_tail:
        raise ValueError("a ledger's item unpacks to more than any ledger")
    return raw


def _wide(numbers: Iterable[int]) -> bytes:
    """Four bytes each, in planes of equal significance, which compresses better than number by number."""
    listed = list(numbers)
    raw = struct.pack(f">{len(listed)}I", *listed)
    return b"".join(raw[plane::4] for plane in range(4))


def _narrow(planes: bytes) -> tuple[int, ...]:
    count = len(planes) // 4
    raw = bytearray(len(planes))
    for plane in range(4):
        raw[plane::4] = planes[plane * count : (plane + 1) * count]
    return struct.unpack(f">{count}I", raw)
