"""Shodan look-ups beside a running audit: in a thread, because the library blocks and waits."""

from __future__ import annotations

import asyncio
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator

from glovebox.siteaudit.record import Shodan
from glovebox.sites.shodan import ShodanCache, ShodanPort, SystemClock, look_up


class Lookups:
    """Answers addresses in the order in which they are submitted.  Used within one event loop."""

    def __init__(
        self, port: ShodanPort, cache: ShodanCache, on_answer: Callable[[str, Shodan], None]
    ) -> None:
        """`on_answer` is called in the event loop with each address and its answer."""
        self.answers: dict[str, Shodan] = {}
        self.submitted: set[str] = set()
        self._port = port
        self._cache = cache
        self._on_answer = on_answer
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        """Addresses, and `None` for the end."""
        self._clock = _StoppableClock()
        self._loop = asyncio.get_running_loop()
        self._work = asyncio.create_task(asyncio.to_thread(self._answer_all))

    def submit(self, address: str) -> None:
        if address not in self.submitted:
            self.submitted.add(address)
            self._queue.put(address)

    async def finish(self) -> None:
        """Wait for every answer; raises what went wrong in the thread."""
        self._queue.put(None)
        await asyncio.shield(self._work)

    async def stop(self) -> None:
        """Ask nothing more and wait only for the request that is under way: the rest is `pending`."""
        self._clock.stop()
        await self.finish()

    def _answer_all(self) -> None:
        for address, answer in look_up(self._addresses(), self._port, self._cache, self._clock, math.inf):
            self.answers[address] = answer
            self._loop.call_soon_threadsafe(self._on_answer, address, answer)

    def _addresses(self) -> Iterator[str]:
        while (address := self._queue.get()) is not None:
            yield address


class _StoppableClock(SystemClock):
    """Time is up, and every sleep over, once it is stopped."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def monotonic(self) -> float:
        return math.inf if self._stopped.is_set() else time.monotonic()

    def sleep(self, seconds: float) -> None:
        self._stopped.wait(seconds)
