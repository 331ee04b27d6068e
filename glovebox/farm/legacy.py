"""Servers by tlslite-ng, for SSLv3, RC4 and 3DES, which today's OpenSSL is built without.

tlslite-ng blocks, so each connection has a thread; a host has at most `_THREADS` of them.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Final

from glovebox.farm.authority import Issued
from glovebox.farm.model import Legacy

if TYPE_CHECKING:
    from tlslite.api import HandshakeSettings

_PATIENCE: Final = 5.0
_THREADS: Final = 16
_VERSIONS: Final = {"SSLv3": (3, 0), "TLSv1.0": (3, 1), "TLSv1.1": (3, 2), "TLSv1.2": (3, 3)}


class LegacyServer:
    """Accepts on the event loop and talks in threads.

    Needs the package tlslite-ng; raises ImportError without it.
    """

    def __init__(self, service: Legacy, issued: Issued) -> None:
        from tlslite.api import X509CertChain, parsePEMKey  # the fleet's group alone has it

        self._page = service.page
        self._settings = _settings(service)
        self._chain = X509CertChain()
        self._chain.parsePemList(issued.chain_pem().decode())
        self._key = parsePEMKey(issued.key_pem.decode(), private=True)
        self._places = threading.BoundedSemaphore(_THREADS)

    async def accept(self, listener: socket.socket) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            connection.setblocking(True)
            connection.settimeout(_PATIENCE)
            if self._places.acquire(blocking=False):
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()
            else:
                connection.close()

    def _talk(self, connection: socket.socket) -> None:
        from tlslite.api import TLSConnection
        from tlslite.errors import BaseTLSException

        try:
            with connection:
                session = TLSConnection(connection)
                session.handshakeServer(certChain=self._chain, privateKey=self._key, settings=self._settings)
                if session.read(max=4_096):
                    session.write(self._page)
                session.close()
        except (OSError, BaseTLSException):
            return  # the client refused us or left: the usual end of a probe
        finally:
            self._places.release()


def _settings(service: Legacy) -> HandshakeSettings:
    from tlslite.api import HandshakeSettings

    settings = HandshakeSettings()
    lowest, highest = (_VERSIONS[version] for version in service.versions)
    # The package has no type information, and what can be inferred from its defaults is too narrow.
    vars(settings).update(
        minVersion=lowest,
        maxVersion=highest,
        versions=[version for version in reversed(_VERSIONS.values()) if lowest <= version <= highest],
        cipherNames=list(service.ciphers),
        macNames=list(service.macs),
        keyExchangeNames=list(service.key_exchanges),
    )
    return settings
