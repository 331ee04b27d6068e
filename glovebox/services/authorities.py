"""Whom scanners of accounts are to believe, as `launch` reads it: kept for minutes, because it changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from glovebox.errors import UpstreamError
from glovebox.scans.accounts import MAX_AUTHORITIES
from glovebox.scans.ports import Clock

AUTHORITIES_LAG: Final = timedelta(minutes=5)
"""`keys` publishes a new authority two hours before a gateway shows a certificate of it: this lag, an
attempt's hour and the five minutes that a gateway is behind fit in."""
_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"


class Authorities(Protocol):
    def pem(self) -> str:
        """Raises UpstreamError where there are none yet."""
        ...


@dataclass(slots=True)
class KeptAuthorities:
    """`Authorities`: reads the parameter again when `AUTHORITIES_LAG` is over."""

    read: Callable[[], str]
    """The parameter's text; raises UpstreamError."""
    clock: Clock
    _pem: str = ""
    _read_at: datetime | None = None

    def pem(self) -> str:
        now = self.clock()
        if self._read_at is None or now - self._read_at >= AUTHORITIES_LAG:
            self._pem, self._read_at = self._fresh(), now
        return self._pem

    def _fresh(self) -> str:
        text = self.read()
        if _CERTIFICATE not in text or len(text) > MAX_AUTHORITIES:
            raise UpstreamError(
                "The gateway has no authority that scanners could believe.", fix="Invoke `keys`."
            )
        return text
