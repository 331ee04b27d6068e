"""Strings of strangers lose, or show, what acts on a terminal, a log or a reader's eye."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glovebox.text import clean, plain, visible


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("An example", "An example"),
        ("two\r\nlines\tand a tab", "two lines and a tab"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07shown", "shown"),
        ("\x1b]8;;https://evil.example\x1b\\link", "link"),
        ("\x9b2Jcleared", "cleared"),
        ("\x1bcreset", "reset"),
        ("gnp.\u202eexe", "gnp.exe"),
        ("\u2066isolated\u2069", "isolated"),
        ("nul\x00 and bell\x07", "nul and bell"),
        ("Ünïcödé 漢字 🔒", "Ünïcödé 漢字 🔒"),
        ("an unfinished \x1b]0;string that never ends", "an unfinished "),
    ],
)
def test_plain_text_has_no_controls(text: str, expected: str) -> None:
    assert plain(text) == expected


@given(st.text())
def test_plain_text_is_plain_already(text: str) -> None:
    once = plain(text)
    assert plain(once) == once
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) <= 0x9F for character in once)


@given(st.text(max_size=200), st.integers(1, 50))
def test_clean_text_is_short_and_printable_on_one_line(text: str, limit: int) -> None:
    cleaned = clean(text, limit)
    assert len(cleaned) <= limit
    assert not any(c < " " or "\x7f" <= c <= "\x9f" or c in "\u202e\u2066\ufeff" for c in cleaned)
    cleaned.encode()


def test_clean_text_has_single_blanks_and_none_at_its_ends() -> None:
    assert clean("  a \n\t b\u200b  c ", 9) == "a b c"
    assert clean("a\x1b[31;1mb\x1b]c", 9) == "ab"


@given(st.text(max_size=200), st.integers(1, 50))
def test_visible_text_is_short_and_hides_nothing(text: str, limit: int) -> None:
    shown = visible(text, limit)
    assert len(shown) <= limit
    assert not any(c < " " or "\x7f" <= c <= "\x9f" or c in "\u200b\u202e\u2066\ufeff" for c in shown)


def test_visible_text_spells_out_and_says_where_it_is_cut() -> None:
    assert visible("a\x1b[2J\u202eb", 40) == "a<U+001B>[2J<U+202E>b"
    assert visible("abcdef", 4) == "abc…"
    assert visible("abcd", 4) == "abcd"
