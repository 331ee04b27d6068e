"""The public queries: what is on record of a site, a domain, a scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from glovebox import log
from glovebox.errors import InputError, NotFoundError, UpstreamError
from glovebox.sites import openapi
from glovebox.sites.answers import (
    ErrorAnswer,
    ErrorBody,
    FileAnswer,
    FilesAnswer,
    HistoryAnswer,
    NamesAnswer,
)
from glovebox.sites.ports import Page, Publication, Registry, RegistryName, SiteStore
from glovebox.sites.queries import (
    DEFAULT_LIMIT,
    DEFAULT_NAMES,
    MAX_LIMIT,
    MAX_NAMES,
    BadQueryError,
    Query,
    parse,
    token,
)

T = TypeVar("T")

PREFIX = "/api/"
SECURITY_HEADERS = {
    "content-type": "application/json; charset=utf-8",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
}
FRESH = "public, max-age=60"
"""A run a day changes the answers: a minute in a cache takes the load and hides nothing."""
NEVER = "no-store"
"""An error is of the moment."""


class _Http(Struct, frozen=True):
    method: str


class _Context(Struct, frozen=True):
    http: _Http
    stage: str = "$default"


class ProxyEvent(Struct, frozen=True, rename="camel"):
    """API Gateway's HTTP API event, payload format 2.0, as far as we read it."""

    raw_path: Annotated[str, Meta(max_length=8_192)]
    request_context: _Context
    raw_query_string: str = ""


