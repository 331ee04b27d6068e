"""Groups of TLS 1.2 and older, hunted in the questions that are asked for suites anyway.

Each such question puts groups that nobody has seen before one that is known to work, so that
it can never be refused for its groups.  A server that follows the client's order shows a new
one each time; one that has its own order keeps to its own, and is asked apart.
"""

from __future__ import annotations

from glovebox.siteaudit.tls.flight import Flight
from glovebox.siteaudit.tls.groups import CURVE_OF_KEY, HUNTED_GROUPS, TLS12_GROUPS, group_name
from glovebox.siteaudit.tls.inquiry import Findings
from glovebox.siteaudit.tls.suites import Exchange


class GroupHunt:
    """What one version's questions offer as groups, and what the answers prove."""

    def __init__(self, findings: Findings, *, enabled: bool) -> None:
        self._findings = findings
        self.enabled = enabled
        self._usual: int | None = None
        self.follows_client = False
        """Proven: all that stood before a chosen group is refused."""

    @property
    def usual_name(self) -> str | None:
        """The group that an ordinary client would get."""
        return None if self._usual is None else group_name(self._usual)

    def offer(self) -> tuple[int, ...]:
        """Groups for the next question about suites."""
        if not self.enabled or self._usual is None:
            return TLS12_GROUPS
        return (*self.unseen(HUNTED_GROUPS), *self.kept())

    def unseen(self, candidates: tuple[int, ...]) -> tuple[int, ...]:
        known = {*self._findings.groups, *self.kept()}
        return tuple(group for group in candidates if group not in known)

    def kept(self) -> tuple[int, ...]:
        """Never left out: the usual group, and an ECDSA key's curve, which TLS 1.2 needs as a group too."""
        curve = self.key_curve()
        kept = (self._usual, curve if curve != self._usual else None)
        return tuple(group for group in kept if group is not None)

    def key_curve(self) -> int | None:
        """The curve of the certificate's ECDSA key, if it has one."""
        if not self._findings.chain:
            return None
        leaf = self._findings.chain[0]
        return next((group for group, oid in CURVE_OF_KEY.items() if oid in leaf), None)

    def note(self, offered: tuple[int, ...], flight: Flight) -> None:
        if flight.suite.exchange is not Exchange.ECDHE or flight.group is None:
            return
        if self._usual is None:
            self._usual = flight.group
        elif offered != TLS12_GROUPS:
            if flight.group == self._usual:
                self.enabled = False
            else:
                self.follows_client = True
