"""The files of a run: the field's columns, safe cells, streaming, equal bytes for equal runs."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from glovebox.siteaudit.hosts import LineNote
from glovebox.siteaudit.record import Shodan, SiteRecord, from_json, to_json
from glovebox.sites.publication import (
    publication_key,
    safe_cell,
    write_folder,
    write_publication,
    zip_name,
)
from glovebox.sites.summary import RunSummary, summarise
from tests.records import SCAN_DATE, failed_record, good_record

FIRST_COLUMNS = (
    "domain,hostname,ip,TLSRedirect,redirectType,TLSSiteExist,serialNumber,notValidBefore,notValidAfter,"
    "signatureHashAlgorithm,statusCode,statusMessage,issuerCommonName,Server,X-Powered-By,asn,"
    "asnCountryCode,isp,formFields,siteTitle,shodan_ports,shodan_last_update,html_size"
)

RECORDS = [good_record("www.example.com"), failed_record("gone.example.com", "nxdomain", "no such name")]
REJECTED = LineNote(line=3, text="localhost", reason="no public name")
RUN = summarise(
    "20260304T050607Z-0a1b2c3d",
    SCAN_DATE,
    ["www.example.com", "gone.example.com", "late.example.com"],
    {"www.example.com": "ok", "gone.example.com": "nxdomain"},
    [REJECTED],
)


def publish(records: list[SiteRecord], run: RunSummary = RUN) -> zipfile.ZipFile:
    out = io.BytesIO()
    write_publication(records, run, out)
    return zipfile.ZipFile(out)


def rows_of(records: list[SiteRecord]) -> list[dict[str, str]]:
    text = publish(records).read("output.csv").decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_csv_begins_with_the_fields_23_columns_in_order() -> None:
    header = publish(RECORDS).read("output.csv").decode().split("\r\n")[0]
    assert header.startswith(FIRST_COLUMNS + ",")


def test_a_whole_record_fills_the_columns() -> None:
    shodan = Shodan(
        status="found",
        asn="AS64500",
        asn_country_code="SG",
        isp="An ISP",
        ports=[80, 443],
        last_update="2026-03-01",
    )
    (row,) = rows_of([good_record(shodan=shodan)])
    assert [row[name] for name in FIRST_COLUMNS.split(",")] == [
        *("example.com", "www", "192.0.2.10", "True", "HTTP Status Code", "True"),
        *("0a1b2c", "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z", "sha256", "0", "valid", "Example CA"),
        *("nginx", "PHP/8.3", "AS64500", "SG", "An ISP", "2", "An example", "80 443", "2026-03-01", "5120"),
    ]
    ours = ("FQDN", "TLSVersions", "mozillaProfile", "daysLeft", "headerGrade", "headerScore", "Valid HTTPS")
    assert [row[name] for name in ours] == [
        *("www.example.com", "TLSv1.2 TLSv1.3", "intermediate", "28", "C+", "65", "True")
    ]


def test_a_host_that_failed_has_its_row_with_class_and_fault() -> None:
    (row,) = rows_of([failed_record("gone.example.com", "nxdomain")])
    assert (row["FQDN"], row["failureClass"], row["fault"], row["ip"]) == (
        *("gone.example.com", "nxdomain", "absent", ""),
    )


@pytest.mark.parametrize(
    "title",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", '=HYPERLINK("http://x","y")'],
)
def test_text_that_begins_like_a_formula_is_made_text(title: str) -> None:
    (row,) = rows_of([good_record(site_title=title)])
    assert row["siteTitle"] == "'" + title


def test_numbers_keep_their_sign_and_quotes_commas_and_newlines_survive() -> None:
    assert safe_cell(-3) == "-3"
    title = 'a "quoted", one\r\nand two lines, <b>ü</b> 💩'
    (row,) = rows_of([good_record(site_title=title)])
    assert row["siteTitle"] == title


def test_jsonl_holds_the_records_and_full_output_the_run_too() -> None:
    archive = publish(RECORDS)
    lines = archive.read("output.jsonl").splitlines()
    assert [from_json(line) for line in lines] == RECORDS
    full = json.loads(archive.read("full_output.json"))
    assert [one["FQDN"] for one in full["results"]] == ["www.example.com", "gone.example.com"]
    assert full["run"] == {
        "runId": "20260304T050607Z-0a1b2c3d",
        "scanDate": SCAN_DATE,
        "hosts": 3,
        "records": 2,
        "counts": {"ok": 1, "nxdomain": 1},
        "missing": ["late.example.com"],
        "rejectedLines": [{"line": 3, "text": "localhost", "reason": "no public name", "used": False}],
        "rejectedCount": 1,
        "partial": True,
    }


def test_a_run_without_records_gives_valid_files() -> None:
    archive = publish([])
    assert json.loads(archive.read("full_output.json"))["results"] == []
    assert archive.read("output.jsonl") == b""
    assert archive.read("output.csv").decode().startswith("domain,")


def test_equal_runs_give_equal_bytes() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    write_publication(iter(RECORDS), RUN, first)
    write_publication(iter(RECORDS), RUN, second)
    assert first.getvalue() == second.getvalue()
    assert zipfile.ZipFile(first).infolist()[0].date_time == (2026, 3, 4, 0, 0, 0)


def test_thousands_of_records_need_the_memory_of_a_few(tmp_path: Path) -> None:
    count = 2_000
    record = good_record(links=[f"https://www.example.com/{'x' * 150}/{number}" for number in range(50)])
    whole = len(to_json(record)) * count
    tracemalloc.start()
    try:
        with (tmp_path / "out.zip").open("wb") as out:
            write_publication((record for _ in range(count)), RUN, out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000 < whole / 10


def test_a_folder_holds_the_three_files_and_the_same_zip(tmp_path: Path) -> None:
    journal = tmp_path / "output.jsonl"
    journal.write_bytes(b"".join(to_json(record) + b"\n" for record in RECORDS))

    def lines() -> list[bytes]:
        return journal.read_bytes().splitlines()[::-1]

    paths = write_folder(lines, RUN, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)
    assert [path.name for path in paths] == [
        "output.csv",
        "output.jsonl",
        "full_output.json",
        zip_name(SCAN_DATE),
    ]
    out = io.BytesIO()
    write_publication(RECORDS[::-1], RUN, out)
    assert paths[-1].read_bytes() == out.getvalue()
    with zipfile.ZipFile(paths[-1]) as archive:
        assert all(archive.read(path.name) == path.read_bytes() for path in paths[:3])


def test_names_of_the_zip() -> None:
    assert zip_name(SCAN_DATE) == "scan_2026-03-04.zip"
    key = publication_key("20260304T050607Z-0a1b2c3d", SCAN_DATE)
    assert key == "files/scan_2026-03-04_20260304T050607Z-0a1b2c3d.zip"
