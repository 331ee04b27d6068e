"""Items of an array are found whatever they are, and nothing is looked at for ever."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glovebox.findings import array
from glovebox.findings.array import MAX_DEPTH, MAX_ITEM_BYTES, ArrayReader, Broken, End

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def read(data: bytes) -> tuple[list[bytes | Broken], End]:
    reader = ArrayReader(data)
    return [item.broken or item.body for item in reader.items()], reader.end


@given(st.lists(VALUES, min_size=1, max_size=8), st.sampled_from([None, 4]), st.booleans())
def test_every_array_falls_into_its_items(values: list[object], indent: int | None, escaped: bool) -> None:
    data = json.dumps(values, indent=indent, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    found, end = read(data)
    assert end is End.WHOLE
    assert [
        json.loads(body.decode("utf-8", "surrogatepass")) for body in found if isinstance(body, bytes)
    ] == values


@given(st.lists(VALUES, min_size=1, max_size=5), st.data())
def test_a_cut_array_gives_whole_items_only_and_says_so(values: list[object], data: st.DataObject) -> None:
    whole = json.dumps(values).encode()
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    found, end = read(cut)
    assert end is not End.WHOLE
    # A number's end shows only by what follows it, so the last one may be cut.
    for body, value in list(zip(found, values, strict=False))[:-1]:
        assert isinstance(body, bytes)
        assert json.loads(body) == value


@given(st.binary(max_size=300))
def test_any_bytes_end_in_one_way_or_another(data: bytes) -> None:
    found, _ = read(b"[" + data)
    assert len(found) <= len(data)


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"", End.EMPTY),
        (b" \n", End.EMPTY),
        (b"{}", End.NO_ARRAY),
        (b"\xef\xbb\xbf[]", End.NO_ARRAY),
        ("[{}]".encode("utf-16"), End.NO_ARRAY),
        (b"[", End.TRUNCATED),
        (b"[{}", End.TRUNCATED),
        (b"[{},", End.TRUNCATED),
        (b'[{"a', End.TRUNCATED),
        (b'[{"a": [', End.TRUNCATED),
        (b"[{} {}]", End.GARBLED),
        (b"[{},]", End.GARBLED),
        (b"[,{}]", End.GARBLED),
        (b"[{}}", End.GARBLED),
        (b"[{}] x", End.TRAILING),
        (b"[{}][{}]", End.TRAILING),
        (b"[]", End.WHOLE),
        (b" [ ] \n", End.WHOLE),
    ],
)
def test_how_an_array_ended(data: bytes, end: End) -> None:
    assert read(data)[1] is end


def test_too_deep_an_item_costs_no_other() -> None:
    deep = b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)
    fits = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert read(b"[1," + deep + b"," + fits + b',{"a":2}]') == (
        [b"1", Broken.DEEP, fits, b'{"a":2}'],
        End.WHOLE,
    )


def test_too_large_an_item_costs_no_other() -> None:
    def sized(size: int) -> bytes:
        return b'{"a":"' + b"x" * (size - 8) + b'"}'

    fits = sized(MAX_ITEM_BYTES)
    assert read(b"[" + sized(MAX_ITEM_BYTES + 1) + b"," + fits + b"]") == ([Broken.OVERSIZE, fits], End.WHOLE)


def test_brackets_and_escaped_quotes_in_strings_are_text() -> None:
    tricky = b'{"]}": "\\"},{\\\\", "b": ["[", "{"]}'
    assert read(b"[" + tricky + b",2]") == ([tricky, b"2"], End.WHOLE)


def test_the_search_for_ends_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array, "MAX_SEARCH_TOKENS", 1_000)
    deep = b"[" * 200 + b"]" * 200
    found, end = read(b"[" + b",".join([deep] * 10) + b"]")
    assert (found, end) == ([Broken.DEEP, Broken.DEEP], End.EXHAUSTED)
