"""Reading a response's body: decoded, and bounded before it is decoded."""

from __future__ import annotations

import zlib

MAX_RATIO = 100
"""Decoded bytes for each one sent: pages compress 5 to 30 times, a bomb up to 1,032 times."""
_GZIP = 31
_ZLIB = 15
_RAW = -15


class BombError(Exception):
    """The body grows past the limit, and far faster than pages do."""


class CorruptBodyError(Exception):
    """The body is not encoded as its header says."""


class Body:
    """Collects a body of at most `limit` decoded bytes.

    An encoding that we did not ask for (`br`, two at once) is kept as sent: `undecoded` names it.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        self._name = encoding.strip().lower()
        self._limit = limit
        self._data = bytearray()
        self._sent = 0
        self._inflate: zlib._Decompress | None = None
        self.full = False
        """The limit is reached: the body is cut."""
        self.undecoded = self._name if self._name not in ("", "identity", "gzip", "x-gzip", "deflate") else ""

    def feed(self, data: bytes) -> None:
        """Raises BombError and CorruptBodyError; feeding a body that is `done` does nothing."""
        if self.done or not data:
            return
        self._sent += len(data)
        room = self._limit - len(self._data)
        self._data += self._decoded(data, room + 1)[: room + 1]
        if len(self._data) <= self._limit:
            return
        del self._data[self._limit :]
        self.full = True
        if self._inflate is not None:
            used = self._sent - len(self._inflate.unconsumed_tail)
            if self._limit > used * MAX_RATIO:
                raise BombError(f"{used} bytes decode to more than {self._limit}")

    @property
    def done(self) -> bool:
        """Whether there is nothing more to read: full, or the compressed stream says that it has ended."""
        return self.full or (self._inflate is not None and self._inflate.eof)

    def content(self) -> bytes:
        return bytes(self._data)

    def _decoded(self, data: bytes, room: int) -> bytes:
        if self.undecoded or self._name in ("", "identity"):
            return data
        if self._inflate is None:
            self._inflate = zlib.decompressobj(_GZIP if "gzip" in self._name else _deflate_format(data))
        try:
            return self._inflate.decompress(data, room)
        except zlib.error as error:
            raise CorruptBodyError(f"not {self._name} as its header says: {error}") from error


def _deflate_format(data: bytes) -> int:
    """`deflate` means zlib's format (RFC 9110), yet some servers send the bare stream of RFC 1951."""
    checked = len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0
    return _ZLIB if data[0] & 0x0F == 8 and checked else _RAW
