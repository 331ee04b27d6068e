"""The `findings` table: hash `target`, range `item`.

| `item` | what | changes by |
|---|---|---|
| `ledger#head` | revision, latest scan, counts, which logs count | a commit, in one conditional write |
| `ledger#log#…` | the entries that one commit changed | written before its commit, never changed |
| `ledger#page#…` | all entries of a part of the ids, up to a revision | folding logs into it |
| `ledger#checks` | digests of the checks' texts | settling |
| `todo#…` | what a commit changes in findings and texts | written before its commit; expires |
| `scan#<id>` | what a scan came to | its commit |
| `check#<name>` | a check's text | settling |
| `finding#<id>` | a finding | settling |

A commit writes its log and its to-do list under names made of their content, then the head and the scan's
record in one transaction, on the condition that the head is the one that was read and is settled.  So there
is one commit at most that is not settled, and whoever comes next can settle it: every write of settling is
conditional on the revision, so that repeating it, or doing it late, changes nothing.
"""

from __future__ import annotations

import hashlib
import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import msgspec
from botocore.exceptions import ClientError
from msgspec import Struct
from msgspec.structs import replace

from glovebox.adapters.aws import calling, error_code
from glovebox.adapters.dynamodb import READ_BATCH, Item, Sleep, Wire, from_wire, in_chunks, read_all, to_wire
from glovebox.errors import ConflictError, UpstreamError
from glovebox.findings.ledger import Entry, Hold, Ledger, pack, squeeze, unpack, unsqueeze
from glovebox.findings.life import RESOLVED_LIFE, Change
from glovebox.findings.model import Acceptance, CheckText, Finding, Severity, State
from glovebox.findings.store import Commit, ScanRecord, Tally, TargetSummary

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BY_KIND: Final = "by-kind"
"""The index of heads alone (hash `kind`, range `target`): no other item has a `kind`."""
TARGET: Final = "target"
LOG: Final = "ledger#log#"
PART_BYTES: Final = 350_000
"""Of one item; DynamoDB's limit is 400 KB."""
PAGE_ENTRIES: Final = 4_000
"""About 100 KB a page: few to read, and small enough to be written one by one."""
FOLD_AFTER: Final = 4
"""Logs that may wait before pages are written."""
FOLD_BYTES: Final = 250_000
"""Written by one settling, so that no scan of a large target pays for all pages at once."""
TODO_LIFE: Final = 366 * 86_400
"""A to-do list is done within seconds; a year later nobody comes back for it."""
_AT_ONCE: Final = 8
_TRIES: Final = 8
_SALT_BYTES: Final = 16


def _new_salt() -> str:
    return secrets.token_hex(_SALT_BYTES)