class ProxyAnswer(Struct, frozen=True, rename="camel"):
    status_code: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditApi:
    sites: SiteStore
    registry: Registry
    publication: Publication

    def handle(self, event: object) -> ProxyAnswer:
        """The answer to one request; errors of the caller and of what we call are answers as well."""
        try:
            request = msgspec.convert(event, ProxyEvent)
        except msgspec.ValidationError as error:
            raise InputError(f"The event is no HTTP API request: {error}.") from error
        try:
            return self._answer(request)
        except BadQueryError as error:
            return _error(400, error.code, error.reason)
        except NotFoundError as error:
            return _error(404, "not_found", error.reason)
        except UpstreamError as error:
            log.error("query failed", reason=error.reason)
            return _error(503, "unavailable", "The records cannot be read at the moment; try again later.")

    def _answer(self, request: ProxyEvent) -> ProxyAnswer:
        call = _call_of(request)
        route = self._routes().get(call)
        if route is None:
            raise NotFoundError(f"There is no such call; see {PREFIX}{openapi.FILE}.")
        if request.request_context.http.method not in ("GET", "HEAD"):
            return _error(405, "method_not_allowed", "These calls are read with GET.", {"allow": "GET, HEAD"})
        names, answer = route
        body = answer(parse(call, request.raw_query_string, names))
        return ProxyAnswer(200, {**SECURITY_HEADERS, "cache-control": FRESH}, body.decode())

    def _routes(self) -> Mapping[str, tuple[frozenset[str], Callable[[Query], bytes]]]:
        return {
            "siteDetails": (frozenset({"FQDN"}), self.site_details),
            "siteHistory": (frozenset({"FQDN", "scanDate", "limit", "next"}), self.site_history),
            "scanDetails": (frozenset({"FQDN", "scanDate"}), self.scan_details),
            "listScans": (frozenset({"limit", "next"}), self.list_scans),
            "listFQDNs": (frozenset({"limit", "next"}), self.list_fqdns),
            "listDNs": (frozenset({"limit", "next"}), self.list_dns),
            "DNSHistory": (frozenset({"DN", "limit", "next"}), self.dns_history),
            openapi.FILE: (frozenset(), lambda _: openapi.document()),
        }

    def site_details(self, query: Query) -> bytes:
        """The latest record."""
        fqdn = query.host("FQDN")
        return _found(self.sites.latest(fqdn), f"No record of {fqdn}.")

    def scan_details(self, query: Query) -> bytes:
        """The record of one date."""
        fqdn, scan_date = query.host("FQDN"), query.scan_date()
        return _found(self.sites.at(fqdn, scan_date), f"No record of {fqdn} of {scan_date}.")

    def site_history(self, query: Query) -> bytes:
        """Summaries, newest first; `scanDate` is an exclusive upper bound."""
        fqdn, before = query.host("FQDN"), query.optional_scan_date()
        after = query.next(fqdn, parts=1)
        if after is not None and before is not None:
            raise BadQueryError("malformed_parameter", "Give scanDate or next, not both.")
        bound = after[0] if after else before
        limit = query.limit(default=DEFAULT_LIMIT, most=MAX_LIMIT)
        page = self.sites.history(fqdn, before=bound, limit=limit)
        if not page.items and bound is None:
            raise NotFoundError(f"No record of {fqdn}.")
        return msgspec.json.encode(
            HistoryAnswer(results=list(page.items), next=_next(query, fqdn, page=page))
        )

    def dns_history(self, query: Query) -> bytes:
        """Summaries of all sites of a domain, newest first."""
        domain = query.host("DN")
        after = query.next(domain, parts=2)
        limit = query.limit(default=DEFAULT_LIMIT, most=MAX_LIMIT)
        page = self.sites.domain_history(domain, after=after, limit=limit)
        if not page.items and after is None:
            raise NotFoundError(f"No record of the domain {domain}.")
        return msgspec.json.encode(
            HistoryAnswer(results=list(page.items), next=_next(query, domain, page=page))
        )

    def list_fqdns(self, query: Query) -> bytes:
        """Names of sites on record."""
        limit = query.limit(default=DEFAULT_NAMES, most=MAX_NAMES)
        return _names(query, self.registry.names("site", after=query.next(parts=1), limit=limit))

    def list_dns(self, query: Query) -> bytes:
        """Domains on record."""
        limit = query.limit(default=DEFAULT_NAMES, most=MAX_NAMES)
        return _names(query, self.registry.names("domain", after=query.next(parts=1), limit=limit))

    def list_scans(self, query: Query) -> bytes:
        """The files of all runs, newest first."""
        limit = query.limit(default=DEFAULT_NAMES, most=MAX_NAMES)
        after = query.next(parts=1)
        files = sorted(self.publication.zips(), key=lambda file: file.key, reverse=True)
        rest = [file for file in files if after is None or file.key < after[0]]
        shown = [
            FileAnswer(file_name=file.key.rpartition("/")[2], url=f"/{file.key}", file_size=file.size)
            for file in rest[:limit]
        ]
        position = (rest[limit - 1].key,) if len(rest) > limit else None
        return msgspec.json.encode(
            FilesAnswer(
                count=len(files),
                files=shown,
                next=token(query.call, position=position) if position else None,
            )
        )


def _names(query: Query, page: Page[RegistryName]) -> bytes:
    return msgspec.json.encode(
        NamesAnswer(count=len(page.items), results=list(page.items), next=_next(query, page=page))
    )


def _next(query: Query, *about: str, page: Page[T]) -> str | None:
    return token(query.call, *about, position=page.next) if page.next else None


def _found(record: bytes | None, otherwise: str) -> bytes:
    if record is None:
        raise NotFoundError(otherwise)
    return record


def _call_of(request: ProxyEvent) -> str:
    """The part of the path behind `/api/`; a stage with a name of its own stands before that."""
    path = request.raw_path.removeprefix(f"/{request.request_context.stage}")
    return path.removeprefix(PREFIX) if path.startswith(PREFIX) else ""


def _error(status: int, reason: str, message: str, more: Mapping[str, str] = {}) -> ProxyAnswer:
    body = ErrorAnswer(error=ErrorBody(code=status, reason=reason, message=message))
    headers = {**SECURITY_HEADERS, "cache-control": NEVER, **more}
    return ProxyAnswer(status, headers, msgspec.json.encode(body).decode())
