"""The inlet's way to its bucket: addresses that are secrets, answers that are bounded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import requests

from glovebox import log
from glovebox.errors import RefusedError, UpstreamError
from glovebox.scans.airlock import authorities

WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between tries, a minute in all: S3 shows new objects at once, a network takes seconds."""
TIMEOUT = (10.0, 30.0)
_PIECE = 1 << 16
_PASSING = {429, 500, 502, 503, 504}
_NOT_YET = {403, 404} | _PASSING
"""A presigned GET of an object that is not there yet answers 403 where its signer may not list the bucket."""
_TAKEN = 412
_RACE = 409
"""S3's answer to a conditional write that met another one; it says to try again."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """No error names an address, and no redirect is followed."""

    session: requests.Session
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def get(
        self,
        url: str,
        *,
        what: str,
        most: int,
        waits: tuple[float, ...] = WAITS,
        seconds: float = float("inf"),
    ) -> bytes:
        """The object, once it is there.

        Raises RefusedError for more than `most` bytes, UpstreamError after `waits` or `seconds`.
        """
        body = b""

        def take(chunks: Iterator[bytes]) -> None:
            nonlocal body
            body = _bounded(chunks, what, most)

        self.stream(url, take, what=what, waits=waits, seconds=seconds)
        return body

    def stream(
        self,
        url: str,
        take: Callable[[Iterator[bytes]], None],
        *,
        what: str,
        waits: tuple[float, ...] = WAITS,
        seconds: float = float("inf"),
    ) -> None:
        """Let `take` have the object in pieces, once it is there; from the start again where it breaks off.

        What `take` raises goes through.  Raises UpstreamError after `waits` or `seconds`.
        """
        said, end = "", self.clock() + seconds
        for wait in (0.0, *waits):
            self.sleep(wait)
            if self.clock() >= end:
                break
            try:
                with self.session.get(url, timeout=TIMEOUT, stream=True, allow_redirects=False) as answer:
                    if answer.status_code == requests.codes.ok:
                        return take(self._until(end, answer.iter_content(_PIECE)))
                    said = f"the bucket answered {answer.status_code}"
                    if answer.status_code not in _NOT_YET:
                        break
            except requests.RequestException as error:
                said = f"no whole answer ({type(error).__name__})"
        raise UpstreamError(f"The {what} cannot be fetched: {said or 'there was no time'}.")

    def _until(self, end: float, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self.clock() >= end:
                raise requests.ReadTimeout
            yield chunk

    def put_once(self, url: str, body: bytes, headers: Mapping[str, str], *, what: str) -> None:
        """Put the object if there is none.

        One that is there already may be ours, its answer lost on the way: what follows from it decides.

        Raises UpstreamError.
        """
        said = ""
        for wait in (0.0, *WAITS):
            self.sleep(wait)
            try:
                answer = self.session.put(
                    url,
                    data=body,
                    headers={**headers, "If-None-Match": "*"},
                    timeout=TIMEOUT,
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                said = f"no whole answer ({type(error).__name__})"
                continue
            if answer.status_code in (requests.codes.ok, _TAKEN):
                if answer.status_code == _TAKEN:
                    log.warning("put already", object=what)
                return
            said = f"the bucket answered {answer.status_code}"
            if answer.status_code not in _PASSING | {_RACE}:
                break
        raise UpstreamError(f"The {what} cannot be put: {said}.")


@contextmanager
def opened_bucket() -> Iterator[Bucket]:
    with requests.Session() as session:
        # Neither a proxy nor a .netrc has any business here.
        session.trust_env = False
        session.verify = authorities()
        yield Bucket(session)


def _bounded(chunks: Iterator[bytes], what: str, most: int) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > most:
            raise RefusedError(f"The {what} is larger than any {what}.")
    return bytes(body)
