"""What the `findings` table holds, item by item: how values become items, and items values.

The calls are in `dynamodb_findings.py`, which also says which items there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from glovebox.errors import UpstreamError
from glovebox.findings.ledger import Entry, Hold, Ledger, pack, squeeze, unpack, unsqueeze
from glovebox.findings.life import RESOLVED_LIFE, Change
from glovebox.findings.model import (
    Acceptance,
    CheckText,
    Finding,
    Place,
    Severity,
    State,
    account_of,
    service_of,
)
from glovebox.findings.packages import Component, packed
from glovebox.findings.store import Commit, Tally

LOG: Final = "ledger#log#"
PACKAGES: Final = "packages#"
PACKAGES_BYTES: Final = 300_000
"""Of one part of a list of packages; 50,000 of them are some four parts."""
PART_BYTES: Final = 350_000
"""Of one item; DynamoDB's limit is 400 KB."""
PAGE_ENTRIES: Final = 4_000
"""About 100 KB a page: few to read, and small enough to be written one by one."""


class Blob(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was written under names made of its content."""

    revision: int
    digest: str
    parts: int
    size: int


class Head(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    revision: int = 0
    settled: int = 0
    as_of: int = 0
    bits: int = 0
    """There are two to this power of pages."""
    salt: str = ""
    """Random, and unknown to scanners: whoever knew into which page a finding goes could fill one until it
    breaks."""
    logs: tuple[Blob, ...] = ()
    """Those that are not yet in every page."""
    todo: Blob | None = None
    packages: Blob | None = None
    """The list of packages that counts; `None` where no scan has listed any."""
    hold: Hold | None = None
    tally: Tally = Tally(states={}, services={})


class Row(Struct, array_like=True):
    """What to write into one item: attributes set and removed."""

    item: str
    sets: dict[str, str | int]
    removes: list[str]


class Stored(Struct, frozen=True, kw_only=True):
    """The items of a ledger, as read in one go."""

    head: Head
    ledger: Ledger
    pages: dict[int, int]
    """Up to which revision each page is."""
    logs: tuple[str, ...]
    """The names of all log items there are, also of commits that were not made."""
    changed: dict[int, frozenset[bytes]]
    """The ids that each live log changes, by its revision."""


def assembled(items: Mapping[str, Mapping[str, object]]) -> Stored | None:
    """A ledger out of its items; `None` where they are of different moments."""
    head = msgspec.convert(items.get("ledger#head", {}), Head)
    entries: dict[bytes, Entry] = {}
    pages: dict[int, int] = {}
    for page in range(2**head.bits):
        if (item := items.get(page_name(head.bits, page))) is not None:
            pages[page] = msgspec.convert(item["revision"], int)
            if pages[page] > head.revision:
                return None
            entries.update(_present(raw_bytes(item["body"])))
    changed: dict[int, frozenset[bytes]] = {}
    for log in head.logs:
        body = _joined(items, log)
        if body is None:
            return None
        changes = dict(unpack(body))
        changed[log.revision] = frozenset(changes)
        for key, entry in changes.items():
            if log.revision <= pages.get(_page(key, head), 0):
                continue
            if entry is None:
                entries.pop(key, None)
            else:
                entries[key] = entry
    ledger = Ledger(
        revision=head.revision,
        as_of=head.as_of,
        entries=entries,
        checks=digests_of(items.get("ledger#checks", {})),
        hold=head.hold,
    )
    logs = tuple(name for name in items if name.startswith(LOG))
    return Stored(head=head, ledger=ledger, pages=pages, logs=logs, changed=changed)


def _joined(items: Mapping[str, Mapping[str, object]], log: Blob) -> bytes | None:
    names = list(part_names(log_name(log.revision), log))
    if any(name not in items for name in names):
        return None
    return b"".join(raw_bytes(items[name]["body"]) for name in names)


def _present(body: bytes) -> Iterator[tuple[bytes, Entry]]:
    return ((key, entry) for key, entry in unpack(body) if entry is not None)


def digests_of(item: Mapping[str, object]) -> dict[str, bytes]:
    if "body" not in item:
        return {}
    return msgspec.msgpack.decode(unsqueeze(raw_bytes(item["body"])), type=dict[str, bytes])


def page_name(bits: int, page: int) -> str:
    return f"ledger#page#{bits:02d}#{page:04d}"


def _page(key: bytes, head: Head) -> int:
    if not head.bits:
        return 0
    digest = hashlib.blake2b(key, key=head.salt.encode(), digest_size=2).digest()
    return int.from_bytes(digest, "big") >> (16 - head.bits)


def bits_for(entries: int) -> int:
    """So that a page holds about `PAGE_ENTRIES`, or half as many."""
    return max(-(-entries // PAGE_ENTRIES) - 1, 0).bit_length()


def parted(entries: Mapping[bytes, Entry], head: Head) -> dict[int, dict[bytes, Entry | None]]:
    """Entries by page, each page's sorted, so that equal entries make equal bytes."""
    parts: dict[int, dict[bytes, Entry | None]] = {}
    for key in sorted(entries):
        parts.setdefault(_page(key, head), {})[key] = entries[key]
    return parts


def behind(stored: Stored) -> set[int]:
    """Pages that a log changes and that do not hold it yet."""
    return {
        page
        for revision, ids in stored.changed.items()
        for page in {_page(key, stored.head) for key in ids}
        if stored.pages.get(page, 0) < revision
    }


def missing(stored: Stored, page: int) -> set[int]:
    """Revisions that this page does not hold yet."""
    upto = stored.pages.get(page, 0)
    return {
        revision
        for revision, ids in stored.changed.items()
        if revision > upto and any(_page(key, stored.head) == page for key in ids)
    }


def log_pieces(commit: Commit) -> list[bytes]:
    """The packed entries of a commit, in the order of their ids; nothing where it changes none."""
    if not commit.changes:
        return []
    body = pack({key: commit.changes[key].entry for key in sorted(commit.changes)})
    return [body[start : start + PART_BYTES] for start in range(0, len(body), PART_BYTES)]


def todo_pieces(rows: Iterable[Row]) -> list[bytes]:
    """The rows in parts that each fit an item even where nothing of them compresses."""
    parts: list[bytes] = []
    part: list[Row] = []
    room = PART_BYTES - 20_000
    for row in rows:
        size = len(msgspec.msgpack.encode(row))
        if part and size > room:
            parts.append(squeeze(part))
            part, room = [], PART_BYTES - 20_000
        part.append(row)
        room -= size
    return [*parts, squeeze(part)] if part else parts


def written_texts(rows: Iterable[Row]) -> dict[str, bytes]:
    return {
        row.item.removeprefix("check#"): bytes.fromhex(str(row.sets["digest"]))
        for row in rows
        if "digest" in row.sets
    }


def digest_of(pieces: Iterable[bytes]) -> str:
    """What names of content are made of."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()[:32]


def log_name(revision: int) -> str:
    return f"{LOG}{revision:010d}"


def spent(names: Iterable[str], head: Head) -> list[str]:
    """Logs that every page holds, and those of commits that somebody else was faster to make.

    Of the next revision some may be under way.
    """
    live = {name for log in head.logs for name in part_names(log_name(log.revision), log)}
    return [name for name in names if name not in live and name < log_name(head.revision + 1)]


def todo_name(revision: int) -> str:
    return f"todo#{revision:010d}"


def packages_name(revision: int) -> str:
    return f"{PACKAGES}{revision:010d}"


def package_pieces(components: Sequence[Component]) -> list[bytes]:
    """The packed list; one piece at least, so that an empty list is one too."""
    body = packed(components)
    return [body[start : start + PACKAGES_BYTES] for start in range(0, len(body), PACKAGES_BYTES)]


def superseded(names: Iterable[str], head: Head) -> list[str]:
    """Parts of lists that count no more, and of commits that somebody else was faster to make.

    Of the next revision some may be under way.
    """
    live = set[str]()
    if head.packages is not None:
        live.update(part_names(packages_name(head.packages.revision), head.packages))
    return [name for name in names if name not in live and name < packages_name(head.revision + 1)]


def part_names(name: str, blob: Blob) -> Iterator[str]:
    return (f"{name}#{blob.digest}#{part:04d}" for part in range(blob.parts))


def row_changes(before: Ledger, commit: Commit) -> Iterator[Row]:
    for check, text in sorted(commit.texts.items()):
        body = msgspec.json.encode(text).decode()
        yield Row(f"check#{check}", {"text": body, "digest": text.digest.hex()}, [])
    for key, change in sorted(commit.changes.items()):
        known = before.entries.get(key)
        if change.entry is not None and (known is None or _visible(known) != _visible(change.entry)):
            yield _finding_row(key, change, change.entry, commit)


def _visible(entry: Entry) -> Entry:
    """What a finding's own item shows of it: all but whether it is held."""
    return replace(entry, held=False)


def _finding_row(key: bytes, change: Change, entry: Entry, commit: Commit) -> Row:
    sets: dict[str, str | int] = {
        "state": entry.state.value,
        "since": entry.since,
        "severity": int(entry.severity),
        "scanId": commit.by,
    }
    removes = ["expires"]
    if entry.state is State.RESOLVED:
        sets["expires"] = entry.since + RESOLVED_LIFE
        removes = []
    if change.acceptance is not None:
        sets["acceptance"] = msgspec.json.encode(change.acceptance).decode()
    elif entry.state is not State.ACCEPTED:
        removes.append("acceptance")
    if (seen := change.observation) is not None:
        sets |= {
            "check": seen.check,
            "region": seen.region,
            "resource": seen.resource,
            "name": seen.name,
            "type": seen.type,
            "detail": seen.detail,
            "firstSeen": commit.at,
        }
        if seen.service != service_of(seen.check):
            sets["service"] = seen.service
        if seen.places:
            sets["places"] = msgspec.json.encode(seen.places).decode()
            if seen.packages:
                sets["packages"] = msgspec.json.encode(seen.packages).decode()
            else:
                removes.append("packages")
    return Row(f"finding#{key.hex()}", sets, removes)


def finding_of(
    target: str, key: bytes, row: Mapping[str, object], text: Mapping[str, object] | None
) -> Finding:
    check = str(row["check"])
    acceptance = row.get("acceptance")
    return Finding(
        target=target,
        id=key.hex(),
        check=check,
        service=str(row.get("service") or service_of(check)),
        account=account_of(target),
        region=str(row["region"]),
        resource=str(row["resource"]),
        name=str(row["name"]),
        type=str(row["type"]),
        severity=Severity(msgspec.convert(row["severity"], int)),
        detail=str(row["detail"]),
        state=State(str(row["state"])),
        since=msgspec.convert(row["since"], int),
        first_seen=msgspec.convert(row["firstSeen"], int),
        scan_id=str(row["scanId"]),
        acceptance=None if acceptance is None else msgspec.json.decode(str(acceptance), type=Acceptance),
        text=None if text is None else msgspec.json.decode(str(text["text"]), type=CheckText),
        places=msgspec.json.decode(str(row.get("places", "[]")), type=tuple[Place, ...]),
        packages=msgspec.json.decode(str(row.get("packages", "[]")), type=tuple[str, ...]),
    )


def as_shown(finding: Finding, as_of: int) -> Finding:
    """As `Ledger.shown`: what the latest scan was not the first to see is no longer new."""
    new = finding.state is State.NEW and finding.since < as_of
    return replace(finding, state=State.OPEN) if new else finding


def raw_bytes(value: object) -> bytes:
    """Of boto3's own type for binary attributes."""
    raw = getattr(value, "value", value)
    if not isinstance(raw, (bytes, bytearray)):
        raise UpstreamError("A ledger's item holds no bytes.", fix="See who else writes the table.")
    return bytes(raw)
