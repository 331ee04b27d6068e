"""Strings of strangers lose what acts on a terminal, a log or a reader's eye."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from glovebox.scans.sanitise import plain, plain_struct
from glovebox.siteaudit.web.clean import clean
from tests.records import good_record


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


def test_every_string_of_a_record_is_cleaned_down_to_the_keys_of_its_maps() -> None:
    record = good_record(site_title="a\x1b[2Jb")
    assert record.https_response is not None
    bad = replace(record.https_response, headers={"Ser\x07ver": "nginx\u202e"})
    cleaned = plain_struct(replace(record, https_response=bad))
    assert cleaned.site_title == "ab"
    assert cleaned.https_response is not None
    assert cleaned.https_response.headers == {"Server": "nginx"}
    assert replace(cleaned, site_title=record.site_title, https_response=record.https_response) == record


def test_nothing_gets_through_that_the_auditor_itself_would_not_have_kept() -> None:
    """A hostile scanner leaves out the auditor's own cleaning."""
    for point in range(sys.maxunicode + 1):
        if not clean(f"a{chr(point)}b", 9).removeprefix("a").removesuffix("b").strip():
            assert plain(chr(point)).strip() == "", hex(point)
