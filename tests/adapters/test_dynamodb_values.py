"""Plain values in DynamoDB: written as boto3 writes them, and read as they were."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest
from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from glovebox.adapters.dynamodb_values import value_of, wire_of
from glovebox.errors import UpstreamError

scalars = st.none() | st.booleans() | st.integers(-(10**37), 10**37) | st.text() | st.binary()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)


def plain(value: Any) -> Any:
    """What boto3 writes, without its own type for bytes."""
    if isinstance(value, Binary):
        return value.value
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


@given(values)
def test_what_is_written_is_what_boto3_writes_and_comes_back_as_it_was(value: object) -> None:
    wire = wire_of(value)
    assert wire == plain(TypeSerializer().serialize(value))
    assert value_of(wire) == value
    assert plain(TypeDeserializer().deserialize(wire)) == value


class Word(StrEnum):
    ONE = "one"


@pytest.mark.parametrize(
    ("value", "read"), [((1, "a"), [1, "a"]), (Word.ONE, "one"), (bytearray(b"x"), b"x")]
)
def test_other_spellings_of_plain_values_are_written_as_those(value: object, read: object) -> None:
    assert value_of(wire_of(value)) == read


@pytest.mark.parametrize("value", [1.5, {1, 2}, object(), [1.5]])
def test_what_has_no_place_is_not_written(value: object) -> None:
    with pytest.raises(TypeError):
        wire_of(value)


@pytest.mark.parametrize(("text", "number"), [("12", 12), ("-3", -3), ("1.5", 1.5), ("1E+2", 100)])
def test_numbers_that_others_wrote_are_read(text: str, number: float) -> None:
    assert value_of({"N": text}) == number


def test_a_kind_that_nobody_of_ours_writes_is_refused() -> None:
    with pytest.raises(UpstreamError, match="SS"):
        value_of({"SS": ["a"]})
