"""Documents that authorities publish: intermediates and revocation lists, fetched by the rules of a visit.

The addresses stand in certificates, which strangers write, so the public-address rule holds
here too, redirects are few, and everything is bounded.
"""

from __future__ import annotations

from glovebox.siteaudit.certificates.documents import DocumentError, UnlistedDocumentError
from glovebox.siteaudit.connect import Connector
from glovebox.siteaudit.network import NotGivenError
from glovebox.siteaudit.resolution import Resolve
from glovebox.siteaudit.settings import AuditSettings
from glovebox.siteaudit.web.exchange import Answer, Headers, HttpError, exchange
from glovebox.siteaudit.web.tls import visiting_context
from glovebox.siteaudit.web.url import BadUrlError, Url, parse_url
from glovebox.siteaudit.web.visit import REDIRECT_STATUS
from glovebox.text import clean

MAX_REDIRECTS = 3
"""Authorities move documents to content networks, once."""
MAX_ADDRESSES = 2
"""Addresses tried of one name, so that a broken IPv6 path does not hide the document."""


class HttpDocuments:
    """A `DocumentSource` over HTTP.  Signatures vouch for what it fetches, so TLS is not verified."""

    def __init__(self, settings: AuditSettings, connector: Connector, resolve: Resolve) -> None:
        self._settings = settings
        self._connector = connector
        self._resolve = resolve

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        """The body of one GET, at most `max_bytes`, over up to three redirects.

        Raises DocumentError for whatever is not a complete answer with status 200.
        """
        try:
            target = parse_url(url)
            for _ in range(MAX_REDIRECTS + 1):
                answer = await self._ask(target, max_bytes)
                location = answer.first("location")
                if answer.status not in REDIRECT_STATUS or location is None:
                    return _content(answer, max_bytes)
                target = parse_url(location, target)
        except BadUrlError as error:
            raise DocumentError(f"The document's address cannot be used: {error.reason}.") from error
        raise DocumentError(f"The document hides behind more than {MAX_REDIRECTS} redirects.")

    async def _ask(self, url: Url, max_bytes: int) -> Answer:
        """The answer of the first address that gives one."""
        addresses = await self._addresses(url)
        tls = visiting_context() if url.scheme == "https" else None
        last: HttpError | None = None
        for address in addresses[:MAX_ADDRESSES]:
            try:
                return await exchange(
                    self._connector,
                    address,
                    url,
                    self._headers(url),
                    self._settings,
                    tls=tls,
                    max_body=max_bytes,
                )
            except HttpError as error:
                last = error
        detail = f"{last.failure_class}: {clean(last.detail, 200)}" if last else "no address"
        raise DocumentError(f"The document could not be fetched: {detail}.") from last

    async def _addresses(self, url: Url) -> list[str]:
        try:
            resolution = await self._resolve(url.host)
        except NotGivenError as error:
            raise UnlistedDocumentError(
                f"{clean(url.host, 253)} is not on our list of authorities' hosts, so it was not asked."
            ) from error
        failure = resolution.failure
        if failure is not None:
            why = f"{failure.failure_class}: {clean(failure.detail, 200)}".removesuffix(".")
            raise DocumentError(f"The document's name does not resolve: {why}.")
        return resolution.dns.addresses

    def _headers(self, url: Url) -> Headers:
        return (
            ("Host", url.authority),
            ("User-Agent", self._settings.user_agent),
            ("Accept", "*/*"),
            ("Connection", "close"),
        )


def _content(answer: Answer, max_bytes: int) -> bytes:
    if answer.status != 200:
        raise DocumentError(f"The document's server answers {answer.status}.")
    if answer.truncated:
        raise DocumentError(f"The document is larger than {max_bytes} bytes.")
    if answer.undecoded:
        raise DocumentError("The document is in an encoding that was not asked for.")
    return answer.body
