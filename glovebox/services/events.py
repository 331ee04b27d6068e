"""DynamoDB stream events of the scans table: only the keys are read, because an image may be out of date."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from glovebox.errors import InputError


class _Text(Struct, frozen=True):
    value: str = msgspec.field(name="S")


class _Keys(Struct, frozen=True, rename="camel"):
    run_id: _Text
    scan_id: _Text


class _Change(Struct, frozen=True):
    keys: _Keys = msgspec.field(name="Keys")


class _Record(Struct, frozen=True):
    dynamodb: _Change


class StreamEvent(Struct, frozen=True):
    records: list[_Record] = msgspec.field(name="Records")


def changed_items(event: object) -> list[tuple[str, str]]:
    """`(runId, scanId)` of each item that changed, each once, in order.

    Raises InputError for anything but a stream event.
    """
    try:
        found = msgspec.convert(event, StreamEvent)
    except msgspec.ValidationError as error:
        raise InputError(f"The event is none of the scans table's stream: {error}.") from error
    keys = (record.dynamodb.keys for record in found.records)
    return list(dict.fromkeys((key.run_id.value, key.scan_id.value) for key in keys))
