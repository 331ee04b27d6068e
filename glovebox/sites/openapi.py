"""The OpenAPI 3.1 document of the public queries, made from the very types that they answer with."""

from __future__ import annotations

from functools import cache

import msgspec

from glovebox.siteaudit.record import SiteRecord
from glovebox.sites.answers import ErrorAnswer, FilesAnswer, HistoryAnswer, NamesAnswer
from glovebox.sites.queries import DEFAULT_LIMIT, DEFAULT_NAMES, MAX_LIMIT, MAX_NAMES, MAX_TOKEN

FILE = "openapi.json"
API_VERSION = "1.0.0"
"""Of the queries, not of the program: fields are added under the same version, never taken away."""
Json = dict[str, object]

_ERRORS = {
    "400": "A parameter is missing, repeated, unknown or malformed; `reason` says which.",
    "404": "There is no such record.",
    "405": "Another method than GET.",
    "429": "Too many requests.",
    "503": "The records cannot be read at the moment.",
}
_OURS = ("400", "404", "405", "503")
"""429 comes from the gateway, with a body of its own."""


def _parameter(name: str, description: str, schema: Json, *, required: bool = False) -> Json:
    return {"name": name, "in": "query", "description": description, "required": required, "schema": schema}


_NAME: Json = {"type": "string", "minLength": 1, "maxLength": 253, "examples": ["www.example.com"]}
_DATE: Json = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
    "examples": ["2026-01-31T04:00:00Z"],
}
FQDN = _parameter(
    "FQDN", "The site's name; case and internationalised forms do not matter.", _NAME, required=True
)
DN = _parameter("DN", "The registrable domain.", _NAME, required=True)
NEXT = _parameter(
    "next", "Where the former page ended.", {"type": "string", "minLength": 1, "maxLength": MAX_TOKEN}
)


def _limit(default: int, most: int) -> Json:
    schema: Json = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return _parameter("limit", "At most so many results.", schema)


_HISTORY = _limit(DEFAULT_LIMIT, MAX_LIMIT)
_LONG = _limit(DEFAULT_NAMES, MAX_NAMES)
_CALLS: dict[str, tuple[str, type, list[Json]]] = {
    "siteDetails": ("The latest record of a site.", SiteRecord, [FQDN]),
    "siteHistory": (
        "A site's summaries, newest first.",
        HistoryAnswer,
        [
            FQDN,
            _parameter("scanDate", "Only what is older. Not together with `next`.", _DATE),
            _HISTORY,
            NEXT,
        ],
    ),
    "scanDetails": (
        "A site's record of one date.",
        SiteRecord,
        [FQDN, _parameter("scanDate", "The record's date.", _DATE, required=True)],
    ),
    "listScans": ("The files of all runs, newest first.", FilesAnswer, [_LONG, NEXT]),
    "listFQDNs": ("Sites on record, by name.", NamesAnswer, [_LONG, NEXT]),
    "listDNs": ("Domains on record, by name.", NamesAnswer, [_LONG, NEXT]),
    "DNSHistory": ("Summaries of all sites of a domain, newest first.", HistoryAnswer, [DN, _HISTORY, NEXT]),
}


@cache
def document() -> bytes:
    """The document as JSON; the same bytes for the same version."""
    types = [SiteRecord, HistoryAnswer, FilesAnswer, NamesAnswer, ErrorAnswer]
    _, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Glovebox site audit",
                "version": API_VERSION,
                "description": "TLS, certificates, redirects and headers of public web sites, scan by scan.",
            },
            "servers": [{"url": "/api"}],
            "paths": {f"/{name}": {"get": _operation(name, *call)} for name, call in _CALLS.items()},
            "components": {
                "schemas": schemas,
                "responses": {status: _response(text, status in _OURS) for status, text in _ERRORS.items()},
            },
        }
    )


def _operation(name: str, summary: str, answer: type, parameters: list[Json]) -> Json:
    return {
        "operationId": name,
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": {
                "description": summary,
                "content": {
                    "application/json": {"schema": {"$ref": f"#/components/schemas/{answer.__name__}"}}
                },
            },
            **{status: {"$ref": f"#/components/responses/{status}"} for status in _ERRORS},
        },
    }


def _response(text: str, ours: bool) -> Json:
    schema: Json = {"$ref": "#/components/schemas/ErrorAnswer"}
    return {"description": text, **({"content": {"application/json": {"schema": schema}}} if ours else {})}
