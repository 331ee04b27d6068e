"""A visit: the way from an address to a page, over every redirect that stays on the list.

Status codes and meta refreshes (and the Refresh header, which means the same) are followed;
a script that sets `location` is recorded and not followed, as we run no scripts.  Names off
the list are recorded and never contacted.  Cookies travel along, because many sites set one
and send the visitor to the same address again; without it that would be a loop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from glovebox.dates import iso
from glovebox.siteaudit import record
from glovebox.siteaudit.connect import Connector
from glovebox.siteaudit.failures import make_failure
from glovebox.siteaudit.record import (
    MAX_HEADER_TEXT,
    MAX_TEXT,
    MAX_WORD,
    Failure,
    Hop,
    RedirectType,
    VersionName,
)
from glovebox.siteaudit.resolution import Resolve
from glovebox.siteaudit.settings import AuditSettings
from glovebox.siteaudit.web.cookies import CookieJar
from glovebox.siteaudit.web.exchange import Answer, Headers, HttpError, exchange
from glovebox.siteaudit.web.page import Page, decode, read_page, refresh_target
from glovebox.siteaudit.web.tls import visiting_context
from glovebox.siteaudit.web.url import BadUrlError, Url, parse_url
from glovebox.text import clean

REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})
"""RFC 9110, 15.4: those that send a visitor on; 300 and 304 do not."""
MAX_HEADERS = 200
"""What the record holds of one answer."""
ORIGIN = "https://glovebox-audit.invalid"
"""Whose script the request pretends to be, to see which origins are let in: a name that cannot exist."""
_HTML = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True, slots=True)
class Step:
    """One answer on the way, without its body: twenty full pages of each of a hundred sites would be 2 GB."""

    url: Url
    sent: Headers
    asked_at: str
    answer: Answer
    page: Page | None = None
    """What it shows, where it is HTML and no redirect by status."""
    failure: HttpError | None = None
    """Why the answer is not whole."""
    html_size: int = 0
    """Bytes of the body as decoded, up to the cap."""
    html_hash: str = ""
    """SHA-256 of that body, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Where a visit went and how it ended.  `failure` is what stopped it; steps before it still stand."""

    start: Url
    steps: tuple[Step, ...]
    hops: tuple[Hop, ...]
    """As recorded: one a step, and one without a status for an address that did not answer."""
    failure: Failure | None
    jar: CookieJar
    beyond: Url | None
    """Where the visit was sent and did not go: off the list, round in a circle, or one too many."""
    immediate: Url | None
    """Where the first answer sends visitors by its status."""

    @property
    def last(self) -> Step | None:
        return self.steps[-1] if self.steps else None

    @property
    def page(self) -> Page | None:
        """What the last answer shows, where it is HTML."""
        return self.last.page if self.last else None

    @property
    def complete(self) -> bool:
        """Whether the last answer is where a browser would end up."""
        return self.failure is None and bool(self.steps)

    @property
    def redirect_to(self) -> str | None:
        """The address of `beyond`."""
        return None if self.beyond is None else str(self.beyond)

    @property
    def redirect_type(self) -> RedirectType:
        """How the first address that sends visitors on does it."""
        kinds: list[RedirectType] = [hop.kind for hop in self.hops if hop.kind != "None"]
        return kinds[0] if kinds else "None"

    @property
    def request(self) -> record.Request | None:
        """The last request, for the record."""
        if self.last is None:
            return None
        headers = {name: clean(value, MAX_HEADER_TEXT) for name, value in self.last.sent}
        return record.Request(
            headers=headers, request_time=self.last.asked_at, request_url=str(self.last.url)
        )

    @property
    def response(self) -> record.Response | None:
        """The last answer, for the record; `notes` say what was cut."""
        if self.last is None:
            return None
        answer = self.last.answer
        return record.Response(
            status_code=answer.status,
            url=str(self.last.url),
            headers=recorded_headers(answer.headers)[0],
            html_size=self.last.html_size,
            html_hash=self.last.html_hash,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What was cut or could not be read, in sentences."""
        if self.last is None:
            return ()
        cut_body = (f"The page is longer than {self.last.html_size} bytes; the rest is not judged.",)
        cut_headers = ("Headers beyond the record's limits are cut.",)
        encoding = self.last.answer.undecoded
        strange = (f"The body is in an encoding that was not asked for: {clean(encoding, 64)}.",)
        return (
            (cut_body if self.last.answer.truncated else ())
            + (cut_headers if recorded_headers(self.last.answer.headers)[1] else ())
            + (strange if encoding else ())
        )


