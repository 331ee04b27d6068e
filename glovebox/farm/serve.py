"""`python -m glovebox.farm.serve FOLDER [TRAIT...]`: the fleet's own process, started by `running_farm`.

It ends when its standard input ends, which happens however its parent ends.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from glovebox.farm.fleet import serving
from glovebox.farm.running import Announcement
from glovebox.farm.traits import TRAITS

_START_SECONDS: Final = 60.0
"""Ten times what a slow machine takes; a fleet that hangs says so instead."""


async def serve(folder: Path, only: Sequence[str]) -> None:
    """Serve, announce, and wait for the end of standard input."""
    traits = [trait for trait in TRAITS if not only or trait.name in only]
    async with asyncio.timeout(_START_SECONDS) as patience, serving(traits, folder) as fleet:
        patience.reschedule(None)
        announcement = Announcement(
            hosts=list(fleet.hosts), addresses=fleet.addresses, settings=fleet.settings
        )
        sys.stdout.buffer.write(msgspec.json.encode(announcement) + b"\n")
        sys.stdout.buffer.flush()
        await end_of_input()


async def end_of_input() -> None:
    """Wait until whoever holds the other end of standard input has closed it, or has died."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    while await reader.read(1_024):
        pass


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2:]))
