"""`python -m glovebox.farm [--folder F] [--list] [TRAIT...]`: serve the fleet until Ctrl-C.

Prints one line of JSON once every server listens: the host names, their addresses, and the
`AuditSettings` under which they can be audited.  With --list it prints the traits and ends.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from glovebox.errors import GloveboxError
from glovebox.farm.running import Announcement, running_farm
from glovebox.farm.traits import TRAITS


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when it ended as asked, 2 where it could not start."""
    parser = argparse.ArgumentParser(prog="python -m glovebox.farm", description=__doc__)
    parser.add_argument("traits", nargs="*", help="names of traits; all by default")
    parser.add_argument("--folder", type=Path, help="for keys and the log; a temporary one by default")
    parser.add_argument("--list", action="store_true", help="print the traits and end")
    options = parser.parse_args(arguments)
    if options.list:
        for trait in TRAITS:
            print(f"{trait.host:<40} {trait.shows}")
        return 0
    ends = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    try:
        with running_farm(options.folder, only=options.traits) as farm:
            signal.pthread_sigmask(signal.SIG_BLOCK, ends)
            announcement = Announcement(
                hosts=list(farm.hosts), addresses=dict(farm.addresses), settings=farm.settings
            )
            print(msgspec.json.encode(announcement).decode(), flush=True)
            signal.sigwait(ends)
    except GloveboxError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