class Visitor:
    """Visits one site; both of its visits share what was fetched, so that no address is asked twice."""

    def __init__(
        self,
        fqdn: str,
        address: str,
        *,
        connector: Connector,
        settings: AuditSettings,
        resolve: Resolve,
        allowed: Callable[[str], bool],
        ports: frozenset[int] = frozenset(),
        tls_version: VersionName | None = None,
    ) -> None:
        """`allowed` says which other names may be contacted, `ports` which ports of this one (empty for all).

        `tls_version` is one that the site speaks.
        """
        self._fqdn = fqdn
        self._address = address
        self._connector = connector
        self._settings = settings
        self._resolve = resolve
        self._allowed = allowed
        self._ports = ports
        self._tls_version = tls_version
        self._fetched: dict[tuple[str, str], Step | HttpError] = {}

    async def visit(self, start: Url) -> Visit:
        """The way from `start` to a page, or to what stops it.  Raises nothing of the site's making."""
        way = _Way(start)
        url: Url | None = start
        while url is not None:
            url = await self._advance(way, url)
        return way.visit()

    async def _advance(self, way: _Way, url: Url) -> Url | None:
        """One step from `url`: the address to go to next, or `None` at the end."""
        cookies = way.jar.header(url)
        problem = way.problem(url, cookies, self._settings.max_redirects) or self._off_list(url)
        if problem is not None:
            way.stop(*problem, url)
            return None
        fetched = await self._fetch(url, cookies)
        if isinstance(fetched, HttpError):
            way.unanswered(url, fetched)
            return None
        way.jar.store(url, fetched.answer.values("set-cookie"))
        return way.take(fetched)

    def _off_list(self, url: Url) -> tuple[str, str] | None:
        if url.host == self._fqdn:
            if url.port is None or not self._ports or url.port in self._ports:
                return None
            return "redirect_off_list", f"to {clean(str(url), 512)}: no ticket opens that port"
        if not self._allowed(url.host):
            return "redirect_off_list", f"to {clean(str(url), 512)}"
        if url.port is not None:
            return "redirect_off_list", f"to {clean(str(url), 512)}: another site's unusual port"
        return None

    async def _fetch(self, url: Url, cookies: str) -> Step | HttpError:
        key = (str(url), cookies)
        if key not in self._fetched:
            self._fetched[key] = await self._ask(url, cookies)
        return self._fetched[key]

    async def _ask(self, url: Url, cookies: str) -> Step | HttpError:
        address = self._address
        if url.host != self._fqdn:
            resolution = await self._resolve(url.host)
            if resolution.failure is not None:
                return HttpError(resolution.failure.failure_class, resolution.failure.detail)
            address = resolution.dns.addresses[0]
        version = self._tls_version if url.host == self._fqdn else None
        tls = visiting_context(version) if url.scheme == "https" else None
        headers = request_headers(url, self._settings.user_agent, cookies)
        asked_at = iso(datetime.now(UTC))
        try:
            answer = await exchange(self._connector, address, url, headers, self._settings, tls=tls)
        except HttpError as error:
            # Said again, as its traceback holds the connection and all that came over it.
            failure = HttpError(error.failure_class, error.detail)
            return failure if error.answer is None else step_of(url, headers, asked_at, error.answer, failure)
        return step_of(url, headers, asked_at, answer)


