"""What an authority publishes beside its certificates: missing intermediates (AIA) and revocation lists.

A thousand sites share a dozen authorities, so each address is fetched once a run, whatever
the answer; failures are remembered like answers.  How bytes are fetched, and from which
addresses they may be, is the `DocumentSource`'s business.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Protocol

from glovebox.errors import UpstreamError

MAX_URL = 1_024
"""Longer addresses are not asked for: authorities use about a hundred characters."""
MAX_CACHED_BYTES = 48 << 20
"""All documents of a run together; the least recently used go first."""
MAX_CACHED_DOCUMENTS = 4_096
"""Failures weigh nothing in bytes and are bounded by number."""


class DocumentError(UpstreamError):
    """A published document could not be had: unreachable, refused by a rule of ours, too large, not found."""


class DocumentSource(Protocol):
    """Fetches what an authority publishes."""

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        """The body of one GET, at most `max_bytes` of it.

        Raises DocumentError for whatever is not a complete answer: its reason says what happened.
        A source bounds its own time.
        """
        ...


class DocumentCache:
    """A run's documents: at most one fetch per address, concurrent askers share it.

    An asker that is cancelled (its site ran out of time) does not cancel the fetch for the others.
    """

    def __init__(self, source: DocumentSource) -> None:
        self._source = source
        self._answers: OrderedDict[str, bytes | DocumentError] = OrderedDict()
        self._bytes = 0
        self._running: dict[str, asyncio.Task[bytes | DocumentError]] = {}

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        """The document at `url`; the first asker's `max_bytes` counts.

        Raises DocumentError, the same for every asker.
        """
        answer = self._answers.get(url)
        if answer is None:
            answer = await asyncio.shield(self._running.get(url) or self._start(url, max_bytes))
        else:
            self._answers.move_to_end(url)
        if isinstance(answer, DocumentError):
            raise DocumentError(answer.reason, fix=answer.fix) from answer
        return answer

    async def aclose(self) -> None:
        """Ends fetches that nobody waits for any longer."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _start(self, url: str, max_bytes: int) -> asyncio.Task[bytes | DocumentError]:
        task = asyncio.create_task(self._ask(url, max_bytes), name=f"document {url[:80]}")
        self._running[url] = task
        task.add_done_callback(lambda _: self._running.pop(url, None))
        return task

    async def _ask(self, url: str, max_bytes: int) -> bytes | DocumentError:
        answer: bytes | DocumentError
        try:
            answer = await self._source.fetch(_checked(url), max_bytes=max_bytes)
            if len(answer) > max_bytes:
                answer = DocumentError(f"The document is larger than {max_bytes} bytes.")
        except DocumentError as error:
            answer = error
        self._remember(url, answer)
        return answer

    def _remember(self, url: str, answer: bytes | DocumentError) -> None:
        self._answers[url] = answer
        self._bytes += _weight(answer)
        while len(self._answers) > 1 and (
            self._bytes > MAX_CACHED_BYTES or len(self._answers) > MAX_CACHED_DOCUMENTS
        ):
            _, forgotten = self._answers.popitem(last=False)
            self._bytes -= _weight(forgotten)


def _checked(url: str) -> str:
    """`url`, or DocumentError for one that a hostile certificate may carry and no authority uses."""
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable():
        raise DocumentError("The address in the certificate is not a usable address.")
    if not url.lower().startswith(("http://", "https://")):
        raise DocumentError("The address in the certificate is neither http nor https.")
    return url


def _weight(answer: bytes | DocumentError) -> int:
    return len(answer) if isinstance(answer, bytes) else 0
