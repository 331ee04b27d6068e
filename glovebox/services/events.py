"""What wakes the functions: changes of the scans table, objects that were written, a new day.

Of a change only the keys are read, because an image may be out of date.
"""

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


class _Named(Struct, frozen=True):
    name: str


class S3Object(Struct, frozen=True, rename="kebab"):
    """An object that was written."""

    key: str
    version_id: str | None = None
    """S3 always says it for a versioned bucket; empty or left out for others, and by the local cloud's
    emulator."""


class _Detail(Struct, frozen=True):
    bucket: _Named
    object: S3Object


class ObjectCreated(Struct, frozen=True):
    """EventBridge's "Object Created" of S3, as far as we read it."""

    detail: _Detail


def created_object(event: object, bucket: str) -> S3Object:
    """The object that an "Object Created" of this bucket is about.  Raises InputError for any other event."""
    try:
        detail = msgspec.convert(event, ObjectCreated).detail
    except msgspec.ValidationError as error:
        raise InputError(f"The event is no Object Created event: {error}.") from error
    if detail.bucket.name != bucket:
        raise InputError("The event is of another bucket.")
    return detail.object


def is_daily(event: object) -> bool:
    """Whether the event is what a schedule says once a day: `{"daily": true}`."""
    return event == {"daily": True}
