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
| `packages#…` | the packages that a repository uses | written before the commit that makes them count |

A commit writes its log and its to-do list under names made of their content, then the head and the scan's
record in one transaction, on the condition that the head is the one that was read and is settled.  So there
is one commit at most that is not settled, and whoever comes next can settle it: every write of settling is
conditional on the revision, so that repeating it, or doing it late, changes nothing.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import msgspec
from botocore.exceptions import ClientError
from msgspec.structs import replace

from glovebox.adapters.aws import calling, error_code
from glovebox.adapters.dynamodb import READ_BATCH, Item, Sleep, from_wire, in_chunks, read_all, to_wire
from glovebox.adapters.dynamodb_values import Wire
from glovebox.adapters.findings_items import (
    PACKAGES,
    Blob,
    Head,
    Row,
    Stored,
    as_shown,
    assembled,
    behind,
    bits_for,
    digest_of,
    digests_of,
    finding_of,
    log_name,
    log_pieces,
    missing,
    package_pieces,
    packages_name,
    page_name,
    part_names,
    parted,
    raw_bytes,
    row_changes,
    spent,
    superseded,
    todo_name,
    todo_pieces,
    written_texts,
)
from glovebox.errors import ConflictError, UpstreamError
from glovebox.findings.ledger import Ledger, pack, squeeze, unsqueeze
from glovebox.findings.model import Finding
from glovebox.findings.packages import Component, unpacked
from glovebox.findings.store import Commit, ScanRecord, TargetSummary

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BY_KIND: Final = "by-kind"
"""The index of heads alone (hash `kind`, range `target`): no other item has a `kind`."""
TARGET: Final = "target"
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
                found.append(as_shown(finding_of(target, key, row, text), as_of))
        return found

    def components(self, target: str) -> Sequence[Component]:
        for turn in range(_TRIES):
            packages = self._head(target).packages
            if packages is None:
                return ()
            found = [self._get(target, name) for name in _parts_of(packages)]
            parts = [raw_bytes(item["body"]) for item in found if item is not None]
            if len(parts) == packages.parts:
                return unpacked(b"".join(parts))
            # Another list counts since.
            self._sleep(0.02 * 2**turn * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load only
        raise UpstreamError(f"The packages of {target} do not hold still.", fix="Try again later.")

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
        log = self._write_blob(target, log_name(revision), revision, log_pieces(commit))
        todo = self._write_blob(
            target, todo_name(revision), revision, todo_pieces(row_changes(before, commit))
        )
        packages = head.packages
        if commit.components is not None:
            packages = self._write_packages(target, revision, commit.components, head.packages)
        after = replace(
            head,
            revision=revision,
            settled=head.settled if todo or log or packages != head.packages else revision,
            packages=packages,
            as_of=commit.as_of,
            salt=head.salt or self._salt(),
            logs=(*head.logs, log) if log else head.logs,
            todo=todo,
            hold=commit.hold,
            tally=commit.tally,
        )
        self._commit(target, head, after, commit.scan)

    def _commit(self, target: str, before: Head, after: Head, scan: ScanRecord | None) -> None:
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
        self._delete(target, spent(stored.logs, settled))
        if settled.packages is not None and settled.packages.revision == settled.revision:
            names = [str(item["item"]) for item in self._query(target, PACKAGES)]
            self._delete(target, superseded(names, settled))
        if settled.bits != head.bits:
            self._delete(target, (page_name(head.bits, page) for page in stored.pages))

    def _do(self, target: str, head: Head) -> None:
        """Write what the last commit changes in findings and texts."""
        digests: dict[str, bytes] = {}

        def write(row: Row) -> None:
            self._write_row(target, row, head.revision)

        with ThreadPoolExecutor(self._at_once) as pool:
            for rows in self._todo(target, head):
                # Drawing the results raises what a thread raised.
                list(pool.map(write, rows))
                digests |= written_texts(rows)
        if digests:
            checks = {**digests_of(self._get(target, "ledger#checks") or {}), **digests}
            body = squeeze({check: checks[check] for check in sorted(checks)})
            self._put_newer(
                {"target": target, "item": "ledger#checks", "revision": head.revision, "body": body}
            )

    def _todo(self, target: str, head: Head) -> Iterator[list[Row]]:
        """The last commit's to-do list, part by part."""
        if head.todo is None:
            return
        for name in part_names(todo_name(head.revision), head.todo):
            found = self._get(target, name)
            if found is None:
                raise UpstreamError(
                    f"A part of the to-do list of {target}, revision {head.revision}, is not there.",
                    fix="Restore the table to a moment within a year of that scan.",
                )
            yield msgspec.msgpack.decode(unsqueeze(raw_bytes(found["body"])), type=list[Row])

    def _write_row(self, target: str, row: Row, revision: int) -> None:
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

    def _folded(self, target: str, stored: Stored) -> Head:
        """The head once enough pages are up to date: those that are furthest behind, within the budget."""
        head, entries = stored.head, stored.ledger.entries
        waiting = sum(log.size for log in head.logs)
        if len(head.logs) < FOLD_AFTER and waiting < FOLD_BYTES:
            return head
        bits = bits_for(len(entries))
        if bits > head.bits:
            return self._regrown(target, stored, bits)
        budget = max(FOLD_BYTES, head.logs[-1].size if head.logs else 0)
        pages = dict(stored.pages)
        parts = parted(entries, head)
        for page in sorted(behind(stored), key=lambda page: pages.get(page, 0)):
            body = pack(parts.get(page, {}))
            budget -= len(body)
            if budget < 0:
                break
            self._put_page(target, head.bits, page, head.revision, body)
            pages[page] = head.revision
        current = replace(stored, pages=pages)
        needed = {revision for page in behind(current) for revision in missing(current, page)}
        return replace(head, logs=tuple(log for log in head.logs if log.revision in needed))

    def _regrown(self, target: str, stored: Stored, bits: int) -> Head:
        """All pages anew, as there are too many entries for so few."""
        grown = replace(stored.head, bits=bits, logs=())
        for page, entries in parted(stored.ledger.entries, grown).items():
            self._put_page(target, bits, page, grown.revision, pack(entries))
        return grown

    def _put_page(self, target: str, bits: int, page: int, revision: int, body: bytes) -> None:
        self._put_newer({"target": target, "item": page_name(bits, page), "revision": revision, "body": body})

    def _stored(self, target: str) -> Stored:
        """The whole ledger.  A fold or a commit that goes on meanwhile shows, and then it is read again."""
        for turn in range(_TRIES):
            items = {str(item["item"]): item for item in self._query(target, "ledger#")}
            stored = assembled(items)
            if stored is not None:
                return stored
            self._sleep(0.02 * 2**turn * random.uniform(0.5, 1.5))  # noqa: S311 - spreads load only
        raise UpstreamError(f"The ledger of {target} does not hold still.", fix="Try again later.")

    # ------------------------------------------------------------ blobs

    def _write_blob(self, target: str, name: str, revision: int, pieces: Sequence[bytes]) -> Blob | None:
        """Content under names of its own, so that two writers of one revision are in nobody's way."""
        if not pieces:
            return None
        size = sum(map(len, pieces))
        blob = Blob(revision=revision, digest=digest_of(pieces), parts=len(pieces), size=size)
        expires = {"expires": int(self._clock()) + TODO_LIFE} if name.startswith("todo#") else {}
        for part, piece in zip(part_names(name, blob), pieces, strict=True):
            with calling("Writing a log"):
                self._client.put_item(**self._put({"target": target, "item": part, "body": piece, **expires}))
        return blob

    def _write_packages(
        self, target: str, revision: int, components: Sequence[Component], known: Blob | None
    ) -> Blob | None:
        """The list that is to count; what is on record where it says the same."""
        pieces = package_pieces(components)
        if known is not None and known.digest == digest_of(pieces):
            return known
        return self._write_blob(target, packages_name(revision), revision, pieces)

    # ------------------------------------------------------------ the calls

    def _head(self, target: str) -> Head:
        found = self._get(target, "ledger#head")
        return Head() if found is None else msgspec.convert(found, Head)

    def _put_head(self, target: str, before: Head, after: Head) -> Wire:
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

    def _swap_head(self, target: str, before: Head, after: Head) -> None:
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


def _parts_of(packages: Blob) -> Iterator[str]:
    return part_names(packages_name(packages.revision), packages)


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
