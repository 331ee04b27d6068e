"""`python -m tests.engine.hostile_sites FOLDER`: a fleet of sites that want to break who audits them.

The other fleet shows what goes wrong on the web; this one shows malice.  Each host answers some
stage well, so that the audit goes on to the next, and misbehaves there.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path
from typing import Final, cast

import msgspec

from glovebox.farm.dns import Answer, Rcode
from glovebox.farm.fleet import serving
from glovebox.farm.identities import good
from glovebox.farm.model import Expected, Fronted, Plain, Service, Tls, Trait
from glovebox.farm.running import Announcement
from glovebox.farm.serve import end_of_input
from glovebox.farm.web import site
from tests.engine.hostile_answers import DRIP_SECONDS, GOOD, MISBEHAVIOURS, circles, goes_on, mutant_pages
from tests.engine.hostile_handshakes import (
    CERTIFICATES,
    FLOODS,
    alternating,
    drips,
    floods,
    mutant_handshakes,
)

MAZE: Final = 10
"""Names that send visitors round among each other."""
MUTANTS: Final = 12
"""Hosts of each fuzzed kind; each connection gets another damage."""
SETTINGS: Final = {
    # Long enough that no site runs out of it because other processes take the processor.
    "connect_timeout": 3.0,
    "handshake_timeout": 1.5,
    "http_timeout": 2.0,
    "dns_timeout": 4.0,
    "site_timeout": 60.0,
    "concurrency": 40,
}
ENDLESS: Final = ("drips.fleet.test",)
"""Hosts that go on for ever, a byte at a time: their audit ends with `ENDLESS_SECONDS` and no earlier."""
ENDLESS_SECONDS: Final = 6.0


class Flipping:
    """An `Answer` whose addresses change with each question, as a rebinding name server's do."""

    alias = None
    pointer = None
    rcode = Rcode.NOERROR
    silent = False

    def __init__(self, *turns: tuple[str, ...]) -> None:
        self._turns = cycle(turns)

    @property
    def addresses(self) -> tuple[str, ...]:
        return next(self._turns)


def _flipping(*turns: tuple[str, ...]) -> Answer:
    return cast(Answer, Flipping(*turns))


def _trait(
    name: str, *, http: Service | None = None, https: Service | None = None, dns: Answer | None = None
) -> Trait:
    return Trait(name=name, shows="malice", expects=Expected(), http=http, https=https, dns=dns)


def traits() -> Iterable[Trait]:
    usual = Tls(site(GOOD), good)
    yield _trait("plain-good", http=Plain(site(GOOD)), https=usual)  # the first has the first address
    # Early, for it alone takes all the time that a site may take.
    drip = goes_on(b"HTTP/1.1 200 OK\r\n", b"x", every=DRIP_SECONDS)
    yield _trait("drips", http=Plain(drip), https=Fronted(usual, drips))
    for name, handler in MISBEHAVIOURS.items():
        yield _trait(f"visit-{name}", http=Plain(handler), https=Tls(handler, good))
    for number in range(MAZE):
        handler = circles(number, MAZE)
        yield _trait(f"maze-{number}", http=Plain(handler), https=Tls(handler, good))
    for seed in range(MUTANTS):
        pages = mutant_pages(seed)
        yield _trait(f"mutant-page-{seed}", http=Plain(pages), https=Tls(pages, good))
        yield _trait(
            f"mutant-handshake-{seed}",
            http=Plain(pages),
            https=Fronted(usual, mutant_handshakes(seed + 1_000)),
        )
    for name, record in FLOODS.items():
        yield _trait(f"flood-{name}", http=Plain(site(GOOD)), https=Plain(floods(record)))
    for name, service in CERTIFICATES.items():
        yield _trait(f"cert-{name}", http=Plain(site(GOOD)), https=service)
    yield _trait("every-other-reset", https=Fronted(usual, alternating(None, b"")))
    yield _trait(
        "every-third-noise", https=Fronted(usual, alternating(None, None, b"\x16\x03\x03\xff\xff" * 9))
    )
    yield _trait(
        "every-other-alert", https=Fronted(usual, alternating(None, b"\x15\x03\x03\x00\x02\x02\x50"))
    )
    yield _trait(
        "flips-inside", dns=_flipping(("127.77.1.1",), ("10.0.0.1",), ("169.254.169.254", "127.77.1.1"))
    )
    yield _trait("flips-away", dns=_flipping(("127.77.1.1",), (), ("127.77.250.250",)))


async def _serve(folder: Path) -> None:
    async with serving(tuple(traits()), folder) as fleet:
        settings = msgspec.structs.replace(fleet.settings, **SETTINGS)
        said = Announcement(hosts=list(fleet.hosts), addresses=fleet.addresses, settings=settings)
        sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
        sys.stdout.buffer.flush()
        await end_of_input()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
