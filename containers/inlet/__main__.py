"""The inlet: fetches this task's request by its presigned URL and lays it down for the scanner.

Ends with 0, or with 1 and one line of JSON that says why; the task then never starts its scanner.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
import requests
from msgspec import Struct

from glovebox import log
from glovebox.drill.request import DrillRequest
from glovebox.errors import ConfigurationError, GloveboxError, RefusedError, UpstreamError
from glovebox.scans.airlock import REQUEST_FILE, authorities, in_folder, no_new_privileges
from glovebox.scans.model import MAX_REQUEST_BYTES, SiteScanRequest

VARIABLE = "GLOVEBOX_REQUEST_URL"
REQUESTS: dict[str, type[SiteScanRequest | DrillRequest]] = {"site": SiteScanRequest, "drill": DrillRequest}
"""What a scanner may be asked, by kind."""
WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between tries, a minute in all: S3 shows new objects at once, a network takes seconds."""
TIMEOUT = (10.0, 30.0)
_NOT_YET = {403, 404, 429, 500, 502, 503, 504}
"""A presigned GET of an object that is not there yet answers 403 where its signer may not list the bucket."""


class _Kind(Struct, frozen=True):
    kind: Literal["site", "drill"] = "site"


def main() -> int:
    no_new_privileges()
    try:
        _lay_down(_fetched(_url(), time.sleep), in_folder())
    except GloveboxError as error:
        log.error("inlet failed", reason=error.reason)
        return 1
    return 0


def _url() -> str:
    url = os.environ.get(VARIABLE, "")
    if not url:
        raise ConfigurationError(f"The environment variable {VARIABLE} is not set.")
    return url


def _fetched(url: str, sleep: Callable[[float], None]) -> bytes:
    """The request's bytes.  The URL is a secret: no error quotes it."""
    said = ""
    with requests.Session() as session:
        # Neither a proxy nor a .netrc has any business here.
        session.trust_env = False
        session.verify = authorities()
        for wait in (0.0, *WAITS):
            sleep(wait)
            try:
                with session.get(url, timeout=TIMEOUT, stream=True, allow_redirects=False) as answer:
                    if answer.status_code == requests.codes.ok:
                        return _bounded(answer.iter_content(65_536))
                    said = f"the bucket answered {answer.status_code}"
                    if answer.status_code not in _NOT_YET:
                        break
            except requests.RequestException as error:
                said = f"no whole answer ({type(error).__name__})"
    raise UpstreamError(f"The request cannot be fetched: {said}.")


def _bounded(chunks: Iterator[bytes]) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > MAX_REQUEST_BYTES:
            raise RefusedError("The request is larger than any request.")
    return bytes(body)


def _lay_down(body: bytes, folder: Path) -> None:
    """Write the request, checked and once more encoded by us, readable and not writable."""
    try:
        request = msgspec.json.decode(body, type=REQUESTS[msgspec.json.decode(body, type=_Kind).kind])
    except (msgspec.DecodeError, RecursionError) as error:
        raise RefusedError(f"What was fetched is no request: {error}.") from error
    path = folder / REQUEST_FILE
    try:
        path.write_bytes(msgspec.json.encode(request))
        path.chmod(0o444)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror}).") from error


if __name__ == "__main__":
    sys.exit(main())
