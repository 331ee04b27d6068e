"""Whose order decides the suite, told from the choices that a server made anyway."""

from __future__ import annotations

from collections.abc import Sequence

from glovebox.siteaudit.record import Answer
from glovebox.siteaudit.tls.suites import CHACHA20_SUITES


class Preference:
    """Collects (what was offered, what was chosen) for one version."""

    def __init__(self) -> None:
        self._choices: list[tuple[tuple[int, ...], int]] = []

    def observe(self, offered: tuple[int, ...], chosen: int) -> None:
        self._choices.append((offered, chosen))

    def verdict(self, accepted: Sequence[int]) -> Answer:
        """`yes`: the server passed over what we offered first.  `no`: it followed two opposite orders.

        `unknown`: its choices fit both; with fewer than two suites there is nothing to tell.
        """
        if len(accepted) < 2:
            return "unknown"
        known = set(accepted)
        beaten: set[tuple[int, int]] = set()
        for offered, chosen in self._choices:
            ranked = [code for code in offered if code in known]
            if ranked and ranked[0] != chosen:
                return "yes"
            beaten.update((chosen, other) for other in ranked[1:])
        return "no" if any((loser, winner) in beaten for winner, loser in beaten) else "unknown"


def opposite_order(accepted: Sequence[int]) -> tuple[int, ...]:
    """The reverse of `accepted`, with ChaCha20 not in front unless alone.

    OpenSSL can be told to put ChaCha20 first for clients that do, in an order of its own otherwise.
    """
    backwards = accepted[::-1]
    return tuple(sorted(backwards, key=CHACHA20_SUITES.__contains__))
