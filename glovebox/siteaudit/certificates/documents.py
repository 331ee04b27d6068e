"""What an authority publishes beside its certificates: missing intermediates (AIA) and revocation lists.

A thousand sites share a dozen authorities, so each address is fetched and read once a run,
whatever the answer; failures are remembered like answers.  How bytes are fetched, and from
which addresses they may be, is the `DocumentSource`'s business.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from glovebox.errors import UpstreamError

MAX_URL = 1_024
"""Longer addresses are not asked for: authorities use about a hundred characters."""
MAX_CACHED_BYTES = 48 << 20
"""All documents of one kind in a run; the least recently used go first."""
MAX_CACHED_DOCUMENTS = 2_048
"""Failures weigh nothing in bytes and are bounded by number."""

D = TypeVar("D")


class DocumentError(UpstreamError):
    """A published document could not be had: unreachable, refused by a rule of ours, too large, not found."""


class UnreadableDocumentError(DocumentError):
    """There was an answer, and it is not what the certificate says it is."""


class UnlistedDocumentError(DocumentError):
    """Nobody was asked: the document's host is none that this audit may reach."""


class DocumentSource(Protocol):
    """Fetches what an authority publishes."""

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        """The body of one GET, at most `max_bytes` of it.

        Raises DocumentError for whatever is not a complete answer: its reason says what happened.
        A source bounds its own time.
        """
        ...


class DocumentCache(Generic[D]):
    """A run's documents of one kind: at most one fetch per address, concurrent askers share it.

    `read` makes a document of the bytes, or raises UnreadableDocumentError.  An asker that is
    cancelled (its site ran out of time) does not cancel the fetch for the others.
    """

    def __init__(self, source: DocumentSource, read: Callable[[bytes], D], max_bytes: int) -> None:
        self._source = source
        self._read = read
        self._max_bytes = max_bytes
        self._answers: OrderedDict[str, tuple[D | DocumentError, int]] = OrderedDict()
        self._bytes = 0
        self._running: dict[str, asyncio.Task[D | DocumentError]] = {}

    async def get(self, url: str) -> D:
        """The document at `url`.

        Raises DocumentError, the same for every asker of the run.
        """
        if url in self._answers:
            self._answers.move_to_end(url)
            answer = self._answers[url][0]
        else:
            answer = await asyncio.shield(self._running.get(url) or self._start(url))
        if isinstance(answer, DocumentError):
            raise type(answer)(answer.reason, fix=answer.fix) from answer
        return answer

    async def aclose(self) -> None:
        """Ends the fetches that nobody waits for any longer."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _start(self, url: str) -> asyncio.Task[D | DocumentError]:
        task = asyncio.create_task(self._ask(url))
        self._running[url] = task
        task.add_done_callback(lambda _: self._running.pop(url, None))
        return task

    async def _ask(self, url: str) -> D | DocumentError:
        try:
            body = await self._source.fetch(_checked(url), max_bytes=self._max_bytes)
            if len(body) > self._max_bytes:
                raise DocumentError(f"The document is larger than {self._max_bytes} bytes.")  # noqa: TRY301
            return self._remember(url, self._read(body), len(body))
        except DocumentError as error:
            return self._remember(url, error, 0)

    def _remember(self, url: str, answer: D | DocumentError, weight: int) -> D | DocumentError:
        self._answers[url] = (answer, weight)
        self._bytes += weight
        while self._bytes > MAX_CACHED_BYTES or len(self._answers) > MAX_CACHED_DOCUMENTS:
            self._bytes -= self._answers.popitem(last=False)[1][1]
        return answer


def _checked(url: str) -> str:
    """`url`, or DocumentError for one that a hostile certificate may carry and no authority uses."""
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise DocumentError("The address in the certificate is not a usable address.")
    if not url.lower().startswith(("http://", "https://")):
        raise DocumentError("The address in the certificate is neither http nor https.")
    return url