class _Way:
    """A visit under way."""

    def __init__(self, start: Url) -> None:
        self.jar = CookieJar()
        self._start = start
        self._steps: list[Step] = []
        self._hops: list[Hop] = []
        self._seen: set[tuple[str, str]] = set()
        self._failure: Failure | None = None
        self._beyond: Url | None = None
        self._immediate: Url | None = None

    def problem(self, url: Url, cookies: str, max_redirects: int) -> tuple[str, str] | None:
        """The failure class and detail where `url` must not be asked for."""
        if (str(url), cookies) in self._seen:
            return "redirect_loop", f"back to {clean(str(url), 512)}"
        if len(self._steps) > max_redirects:
            return "too_many_redirects", f"more than {max_redirects}"
        self._seen.add((str(url), cookies))
        return None

    def stop(self, failure_class: str, detail: str, url: Url) -> None:
        self._beyond = url
        self._failure = make_failure(failure_class, detail, self._start.scheme)

    def unanswered(self, url: Url, error: HttpError) -> None:
        self._hops.append(Hop(url=str(url)))
        where = self._start.scheme if not self._steps else f"{self._start.scheme}, at {clean(str(url), 200)}"
        self._failure = make_failure(error.failure_class, clean(error.detail, 512), where)

    def take(self, step: Step) -> Url | None:
        """Records `step`; where it sends the visitor, or `None`."""
        self._steps.append(step)
        if step.failure is not None:
            self._failure = make_failure(
                step.failure.failure_class, clean(step.failure.detail, 512), self._start.scheme
            )
        kind, location = self._sent_on(step)
        self._hops.append(
            Hop(
                url=str(step.url),
                status_code=step.answer.status,
                location=None if location is None else clean(location, MAX_TEXT),
                kind=kind,
            )
        )
        if location is None or kind == "javascript":
            return None
        return self._next(step.url, kind, location)

    def _next(self, url: Url, kind: RedirectType, location: str) -> Url | None:
        try:
            target = parse_url(location.strip("\t\n\f\r "), url)
        except BadUrlError as error:
            self._failure = make_failure(
                "bad_redirect", f"to {clean(location, 200)!r}: {error.reason}", self._start.scheme
            )
            return None
        if kind == "meta-tag" and target == url:
            return None  # the page renews itself
        if kind == "HTTP Status Code" and len(self._steps) == 1:
            self._immediate = target
        # An answer that was cut short and still says where to go is followed, as browsers do.
        self._failure = None
        return target

    def _sent_on(self, step: Step) -> tuple[RedirectType, str | None]:
        """How an answer sends the visitor on, and where to, as written."""
        answer = step.answer
        if answer.status in REDIRECT_STATUS:
            location = answer.first("location")
            if location is None:
                self._failure = make_failure(
                    "bad_redirect", f"{answer.status} without a Location", self._start.scheme
                )
                return "None", None
            return "HTTP Status Code", _as_text(location)
        page = step.page or Page()
        refresh = refresh_target(answer.first("refresh") or "") or page.refresh
        if refresh is not None:
            return "meta-tag", refresh
        return ("javascript", page.script_redirect) if page.script_redirect is not None else ("None", None)

    def visit(self) -> Visit:
        return Visit(
            start=self._start,
            steps=tuple(self._steps),
            hops=tuple(self._hops),
            failure=self._failure,
            jar=self.jar,
            beyond=self._beyond,
            immediate=self._immediate,
        )


def request_headers(url: Url, user_agent: str, cookies: str = "") -> Headers:
    """What a visit sends; a connection a request, so that nothing of one answer can reach into the next."""
    headers = (
        ("Host", url.authority),
        ("User-Agent", user_agent),
        ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("Accept-Encoding", "gzip, deflate"),
        ("Origin", ORIGIN),
        ("Connection", "close"),
    )
    return (*headers, ("Cookie", cookies)) if cookies else headers


def recorded_headers(headers: Headers) -> tuple[dict[str, str], bool]:
    """Headers within the record's limits, and whether anything was cut.

    Names as first sent; repeated ones joined by a comma, Set-Cookie by a newline (RFC 9110, 5.3).
    """
    kept: dict[str, str] = {}
    spelled: dict[str, str] = {}
    cut = False
    for name, value in headers:
        key = spelled.setdefault(name.lower(), name[:MAX_WORD])
        whole = clean(value, MAX_HEADER_TEXT + 1)
        if key in kept:
            whole = kept[key] + ("\n" if key.lower() == "set-cookie" else ", ") + whole
        elif len(kept) == MAX_HEADERS:
            cut = True
            continue
        kept[key] = whole[:MAX_HEADER_TEXT]
        cut = cut or len(whole) > MAX_HEADER_TEXT or len(name) > MAX_WORD
    return kept, cut


def step_of(url: Url, sent: Headers, asked_at: str, answer: Answer, failure: HttpError | None = None) -> Step:
    """What is kept of `answer`: all that its body says, and not the body."""
    return Step(
        url,
        sent,
        asked_at,
        replace(answer, body=b""),
        page_of(answer, url),
        failure,
        html_size=len(answer.body),
        html_hash=hashlib.sha256(answer.body).hexdigest(),
    )


def page_of(answer: Answer, url: Url) -> Page | None:
    """What `answer` shows, or `None` for a redirect by status and for what is no HTML."""
    content_type = answer.first("content-type") or ""
    if answer.status in REDIRECT_STATUS or answer.undecoded or not _is_html(content_type, answer.body):
        return None
    return read_page(decode(answer.body, content_type), url)


def _as_text(location: str) -> str:
    """A Location whose bytes are UTF-8, which the standard forbids and browsers read as meant."""
    try:
        return location.encode("latin-1").decode()
    except UnicodeDecodeError:
        return location


def _is_html(content_type: str, body: bytes) -> bool:
    """By its type; without one, by its first character, as browsers guess."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind in _HTML or (not kind and body.lstrip()[:1] == b"<")
