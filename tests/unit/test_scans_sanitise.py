"""Reports of strangers lose what acts on a terminal, a log or a reader's eye."""

from __future__ import annotations

from msgspec.structs import replace

from glovebox.scans.sanitise import plain_struct
from tests.records import good_record


def test_every_string_of_a_record_is_cleaned_down_to_the_keys_of_its_maps() -> None:
    record = good_record(site_title="a\x1b[2Jb")
    assert record.https_response is not None
    bad = replace(record.https_response, headers={"Ser\x07ver": "nginx\u202e"})
    cleaned = plain_struct(replace(record, https_response=bad))
    assert cleaned.site_title == "ab"
    assert cleaned.https_response is not None
    assert cleaned.https_response.headers == {"Server": "nginx"}
    assert replace(cleaned, site_title=record.site_title, https_response=record.https_response) == record
