"""The public queries: each answer in the field's form, each bad parameter refused with its reason."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from glovebox.errors import InputError, UpstreamError
from glovebox.services.audit_api import AuditApi, ProxyAnswer
from glovebox.sites import openapi
from glovebox.sites.item import item_of
from glovebox.sites.queries import MAX_LIMIT, MAX_QUERY, token
from tests.fakes import FakePublication, FakeRegistry, FakeSites
from tests.records import failed_record, good_record

A, B = "a.example.com", "b.example.com"
DATES = [f"2026-03-{day:02d}T05:00:00Z" for day in range(1, 6)]
RUN = "20260304T050607Z-0badcafe"


@pytest.fixture(scope="module")
def api() -> AuditApi:
    sites, registry, publication = FakeSites(), FakeRegistry(), FakePublication()
    sites.put(item_of(good_record(A, scan_date=date), RUN) for date in DATES)
    sites.put([item_of(failed_record(B, "nxdomain", scan_date=DATES[0]), RUN)])
    registry.note({A: "example.com", B: "example.com", "www.example.org": "example.org"}, DATES[0])
    for date in DATES:
        publication.put(f"files/scan_{date[:10]}_{RUN}.zip", io.BytesIO(b"zip"), "application/zip")
        publication.put(f"files/scan_{date[:10]}_{RUN}/output.csv", io.BytesIO(b"csv"), "text/csv")
    return AuditApi(sites=sites, registry=registry, publication=publication)


# What the gateway's answers hold is JSON, whose type is the test's to know.
Json = Any


def ask(api: AuditApi, call: str, raw: str | None = None, **parameters: str) -> tuple[int, Json]:
    answer = send(api, f"/api/{call}", raw if raw is not None else urlencode(parameters))
    return answer.status_code, json.loads(answer.body)


def send(
    api: AuditApi, path: str, query: str = "", method: str = "GET", stage: str = "$default"
) -> ProxyAnswer:
    return api.handle(
        {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": query,
            "requestContext": {"http": {"method": method, "path": path}, "stage": stage},
        }
    )


def test_site_details_is_the_latest_record(api: AuditApi) -> None:
    status, record = ask(api, "siteDetails", FQDN=A)
    assert (status, record["FQDN"], record["scanDate"]) == (200, A, DATES[-1])
    assert record["httpsResponse"]["statusCode"] == 200
    assert record["certData"]["statusCode"] == 0


@pytest.mark.parametrize("name", ["A.Example.COM", "a.example.com.", "%61.example.com"])
def test_a_name_may_be_written_in_every_usual_form(api: AuditApi, name: str) -> None:
    assert ask(api, "siteDetails", raw=f"FQDN={name}")[0] == 200


def test_an_internationalised_name_is_encoded(api: AuditApi) -> None:
    status, answer = ask(api, "siteDetails", FQDN="bücher.example.com")
    assert (status, answer["error"]["message"]) == (404, "No record of xn--bcher-kva.example.com.")


def test_scan_details_is_the_record_of_that_date(api: AuditApi) -> None:
    assert ask(api, "scanDetails", FQDN=A, scanDate=DATES[1])[1]["scanDate"] == DATES[1]
    assert ask(api, "scanDetails", FQDN=A, scanDate="2025-01-01T00:00:00Z")[0] == 404


def test_site_history_is_newest_first_in_the_fields_names(api: AuditApi) -> None:
    status, answer = ask(api, "siteHistory", FQDN=A)
    assert (status, [one["scanDate"] for one in answer["results"]]) == (200, DATES[::-1])
    one = answer["results"][0]
    assert (one["TLSRedirect"], one["TLSSiteExist"], one["htmlSize"], one["siteTitle"]) == (
        True, True, 5_120, "An example",
    )  # fmt: skip
    assert "next" not in answer


def test_a_histories_date_is_an_exclusive_bound(api: AuditApi) -> None:
    answer = ask(api, "siteHistory", FQDN=A, scanDate=DATES[2])[1]
    assert [one["scanDate"] for one in answer["results"]] == DATES[1::-1]
    assert ask(api, "siteHistory", FQDN=A, scanDate=DATES[0]) == (200, {"results": []})


def follow(api: AuditApi, call: str, pick: str, **parameters: str) -> list[Json]:
    """All results of a call, two at a time."""
    found: list[Json] = []
    more: dict[str, str] = {}
    while True:
        status, answer = ask(api, call, limit="2", **parameters, **more)
        assert status == 200
        assert 0 < len(answer[pick]) <= 2
        found.extend(answer[pick])
        if "next" not in answer:
            return found
        more = {"next": answer["next"]}


def test_pages_follow_each_other_without_gap_or_repetition(api: AuditApi) -> None:
    history = follow(api, "siteHistory", "results", FQDN=A)
    assert [one["scanDate"] for one in history] == DATES[::-1]
    domain = follow(api, "DNSHistory", "results", DN="example.com")
    assert [(one["scanDate"], one["FQDN"]) for one in domain] == [
        *((date, A) for date in DATES[:0:-1]), (DATES[0], B), (DATES[0], A),
    ]  # fmt: skip
    assert [one["name"] for one in follow(api, "listFQDNs", "results")] == [A, B, "www.example.org"]
    assert [one["name"] for one in follow(api, "listDNs", "results")] == ["example.com", "example.org"]
    assert len(follow(api, "listScans", "files")) == 5


def test_list_scans_names_the_zips_newest_first(api: AuditApi) -> None:
    answer = ask(api, "listScans")[1]
    assert answer["count"] == 5
    assert answer["files"][0] == {
        "fileName": f"scan_2026-03-05_{RUN}.zip",
        "url": f"/files/scan_2026-03-05_{RUN}.zip",
        "fileSize": 3,
    }


def test_names_on_record_say_when_they_were_seen(api: AuditApi) -> None:
    assert ask(api, "listFQDNs")[1]["results"][0] == {
        "name": A,
        "domain": "example.com",
        "firstSeen": DATES[0],
        "lastSeen": DATES[0],
    }


BAD = {
    "missing": ("siteDetails", "", "missing_parameter"),
    "empty": ("siteDetails", "FQDN=", "missing_parameter"),
    "blank": ("siteDetails", "FQDN=%20", "missing_parameter"),
    "repeated": ("siteDetails", "FQDN=a.example.com&FQDN=b.example.com", "repeated_parameter"),
    "unknown": ("siteDetails", "FQDN=a.example.com&fqdn=x", "unknown_parameter"),
    "no call takes it": ("openapi.json", "x=1", "unknown_parameter"),
    "an address": ("siteDetails", "FQDN=10.0.0.1", "malformed_parameter"),
    "a URL": ("siteDetails", "FQDN=https%3A%2F%2Fa.example.com", "malformed_parameter"),
    "too long a name": ("siteDetails", f"FQDN={'a' * 300}.com", "malformed_parameter"),
    "a NUL": ("siteDetails", "FQDN=a%00.example.com", "malformed_parameter"),
    "markup": ("siteDetails", "FQDN=%3Cscript%3E", "malformed_parameter"),
    "not UTF-8": ("siteDetails", "FQDN=%FF.example.com", "malformed_query"),
    "no pair": ("siteDetails", "FQDN", "malformed_query"),
    "too many": ("siteDetails", "&".join(f"x{n}=1" for n in range(20)), "malformed_query"),
    "too long a query": ("siteDetails", "FQDN=" + "a" * MAX_QUERY, "query_too_long"),
    "a limit of none": ("siteHistory", "FQDN=a.example.com&limit=0", "malformed_parameter"),
    "a limit of too much": ("siteHistory", f"FQDN={A}&limit={MAX_LIMIT + 1}", "malformed_parameter"),
    "a limit in words": ("listScans", "limit=ten", "malformed_parameter"),
    "a limit in other figures": ("listScans", "limit=%D9%A3", "malformed_parameter"),
    "a date in words": ("scanDetails", "FQDN=a.example.com&scanDate=today", "malformed_parameter"),
    "a day that never was": (
        "scanDetails", "FQDN=a.example.com&scanDate=2026-02-30T00:00:00Z", "malformed_parameter",
    ),
    "no date": ("scanDetails", "FQDN=a.example.com", "missing_parameter"),
    "a token of nobody": ("listScans", "next=x", "malformed_parameter"),
    "a token with other letters": ("listScans", "next=%C3%A4%C3%A4", "malformed_parameter"),
    "a token too long": ("listScans", f"next={'A' * 1_500}", "malformed_parameter"),
    "a token of another call": (
        "listScans", f"next={token('listFQDNs', position=('x',))}", "malformed_parameter",
    ),
    "a token of another site": (
        "siteHistory", f"FQDN={B}&next={token('siteHistory', A, position=('x',))}", "malformed_parameter",
    ),
    "a token with too many parts": (
        "listFQDNs", f"next={token('listFQDNs', position=('x', 'y'))}", "malformed_parameter",
    ),
    "a token with an empty part": (
        "listFQDNs", f"next={token('listFQDNs', position=('',))}", "malformed_parameter",
    ),
    "a token and a date": (
        "siteHistory",
        f"FQDN={A}&scanDate={DATES[0]}&next={token('siteHistory', A, position=(DATES[0],))}",
        "malformed_parameter",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "raw", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_parameter_is_refused_with_its_reason(api: AuditApi, call: str, raw: str, reason: str) -> None:
    status, answer = ask(api, call, raw)
    assert (status, answer["error"]["code"], answer["error"]["reason"]) == (400, 400, reason)
    assert answer["error"]["message"].endswith(".")


@pytest.mark.parametrize(
    ("call", "parameters"),
    [
        ("siteDetails", {"FQDN": "no.example.com"}),
        ("siteHistory", {"FQDN": "no.example.com"}),
        ("DNSHistory", {"DN": "example.net"}),
        ("nothing", {}),
        ("", {}),
        ("siteDetails/", {"FQDN": A}),
    ],
)
def test_what_is_not_there_is_not_found(api: AuditApi, call: str, parameters: dict[str, str]) -> None:
    status, answer = ask(api, call, **parameters)
    assert (status, answer["error"]["reason"]) == (404, "not_found")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_the_calls_are_only_read(api: AuditApi, method: str) -> None:
    answer = send(api, "/api/listScans", method=method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_a_stage_with_a_name_stands_before_the_path(api: AuditApi) -> None:
    assert send(api, "/prod/api/listScans", stage="prod").status_code == 200


def test_every_answer_is_safe_in_a_browser_and_only_good_ones_are_cached(api: AuditApi) -> None:
    good, bad = send(api, "/api/listScans"), send(api, "/api/listScans", "x=1")
    for answer in (good, bad):
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert good.headers["cache-control"] == "public, max-age=60"
    assert bad.headers["cache-control"] == "no-store"


def test_what_fails_behind_us_is_said_without_details(api: AuditApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(fqdn: str) -> bytes:
        raise UpstreamError("table arn:aws:dynamodb:… is throttled")

    monkeypatch.setattr(api.sites, "latest", failing)
    status, answer = ask(api, "siteDetails", FQDN=A)
    assert (status, answer["error"]["reason"]) == (503, "unavailable")
    assert "arn:" not in answer["error"]["message"]


def test_an_event_of_something_else_is_refused(api: AuditApi) -> None:
    with pytest.raises(InputError):
        api.handle({"Records": []})


# ---------------------------------------------------------------- the document


def test_the_document_names_every_call_and_is_among_the_answers(api: AuditApi) -> None:
    status, document = ask(api, "openapi.json")
    assert (status, document["openapi"]) == (200, "3.1.0")
    assert {f"/{call}" for call in api._routes()} == {*document["paths"], "/openapi.json"}
    for call, (known, _) in api._routes().items():
        described = document["paths"].get(f"/{call}", {"get": {"parameters": []}})["get"]["parameters"]
        assert {parameter["name"] for parameter in described} == known


def test_the_reference_describes_every_call_and_parameter(api: AuditApi) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text()
    for call, (known, _) in api._routes().items():
        assert f"`{call}`" in text
        assert all(f"`{name}`" in text for name in known)


Start = Callable[[str, list[tuple[str, str]]], object]


def as_wsgi(api: AuditApi) -> Callable[[dict[str, str], Start], Iterable[bytes]]:
    """The function behind a gateway as small as can be."""

    def application(environ: dict[str, str], start_response: Start) -> Iterable[bytes]:
        answer = send(api, environ["PATH_INFO"], environ["QUERY_STRING"], environ["REQUEST_METHOD"])
        start_response(f"{answer.status_code} -", list(answer.headers.items()))
        return [answer.body.encode()]

    return application


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("call", list(openapi._CALLS))
def test_answers_to_generated_requests_are_as_the_document_says(
    api: AuditApi, call: str, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", as_wsgi(api))

    @settings(max_examples=30, deadline=None, database=None, derandomize=True)
    @given(schema[f"/{call}"]["GET"].as_strategy(mode))
    def ask_one(case: schemathesis.Case) -> None:
        # Names and tokens have rules that a schema does not tell: not every text that fits it is one.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    ask_one()
