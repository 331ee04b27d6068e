"""The broker's signing key as `launch` reads it: kept for minutes, because it changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from glovebox.errors import ConfigurationError, UpstreamError
from glovebox.scans.ports import Clock
from glovebox.tickets.rotation import SIGNING_LAG
from glovebox.tickets.signer import Signer


class TicketKey(Protocol):
    """The broker's private key, which changes from time to time."""

    def signer(self) -> Signer:
        """Signs with the key of the last minutes.  Raises UpstreamError where there is none yet."""
        ...


@dataclass(slots=True)
class KeptTicketKey:
    """`TicketKey`: reads the secret again when `SIGNING_LAG` is over."""

    read: Callable[[], str]
    """The secret's text; raises UpstreamError."""
    clock: Clock
    _signer: Signer | None = field(default=None, repr=False)
    _read_at: datetime | None = None

    def signer(self) -> Signer:
        now = self.clock()
        if self._signer is None or self._read_at is None or now - self._read_at >= SIGNING_LAG:
            self._signer, self._read_at = self._fresh(), now
        return self._signer

    def _fresh(self) -> Signer:
        try:
            return Signer.from_pem(self.read().encode())
        except ConfigurationError as error:
            raise UpstreamError(f"No ticket can be signed: {error.reason}", fix="Invoke `keys`.") from error
