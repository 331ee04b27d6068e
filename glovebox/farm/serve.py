"""The fleet's own process, started by `running_farm`.

    python -m glovebox.farm.serve FOLDER [--at NETWORK DATAGRAMS STREAMS] [TRAIT...]

On a machine of the lab it lives in NETWORK and serves its names on two inherited sockets.  It ends when its
standard input ends, which happens however its parent ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

import msgspec

from glovebox.farm.dns import NameSockets
from glovebox.farm.fleet import LOOPBACK, Home, serving
from glovebox.farm.running import AT, Announcement
from glovebox.farm.traits import TRAITS

_START_SECONDS: Final = 60.0
"""Ten times what a slow machine takes; a fleet that hangs says so instead."""

_GRACE_SECONDS: Final = 5.0
"""From the end of our parent to ours."""


async def serve(folder: Path, only: Sequence[str], home: Home = LOOPBACK) -> None:
    """Serve, announce, and wait for the end of standard input."""
    traits = [trait for trait in TRAITS if not only or trait.name in only]
    async with asyncio.timeout(_START_SECONDS) as patience, serving(traits, folder, home) as fleet:
        patience.reschedule(None)
        announcement = Announcement(
            hosts=list(fleet.hosts), addresses=fleet.addresses, settings=fleet.settings
        )
        sys.stdout.buffer.write(msgspec.json.encode(announcement) + b"\n")
        sys.stdout.buffer.flush()
        await end_of_input()


async def end_of_input() -> None:
    """Wait until whoever holds the other end of standard input has closed it, or has died.

    A thread watches, and ends the process by force where the event loop does not come to an
    end by itself: a server that hangs must not outlive its parent either.
    """
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1_024):
            pass
        with contextlib.suppress(RuntimeError):  # the loop has ended before us
            loop.call_soon_threadsafe(ended.set)
        time.sleep(_GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
    await ended.wait()


def main(arguments: Sequence[str]) -> None:
    folder, *rest = arguments
    home = LOOPBACK
    if rest[:1] == [AT]:
        _, network, datagrams, streams, *rest = rest
        home = Home(IPv4Network(network), NameSockets.inherited(int(datagrams), int(streams)))
    asyncio.run(serve(Path(folder), rest, home))


if __name__ == "__main__":
    main(sys.argv[1:])
