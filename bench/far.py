"""`python -m bench.far FOLDER DELAY_MS ADDRESS:PORT…`: the farm as if it were far away.

For kernels that cannot delay packets.  At each address the port after PORT relays to it.  The first bytes
of a connection arrive a round trip late, as a handshake takes one; all others half a round trip each way.
Prints a line once it listens, and ends when its standard input ends.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import cast

import uvloop

from glovebox.farm.serve import end_of_input


class _End(asyncio.Protocol):
    """One end of a relayed connection: what comes in here goes out at the other end, later."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.other: _End | None = None
        self.transport: asyncio.Transport | None = None
        self._early: list[bytes | None] = []
        self._loop = asyncio.get_running_loop()
        self._next = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        for data in self._early:
            self._out(data)

    def data_received(self, data: bytes) -> None:
        self._pass_on(data)

    def eof_received(self) -> bool:
        self._pass_on(None)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._pass_on(None)

    def first_after(self, seconds: float) -> None:
        self._next = self._loop.time() + seconds

    def out(self, data: bytes | None) -> None:
        if self.transport is None:
            self._early.append(data)
        else:
            self._out(data)

    def _pass_on(self, data: bytes | None) -> None:
        if self.other is not None:
            # Never before what came earlier: timers of the same moment keep their order.
            self._next = max(self._next, self._loop.time() + self.delay)
            self._loop.call_at(self._next, self.other.out, data)

    def _out(self, data: bytes | None) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if data is None:
            self.transport.close()
        else:
            self.transport.write(data)


class _Near(_End):
    def __init__(self, delay: float, address: str, port: int) -> None:
        super().__init__(delay)
        self._place = address, port
        self._dialling: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.first_after(3 * self.delay)
        self.other = far = _End(self.delay)
        far.other = self
        self._dialling = asyncio.create_task(self._dial(far))

    async def _dial(self, far: _End) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, *self._place)
        except OSError:
            self.out(None)


async def serve(delay: float, places: list[tuple[str, int]]) -> None:
    """Relay each of `places` from the port after it until standard input ends; `delay` is seconds one way."""
    loop = asyncio.get_running_loop()
    for address, port in places:
        await loop.create_server(partial(_Near, delay, address, port), address, port + 1, backlog=1_024)
    sys.stdout.buffer.write(b"listening\n")
    sys.stdout.buffer.flush()
    await end_of_input()


if __name__ == "__main__":
    _places = [(address, int(port)) for address, _, port in (text.rpartition(":") for text in sys.argv[3:])]
    uvloop.run(serve(float(sys.argv[2]) / 2_000, _places))
