"""How many at once, by key: connections to a name, connections to an address."""

from __future__ import annotations

import asyncio
from collections import Counter


class Cap:
    """At most `limit` at once for each key.  A key is forgotten when the last has left it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._places: dict[str, asyncio.Semaphore] = {}
        self._users: Counter[str] = Counter()

    def __len__(self) -> int:
        """Keys in use."""
        return len(self._places)

    async def enter(self, key: str) -> None:
        """Waits for a place.  Whoever came in must `leave`."""
        places = self._places.get(key)
        if places is None:
            places = self._places[key] = asyncio.Semaphore(self._limit)
        self._users[key] += 1
        try:
            await places.acquire()
        except BaseException:
            self._forget(key)
            raise

    def leave(self, key: str) -> None:
        self._places[key].release()
        self._forget(key)

    def _forget(self, key: str) -> None:
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key], self._places[key]