class _Blob(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was written under names made of its content."""

    revision: int
    digest: str
    parts: int
    size: int


class _Head(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    revision: int = 0
    settled: int = 0
    as_of: int = 0
    bits: int = 0
    """There are two to this power of pages."""
    salt: str = ""
    """Random, and unknown to scanners: whoever knew into which page a finding goes could fill one until it
    breaks."""
    logs: tuple[_Blob, ...] = ()
    """Those that are not yet in every page."""
    todo: _Blob | None = None
    hold: Hold | None = None
    tally: Tally = Tally(states={}, services={})


class _Row(Struct, array_like=True):
    """What to write into one item: attributes set and removed."""

    item: str
    sets: dict[str, str | int]
    removes: list[str]


class _Stored(Struct, frozen=True, kw_only=True):
    """The items of a ledger, as read in one go."""

    head: _Head
    ledger: Ledger
    pages: dict[int, int]
    """Up to which revision each page is."""
    logs: tuple[str, ...]
    """The names of all log items there are, also of commits that were not made."""
    changed: dict[int, frozenset[bytes]]
    """The ids that each live log changes, by its revision."""


class DynamoFindingStore:
    """`glovebox.findings.store.FindingStore` on DynamoDB."""

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Sleep = time.sleep,
        at_once: int = _AT_ONCE,
        salt: Callable[[], str] = _new_salt,
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._sleep = sleep
        self._at_once = at_once
        self._salt = salt

    # ------------------------------------------------------------ reading

    def ledger(self, target: str) -> Ledger:
        return self._stored(target).ledger

    def scan(self, target: str, scan_id: str) -> ScanRecord | None:
        found = self._get(target, f"scan#{scan_id}")
        return None if found is None else msgspec.convert(found, ScanRecord)

    def scans(self, target: str, *, limit: int) -> Sequence[ScanRecord]:
        items = self._query(target, "scan#", newest=True, limit=limit)
        return [msgspec.convert(item, ScanRecord) for item in items]

    def findings(self, target: str, ids: Iterable[bytes]) -> Sequence[Finding]:
        wanted = list(ids)
        rows = self._read(target, (f"finding#{key.hex()}" for key in wanted))
        checks = sorted({str(row["check"]) for row in rows.values() if "check" in row})
        texts = self._read(target, (f"check#{check}" for check in checks))
        as_of = self._head(target).as_of
        found = []
        for key in wanted:
            # A row without a check is one that a settling has not filled yet.
            if "check" in (row := rows.get(f"finding#{key.hex()}", {})):
                text = texts.get(f"check#{row['check']}")
                found.append(_shown(_finding(target, key, row, text), as_of))
        return found

    def targets(self) -> Sequence[TargetSummary]:
        summaries: list[TargetSummary] = []
        with calling("Reading targets"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                IndexName=BY_KIND,
                KeyConditionExpression="kind = :kind",
                ExpressionAttributeValues=to_wire({":kind": TARGET}),
            )
            for page in pages:
                summaries.extend(msgspec.convert(from_wire(item), TargetSummary) for item in page["Items"])
        return summaries

    # ------------------------------------------------------------ committing

    def commit(self, target: str, before: Ledger, commit: Commit) -> None:
        head = self._head(target)
        if head.revision != before.revision or head.settled != head.revision:
            raise ConflictError(f"The ledger of {target} is not the one that was read.")
        revision = before.revision + 1
        log = self._write_blob(target, _log_name(revision), revision, _log(commit))
        todo = self._write_blob(target, _todo_name(revision), revision, _todo(_rows(before, commit)))
        after = replace(
            head,
            revision=revision,
            settled=head.settled if todo or log else revision,
            as_of=commit.as_of,
            salt=head.salt or self._salt(),
            logs=(*head.logs, log) if log else head.logs,
            todo=todo,
            hold=commit.hold,
            tally=commit.tally,
        )
        self._commit(target, head, after, commit.scan)

    def _commit(self, target: str, before: _Head, after: _Head, scan: ScanRecord | None) -> None:
        writes: list[Wire] = [{"Put": self._put_head(target, before, after)}]
        if scan is not None:
            put = self._put({**msgspec.to_builtins(scan), "target": target, "item": f"scan#{scan.scan_id}"})
            writes.append({"Put": {**put, "ConditionExpression": "attribute_not_exists(target)"}})
        self._transact(writes, f"The ledger of {target} was changed by somebody else.")

    # ------------------------------------------------------------ settling

    def settle(self, target: str) -> None:
        head = self._head(target)
        if head.settled == head.revision:
            return
        self._do(target, head)
        stored = self._stored(target)
        if stored.head != head:
            return  # Somebody else has settled it, and gone on.
        settled = replace(self._folded(target, stored), settled=head.revision, todo=None)
        try:
            self._swap_head(target, head, settled)
        except ConflictError:
            return
        self._delete(target, _spent(stored.logs, settled))
        if settled.bits != head.bits:
            self._delete(target, (_page_name(head.bits, page) for page in stored.pages))

    def _do(self, target: str, head: _Head) -> None:
        """Write what the last commit changes in findings and texts."""
        digests: dict[str, bytes] = {}

        def write(row: _Row) -> None:
            self._write_row(target, row, head.revision)

        with ThreadPoolExecutor(self._at_once) as pool:
            for rows in self._todo(target, head):
                # Drawing the results raises what a thread raised.
                list(pool.map(write, rows))
                digests |= _written_texts(rows)
        if digests:
            checks = {**_digests(self._get(target, "ledger#checks") or {}), **digests}
            body = squeeze({check: checks[check] for check in sorted(checks)})
            self._put_newer(
                {"target": target, "item": "ledger#checks", "revision": head.revision, "body": body}
            )

    def _todo(self, target: str, head: _Head) -> Iterator[list[_Row]]:
        """The last commit's to-do list, part by part."""
        if head.todo is None:
            return
        for name in _part_names(_todo_name(head.revision), head.todo):
            found = self._get(target, name)
            if found is None:
                raise UpstreamError(
                    f"A part of the to-do list of {target}, revision {head.revision}, is not there.",
                    fix="Restore the table to a moment within a year of that scan.",
                )
            yield msgspec.msgpack.decode(unsqueeze(_bytes(found["body"])), type=list[_Row])

    def _write_row(self, target: str, row: _Row, revision: int) -> None:
        sets = {**row.sets, "revision": revision}
        # `firstSeen` stays what it was: the day of the row's first write.
        terms = [
            f"#{name} = if_not_exists(#{name}, :{name})" if name == "firstSeen" else f"#{name} = :{name}"
            for name in sets
        ]
        expression = "SET " + ", ".join(terms)
        if row.removes:
            expression += " REMOVE " + ", ".join(f"#{name}" for name in row.removes)
        key: Item = {"target": target, "item": row.item}
        with calling("Writing a finding"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=to_wire(key),
                    UpdateExpression=expression,
                    ConditionExpression="attribute_not_exists(#revision) OR #revision < :revision",
                    ExpressionAttributeNames={f"#{name}": name for name in (*sets, *row.removes)},
                    ExpressionAttributeValues=to_wire({f":{name}": value for name, value in sets.items()}),
                )
            except ClientError as error:
                _unless_conditional(error)

    # ------------------------------------------------------------ pages and logs

    def _folded(self, target: str, stored: _Stored) -> _Head:
        """The head once enough pages are up to date: those that are furthest behind, within the budget."""
        head, entries = stored.head, stored.ledger.entries
        waiting = sum(log.size for log in head.logs)
        if len(head.logs) < FOLD_AFTER and waiting < FOLD_BYTES:
            return head
        bits = _bits(len(entries))
        if bits > head.bits:
            return self._regrown(target, stored, bits)
        budget = max(FOLD_BYTES, head.logs[-1].size if head.logs else 0)
        pages = dict(stored.pages)
        parts = _parted(entries, head)
        for page in sorted(_behind(stored), key=lambda page: pages.get(page, 0)):
            body = pack(parts.get(page, {}))
            budget -= len(body)
            if budget < 0:
                break
            self._put_page(target, head.bits, page, head.revision, body)
            pages[page] = head.revision
        current = replace(stored, pages=pages)
        needed = {revision for page in _behind(current) for revision in _missing(current, page)}
        return replace(head, logs=tuple(log for log in head.logs if log.revision in needed))

    def _regrown(self, target: str, stored: _Stored, bits: int) -> _Head:
        """All pages anew, as there are too many entries for so few."""
        grown = replace(stored.head, bits=bits, logs=())
        for page, entries in _parted(stored.ledger.entries, grown).items():
            self._put_page(target, bits, page, grown.revision, pack(entries))
        return grown

    def _put_page(self, target: str, bits: int, page: int, revision: int, body: bytes) -> None:
        self._put_newer(
            {"target": target, "item": _page_name(bits, page), "revision": revision, "body": body}
        )

    def _stored(self, target: str) -> _Stored:
        """The whole ledger.  A fold or a commit that goes on meanwhile shows, and then it is read again."""
        for turn in range(_TRIES):
            items = {str(item["item"]): item for item in self._query(target, "ledger#")}
            stored = _assembled(items)
            if stored is not None:
                return stored
            self._sleep(0.02 * 2**turn * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load only
        raise UpstreamError(f"The ledger of {target} does not hold still.", fix="Try again later.")

    # ------------------------------------------------------------ blobs

    def _write_blob(self, target: str, name: str, revision: int, pieces: Sequence[bytes]) -> _Blob | None:
        """Content under names of its own, so that two writers of one revision are in nobody's way."""
        if not pieces:
            return None
        digest = hashlib.sha256(b"".join(pieces)).hexdigest()[:32]
        size = sum(map(len, pieces))
        blob = _Blob(revision=revision, digest=digest, parts=len(pieces), size=size)
        expires = {"expires": int(self._clock()) + TODO_LIFE} if name.startswith("todo#") else {}
        for part, piece in zip(_part_names(name, blob), pieces, strict=True):
            with calling("Writing a log"):
                self._client.put_item(**self._put({"target": target, "item": part, "body": piece, **expires}))
        return blob

    # ------------------------------------------------------------ the calls

    def _head(self, target: str) -> _Head:
        found = self._get(target, "ledger#head")
        return _Head() if found is None else msgspec.convert(found, _Head)

    def _put_head(self, target: str, before: _Head, after: _Head) -> Wire:
        item = {**msgspec.to_builtins(after), "target": target, "item": "ledger#head", "kind": TARGET}
        # Always written, so that the conditions can name them.
        item |= {"revision": after.revision, "settled": after.settled, "asOf": after.as_of}
        item["tally"] = msgspec.to_builtins(after.tally)
        if not before.revision:
            return {**self._put(item), "ConditionExpression": "attribute_not_exists(target)"}
        values: Item = {":revision": before.revision, ":settled": before.settled}
        return {
            **self._put(item),
            "ConditionExpression": "revision = :revision AND settled = :settled",
            "ExpressionAttributeValues": to_wire(values),
        }

    def _swap_head(self, target: str, before: _Head, after: _Head) -> None:
        with calling("Settling a ledger"):
            try:
                self._client.put_item(**self._put_head(target, before, after))
            except ClientError as error:
                _unless_conditional(error)
                raise ConflictError(f"The ledger of {target} was settled by somebody else.") from error

    def _delete(self, target: str, items: Iterable[str]) -> None:
        for item in items:
            key: Item = {"target": target, "item": item}
            with calling("Deleting a log"):
                self._client.delete_item(TableName=self._table, Key=to_wire(key))

    def _put(self, item: Item) -> Wire:
        return {"TableName": self._table, "Item": to_wire(item)}

    def _put_newer(self, item: Item) -> None:
        """Put where what stands is of an earlier revision, or nothing stands."""
        with calling("Writing a page"):
            try:
                self._client.put_item(
                    **self._put(item),
                    ConditionExpression="attribute_not_exists(revision) OR revision < :revision",
                    ExpressionAttributeValues=to_wire({":revision": item["revision"]}),
                )
            except ClientError as error:
                _unless_conditional(error)

    def _get(self, target: str, item: str) -> dict[str, object] | None:
        key: Item = {"target": target, "item": item}
        with calling("Reading findings"):
            answer = self._client.get_item(TableName=self._table, Key=to_wire(key), ConsistentRead=True)
        return from_wire(answer["Item"]) if "Item" in answer else None

    def _read(self, target: str, items: Iterable[str]) -> dict[str, dict[str, object]]:
        found: dict[str, dict[str, object]] = {}
        for chunk in in_chunks(items, READ_BATCH):
            keys: list[Item] = [{"target": target, "item": item} for item in chunk]
            for row in read_all(self._client, self._table, keys, sleep=self._sleep):
                found[str(row["item"])] = row
        return found

    def _query(
        self, target: str, prefix: str, *, newest: bool = False, limit: int | None = None
    ) -> Iterator[dict[str, object]]:
        with calling("Reading findings"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="target = :target AND begins_with(#item, :prefix)",
                ExpressionAttributeNames={"#item": "item"},
                ExpressionAttributeValues=to_wire({":target": target, ":prefix": prefix}),
                ScanIndexForward=not newest,
                ConsistentRead=True,
                PaginationConfig={"MaxItems": limit, "PageSize": limit} if limit else {},
            )
            for page in pages:
                yield from (from_wire(item) for item in page["Items"])

    def _transact(self, writes: Sequence[Wire], conflict: str) -> None:
        """All or nothing.  Raises ConflictError where a condition fails, or another one is under way."""
        # The stubs want each operation's own dictionary type.
        items: Any = writes
        with calling("Committing findings"):
            try:
                self._client.transact_write_items(TransactItems=items)
            except ClientError as error:
                if not _is_conflict(error):
                    raise
                raise ConflictError(conflict) from error


# ---------------------------------------------------------------- items and values


def _assembled(items: Mapping[str, Mapping[str, object]]) -> _Stored | None:
    """A ledger out of its items; `None` where they are of different moments."""
    head = msgspec.convert(items.get("ledger#head", {}), _Head)
    entries: dict[bytes, Entry] = {}
    pages: dict[int, int] = {}
    for page in range(2**head.bits):
        if (item := items.get(_page_name(head.bits, page))) is not None:
            pages[page] = msgspec.convert(item["revision"], int)
            if pages[page] > head.revision:
                return None
            entries.update(_present(_bytes(item["body"])))
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
        checks=_digests(items.get("ledger#checks", {})),
        hold=head.hold,
    )
    logs = tuple(name for name in items if name.startswith(LOG))
    return _Stored(head=head, ledger=ledger, pages=pages, logs=logs, changed=changed)


def _joined(items: Mapping[str, Mapping[str, object]], log: _Blob) -> bytes | None:
    names = list(_part_names(_log_name(log.revision), log))
    if any(name not in items for name in names):
        return None
    return b"".join(_bytes(items[name]["body"]) for name in names)


def _present(body: bytes) -> Iterator[tuple[bytes, Entry]]:
    return ((key, entry) for key, entry in unpack(body) if entry is not None)


def _digests(item: Mapping[str, object]) -> dict[str, bytes]:
    if "body" not in item:
        return {}
    return msgspec.msgpack.decode(unsqueeze(_bytes(item["body"])), type=dict[str, bytes])


def _page_name(bits: int, page: int) -> str:
    return f"ledger#page#{bits:02d}#{page:04d}"


def _page(key: bytes, head: _Head) -> int:
    if not head.bits:
        return 0
    digest = hashlib.blake2b(key, key=head.salt.encode(), digest_size=2).digest()
    return int.from_bytes(digest, "big") >> (16 - head.bits)


def _bits(entries: int) -> int:
    """So that a page holds about `PAGE_ENTRIES`, or half as many."""
    return max(-(-entries // PAGE_ENTRIES) - 1, 0).bit_length()


def _parted(entries: Mapping[bytes, Entry], head: _Head) -> dict[int, dict[bytes, Entry | None]]:
    """Entries by page, each page's sorted, so that equal entries make equal bytes."""
    parts: dict[int, dict[bytes, Entry | None]] = {}
    for key in sorted(entries):
        parts.setdefault(_page(key, head), {})[key] = entries[key]
    return parts


def _behind(stored: _Stored) -> set[int]:
    """Pages that a log changes and that do not hold it yet."""
    return {
        page
        for revision, ids in stored.changed.items()
        for page in {_page(key, stored.head) for key in ids}
        if stored.pages.get(page, 0) < revision
    }


def _missing(stored: _Stored, page: int) -> set[int]:
    """Revisions that this page does not hold yet."""
    upto = stored.pages.get(page, 0)
    return {
        revision
        for revision, ids in stored.changed.items()
        if revision > upto and any(_page(key, stored.head) == page for key in ids)
    }


def _log(commit: Commit) -> list[bytes]:
    """The packed entries of a commit, in the order of their ids; nothing where it changes none."""
    if not commit.changes:
        return []
    body = pack({key: commit.changes[key].entry for key in sorted(commit.changes)})
    return [body[start : start + PART_BYTES] for start in range(0, len(body), PART_BYTES)]


def _todo(rows: Iterable[_Row]) -> list[bytes]:
    """The rows in parts that each fit an item even where nothing of them compresses."""
    parts: list[bytes] = []
    part: list[_Row] = []
    room = PART_BYTES - 20_000
    for row in rows:
        size = len(msgspec.msgpack.encode(row))
        if part and size > room:
            parts.append(squeeze(part))
            part, room = [], PART_BYTES - 20_000
        part.append(row)
        room -= size
    return [*parts, squeeze(part)] if part else parts


def _written_texts(rows: Iterable[_Row]) -> dict[str, bytes]:
    return {
        row.item.removeprefix("check#"): bytes.fromhex(str(row.sets["digest"]))
        for row in rows
        if "digest" in row.sets
    }


def _log_name(revision: int) -> str:
    return f"{LOG}{revision:010d}"


def _spent(names: Iterable[str], head: _Head) -> list[str]:
    """Logs that every page holds, and those of commits that somebody else was faster to make.

    Of the next revision some may be under way.
    """
    live = {name for log in head.logs for name in _part_names(_log_name(log.revision), log)}
    return [name for name in names if name not in live and name < _log_name(head.revision + 1)]


def _todo_name(revision: int) -> str:
    return f"todo#{revision:010d}"


def _part_names(name: str, blob: _Blob) -> Iterator[str]:
    return (f"{name}#{blob.digest}#{part:04d}" for part in range(blob.parts))


def _rows(before: Ledger, commit: Commit) -> Iterator[_Row]:
    for check, text in sorted(commit.texts.items()):
        body = msgspec.json.encode(text).decode()
        yield _Row(f"check#{check}", {"text": body, "digest": text.digest.hex()}, [])
    for key, change in sorted(commit.changes.items()):
        known = before.entries.get(key)
        if change.entry is not None and (known is None or _visible(known) != _visible(change.entry)):
            yield _finding_row(key, change, change.entry, commit)


def _visible(entry: Entry) -> Entry:
    """What a finding's own item shows of it: all but whether it is held."""
    return replace(entry, held=False)


def _finding_row(key: bytes, change: Change, entry: Entry, commit: Commit) -> _Row:
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
    return _Row(f"finding#{key.hex()}", sets, removes)


def _finding(
    target: str, key: bytes, row: Mapping[str, object], text: Mapping[str, object] | None
) -> Finding:
    check = str(row["check"])
    acceptance = row.get("acceptance")
    return Finding(
        target=target,
        id=key.hex(),
        check=check,
        service=check.partition("_")[0],
        account=target.rpartition(":")[2],
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
    )


def _shown(finding: Finding, as_of: int) -> Finding:
    """As `Ledger.shown`: what the latest scan was not the first to see is no longer new."""
    new = finding.state is State.NEW and finding.since < as_of
    return replace(finding, state=State.OPEN) if new else finding


def _bytes(value: object) -> bytes:
    """Of boto3's own type for binary attributes."""
    raw = getattr(value, "value", value)
    if not isinstance(raw, (bytes, bytearray)):
        raise UpstreamError("A ledger's item holds no bytes.", fix="See who else writes the table.")
    return bytes(raw)


def _is_conflict(error: ClientError) -> bool:
    """Whether a transaction was cancelled for somebody else's write, and not for want of throughput."""
    if error_code(error) != "TransactionCanceledException":
        return False
    # The stubs know no response of this one error.
    response: Any = error.response
    codes = {reason.get("Code") for reason in response.get("CancellationReasons", [])}
    return codes <= {"ConditionalCheckFailed", "TransactionConflict", "None", None}


def _unless_conditional(error: ClientError) -> None:
    """A condition that does not hold is fine: a later revision stands."""
    if error_code(error) != "ConditionalCheckFailedException":
        raise error
